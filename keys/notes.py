"""Ed25519 keys for C2SP signed notes (c2sp.org/signed-note): the cryptography behind `kit.tlog.note`. Pure.

The note's form, key ids and `vkey` text are kit's; here a key signs, or verifies under one `vkey` and no other.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kit.tlog.errors import BadNote
from kit.tlog.note import ED25519, key_id, make_vkey, parse_vkey


class LogSigner:
    """A log's signing key under its origin (a `kit.tlog.note.Signer`). Its repr shows the public half only."""

    __slots__ = ("_private", "key_id", "name", "public", "vkey")

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.name = name
        self.public = private.public_key().public_bytes_raw()
        self.key_id = key_id(name, self.public)
        self.vkey = make_vkey(name, self.public)

    def __repr__(self) -> str:
        return f"LogSigner({self.vkey!r})"

    def __reduce__(self) -> str:
        raise TypeError("a signer is not copied or pickled")

    def sign(self, message: bytes, /) -> bytes:
        """The 64 bytes of the signature over a note's text, final newline included ("Ed25519 signatures")."""
        if not message.endswith(b"\n"):
            raise BadNote("a note's text ends in a newline")
        return self._private.sign(message)


class NoteVerifier:
    """Verifies under one `vkey` (a `kit.tlog.note.Verifier`)."""

    __slots__ = ("_public", "key_id", "name", "vkey")

    def __init__(self, vkey: str) -> None:
        key = parse_vkey(vkey)
        if key.algorithm != ED25519:
            raise BadNote("only Ed25519 verifier keys are read here")
        if key.text() != vkey:
            raise BadNote("the verifier key has another spelling than its own")
        self.name = key.name
        self.key_id = key.key_id
        self.vkey = vkey
        self._public = Ed25519PublicKey.from_public_bytes(key.public_key)

    def __repr__(self) -> str:
        return f"NoteVerifier({self.vkey!r})"

    def verify(self, signature: bytes, message: bytes, /) -> None:
        """Raise BadNote unless the signature is this key's over the text."""
        try:
            self._public.verify(signature, message)
        except InvalidSignature as error:
            raise BadNote(f"the signature of {self.name} does not verify") from error
