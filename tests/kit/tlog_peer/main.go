// Command tlogpeer checks a log in a directory or at an http address with Go's own transparency-log packages
// (golang.org/x/mod/sumdb/note and tlog), which share nothing with the code under test.
//
//	tlogpeer DIRECTORY-OR-ADDRESS VKEY [OLDER-CHECKPOINT]
//
// It opens the signed checkpoint, reads every entry, authenticates every tile hash against the signed
// root, proves each record and checks the proof, and with an older checkpoint proves that the log grew.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// reader serves tiles of height 8 from the directory, by the paths of c2sp.org/tlog-tiles.
type reader struct{ directory string }

func (r reader) Height() int { return 8 }

func (r reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		content, err := read(r.directory, path(strconv.Itoa(tile.L), tile.N, tile.W))
		if err != nil {
			return nil, err
		}
		found = append(found, content)
	}
	return found, nil
}

func (r reader) SaveTiles([]tlog.Tile, [][]byte) {}

func path(level string, n int64, width int) string {
	number := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		number = fmt.Sprintf("x%03d/%s", n%1000, number)
	}
	if width < 256 {
		number += fmt.Sprintf(".p/%d", width)
	}
	return filepath.Join("tile", level, number)
}

var fetched = map[string][]byte{} // every proof asks for the same tiles again

func read(place, path string) ([]byte, error) {
	if content, known := fetched[path]; known {
		return content, nil
	}
	content, err := fetch(place, path)
	if err == nil {
		fetched[path] = content
	}
	return content, err
}

func fetch(place, path string) ([]byte, error) {
	if !strings.HasPrefix(place, "http://") {
		return os.ReadFile(filepath.Join(place, path))
	}
	answer, err := http.Get(strings.TrimSuffix(place, "/") + "/" + filepath.ToSlash(path))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

func checkpoint(content []byte, vkey string) tlog.Tree {
	verifier, err := note.NewVerifier(vkey)
	must(err)
	opened, err := note.Open(content, note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		must(fmt.Errorf("not this log's checkpoint: %q", opened.Text))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	must(err)
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return tree
}

func entries(directory string, size int64) [][]byte {
	var found [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := int(min(256, size-n*256))
		content, err := read(directory, path("entries", n, width))
		must(err)
		for i := 0; i < width; i++ {
			if len(content) < 2 || len(content) < 2+int(binary.BigEndian.Uint16(content)) {
				must(fmt.Errorf("bundle %d ends early", n))
			}
			length := int(binary.BigEndian.Uint16(content))
			found = append(found, content[2:2+length])
			content = content[2+length:]
		}
		if len(content) != 0 {
			must(fmt.Errorf("bundle %d goes on after its last entry", n))
		}
	}
	return found
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	directory, vkey := os.Args[1], os.Args[2]
	content, err := read(directory, "checkpoint")
	must(err)
	tree := checkpoint(content, vkey)
	hashes := tlog.TileHashReader(tree, reader{directory})
	root, err := tlog.TreeHash(tree.N, hashes)
	must(err)
	if root != tree.Hash {
		must(fmt.Errorf("the tiles do not give the signed root"))
	}
	for index, entry := range entries(directory, tree.N) {
		proof, err := tlog.ProveRecord(tree.N, int64(index), hashes)
		must(err)
		must(tlog.CheckRecord(proof, tree.N, tree.Hash, int64(index), tlog.RecordHash(entry)))
	}
	if len(os.Args) > 3 {
		content, err := os.ReadFile(os.Args[3])
		must(err)
		older := checkpoint(content, vkey)
		if older.N > 0 {
			proof, err := tlog.ProveTree(tree.N, older.N, hashes)
			must(err)
			must(tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash))
		}
	}
	fmt.Println(tree.N)
}
