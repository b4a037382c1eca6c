"""Signed notes, checkpoints and key texts.

c2sp.org/signed-note (the note, key ids), c2sp.org/tlog-checkpoint (the three lines), and the `vkey` text
`<name>+<hex key id>+<base64(type || public key)>` that Go's note package made common.
Strict: what would not print back to itself is refused, so that one checkpoint has one form and nothing can be
hidden in it. Pure: the cryptography comes in through the `Signer` and `Verifier` protocols.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from kit.tlog.errors import BadNote, BadSignature
from kit.tlog.merkle import HASH_SIZE

ED25519 = 0x01  # signature type identifier bytes, signed-note "Signature types"
COSIGNATURE = 0x04
COSIGNATURE_ML_DSA = 0x06
_KEY_SIZE = {ED25519: 32, COSIGNATURE: 32, COSIGNATURE_ML_DSA: 1312}

_SIGNATURE_LINE = re.compile(r"— (\S+) ([A-Za-z0-9+/]+={0,2})\n")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")  # all ASCII controls but newline
_MOST_SIGNATURES = 100  # verifiers must take at least 16
_LONGEST_NOTE = 1_000_000


class Signer(Protocol):
    """A key that signs notes."""

    @property
    def name(self) -> str: ...
    @property
    def key_id(self) -> bytes: ...
    @property
    def vkey(self) -> str: ...
    def sign(self, message: bytes, /) -> bytes: ...


class Verifier(Protocol):
    """A key that is trusted to have signed notes. `verify` raises any exception on a wrong signature."""

    @property
    def name(self) -> str: ...
    @property
    def key_id(self) -> bytes: ...
    def verify(self, signature: bytes, message: bytes, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line, not yet verified."""

    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        return f"— {self.name} {base64.b64encode(self.key_id + self.value).decode()}\n"


@dataclass(frozen=True, slots=True)
class UnverifiedNote:
    """A note that parses. Nobody may act on its text before `open_note`."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class VerifiedNote:
    """A note that at least one known key signed; made only by `open_note`."""

    text: str
    signed_by: tuple[str, ...]
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The content of a vkey text."""

    name: str
    key_id: bytes
    algorithm: int
    public_key: bytes

    def text(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64(bytes([self.algorithm]) + self.public_key)}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: which log, how many leaves, which root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        lines = (self.origin, str(self.size), b64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def key_id(name: str, public_key: bytes, algorithm: int = ED25519) -> bytes:
    """First four bytes of SHA-256(name || newline || type || key) (signed-note "Signatures")."""
    return sha256(name.encode() + b"\n" + bytes([algorithm]) + public_key).digest()[:4]


def make_vkey(name: str, public_key: bytes, algorithm: int = ED25519) -> str:
    """The verifier key's text."""
    check_name(name)
    return VerifierKey(name, key_id(name, public_key, algorithm), algorithm, public_key).text()


def parse_vkey(text: str) -> VerifierKey:
    """Read a vkey text; the key id in it must be the one its key has. Raises BadNote."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise BadNote("a verifier key has the form <name>+<key id>+<base64 key>")
    name, hexadecimal, encoded = parts
    check_name(name)
    raw = unb64(encoded)
    if len(raw) < 2 or len(raw) - 1 != _KEY_SIZE.get(raw[0], len(raw) - 1):
        raise BadNote("the verifier key has the wrong length")
    key = VerifierKey(name, key_id(name, raw[1:], raw[0]), raw[0], raw[1:])
    if key.key_id.hex() != hexadecimal:
        raise BadNote("the verifier key's id does not belong to its key")
    return key


def check_name(name: str) -> str:
    """A key name has no space and no plus. Raises BadNote."""
    if not name or "+" in name or any(each.isspace() for each in name) or _CONTROL.search(name):
        raise BadNote("a key name must be non-empty, without spaces and without +")
    return name


def sign_note(text: str, signers: Iterable[Signer]) -> bytes:
    """The text, a blank line, and one line for each signer."""
    _check_text(text)
    message = text.encode()
    lines = [Signature(each.name, each.key_id, each.sign(message)).line() for each in signers]
    return (text + "\n" + "".join(lines)).encode()


def parse_note(note: bytes) -> UnverifiedNote:
    """Split a note into text and signatures; the last blank line is where the text ends. Raises BadNote."""
    if len(note) > _LONGEST_NOTE:
        raise BadNote("the note is too long")
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise BadNote("the note is not UTF-8") from None
    text, blank, tail = whole.rpartition("\n\n")
    if not blank:
        raise BadNote("the note has no blank line before its signatures")
    text += "\n"
    _check_text(text)
    signatures = []
    at = 0
    while at < len(tail):
        line = _SIGNATURE_LINE.match(tail, at)
        if line is None:
            raise BadNote("a signature line is malformed")
        at = line.end()
        raw = unb64(line[2])
        if len(raw) < 5:
            raise BadNote("a signature is too short")
        signatures.append(Signature(check_name(line[1]), raw[:4], raw[4:]))
    if not signatures:
        raise BadNote("the note has no signature")
    if len(signatures) > _MOST_SIGNATURES:
        raise BadNote("the note has too many signatures")
    return UnverifiedNote(text, tuple(signatures))


def open_note(note: bytes, verifiers: Collection[Verifier]) -> VerifiedNote:
    """Parse and verify. Unknown keys are passed over; a known key's wrong signature refuses the note."""
    unverified = parse_note(note)
    known = {(each.name, each.key_id): each for each in verifiers}
    signed_by: list[str] = []
    for signature in unverified.signatures:
        verifier = known.get((signature.name, signature.key_id))
        if verifier is None:
            continue
        try:
            verifier.verify(signature.value, unverified.text.encode())
        except Exception:  # whatever a verifier raises means one thing here, and must not pass for anything else
            raise BadSignature(f"the signature of {signature.name} is wrong") from None
        if signature.name not in signed_by:
            signed_by.append(signature.name)
    if not signed_by:
        raise BadSignature("no known key signed this note")
    return VerifiedNote(unverified.text, tuple(signed_by), unverified.signatures)


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint's note text. Raises BadNote."""
    _check_text(text)
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise BadNote("a checkpoint has at least three lines, none of them empty")
    origin, size, root, *extensions = lines
    if not _DECIMAL.fullmatch(size):
        raise BadNote("the checkpoint's size is not a decimal number without leading zeros")
    raw = unb64(root)
    if len(raw) != HASH_SIZE:
        raise BadNote("the checkpoint's root is not a SHA-256 hash")
    return Checkpoint(origin, int(size), raw, tuple(extensions))


def open_checkpoint(note: bytes, origin: str, verifiers: Collection[Verifier]) -> Checkpoint:
    """A checkpoint of this origin, signed by a known key. Raises BadNote."""
    checkpoint = parse_checkpoint(open_note(note, verifiers).text)
    if checkpoint.origin != origin:
        raise BadNote(f"the checkpoint is of the log {checkpoint.origin}, not of {origin}")
    return checkpoint


def b64(raw: bytes) -> str:
    """Standard base64 (RFC 4648 section 4)."""
    return base64.b64encode(raw).decode()


def unb64(text: str) -> bytes:
    """Strict standard base64: no newline, no missing padding, no spare bits: one text for one value. Raises BadNote."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise BadNote("base64 is malformed") from None
    if base64.b64encode(raw).decode() != text:
        raise BadNote("base64 is not in its one canonical form")
    return raw


def _check_text(text: str) -> None:
    if not text.endswith("\n") or text == "\n" or _CONTROL.search(text):
        raise BadNote("a note's text ends in a newline and has no control characters")
