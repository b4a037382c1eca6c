"""POST /consent/acknowledgements: a recipient confirms, under its own key, that it has stopped.

The body is a JWS (RFC 7515) of type `consent-acknowledgement+jwt` with `iss` (the client), `aud` (us), `iat`, `txn`
(the ending's name in the token that told of it), `sub_id` (the consent) and `data`: `erased`, or `kept` where a law
obliges the recipient to keep it and it is used for nothing else.

A client that has no key, only a secret, says the same members as JSON: who it is, its access token has proved. That is
evidence of a lesser kind, for we could have written it ourselves, and it is kept as such: without a key. A client that
has a key signs; a stolen token alone must not confirm in its place.

Closed here: a statement by somebody else's key (the client's registered keys verify it), by another member's client,
about another consent, made before the end it speaks of (signed in advance), or for another server; and a second word in
place of the first. It says codes only, in header and claims, so that the evidence holds nothing about anybody.
"""

import hashlib
from typing import Any, Final, cast

import orjson

from consent import endings
from consent.endings import Data, EndingView
from consent.errors import BadStatement
from consent.operations import json_body, refusals
from identity.bearer import Bearer
from identity.client_keys import ClientKeys
from identity.clients import Client, Clients
from keys.errors import BadToken
from keys.jose import ALGS, public_members
from kit.clock import MINUTE, SECOND, Clock, Millis, iso
from kit.db import Database, Session
from kit.encoding import canonical
from kit.front import Call, Handler, Reply, reply_json
from kit.host import Actor
from kit.problems import Forbidden, Malformed, UnsupportedType

TYPE: Final = "consent-acknowledgement+jwt"
_HEADER = frozenset({"alg", "typ", "kid"})
_CLAIMS = frozenset({"iss", "aud", "iat", "jti", "exp", "nbf", "txn", "sub_id", "data"})
_UNSIGNED = frozenset({"txn", "sub_id", "data"})
_LONGEST = 4096
SKEW: Millis = MINUTE


def acknowledge_handler(
    issuer: str, database: Database, clock: Clock, bearer: Bearer, clients: Clients, keys: ClientKeys
) -> Handler:
    """Keep a recipient's signed word."""

    async def acknowledge(call: Call) -> Reply:
        access = await bearer.verify(call)  # who calls, first: a stranger makes us verify and fetch nothing
        client = await clients.get(access.client_id)
        if client is None or client.member_id is None or access.account_id is not None:
            raise Forbidden("Use a token of the service's own (client credentials), of a member organisation.")
        kind = call.headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
        if kind not in (b"application/jwt", b"application/jose", b"application/json"):
            raise UnsupportedType("Send application/jwt.")
        body, now = await call.body(_LONGEST), clock.ms()
        key: str | None = None
        if kind == b"application/json":
            statement, claims = _unsigned(client, body, now)
        else:
            statement = body.decode("latin-1").strip()
            try:
                header, claims, whole = await keys.verify_under(client, statement, algs=ALGS, typ=TYPE)
            except BadToken as bad:
                raise BadStatement(
                    f"Sign a JWT of type {TYPE} with a key that this client has registered.", private=bad.private
                ) from None
            _check(header, claims, issuer=issuer, client_id=client.id, now=now)
            # What verifies it and nothing else: a registered key may carry members of any kind, a name among them.
            kept = public_members(whole) | ({"kid": header["kid"]} if "kid" in header else {})
            key = orjson.dumps(kept).decode()
        found = await database.write(
            _confirm,
            claims,
            member_id=client.member_id,
            statement=statement,
            key=key,
            actor=client.actor(),
            now=now,
        )
        return reply_json(200, _document(found))

    return acknowledge


def _unsigned(client: Client, body: bytes, now: Millis) -> tuple[str, dict[str, Any]]:
    """The word of a client that can't sign, and its members; kept in one form, so that the same word is the same."""
    if client.jwks is not None or client.jwks_uri is not None:
        raise BadStatement(f"This client has a key: sign a JWT of type {TYPE}.")
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed("The JSON does not parse.") from None
    if not isinstance(said, dict) or said.keys() != _UNSIGNED:
        raise BadStatement("Send txn, sub_id and data, and nothing else.")
    _check_members(said)
    return canonical(said).decode(), said | {"iat": now // SECOND}


def _check(header: dict[str, Any], claims: dict[str, Any], *, issuer: str, client_id: str, now: Millis) -> None:
    if unknown := sorted((header.keys() - _HEADER) | (claims.keys() - _CLAIMS)):
        raise BadStatement("This is not part of an acknowledgement.", pointer=f"/{unknown[0][:40]}")
    if claims.get("iss") != client_id:
        raise BadStatement("Name the client itself.", pointer="/iss")
    if issuer not in (claims.get("aud"), *(claims["aud"] if isinstance(claims.get("aud"), list) else ())):
        raise BadStatement("Name this server.", pointer="/aud")
    if not isinstance(claims.get("jti"), str) or not 1 <= len(claims["jti"]) <= 100:
        raise BadStatement("Send a name of its own.", pointer="/jti")
    for name in ("iat", "exp", "nbf"):
        if name in claims and (type(claims[name]) is not int or not 0 <= claims[name] < 10**11):
            raise BadStatement("Send whole seconds.", pointer=f"/{name}")
    if "iat" not in claims or claims["iat"] * SECOND > now + SKEW or claims.get("nbf", 0) * SECOND > now + SKEW:
        raise BadStatement("It is signed in the future, or without a time.", pointer="/iat")
    if claims.get("exp", 10**11) * SECOND <= now - SKEW:
        raise BadStatement("It has run out.", pointer="/exp")
    _check_members(claims)


def _check_members(claims: dict[str, Any]) -> None:
    if not isinstance(claims.get("txn"), str) or len(claims["txn"]) > 40:
        raise BadStatement("Send the token's `txn`.", pointer="/txn")
    about = claims.get("sub_id")
    if (
        not isinstance(about, dict)
        or about.keys() != {"format", "id"}
        or about["format"] != "opaque"
        or type(about["id"]) is not str
    ):
        raise BadStatement("Send the token's `sub_id`.", pointer="/sub_id")
    if claims.get("data") not in ("erased", "kept"):
        raise BadStatement("Say erased or kept.", pointer="/data")


def _confirm(
    session: Session,
    claims: dict[str, Any],
    *,
    member_id: str,
    statement: str,
    key: str | None,
    actor: Actor,
    now: Millis,
) -> EndingView:
    ending = endings.confirm(
        session,
        claims["txn"],
        consent_id=str(claims["sub_id"]["id"]),
        member_id=member_id,
        data=cast(Data, claims["data"]),
        statement=statement,
        statement_key=key,
        actor=actor,
        now=now,
    )
    if claims["iat"] * SECOND < ending.made_at - SKEW:
        raise BadStatement("It was signed before the consent ended.", pointer="/iat")
    return ending


def _document(ending: EndingView) -> dict[str, Any]:
    assert ending.confirmed_at is not None
    assert ending.statement is not None
    return {
        "txn": ending.id,
        "consent": ending.consent_id,
        "confirmed": iso(ending.confirmed_at),
        "data": ending.data,
        "signed": ending.statement_key is not None,
        "statement_sha256": hashlib.sha256(ending.statement.encode()).hexdigest(),
    }


ACKNOWLEDGE_OPERATION: dict[str, Any] = {
    "operationId": "consent_acknowledge",
    "summary": "Confirm that an ended consent is honoured",
    "description": f"A JWT of type `{TYPE}`, signed with a registered key of the client: `iss` the client, `aud` this "
    "server, `iat`, `jti`, `txn` and `sub_id` as in the security event token that told of the end, and `data`: "
    "`erased`, or `kept` where a law obliges you to keep it. It is kept as evidence, and the resident sees that you "
    "confirmed. A client that has no key, only a secret, sends `txn`, `sub_id` and `data` as JSON instead: evidence of "
    "a lesser kind, kept as such. The same statement again changes nothing. What is not confirmed in time reaches the "
    "incident desk.",
    "tags": ["consent"],
    "requestBody": {
        "required": True,
        "content": {
            "application/jwt": {"schema": {"type": "string", "maxLength": _LONGEST}, "example": "eyJ…"},
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["txn", "sub_id", "data"],
                    "additionalProperties": False,
                    "properties": {
                        "txn": {"type": "string", "maxLength": 40},
                        "sub_id": {
                            "type": "object",
                            "required": ["format", "id"],
                            "additionalProperties": False,
                            "properties": {"format": {"const": "opaque"}, "id": {"type": "string"}},
                        },
                        "data": {"enum": ["erased", "kept"]},
                    },
                },
                "example": {
                    "txn": "end_01kaq3b1m5w6v7x8y9z0a1b2c3",
                    "sub_id": {"format": "opaque", "id": "con_01kaq3b1m5w6v7x8y9z0a1b2c3"},
                    "data": "erased",
                },
            },
        },
    },
    "responses": {
        "200": {
            "description": "Kept",
            "content": json_body(
                {
                    "type": "object",
                    "required": ["txn", "consent", "confirmed", "data", "signed", "statement_sha256"],
                    "properties": {
                        "txn": {"type": "string"},
                        "consent": {"type": "string"},
                        "confirmed": {"type": "string", "format": "date-time"},
                        "data": {"enum": ["erased", "kept"]},
                        "signed": {"type": "boolean", "description": "False for the word of a client without a key"},
                        "statement_sha256": {"type": "string"},
                    },
                },
                kept={
                    "txn": "end_01kaq3b1m5w6v7x8y9z0a1b2c3",
                    "consent": "con_01kaq3b1m5w6v7x8y9z0a1b2c3",
                    "confirmed": "2026-11-22T09:00:00Z",
                    "data": "erased",
                    "signed": True,
                    "statement_sha256": "9f86d081884c7d65…",
                },
            ),
        },
        **refusals(
            "401", "403", "413", "415", "503",
            s404=("There is no such ended consent", "consent/unknown-ending"),
            s409=("This was confirmed before", "consent/confirmed-already"),
            s422=("The acknowledgement does not hold", "consent/bad-statement"),
        ),
    },
}  # fmt: skip
