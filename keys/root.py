"""The root key: 256 bits that never enter the database. Everything sealed hangs from it.

Three ways in: a file (mode 0600, refused if others may read it), a value handed over by the environment
(`SEKISHO_ROOT_KEY`), or a passphrase stretched by Argon2id (RFC 9106 section 4, second recommendation)
with a stored salt. A stored key-check value tells a wrong key at once, in words, before anything is
opened or written with it.
"""

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import RootKeyMissing, RootKeyUnsafe, RootKeyWrong
from keys.hashing import derive, same
from keys.settings import KeysSettings
from kit.encoding import b64url, b64url_decode

PREFIX = "sekisho-root-1_"
_NONCE = 12
_MIN_PASSPHRASE = 16


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database keeps about the root key: nothing that helps to find it."""

    salt: bytes
    check: bytes


class RootKey:
    """Wraps and unwraps the keys beneath it. Never shown, copied or pickled."""

    __slots__ = ("_aead", "_check")

    def __init__(self, material: bytes) -> None:
        if len(material) != 32:
            raise ValueError("a root key has 32 bytes")
        self._aead = AESGCM(derive(material, "root/wrap"))
        self._check = derive(material, "root/check")[:16]

    def __repr__(self) -> str:
        return "RootKey()"

    def __reduce__(self) -> str:
        raise TypeError("a root key is not copied or pickled")

    @property
    def check_value(self) -> bytes:
        """Sixteen bytes that recognise this key and tell nothing else about it."""
        return self._check

    def wrap(self, name: str, key: bytes) -> bytes:
        """Seal a key under its name."""
        nonce = os.urandom(_NONCE)
        return nonce + self._aead.encrypt(nonce, key, name.encode())

    def unwrap(self, name: str, wrapped: bytes) -> bytes:
        """Open a key sealed under that name; raises RootKeyWrong."""
        try:
            return self._aead.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], name.encode())
        except (InvalidTag, ValueError) as error:
            raise RootKeyWrong(
                "A stored key does not open with this root key: the database was changed or damaged. "
                "Restore it from a backup made with this root key."
            ) from error


def new_text() -> str:
    """A fresh root key, as text for a file or the environment."""
    return PREFIX + b64url(secrets.token_bytes(32))


def create_file(path: Path) -> None:
    """Write a fresh root key, readable by its owner only; raises FileExistsError rather than replace one."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(new_text() + "\n")
        file.flush()
        os.fsync(file.fileno())
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # the name is durable too: what it will seal is worth nothing without it
    finally:
        os.close(directory)


def new_salt() -> bytes:
    """A salt for a passphrase that is used for the first time."""
    return secrets.token_bytes(16)


def unlock(settings: KeysSettings, stored: Stored | None, *, salt: bytes = b"") -> RootKey:
    """The root key from wherever the settings say, proved against the stored check value if there is one.

    `salt` serves a passphrase that is used for the first time; afterwards the stored one does.

    Raises RootKeyMissing, RootKeyUnsafe or RootKeyWrong, each with the cure.
    """
    material = _material(settings, stored, salt)
    key = RootKey(material)
    if stored is not None and not same(key.check_value, stored.check):
        raise RootKeyWrong(
            f"The root key from {_source(settings)} is not the one this data was sealed with; "
            "give the original root key, or start with an empty data directory."
        )
    return key


def _source(settings: KeysSettings) -> str:
    if settings.root_key is not None:
        return "SEKISHO_ROOT_KEY"
    if settings.root_passphrase is not None:
        return "the passphrase"
    return f"the file {settings.root_key_file}"


def _material(settings: KeysSettings, stored: Stored | None, salt: bytes) -> bytes:
    if settings.root_key is not None:
        return _parse(settings.root_key.get_secret_value(), "SEKISHO_ROOT_KEY")
    if settings.root_passphrase is not None:
        return _stretch(settings.root_passphrase.get_secret_value(), stored.salt if stored else salt)
    if settings.root_key_file is not None:
        return _read_file(settings.root_key_file, known=stored is not None)
    raise RootKeyMissing(
        "There is no root key: set SEKISHO_ROOT_KEY, or name a file with mode 0600 that holds it, or give a passphrase."
    )


def _read_file(path: Path, *, known: bool) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        cure = (
            "put back the file this data was sealed with (from your backup)"
            if known
            else "make one with `sekisho keys new-root`"
        )
        raise RootKeyMissing(f"The root key file {path} does not exist: {cure}.") from error
    except OSError as error:
        raise RootKeyMissing(
            f"The root key file {path} cannot be read ({error.strerror}): run as the user that owns it."
        ) from error
    try:
        mode = os.fstat(fd).st_mode  # of the open file: a name could be swapped between look and read
        if not stat.S_ISREG(mode):
            raise RootKeyUnsafe(f"The root key {path} is not a plain file: name the file itself.")
        if stat.S_IMODE(mode) & 0o077:
            raise RootKeyUnsafe(
                f"The root key file {path} can be read by others (mode {stat.S_IMODE(mode):04o}): "
                f"run `chmod 600 {path}`, and replace the key if strangers share this machine."
            )
        return _parse(os.read(fd, 4096).decode("ascii", "replace"), f"the file {path}")
    finally:
        os.close(fd)


def _parse(text: str, source: str) -> bytes:
    text = text.strip()
    try:
        material = bytes.fromhex(text) if len(text) == 64 else b64url_decode(text.removeprefix(PREFIX))
    except ValueError:
        material = b""
    if len(material) != 32:
        raise RootKeyUnsafe(
            f"The root key in {source} is malformed: it is `{PREFIX}` and 43 characters, "
            "or 64 hexadecimal digits; `sekisho keys new-root` makes one."
        )
    return material


def _stretch(passphrase: str, salt: bytes) -> bytes:
    if len(passphrase) < _MIN_PASSPHRASE:
        raise RootKeyUnsafe(
            f"The root passphrase is too short: use at least {_MIN_PASSPHRASE} characters, "
            "for example six random words."
        )
    return hash_secret_raw(
        passphrase.encode(),
        salt,
        time_cost=3,
        memory_cost=64 * 1024,
        parallelism=4,
        hash_len=32,
        type=Type.ID,
    )
