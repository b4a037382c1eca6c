"""Starting with a root key, with another, with none; what is at rest; what the audit trail says."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from keys import ceremonies, envelope, root, signing, store
from keys.ceremonies import KeyStore
from keys.errors import RootKeyMissing, RootKeyWrong
from keys.settings import KeysSettings
from kit import audit
from kit.audit import AuditTrail
from kit.clock import FrozenClock
from kit.db import Database, Session
from kit.encoding import b64url
from kit.host import SYSTEM, Actor
from tests.keys.conftest import Opener

pytestmark = pytest.mark.anyio

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def test_a_second_start_finds_everything_of_the_first(keys: KeyStore, open_keys: Opener) -> None:
    again = await open_keys()
    assert await again.list_keys() == await keys.list_keys()
    assert again.ring.jwks() == keys.ring.jwks()
    assert again.hasher.digest("session", "x") == keys.hasher.digest("session", "x")
    encoded = await keys.passwords.hash("tide and lantern")
    assert await again.passwords.verify(encoded, "tide and lantern")


async def test_two_processes_may_start_for_the_first_time_at_once(open_keys: Opener) -> None:
    one, two = await asyncio.gather(open_keys(), open_keys())
    await one.ring.refresh()
    await two.ring.refresh()
    assert one.ring.jwks() == two.ring.jwks()
    assert one.hasher.digest("session", "x") == two.hasher.digest("session", "x")
    assert two.sealer.system().open("c", one.sealer.system().seal("c", b"x")) == b"x"
    active = [info for info in await one.list_keys() if info.state == "active"]
    assert sorted(info.alg for info in active) == [
        "AES-256-GCM", "ECDH-ES", "ES256", "EdDSA", "HKDF-SHA-256", "PS256", "RS256",
    ]  # fmt: skip


async def test_a_passphrase_opens_the_same_data_again(open_keys: Opener) -> None:
    phrase = {"root_key_file": None, "root_passphrase": SecretStr("hato tabako kisha umi matsuri")}
    one, two = await asyncio.gather(open_keys(**phrase), open_keys(**phrase))  # each with a salt of its own at first
    three = await open_keys(**phrase)
    for each in (one, two):
        await each.ring.refresh()
    assert one.ring.jwks() == two.ring.jwks() == three.ring.jwks()


async def test_losing_the_root_key_is_told_in_words_and_changes_nothing(
    keys: KeyStore, open_keys: Opener, root_file: Path
) -> None:
    before = await keys.list_keys()
    with pytest.raises(RootKeyWrong, match="not the one this data was sealed with"):
        await open_keys(root_key=SecretStr(root.new_text()))
    root_file.unlink()
    with pytest.raises(RootKeyMissing, match="put back the file"):
        await open_keys()
    assert await keys.list_keys() == before


async def test_every_new_key_is_proved_to_pyjwt_before_anyone_sees_it(
    keys: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that fails its self-check is not published, and the rotation changes nothing."""
    before = keys.ring.jwks()

    def other_key(private: signing.PrivateKey, alg: str) -> dict[str, str]:
        return signing.public_jwk(signing.generate(alg), alg)

    monkeypatch.setattr(ceremonies, "public_jwk", other_key)
    with pytest.raises(Exception, match="verification failed"):
        await keys.rotate_signing(actor=SYSTEM, algs=["ES256"])
    await keys.ring.refresh()
    assert keys.ring.jwks() == before


async def test_the_private_half_is_gone_once_a_key_retires(db: Database, keys: KeyStore) -> None:
    (done,) = await keys.rotate_signing(actor=SYSTEM, algs=["EdDSA"])

    def sealed(session: Session) -> dict[str, bool]:
        rows = session.connection().execute(text("select kid, sealed_private from keys_signing_key"))
        return {row.kid: row.sealed_private is not None for row in rows}

    found = await db.read(sealed)
    assert found[done.retired] is False
    assert found[done.active] is True
    assert found[done.next] is True


async def test_each_step_is_in_the_audit_trail_with_who_did_it(db: Database, keys: KeyStore) -> None:
    operator = Actor("operator", "acc_operator", roles=frozenset({"operator"}))
    (done,) = await keys.rotate_signing(actor=operator, algs=["EdDSA"])
    await keys.rotate_kek(actor=operator)
    if db.dialect == "postgresql":
        await db.write_core(audit.seal_pending)
    entries = await db.read(audit.entries)
    assert all(entry.action.startswith("keys.") for entry in entries)
    by_action = {entry.action: entry for entry in entries}
    rotated = by_action["keys.signing_key.rotated"]
    assert (rotated.actor_id, rotated.object_id) == ("acc_operator", done.retired)
    assert rotated.detail == {"alg": "EdDSA", "active": done.active, "next": done.next}
    assert by_action["keys.kek.retired"].actor_id == "acc_operator"
    assert by_action["keys.kek.destroyed"].actor_kind == "system"
    assert sum(entry.action == "keys.signing_key.created" for entry in entries) == 11


async def test_the_audit_trail_seals_with_our_audit_key(db: Database, keys: KeyStore) -> None:
    assert isinstance(db.trail, AuditTrail)
    assert db.trail.seal is keys.audit_seal


async def test_the_list_shows_states_and_never_material(keys: KeyStore) -> None:
    await keys.rotate_signing(actor=SYSTEM)
    listed = await keys.list_keys()
    assert {info.purpose for info in listed} == {"signing", "data", "derive"}
    assert {(info.alg, info.state) for info in listed if info.purpose == "signing"} == {
        *((alg, state) for alg in signing.ALGS for state in ("active", "next", "retired")),
        *((signing.SEALED, state) for state in ("active", "next")),
    }
    assert not any(isinstance(getattr(info, name), bytes) for info in listed for name in info.__slots__)


# -- nothing in clear -------------------------------------------------------------------------------------------------


def secrets_of(private: signing.PrivateKey) -> Iterator[bytes]:
    """Every spelling of a private key that could end up somewhere."""
    yield private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    number: bytes
    if isinstance(private, Ed25519PrivateKey):
        number = private.private_bytes_raw()
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        number = private.private_numbers().private_value.to_bytes(32, "big")
    else:
        assert isinstance(private, rsa.RSAPrivateKey)
        number = private.private_numbers().p.to_bytes(128, "big")
    yield from (number, number.hex().encode(), b64url(number).encode(), repr(number).encode())


@sqlite_only
async def test_no_secret_is_in_the_database_files(
    db: Database, clock: FrozenClock, settings: KeysSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant I6, by the raw bytes: private keys, data keys, key-encryption keys, the root key, a person's name."""
    seen: list[bytes] = []
    generate = signing.generate

    def watched(alg: str) -> signing.PrivateKey:
        private = generate(alg)
        seen.extend(secrets_of(private))
        return private

    new_key = envelope.new_key

    def watched_key() -> bytes:
        key = new_key()
        seen.extend([key, key.hex().encode(), repr(key).encode(), b64url(key).encode()])
        return key

    monkeypatch.setattr(ceremonies, "generate", watched)
    monkeypatch.setattr(envelope, "new_key", watched_key)
    assert settings.root_key_file is not None
    seen.append(settings.root_key_file.read_bytes().strip().removeprefix(root.PREFIX.encode()))
    AuditTrail(db, clock)
    opened = KeyStore(db, clock, settings)
    await opened.open()

    def live(session: Session) -> None:
        opened.sealer.create_owner(session, "acc_1").seal("c", "湊 はま".encode())

    await db.write(live)
    await opened.rotate_signing(actor=SYSTEM)
    await opened.rotate_kek(actor=SYSTEM)
    seen.append("湊 はま".encode())
    await db.stop()

    files = [path for path in tmp_path.iterdir() if path.name != "root.key"]
    assert any(path.stat().st_size > 10_000 for path in files)
    content = b"".join(path.read_bytes() for path in files)
    assert len(seen) > 50
    assert not [secret[:8] for secret in seen if secret in content]


@sqlite_only
async def test_an_erased_data_key_is_not_left_in_the_file(
    db: Database, keys: KeyStore, database_url: str, tmp_path: Path
) -> None:
    """Even wrapped: after the log of changes is folded in, the old row's bytes are overwritten (secure_delete)."""

    def create(session: Session) -> bytes:
        keys.sealer.create_owner(session, "acc_1")
        row = store.find_data_key(session, "acc_1")
        assert row is not None
        assert row.wrapped is not None
        return bytes(row.wrapped)

    wrapped = await db.write(create)
    await db.write(lambda session: keys.sealer.destroy_owner(session, "acc_1"))
    await db.stop()
    engine = create_engine(database_url)
    with engine.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    engine.dispose()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert wrapped not in content


async def test_nothing_shows_a_secret_when_printed_or_logged(keys: KeyStore) -> None:
    things: list[object] = [
        keys, keys.ring, keys.sealer, keys.hasher, keys.passwords, keys.sealer.system(),
        keys.ring._signer("EdDSA"), keys.ring.log_signer("city.example/log"), keys.ring._now(),
    ]  # fmt: skip
    for thing in things:
        shown = repr(thing) + str(thing)
        assert "private" not in shown.lower() or "sealed" in shown.lower()
    material = keys.ring._secret
    assert material is not None
    for thing in things:
        assert repr(material) not in repr(thing)
        assert material.hex() not in repr(thing)
