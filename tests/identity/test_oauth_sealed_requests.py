"""Requests only this server can read: signed, then encrypted to its key (RFC 9101 section 6.1, Core section 6.1)."""

import base64
import json
import secrets
from typing import Any

import httpx2
import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey

from keys.ceremonies import KeyStore
from kit.clock import HOUR, SECOND
from kit.host import SYSTEM
from portal.app import Building
from tests.identity.test_oauth_request_objects import KEY, KEYS, send, settings, signed
from tests.support.relying_party import REDIRECT, Party, advance, join, location

assert settings  # the fixture: loopback may be fetched from


@pytest.fixture
async def party(app: Building, client: httpx2.AsyncClient) -> Party:
    return await join(app, client, jwks=KEYS)


async def published(party: Party) -> list[dict[str, Any]]:
    """The keys that are there to encrypt to."""
    found: list[dict[str, Any]] = (await party.http.get("/oauth/jwks")).json()["keys"]
    return [key for key in found if key["use"] == "enc"]


async def closed(
    party: Party, token: str | bytes, *, alg: str = "ECDH-ES", enc: str = "A256GCM", key: Any = None, **header: Any
) -> str:
    """The token, encrypted to the server by somebody else's library."""
    (ours,) = await published(party)
    head = {"alg": alg, "enc": enc, "kid": ours["kid"], "cty": "JWT", **header}
    registry = jwe.JWERegistry(algorithms=[alg, enc, "DEF"], strict_check_header=False)
    head = {name: value for name, value in head.items() if value is not None}
    return jwe.encrypt_compact(head, token, key or ECKey.import_key(ours), registry=registry)


async def answer_of(party: Party, token: str) -> dict[str, str]:
    return location(await send(party, token, redirect_uri=REDIRECT, state="s"))[1]


async def test_what_was_encrypted_to_us_is_read_in_every_way_we_say(party: Party) -> None:
    said = (await party.http.get("/.well-known/openid-configuration")).json()
    algs, encs = (said[f"request_object_encryption_{half}_values_supported"] for half in ("alg", "enc"))
    for alg, enc in {(alg, encs[0]) for alg in algs} | {(algs[0], enc) for enc in encs}:
        token = await closed(party, signed(party, state=alg + enc), alg=alg, enc=enc)
        response = await send(party, token, state="beside")
        base, answer = location(response)
        if "/interaction/" in base:  # only the first: what was agreed to is remembered
            answer = await party.agree(response)
        assert answer["state"] == alg + enc  # of an encrypted request too only what is signed counts
    (key,) = await published(party)
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use"}
    pushed = await party.http.post(
        "/oauth/par",
        data={"client_id": party.client.id, "request": await closed(party, signed(party), kid=None)},
        headers=party.basic,
    )
    assert pushed.status_code == 201, pushed.text


async def test_every_message_that_is_none_for_us_gets_one_and_the_same_answer(party: Party, app: Building) -> None:
    """RFC 8725 sections 3.1, 3.6 and 3.11: no oracle, nothing unpacked, nothing trusted that came along."""
    good = await closed(party, signed(party))
    parts, other = good.split("."), ECKey.generate_key("P-256")
    rsa, shared = RSAKey.generate_key(2048), OctKey.import_key(secrets.token_bytes(32))

    def head(**changes: Any) -> str:
        header = json.loads(base64.urlsafe_b64decode(parts[0] + "==")) | changes
        return base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()

    bad = {
        "another's key": await closed(party, signed(party), key=other),
        "a key we don't have": await closed(party, signed(party), kid="x"),
        "RSA": await closed(party, signed(party), alg="RSA-OAEP-256", key=rsa),
        "the client's secret": await closed(party, signed(party), alg="dir", enc="A128CBC-HS256", key=shared),
        "compressed": await closed(party, signed(party), zip="DEF"),
        "signed by nobody": await closed(party, json.dumps(party.request())),
        "signed by another": await closed(party, signed(party, key=ECKey.generate_key("P-256", auto_kid=True))),
        "no signature at all": await closed(party, "eyJhbGciOiJub25lIn0.e30."),
        "encrypted twice": await closed(party, good),
        "something else inside": await closed(party, signed(party), cty="text/plain"),
        "not text": await closed(party, b"\xff\xfe.\xfd.\xfc"),
        "a changed tag": good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB"),
        "a changed text": ".".join([*parts[:3], parts[3][:-4] + "AAAA", parts[4]]),
        "a changed header": ".".join([head(apu="eA"), *parts[1:]]),
        "a point off the curve": ".".join([head(epk={"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}), *parts[1:]]),
        "another curve": ".".join([head(epk=ECKey.generate_key("P-384").as_dict(private=False)), *parts[1:]]),
        "something critical": ".".join([head(crit=["exp"]), *parts[1:]]),
        "a key that came along": ".".join([head(jwk=KEY.as_dict(private=False)), *parts[1:]]),
        "an address in the header": ".".join([head(jku="https://evil.example/"), *parts[1:]]),
        "five empty parts": "....",
        "no JSON": "x" + good,
        "too long": good + "A" * 33_000,
    }  # fmt: skip
    answers = set()
    for why, token in bad.items():
        if why == "too long":
            sent = {"client_id": party.client.id, "request": token, "redirect_uri": REDIRECT}
            refused = await party.http.post("/oauth/par", data=sent, headers=party.basic)
            assert refused.json()["error"] == "invalid_request_object"
            continue
        answer = await answer_of(party, token)
        assert answer["error"] == "invalid_request_object", why
        answers.add(answer["error_description"])
    assert answers == {"the request object does not verify"}


async def test_what_was_closed_for_us_by_one_client_is_nothing_in_anothers_hands(
    app: Building, client: httpx2.AsyncClient, party: Party
) -> None:
    """A message found on its way, sent under another name, is not read out and tells nothing."""
    other = await join(app, client, jwks={"keys": [ECKey.generate_key("P-256").as_dict(private=False)]})
    token = await closed(party, signed(party))
    assert (await answer_of(other, token))["error_description"] == "the request object does not verify"


async def test_a_key_in_a_cached_set_opens_for_another_lifetime_and_then_never(app: Building, party: Party) -> None:
    keys = app.host.get(KeyStore)
    before, token = (await published(party))[0], await closed(party, signed(party, exp=None, nbf=None))
    await keys.rotate_signing(actor=SYSTEM, algs=["ECDH-ES"])
    assert (await published(party))[0]["kid"] != before["kid"]
    assert "/interaction/" in location(await send(party, token))[0]
    advance(app, 2 * HOUR / SECOND)
    assert "/interaction/" in location(await send(party, token))[0]
    await keys.rotate_signing(actor=SYSTEM, algs=["ECDH-ES"])
    assert (await answer_of(party, token))["error"] == "invalid_request_object"
    token = await closed(party, signed(party))
    await keys.rotate_signing(actor=SYSTEM, algs=["ECDH-ES"], compromised=True)  # whoever has it reads nothing more
    assert (await answer_of(party, token))["error"] == "invalid_request_object"
    assert "/interaction/" in location(await send(party, await closed(party, signed(party))))[0]
    assert b'"enc"' not in json.dumps(keys.ring.archive()).encode()


async def test_a_client_that_says_how_it_encrypts_is_held_to_it(app: Building, client: httpx2.AsyncClient) -> None:
    """OpenID Connect Registration section 2; unencrypted ones it may send all the same."""
    party = await join(app, client, jwks=KEYS, request_object_encryption_alg="ECDH-ES+A256KW")
    good = await closed(party, signed(party), alg="ECDH-ES+A256KW", enc="A128CBC-HS256")
    assert "/interaction/" in location(await send(party, good))[0]
    for alg, enc in (("ECDH-ES", "A128CBC-HS256"), ("ECDH-ES+A256KW", "A256GCM")):
        answer = await answer_of(party, await closed(party, signed(party), alg=alg, enc=enc))
        assert answer["error"] == "invalid_request_object"
    assert "/interaction/" in location(await send(party, signed(party)))[0]
