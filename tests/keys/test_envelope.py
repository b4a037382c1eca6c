"""Sealed values open in their own place only; a destroyed key opens nothing, in any process."""

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from keys import store
from keys.ceremonies import KeyStore
from keys.envelope import SYSTEM, OwnerKey, Sealer
from keys.errors import KeyDestroyed, KeyNotFound, SealBroken
from keys.root import RootKey
from kit.clock import FrozenClock
from kit.db import Database, Session
from kit.host import SYSTEM as ACTOR
from tests.keys.conftest import Opener

pytestmark = pytest.mark.anyio

texts = st.text(min_size=1, max_size=40)


def owner_key(owner: str = "acc_1", number: int = 1, material: bytes = b"\x07" * 32) -> OwnerKey:
    return OwnerKey(owner, number, material)


# -- the blob ---------------------------------------------------------------------------------------------------------


@given(context=texts, data=st.binary(max_size=2000))
def test_what_is_sealed_opens_again(context: str, data: bytes) -> None:
    key = owner_key()
    blob = key.seal(context, data)
    assert key.open(context, blob) == data
    assert len(blob) == len(data) + 33
    assert blob[:5] == b"\x01\x00\x00\x00\x01"


@given(context=texts, other=texts, data=st.binary(max_size=100))
def test_a_blob_moved_to_another_context_does_not_open(context: str, other: str, data: bytes) -> None:
    key = owner_key()
    blob = key.seal(context, data)
    if other != context:
        with pytest.raises(SealBroken):
            key.open(other, blob)


@given(owner=texts, context=texts, data=st.binary(max_size=100))
def test_a_blob_of_another_owner_does_not_open_even_under_the_same_key(owner: str, context: str, data: bytes) -> None:
    blob = owner_key("acc_1").seal(context, data)
    if owner != "acc_1":
        with pytest.raises(SealBroken):
            owner_key(owner).open(context, blob)


@given(data=st.binary(max_size=100), place=st.data())
def test_no_bit_can_be_flipped(data: bytes, place: st.DataObject) -> None:
    key = owner_key()
    blob = bytearray(key.seal("bank_item|sealed|1", data))
    at = place.draw(st.integers(0, len(blob) * 8 - 1))
    blob[at // 8] ^= 1 << at % 8
    with pytest.raises(SealBroken):
        key.open("bank_item|sealed|1", bytes(blob))


@given(data=st.binary(max_size=50), cut=st.integers(0, 82))
def test_a_cut_blob_does_not_open(data: bytes, cut: int) -> None:
    key = owner_key()
    blob = key.seal("c", data)
    if cut < len(blob):
        with pytest.raises(SealBroken):
            key.open("c", blob[:cut])


@given(owner=texts, context=texts)
def test_owner_and_context_cannot_trade_characters(owner: str, context: str) -> None:
    """Length-prefixed: ("ab", "c") and ("a", "bc") are different places."""
    blob = owner_key(owner + context[0]).seal(context, b"x")
    with pytest.raises(SealBroken):
        owner_key(owner).open(context[0] + context, blob)


def test_sealing_twice_gives_two_blobs() -> None:
    key = owner_key()
    assert key.seal("c", b"x") != key.seal("c", b"x")


def test_keys_are_neither_shown_nor_pickled() -> None:
    material = bytes(range(32))
    key = owner_key(material=material)
    assert repr(key) == "OwnerKey('acc_1')"
    assert repr(Sealer(FrozenClock())) == "Sealer()"
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_a_sealer_without_its_root_refuses_to_work() -> None:
    with pytest.raises(RuntimeError, match="not loaded"):
        Sealer(FrozenClock()).system()


# -- owners -----------------------------------------------------------------------------------------------------------


def seal_for(session: Session, sealer: Sealer, owner: str) -> bytes:
    return sealer.owner(session, owner).seal("c", owner.encode())


def open_for(session: Session, sealer: Sealer, owner: str, blob: bytes) -> bytes:
    return sealer.owner(session, owner).open("c", blob)


def create(session: Session, sealer: Sealer, owner: str) -> bytes:
    return sealer.create_owner(session, owner).seal("c", owner.encode())


def destroy(session: Session, sealer: Sealer, owner: str) -> None:
    sealer.destroy_owner(session, owner)


async def test_each_owner_has_a_key_of_their_own(db: Database, keys: KeyStore) -> None:
    blob = await db.write(create, keys.sealer, "acc_1")
    await db.write(create, keys.sealer, "acc_2")
    assert await db.read(open_for, keys.sealer, "acc_1", blob) == b"acc_1"
    with pytest.raises(SealBroken):
        await db.read(open_for, keys.sealer, "acc_2", blob)


async def test_an_owner_nobody_made_has_no_key(db: Database, keys: KeyStore) -> None:
    with pytest.raises(KeyNotFound):
        await db.read(seal_for, keys.sealer, "acc_nobody")


async def test_another_process_opens_what_this_one_sealed(db: Database, keys: KeyStore, open_keys: Opener) -> None:
    blob = await db.write(create, keys.sealer, "acc_1")
    secret = keys.sealer.system().seal("c", b"x")
    other = await open_keys()
    assert await db.read(open_for, other.sealer, "acc_1", blob) == b"acc_1"
    assert other.sealer.system().open("c", secret) == b"x"


async def test_erasure_makes_every_blob_unreadable_in_every_process(
    db: Database, keys: KeyStore, open_keys: Opener
) -> None:
    other = await open_keys()
    blob = await db.write(create, keys.sealer, "acc_1")
    for sealer in (keys.sealer, other.sealer):  # both have it cached
        assert await db.read(open_for, sealer, "acc_1", blob) == b"acc_1"
    held = await db.read(lambda session: keys.sealer.owner(session, "acc_1"))
    await db.write(destroy, keys.sealer, "acc_1")
    for sealer in (keys.sealer, other.sealer):
        with pytest.raises(KeyDestroyed):
            await db.read(open_for, sealer, "acc_1", blob)
        with pytest.raises(KeyDestroyed):
            await db.write(seal_for, sealer, "acc_1")
    with pytest.raises(KeyDestroyed):  # even a key that somebody still holds
        held.open("c", blob)


async def test_an_erased_key_is_gone_from_the_files_too(db: Database, keys: KeyStore, database_url: str) -> None:
    """A write-ahead log keeps the page as it was, in the file until it is written back; backups copy files."""
    if db.dialect != "sqlite":
        assert await db.overwrite()  # the server's business
        return

    def wrapped(session: Session) -> bytes:
        row = store.find_data_key(session, "acc_1")
        assert row is not None
        assert row.wrapped is not None
        return bytes(row.wrapped)

    def in_files(key: bytes) -> int:
        place = Path(database_url.removeprefix("sqlite:///"))
        return sum(path.read_bytes().count(key) for path in place.parent.glob(place.name + "*"))

    await db.write(create, keys.sealer, "acc_1")
    key = await db.read(wrapped)
    assert await db.overwrite()
    assert in_files(key) == 1
    keys.sealer.leftovers = False
    await db.write(destroy, keys.sealer, "acc_1")
    assert keys.sealer.leftovers
    assert in_files(key) == 1  # durable, and yet still there
    assert await db.overwrite()
    assert in_files(key) == 0


async def test_an_erased_owner_never_gets_a_second_key(db: Database, keys: KeyStore) -> None:
    await db.write(create, keys.sealer, "acc_1")
    await db.write(destroy, keys.sealer, "acc_1")
    with pytest.raises(IntegrityError):
        await db.write(create, keys.sealer, "acc_1")


async def test_an_erasure_that_is_rolled_back_erases_nothing(db: Database, keys: KeyStore) -> None:
    blob = await db.write(create, keys.sealer, "acc_1")

    def destroy_then_fail(session: Session) -> None:
        keys.sealer.destroy_owner(session, "acc_1")
        raise LookupError("the resident changed their mind")

    with pytest.raises(LookupError):
        await db.write(destroy_then_fail)
    assert await db.read(open_for, keys.sealer, "acc_1", blob) == b"acc_1"


async def test_a_creation_that_is_rolled_back_leaves_no_key_behind(db: Database, keys: KeyStore) -> None:
    """A cached key that the table does not know would seal data nobody can ever open."""

    def create_then_fail(session: Session) -> None:
        keys.sealer.create_owner(session, "acc_1")
        keys.sealer.owner(session, "acc_1")  # fills the cache inside the doomed write
        raise LookupError("no")

    with pytest.raises(LookupError):
        await db.write(create_then_fail)
    with pytest.raises(KeyNotFound):
        await db.read(seal_for, keys.sealer, "acc_1")
    blob = await db.write(create, keys.sealer, "acc_1")
    assert await db.read(open_for, keys.sealer, "acc_1", blob) == b"acc_1"


async def test_the_systems_own_key_is_not_destroyed(db: Database, keys: KeyStore) -> None:
    with pytest.raises(ValueError, match="not destroyed"):
        await db.write(destroy, keys.sealer, SYSTEM)


# -- rotation of the key-encryption key -------------------------------------------------------------------------------


async def test_rotation_wraps_every_data_key_anew_and_changes_no_data(db: Database, keys: KeyStore) -> None:
    blobs = {owner: await db.write(create, keys.sealer, owner) for owner in (f"acc_{n}" for n in range(7))}
    await db.write(destroy, keys.sealer, "acc_3")
    before = {info.id: info for info in await keys.list_keys() if info.purpose == "data"}
    assert await keys.rotate_kek(actor=ACTOR, chunk=3) == 6 + 3  # and the system's, and two months' of the audit trail
    for owner, blob in blobs.items():
        if owner != "acc_3":
            assert await db.read(open_for, keys.sealer, owner, blob) == owner.encode()
    after = {info.id: info for info in await keys.list_keys() if info.purpose == "data"}
    (old,) = before
    assert after[old].state == "destroyed"
    assert [info.data_keys for info in after.values() if info.state == "active"] == [9]
    assert await db.read(lambda session: store.find_kek(session, old).wrapped) is None  # type: ignore[union-attr]


async def test_data_is_readable_and_residents_may_join_in_the_middle_of_a_rotation(
    db: Database, keys: KeyStore, open_keys: Opener
) -> None:
    other = await open_keys()  # a process that has the old key-encryption key in memory
    blobs = {owner: await db.write(create, keys.sealer, owner) for owner in ("acc_1", "acc_2", "acc_3")}

    def half(session: Session) -> int:
        return keys.sealer.rewrap(session, limit=2)

    await db.write(keys._replace_kek, actor=ACTOR)
    await db.write(half)
    for sealer in (keys.sealer, other.sealer):
        for owner, blob in blobs.items():
            assert await db.read(open_for, sealer, owner, blob) == owner.encode()
    blobs["acc_4"] = await db.write(create, other.sealer, "acc_4")
    # A crash here: the next start, or the job, finishes the rotation.
    restarted = await open_keys()
    assert await restarted.finish_kek_rotation() == 4
    assert await restarted.finish_kek_rotation() == 0
    for sealer in (keys.sealer, other.sealer, restarted.sealer):
        for owner, blob in blobs.items():
            assert await db.read(open_for, sealer, owner, blob) == owner.encode()


async def test_a_wrapped_key_moved_to_another_owner_does_not_open(db: Database, keys: KeyStore) -> None:
    await db.write(create, keys.sealer, "acc_1")
    await db.write(create, keys.sealer, "acc_2")

    def swap(session: Session) -> None:
        theirs = store.find_data_key(session, "acc_2")
        assert theirs is not None
        store.set_data_key(session, "acc_1", wrapped=theirs.wrapped)

    await db.write(swap)
    with pytest.raises(SealBroken):
        await db.read(seal_for, keys.sealer, "acc_1")


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keys.envelope._CACHED", 2)
    sealer = Sealer(FrozenClock())
    sealer.take_root(RootKey(b"\x01" * 32))
    for n in range(5):
        sealer._remember(f"acc_{n}", b"wrapped", owner_key(f"acc_{n}"))
    assert len(sealer._owners) == 2
