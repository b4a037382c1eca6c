"""C2SP signed notes with Ed25519 (c2sp.org/signed-note@v1.0.0). Pure.

A note is a text that ends in a newline, an empty line, and signature lines. The key id ties a name to a
public key; a verifier that was given a `vkey` accepts only that pair, and ignores lines of keys it does
not know.
"""

import base64
import binascii
import hashlib
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from keys.errors import BadNote

_ED25519 = b"\x01"  # "Signature types"
_MAX_NOTE = 1_000_000
_MAX_LINES = 100
_NAME = re.compile(r"[^\s+]+")
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


def key_id(name: str, public: bytes) -> bytes:
    """SHA-256(name, newline, type, public key), first four bytes."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def vkey(name: str, public: bytes) -> str:
    """The verifier key text: `name+hex key id+base64(type, public key)`."""
    return f"{name}+{key_id(name, public).hex()}+{base64.b64encode(_ED25519 + public).decode()}"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadNote("a key name is not empty and has no spaces and no plus sign")


def _check_text(text: bytes) -> None:
    if not text.endswith(b"\n") or any(byte < 0x20 and byte != 0x0A for byte in text):
        raise BadNote("a note's text ends in a newline and has no control characters")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise BadNote("a note is UTF-8") from error


class LogSigner:
    """Signs notes under one name. Its repr shows the name only."""

    __slots__ = ("_private", "key_id", "name", "public", "vkey")

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        _check_name(name)
        self.name = name
        self._private = private
        self.public = private.public_key().public_bytes_raw()
        self.key_id = key_id(name, self.public)
        self.vkey = vkey(name, self.public)

    def __repr__(self) -> str:
        return f"LogSigner({self.vkey!r})"

    def __reduce__(self) -> str:
        raise TypeError("a signer is not copied or pickled")

    def sign(self, text: bytes) -> bytes:
        """The 64 bytes of the signature over the text, final newline included."""
        _check_text(text)
        return self._private.sign(text)

    def signature_line(self, text: bytes) -> bytes:
        """One signature line for the text."""
        blob = base64.b64encode(self.key_id + self.sign(text)).decode()
        return f"— {self.name} {blob}\n".encode()

    def sign_note(self, text: bytes) -> bytes:
        """The whole signed note."""
        return text + b"\n" + self.signature_line(text)


class NoteVerifier:
    """Verifies notes under one `vkey`."""

    __slots__ = ("_public", "key_id", "name", "vkey")

    def __init__(self, text: str) -> None:
        name, _, rest = text.partition("+")
        hex_id, _, material = rest.partition("+")
        _check_name(name)
        try:
            raw = base64.b64decode(material, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadNote("a verifier key is name+id+base64") from error
        if len(raw) != 33 or raw[:1] != _ED25519:
            raise BadNote("only Ed25519 verifier keys are read here")
        if vkey(name, raw[1:]) != text or key_id(name, raw[1:]).hex() != hex_id:
            raise BadNote("the verifier key's id does not fit its name and key")
        self.name = name
        self.key_id = key_id(name, raw[1:])
        self.vkey = text
        self._public = Ed25519PublicKey.from_public_bytes(raw[1:])

    def __repr__(self) -> str:
        return f"NoteVerifier({self.vkey!r})"

    def verify(self, text: bytes, signature: bytes) -> None:
        """Raise BadNote unless the 64-byte signature is ours over the text."""
        try:
            self._public.verify(signature, text)
        except InvalidSignature as error:
            raise BadNote(f"the signature of {self.name} does not verify") from error

    def open_note(self, note: bytes) -> bytes:
        """The text of a signed note; raises BadNote unless it carries a good signature of this key.

        Lines of unknown keys are ignored, a bad line of the known key refuses the note ("Signatures").
        """
        if len(note) > _MAX_NOTE:
            raise BadNote("the note is too large")
        head, separator, tail = note.rpartition(b"\n\n")
        if not separator or not tail.endswith(b"\n"):
            raise BadNote("a note is a text, an empty line and signature lines")
        text = head + b"\n"
        _check_text(text)
        lines = tail[:-1].split(b"\n")
        if len(lines) > _MAX_LINES:
            raise BadNote("the note has too many signatures")
        found = False
        for line in lines:
            name, blob = _read_line(line)
            if name == self.name and blob[:4] == self.key_id:
                self.verify(text, blob[4:])
                found = True
        if not found:
            raise BadNote(f"the note is not signed by {self.name}")
        return text


def _read_line(line: bytes) -> tuple[str, bytes]:
    try:
        match = _SIGNATURE.fullmatch(line.decode())
        if match is None:
            raise BadNote("a signature line is malformed")
        blob = base64.b64decode(match[2], validate=True)
    except (UnicodeDecodeError, binascii.Error) as error:
        raise BadNote("a signature line is malformed") from error
    if len(blob) < 5:
        raise BadNote("a signature line is malformed")
    return match[1], blob
