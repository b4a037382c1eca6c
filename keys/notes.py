"""Keys for C2SP signed notes (c2sp.org/signed-note) and cosignatures (c2sp.org/tlog-cosignature). Pure.

The cryptography behind `kit.tlog.note` and `kit.tlog.cosignature`. The note's form, key ids and `vkey` text are kit's;
here a key signs, or verifies under one `vkey` and no other.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from keys.signing import ed25519
from kit.tlog.cosignature import signed_message, signed_subtree, split
from kit.tlog.errors import BadNote
from kit.tlog.note import COSIGNATURE, COSIGNATURE_ML_DSA, ED25519, key_id, make_vkey, parse_vkey


class LogSigner:
    """A log's signing key under its origin (a `kit.tlog.note.Signer`). Its repr shows the public half only."""

    __slots__ = ("_sign", "key_id", "name", "public", "vkey")

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._sign = ed25519(private)
        self.name = name
        self.public = private.public_key().public_bytes_raw()
        self.key_id = key_id(name, self.public)
        self.vkey = make_vkey(name, self.public)

    def __repr__(self) -> str:
        return f"LogSigner({self.vkey!r})"

    def __reduce__(self) -> str:
        raise TypeError("a signer is not copied or pickled")

    def sign(self, message: bytes, /) -> bytes:
        """The 64 bytes of the signature over a note's text, final newline included ("Ed25519 signatures").

        Raises BadNote.
        """
        if not message.endswith(b"\n"):
            raise BadNote("a note's text ends in a newline")
        return self._sign(message)


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


class WitnessSigner:
    """A witness's cosigning key under its name (a `kit.tlog.cosignature.Cosigner`), type 0x04.

    An Ed25519 cosignature does not name its cosigner, so the key must belong to one witness only (tlog-cosignature,
    "Ed25519 signed message").
    """

    __slots__ = ("_sign", "key_id", "name", "vkey")

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        public = private.public_key().public_bytes_raw()
        self._sign = ed25519(private)
        self.name = name
        self.key_id = key_id(name, public, COSIGNATURE)
        self.vkey = make_vkey(name, public, COSIGNATURE)

    def __repr__(self) -> str:
        return f"WitnessSigner({self.vkey!r})"

    def __reduce__(self) -> str:
        raise TypeError("a signer is not copied or pickled")

    def sign(self, message: bytes, /) -> bytes:
        """The signature over a cosigned message. Anything else is refused: this key signs no notes."""
        if not message.startswith(b"cosignature/v1\ntime "):
            raise BadNote("a witness key signs cosignatures only")
        return self._sign(message)


class WitnessVerifier:
    """Verifies a witness's cosignatures under one `vkey` (a `kit.tlog.cosignature.Witness`): Ed25519 or ML-DSA-44."""

    __slots__ = ("_algorithm", "_public", "key_id", "name", "public", "vkey")

    def __init__(self, vkey: str) -> None:
        key = parse_vkey(vkey)
        if key.text() != vkey:
            raise BadNote("the verifier key has another spelling than its own")
        if key.algorithm not in (COSIGNATURE, COSIGNATURE_ML_DSA):
            raise BadNote("a witness's key has type 0x04 or 0x06")
        self.name = key.name
        self.key_id = key.key_id
        self.public = key.public_key
        self.vkey = vkey
        self._algorithm = key.algorithm
        self._public = key.public_key

    def __repr__(self) -> str:
        return f"WitnessVerifier({self.vkey!r})"

    def verify(self, signature: bytes, message: bytes, /) -> None:
        """Raise BadNote unless the timestamped signature is this key's over the checkpoint's text."""
        time, bare = split(signature)
        text = message.decode()
        try:
            if self._algorithm == COSIGNATURE:
                Ed25519PublicKey.from_public_bytes(self._public).verify(bare, signed_message(text, time))
            else:
                from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

                MLDSA44PublicKey.from_public_bytes(self._public).verify(bare, signed_subtree(self.name, text, time))
        except InvalidSignature as error:
            raise BadNote(f"the cosignature of {self.name} does not verify") from error
