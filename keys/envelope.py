"""Envelopes: root key, key-encryption keys, one data key for each owner, sealed values.

AES-256-GCM throughout (NIST SP 800-38D). The context ("table|column|row-id") and the owner are bound as
associated data, so a blob moved to another row or another resident does not open. Destroying an owner's
data key erases all it sealed, wherever copies lie (NIST SP 800-88 rev. 1, section 2.6, cryptographic
erase).

Blob, version 1: 0x01 · key number (4 bytes, big-endian) · nonce (12 bytes) · ciphertext and tag.

`Sealer.owner` reads the owner's row in the caller's own transaction each time and caches only the
unwrapped key, under the very bytes it was unwrapped from: a key destroyed by any process is gone for all
at that commit (invariant I5), and a creation that was rolled back leaves nothing behind.
"""

import os
import threading
from collections import OrderedDict
from typing import Final, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys import store
from keys.errors import KeyDestroyed, KeyNotFound, SealBroken
from keys.root import RootKey
from keys.store import Place
from kit.clock import Clock
from kit.db import Session, tx_of

T = TypeVar("T")

VERSION: Final = 1
SYSTEM: Final = "system"
_HEAD: Final = 5
_NONCE: Final = 12
_TAG: Final = 16
_CACHED: Final = 8192
TOPIC: Final = "keys"


def new_key() -> bytes:
    """A fresh AES-256 key."""
    return AESGCM.generate_key(256)


def _bind(owner_id: str, number: int, context: str) -> bytes:
    """Associated data: every part with its length, so no two tuples spell the same bytes."""
    parts = [
        b"sekisho/seal",
        bytes([VERSION]),
        owner_id.encode(),
        number.to_bytes(4, "big"),
        context.encode(),
    ]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class OwnerKey:
    """The data key of one owner: seals and opens. Its repr shows the owner's opaque id only."""

    __slots__ = ("_aead", "_head", "number", "owner_id")

    def __init__(self, owner_id: str, number: int, material: bytes) -> None:
        self.owner_id = owner_id
        self.number = number
        self._head = bytes([VERSION]) + number.to_bytes(4, "big")
        self._aead: AESGCM | None = AESGCM(material)

    def __repr__(self) -> str:
        return f"OwnerKey({self.owner_id!r})"

    def __reduce__(self) -> str:
        raise TypeError("a data key is not copied or pickled")

    def forget(self) -> None:
        """Drop the key from this object: it was destroyed."""
        self._aead = None

    def seal(self, context: str, data: bytes) -> bytes:
        """Encrypt, bound to this owner and to the context "table|column|row-id". Raises KeyDestroyed."""
        if self._aead is None:
            raise KeyDestroyed("This data was erased and cannot be written again.")
        nonce = os.urandom(_NONCE)
        return self._head + nonce + self._aead.encrypt(nonce, data, _bind(self.owner_id, self.number, context))

    def open(self, context: str, blob: bytes) -> bytes:
        """Decrypt; raises SealBroken for another owner, another context, another key or a changed byte."""
        if self._aead is None:
            raise KeyDestroyed("This data was erased and cannot be read again.")
        if len(blob) < _HEAD + _NONCE + _TAG or blob[:_HEAD] != self._head:
            raise SealBroken("not a blob of this data key")
        try:
            return self._aead.decrypt(
                blob[_HEAD : _HEAD + _NONCE],
                blob[_HEAD + _NONCE :],
                _bind(self.owner_id, self.number, context),
            )
        except InvalidTag as error:
            raise SealBroken("the sealed value does not open here") from error


class Sealer:
    """Finds, makes and destroys data keys. Loaded at start; before that every use raises RuntimeError."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._root: RootKey | None = None
        self._keks: dict[str, AESGCM] = {}
        self._owners: OrderedDict[str, tuple[bytes, OwnerKey]] = OrderedDict()
        self._lock = threading.Lock()
        self._system: OwnerKey | None = None
        #: A destroyed key may still stand in the database's files (at start too: who knows how it ended). Whoever
        #: overwrites them takes the mark away.
        self.leftovers = True

    def __repr__(self) -> str:
        return "Sealer()"

    def __reduce__(self) -> str:
        raise TypeError("a sealer is not copied or pickled")

    def take_root(self, root: RootKey) -> None:
        """For the start: the root key everything hangs from."""
        self._root = root
        self._keks.clear()
        with self._lock:
            self._owners.clear()

    def load(self, place: Place) -> bytes:
        """For the start: open the system's data key; returns the secret that digests are derived from."""
        self._system = self.owner(place, SYSTEM)
        row = store.find_active_kek(place, purpose="derive")
        if row is None:
            raise RuntimeError("the derivation secret is missing")
        return _loaded(self._root).unwrap(f"keys_kek|{row.id}", bytes(row.wrapped))

    def system(self) -> OwnerKey:
        """The key for secrets that belong to nobody in particular."""
        return _loaded(self._system)

    def create_owner(self, session: Session, owner_id: str) -> OwnerKey:
        """A fresh data key for a new owner. Raises an integrity error if the owner has, or ever had, one."""
        row = store.find_active_kek(session, lock=True)
        if row is None:
            raise RuntimeError("there is no active key-encryption key")
        material = new_key()
        store.add_data_key(
            session,
            owner_id=owner_id,
            number=1,
            kek_id=row.id,
            wrapped=_wrap(self._kek(session, row.id), owner_id, 1, material),
            created_at=self._clock.ms(),
        )
        return OwnerKey(owner_id, 1, material)  # cached when it is next read: this write may still be undone

    def owner(self, place: Place, owner_id: str) -> OwnerKey:
        """The owner's key as of this transaction; raises KeyDestroyed, or KeyNotFound if there was none."""
        row = store.find_data_key(place, owner_id)
        if row is None:
            raise KeyNotFound(private=f"no data key for {owner_id}")
        if row.wrapped is None:
            with self._lock:
                self._owners.pop(owner_id, None)
            raise KeyDestroyed("This data was erased and cannot be read again.")
        wrapped = bytes(row.wrapped)
        cached = self._owners.get(owner_id)
        if cached is not None and cached[0] == wrapped:
            return cached[1]
        key = OwnerKey(owner_id, row.number, _unwrap(self._kek(place, row.kek_id), owner_id, row.number, wrapped))
        self._remember(owner_id, wrapped, key)
        return key

    def destroy_owner(self, session: Session, owner_id: str) -> None:
        """Destroy the owner's data key: from this commit on nothing it sealed can be read, in any process.

        Raises ValueError, KeyNotFound.
        """
        if owner_id == SYSTEM:
            raise ValueError("the system's own key is not destroyed")
        if store.find_data_key(session, owner_id) is None:
            raise KeyNotFound(private=f"no data key for {owner_id}")
        # The row stays: it proves the destruction, and keeps the id from ever getting a second key.
        store.set_data_key(session, owner_id, wrapped=None, destroyed_at=self._clock.ms())
        tx = tx_of(session)
        tx.touch(TOPIC)
        tx.after_commit(lambda: self._drop(owner_id))

    def rewrap(self, session: Session, *, limit: int) -> int:
        """One chunk of a rotation: wrap data keys anew under the active KEK; returns how many."""
        active = store.find_active_kek(session)
        if active is None:
            raise RuntimeError("there is no active key-encryption key")
        rows = store.list_data_keys_not_under(session, active.id, limit=limit)
        for row in rows:
            material = _unwrap(self._kek(session, row.kek_id), row.owner_id, row.number, bytes(row.wrapped))
            wrapped = _wrap(self._kek(session, active.id), row.owner_id, row.number, material)
            store.set_data_key(session, row.owner_id, kek_id=active.id, wrapped=wrapped)
        return len(rows)

    def new_kek(self, kek_id: str) -> bytes:
        """Fresh key material for a key-encryption key, wrapped under the root key."""
        return _loaded(self._root).wrap(f"keys_kek|{kek_id}", new_key())

    def forget_keks(self) -> None:
        """After a rotation: read key-encryption keys from the table again."""
        self._keks.clear()
        self.leftovers = True

    def _kek(self, place: Place, kek_id: str) -> AESGCM:
        found = self._keks.get(kek_id)
        if found is None:
            row = store.find_kek(place, kek_id)
            if row is None or row.wrapped is None:
                raise KeyDestroyed(private=f"key-encryption key {kek_id} is gone")
            found = AESGCM(_loaded(self._root).unwrap(f"keys_kek|{kek_id}", bytes(row.wrapped)))
            self._keks[kek_id] = found
        return found

    def _remember(self, owner_id: str, wrapped: bytes, key: OwnerKey) -> None:
        with self._lock:
            if len(self._owners) >= _CACHED:
                self._owners.popitem(last=False)
            self._owners[owner_id] = (wrapped, key)

    def _drop(self, owner_id: str) -> None:
        with self._lock:
            cached = self._owners.pop(owner_id, None)
        if cached is not None:
            cached[1].forget()
        self.leftovers = True


def _loaded(thing: T | None) -> T:
    if thing is None:
        raise RuntimeError("keys are not loaded yet: start the host first")
    return thing


def _wrap(kek: AESGCM, owner_id: str, number: int, material: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + kek.encrypt(nonce, material, _bind(owner_id, number, "keys_data_key|wrapped"))


def _unwrap(kek: AESGCM, owner_id: str, number: int, wrapped: bytes) -> bytes:
    try:
        return kek.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], _bind(owner_id, number, "keys_data_key|wrapped"))
    except InvalidTag as error:
        raise SealBroken("a wrapped data key does not open") from error
