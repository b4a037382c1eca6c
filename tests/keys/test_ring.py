"""The key ring: our own tokens, the published set, and rotation without a failed verification."""

import json
import pickle
from typing import Any

import jwt as pyjwt
import pytest
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt

from keys.ceremonies import KeyStore
from keys.errors import BadToken, RotationTooSoon
from keys.jose import thumbprint, verify_with_jwks
from keys.ring import KeyRing
from keys.sdjwt import issue, verify
from keys.signing import ALGS
from kit.clock import FrozenClock
from kit.db import Database
from kit.encoding import b64url, b64url_decode
from kit.host import SYSTEM
from tests.keys.conftest import Opener
from tests.support.kids import active_kid

pytestmark = pytest.mark.anyio

CLAIMS: dict[str, Any] = {"iss": "https://sekisho.example", "sub": "acc_1", "aud": "rs", "name": "湊 はま"}
algs = pytest.mark.parametrize("alg", ALGS)


def published(ring: KeyRing) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(ring.jwks()[0])
    return value


def states(ring: KeyRing) -> list[tuple[str, str]]:
    return sorted((row.alg, row.state) for row in ring._now().rows if row.alg in ALGS)


# -- tokens -----------------------------------------------------------------------------------------------------------


@algs
async def test_our_tokens_verify_here(keys: KeyStore, alg: str) -> None:
    token = keys.ring.sign_jwt(CLAIMS, typ="at+jwt", alg=alg)
    assert keys.ring.verify_jwt(token, typ="at+jwt") == CLAIMS
    header = json.loads(b64url_decode(token.split(".")[0]))
    assert header == {"typ": "at+jwt", "alg": alg, "kid": active_kid(keys.ring, alg)}


@algs
async def test_our_tokens_verify_with_three_other_libraries(keys: KeyStore, alg: str) -> None:
    token = keys.ring.sign_jwt(CLAIMS, typ="JWT", alg=alg)
    kid = active_kid(keys.ring, alg)
    by_kid = {key["kid"]: key for key in published(keys.ring)["keys"]}
    assert pyjwt.decode(token, pyjwt.PyJWK(by_kid[kid]), algorithms=[alg], audience="rs") == CLAIMS
    key = joserfc_jwk.import_key(by_kid[kid])
    if alg == "EdDSA":  # joserfc 1.8 warns of the name (RFC 9864); python-jose has no EdDSA
        with pytest.warns(match="RFC 9864"):
            assert joserfc_jwt.decode(token, key, algorithms=[alg]).claims == CLAIMS
        return
    assert joserfc_jwt.decode(token, key, algorithms=[alg]).claims == CLAIMS
    if alg == "PS256":  # python-jose has none of RSASSA-PSS
        return
    jose = pytest.importorskip("jose.jwt")
    assert jose.decode(token, by_kid[kid], algorithms=[alg], audience="rs") == CLAIMS


@algs
async def test_a_token_of_one_type_does_not_pass_for_another(keys: KeyStore, alg: str) -> None:
    token = keys.ring.sign_jwt(CLAIMS, typ="at+jwt", alg=alg)
    for typ in ("JWT", "logout+jwt", "AT+JWT", ""):
        with pytest.raises(BadToken):
            keys.ring.verify_jwt(token, typ=typ)


@algs
async def test_a_changed_token_is_refused(keys: KeyStore, alg: str) -> None:
    token = keys.ring.sign_jwt(CLAIMS, typ="JWT", alg=alg)
    head, body, signature = token.split(".")
    other = b64url(b'{"sub":"acc_2"}')
    for changed in (
        f"{head}.{other}.{signature}",
        f"{head}.{body}.{signature[::-1]}",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}..{signature}",
        f"{head}.{body}.{signature}=",
        f"{head}.{body}.{signature}.{signature}",
        f" {token}",
        f"{token}\n",
        token + "A" * 20_000,
        "",
        "人",
    ):
        with pytest.raises(BadToken):
            keys.ring.verify_jwt(changed, typ="JWT")


async def test_a_header_we_would_not_write_is_refused_even_with_our_signature(keys: KeyStore) -> None:
    """Byte for byte: a header with one more member, or one spelled otherwise, is not ours."""
    signer = keys.ring._signer("EdDSA")
    for header in (
        {"typ": "JWT", "alg": "EdDSA", "kid": signer.kid, "crit": ["x"]},
        {"alg": "EdDSA", "typ": "JWT", "kid": signer.kid},
        {"typ": "JWT", "alg": "none", "kid": signer.kid},
        {"typ": "JWT", "alg": "ES256", "kid": signer.kid},
        {"typ": "JWT", "alg": "EdDSA", "kid": active_kid(keys.ring, "ES256")},
    ):
        signed = f"{b64url(json.dumps(header, separators=(',', ':')).encode())}.{b64url(b'{}')}"
        token = f"{signed}.{b64url(signer.sign(signed.encode()))}"
        with pytest.raises(BadToken):
            keys.ring.verify_jwt(token, typ="JWT")


async def test_an_algorithm_we_do_not_have_is_a_mistake_of_ours(keys: KeyStore) -> None:
    with pytest.raises(ValueError, match="HS256"):
        keys.ring.sign_jwt(CLAIMS, typ="JWT", alg="HS256")


async def test_the_same_strict_verifier_as_for_others_takes_our_tokens(keys: KeyStore) -> None:
    token = keys.ring.sign_jwt(CLAIMS, typ="at+jwt", alg="EdDSA")
    assert verify_with_jwks(token, published(keys.ring), algs=["EdDSA"], typ="at+jwt")[1] == CLAIMS


async def test_credentials_are_signed_by_the_ring(keys: KeyStore) -> None:
    sd_jwt = issue(CLAIMS, ["name"], sign=keys.ring.sign_jwt, vct="x", salts=lambda name: "A" * 22)
    assert verify(sd_jwt, published(keys.ring)) == {**CLAIMS, "vct": "x"}


async def test_a_ring_before_its_start_refuses_to_work(db: Database, clock: FrozenClock, keys: KeyStore) -> None:
    ring = KeyRing(db, clock, keys.sealer)
    for use in (ring.jwks, ring.archive, lambda: ring.sign_jwt({}, typ="JWT"), lambda: ring.log_signer("x")):
        with pytest.raises(RuntimeError, match="not loaded"):
            use()


async def test_a_ring_is_neither_shown_nor_pickled(keys: KeyStore) -> None:
    assert repr(keys.ring) == "KeyRing()"
    with pytest.raises(TypeError):
        pickle.dumps(keys.ring)


# -- the published set ------------------------------------------------------------------------------------------------


async def test_the_set_holds_active_and_next_keys_by_their_thumbprints(keys: KeyStore) -> None:
    found = published(keys.ring)["keys"]
    (sealed,) = [key for key in found if key["use"] == "enc"]  # the newest of those that others encrypt to
    assert (sealed["kid"], "alg" in sealed) == (thumbprint(sealed), False)
    found.remove(sealed)
    assert [key["alg"] for key in found] == ["ES256", "EdDSA", "PS256", "RS256"] * 2  # active first
    for key in found:
        assert key["kid"] == thumbprint(key)
        assert key["use"] == "sig"
        assert not {"d", "p", "q", "k"} & key.keys()
    assert [key["kid"] for key in found[:4]] == [
        active_kid(keys.ring, alg) for alg in ("ES256", "EdDSA", "PS256", "RS256")
    ]


async def test_the_entity_tag_changes_with_the_set_only(keys: KeyStore) -> None:
    before = keys.ring.jwks()
    await keys.ring.refresh()
    assert keys.ring.jwks() == before
    await keys.rotate_signing(actor=SYSTEM)
    assert keys.ring.jwks()[1] != before[1]


# -- rotation ---------------------------------------------------------------------------------------------------------


async def test_rotation_promotes_next_retires_active_and_makes_a_new_next(keys: KeyStore) -> None:
    before = {alg: active_kid(keys.ring, alg) for alg in ALGS}
    waiting = {row.alg: row.kid for row in keys.ring._now().rows if row.state == "next"}
    done = {one.alg: one for one in await keys.rotate_signing(actor=SYSTEM)}
    for alg in ALGS:
        assert done[alg].retired == before[alg]
        assert done[alg].active == active_kid(keys.ring, alg) == waiting[alg]
        assert done[alg].next not in {*before.values(), *waiting.values()}
    assert states(keys.ring) == sorted((alg, state) for alg in ALGS for state in ("active", "next", "retired"))


async def test_no_verifier_ever_meets_a_key_it_does_not_know(
    keys: KeyStore, open_keys: Opener, clock: FrozenClock
) -> None:
    """Through three rotations: each token verifies for its whole life with any key set not older than its max-age."""
    other = await open_keys()
    issued: list[tuple[int, str]] = []
    fetched: list[tuple[int, dict[str, Any]]] = []
    lifetime, max_age = 24 * 3600, 300

    for step in range(120):
        for signer in (keys.ring, other.ring):
            if step % 6 == 0:
                issued.append((clock.ms(), signer.sign_jwt({"n": step}, typ="JWT", alg="ES256")))
        fetched.append((clock.ms(), published(other.ring)))
        now = clock.ms()
        recent = [jwks for at, jwks in fetched if now - at <= max_age * 1000]
        for at, token in issued:
            if now - at <= lifetime * 1000:
                keys.ring.verify_jwt(token, typ="JWT")
                for jwks in (recent[0], recent[-1]):
                    verify_with_jwks(token, jwks, algs=["ES256"], typ="JWT")
        if step in (10, 50, 90):
            await keys.rotate_signing(actor=SYSTEM, algs=["ES256"])
        if step % 3 == 0:
            await other.ring.refresh()  # the other process follows a little later
        clock.advance(seconds=60 if step % 40 else lifetime / 3)


async def test_a_retired_key_leaves_the_set_when_its_last_token_has_expired(keys: KeyStore, clock: FrozenClock) -> None:
    token = keys.ring.sign_jwt({}, typ="JWT")
    (done,) = await keys.rotate_signing(actor=SYSTEM, algs=["EdDSA"])
    clock.advance(seconds=24 * 3600)
    assert keys.ring.verify_jwt(token, typ="JWT") == {}
    assert done.retired in {key["kid"] for key in published(keys.ring)["keys"]}
    before = keys.ring.jwks()[1]
    clock.advance(seconds=60)
    with pytest.raises(BadToken):
        keys.ring.verify_jwt(token, typ="JWT")
    assert done.retired not in {key["kid"] for key in published(keys.ring)["keys"]}
    assert keys.ring.jwks()[1] != before
    # What must verify for years still finds it.
    assert done.retired in {key["kid"] for key in keys.ring.archive()["keys"]}


async def test_two_rotations_in_a_row_are_refused_until_caches_have_run_out(keys: KeyStore, clock: FrozenClock) -> None:
    clock.advance(seconds=1)
    await keys.rotate_signing(actor=SYSTEM)
    before = states(keys.ring)
    with pytest.raises(RotationTooSoon):
        await keys.rotate_signing(actor=SYSTEM)
    assert states(keys.ring) == before
    clock.advance(seconds=360)  # how long a set may be kept, and clocks that differ
    await keys.rotate_signing(actor=SYSTEM)


async def test_a_compromised_key_verifies_nothing_in_any_process_from_that_moment(
    keys: KeyStore, open_keys: Opener
) -> None:
    other = await open_keys()
    token = keys.ring.sign_jwt({}, typ="JWT")
    (done,) = await keys.rotate_signing(actor=SYSTEM, algs=["EdDSA"], compromised=True)
    await other.ring.refresh()
    for store in (keys, other):
        with pytest.raises(BadToken):
            store.ring.verify_jwt(token, typ="JWT")
        assert done.retired not in {key["kid"] for key in published(store.ring)["keys"]}
        assert done.retired not in {key["kid"] for key in store.ring.archive()["keys"]}
    await keys.rotate_signing(actor=SYSTEM, algs=["EdDSA"], compromised=True)  # no waiting in an emergency


async def test_rotation_of_nothing_or_of_the_unknown_is_refused(keys: KeyStore) -> None:
    for wanted in ([], ["HS256"]):
        with pytest.raises(ValueError, match="algorithm of ours"):
            await keys.rotate_signing(actor=SYSTEM, algs=wanted)


# -- the log's key ----------------------------------------------------------------------------------------------------


async def test_a_logs_key_is_its_own_and_outlives_restarts_and_rotations(keys: KeyStore, open_keys: Opener) -> None:
    signer = keys.ring.log_signer("city.example/log")
    assert signer.vkey.startswith("city.example/log+")
    assert signer is keys.ring.log_signer("city.example/log")
    assert signer.public != keys.ring.log_signer("city.example/other").public
    await keys.rotate_signing(actor=SYSTEM)
    await keys.rotate_kek(actor=SYSTEM)
    assert (await open_keys()).ring.log_signer("city.example/log").vkey == signer.vkey
