// Command tlogwitness is a witness of other make (c2sp.org/tlog-witness): it cosigns checkpoints of the logs it was told
// about, with Go's own packages (golang.org/x/mod/sumdb/note and tlog), which share nothing with the code under test.
//
//	tlogwitness NAME LOG-VKEY...
//
// It makes a key, prints its verifier key and its address, one to a line, and serves until it is killed. One mutex
// around "compare the old size, remember the new tree" is its atomic step.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type witness struct {
	name    string
	id      []byte
	private ed25519.PrivateKey
	logs    map[string]note.Verifier
	mutex   sync.Mutex
	seen    map[string]tlog.Tree
}

func main() {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	w := &witness{name: os.Args[1], private: private, logs: map[string]note.Verifier{}, seen: map[string]tlog.Tree{}}
	typed := append([]byte{4}, public...)
	sum := sha256.Sum256(append([]byte(w.name+"\n"), typed...))
	w.id = sum[:4]
	for _, vkey := range os.Args[2:] {
		verifier, err := note.NewVerifier(vkey)
		must(err)
		w.logs[verifier.Name()] = verifier
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	fmt.Printf("%s+%s+%s\n", w.name, hex.EncodeToString(w.id), base64.StdEncoding.EncodeToString(typed))
	fmt.Printf("http://%s\n", listener.Addr())
	http.HandleFunc("POST /add-checkpoint", w.add)
	must(http.Serve(listener, nil))
}

func (w *witness) add(answer http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(io.LimitReader(request.Body, 1<<16))
	if err != nil {
		http.Error(answer, err.Error(), 400)
		return
	}
	head, signed, found := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	old, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "old "), 10, 64)
	if !found || err != nil || lines[0] != fmt.Sprintf("old %d", old) || len(lines) > 64 {
		http.Error(answer, "malformed", 400)
		return
	}
	var proof tlog.TreeProof
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			http.Error(answer, "malformed proof", 400)
			return
		}
		proof = append(proof, hash)
	}
	origin, _, _ := strings.Cut(string(signed), "\n")
	verifier, known := w.logs[origin]
	if !known {
		http.Error(answer, "unknown log", 404)
		return
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		http.Error(answer, err.Error(), 403)
		return
	}
	parts := strings.Split(opened.Text, "\n")
	if len(parts) < 4 || parts[0] != origin {
		http.Error(answer, "not a checkpoint", 400)
		return
	}
	size, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || old > size {
		http.Error(answer, "sizes", 400)
		return
	}
	root, err := tlog.ParseHash(parts[2])
	if err != nil {
		http.Error(answer, "root", 400)
		return
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	seen := w.seen[origin]
	if old != seen.N {
		answer.Header().Set("Content-Type", "text/x.tlog.size")
		answer.WriteHeader(409)
		fmt.Fprintf(answer, "%d\n", seen.N)
		return
	}
	if old == 0 || old == size {
		_, known := w.seen[origin]
		same := old != size || !known || seen.Hash == root
		if len(proof) != 0 || !same || (size == 0 && root != tlog.Hash(sha256.Sum256(nil))) {
			http.Error(answer, "no such tree", 422)
			return
		}
	} else if err := tlog.CheckTree(proof, size, root, old, seen.Hash); err != nil {
		http.Error(answer, err.Error(), 422)
		return
	}
	w.seen[origin] = tlog.Tree{N: size, Hash: root}
	now := time.Now().Unix()
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", now, opened.Text)
	value := binary.BigEndian.AppendUint64(bytes.Clone(w.id), uint64(now))
	value = append(value, ed25519.Sign(w.private, []byte(message))...)
	fmt.Fprintf(answer, "— %s %s\n", w.name, base64.StdEncoding.EncodeToString(value))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
