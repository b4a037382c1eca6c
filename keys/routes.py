"""The published key set for everybody; key ceremonies for operators (the guard comes from above)."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from keys.ceremonies import KeyInfo, KeyStore, Rotated
from keys.errors import RotationTooSoon
from keys.ring import KeyRing
from keys.signing import ALGS, EVERY
from kit.clock import iso
from kit.front import Call, Handler, Reply
from kit.host import Actor
from kit.web import GUARDED, Answer, Body, LaterRoute, problems, require_role

Alg = Literal["EdDSA", "ES256", "RS256", "PS256", "ECDH-ES"]
assert set(EVERY) == {"EdDSA", "ES256", "RS256", "PS256", "ECDH-ES"}

_EXAMPLE_KEY = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    "alg": "EdDSA",
    "use": "sig",
}

JWKS_OPERATION = {
    "operationId": "keys_jwks",
    "summary": "The keys that verify our tokens",
    "description": "A JSON Web Key Set (RFC 7517): keys that sign, the next ones, and retired ones that "
    "still verify. Keep it as long as `Cache-Control` says; "
    "ask again when a token names a `kid` you do not know.",
    "tags": ["keys"],
    "responses": {
        "200": {
            "description": "The key set",
            "headers": {
                "ETag": {"schema": {"type": "string"}, "description": "Changes when the set does"},
                "Cache-Control": {"schema": {"type": "string"}},
            },
            "content": {
                "application/jwk-set+json": {
                    "schema": {
                        "type": "object",
                        "required": ["keys"],
                        "properties": {"keys": {"type": "array", "items": {"type": "object"}}},
                    },
                    "example": {"keys": [_EXAMPLE_KEY]},
                }
            },
        },
        "304": {"description": "The set is still the one named in If-None-Match"},
    },
}


def jwks_handler(ring: KeyRing, *, max_age: int) -> Handler:
    """Answer `/oauth/jwks` from prebuilt bytes."""
    fixed = [
        (b"content-type", b"application/jwk-set+json"),
        (b"cache-control", f"public, max-age={max_age}".encode()),
        (b"access-control-allow-origin", b"*"),  # public by nature: applications in browsers verify too
    ]

    async def jwks(call: Call) -> Reply:
        await ring.refresh()
        body, etag = ring.jwks()
        tag = etag.encode()
        asked = call.headers.get(b"if-none-match")
        if asked is not None and _matches(asked, tag):
            return Reply(304, b"", [(b"etag", tag), *fixed[1:]])
        return Reply(200, body, [(b"etag", tag), *fixed])

    return jwks


def _matches(asked: bytes, tag: bytes) -> bool:
    """Weak comparison (RFC 9110 section 13.1.2)."""
    return asked.strip() == b"*" or tag in (part.strip().removeprefix(b"W/") for part in asked.split(b","))


class Key(Answer):
    """A key without its material."""

    id: str = Field(examples=["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"])
    purpose: str = Field(examples=["signing"], description="signing, data or derive")
    algorithm: str = Field(examples=["EdDSA"])
    state: str = Field(examples=["active"], description="next, active, retired, compromised or destroyed")
    created: str = Field(examples=["2026-11-22T09:00:00Z"])
    activated: str | None = None
    retired: str | None = None
    verifies_until: str | None = Field(default=None, description="A retired key verifies until then")
    data_keys: int | None = Field(default=None, description="How many living data keys hang from it")


class Keys(Answer):
    """Every key there is or was."""

    keys: list[Key]


class RotateBody(Body):
    """Which sets of keys to rotate: those that sign, and `ECDH-ES`, to which others encrypt."""

    algorithms: list[Alg] = Field(
        default_factory=lambda: list[Alg](ALGS),
        min_length=1,
        max_length=len(EVERY),
        examples=[["EdDSA"]],
    )
    compromised: bool = Field(
        default=False,
        description="The active key is in wrong hands: what it signed is refused from now on",
    )


class Rotation(Answer):
    """What happened to one algorithm's set."""

    algorithm: str = Field(examples=["EdDSA"])
    retired: str
    active: str
    next: str


class Rotations(Answer):
    """What happened to each set."""

    rotated: list[Rotation]


class Rewrapped(Answer):
    """The result of a rotation of the key-encryption key."""

    data_keys: int = Field(examples=[8], description="Data keys wrapped anew; sealed data did not change")


def _iso(moment: int | None) -> str | None:
    return None if moment is None else iso(moment)


def _key(info: KeyInfo) -> Key:
    return Key(
        id=info.id,
        purpose=info.purpose,
        algorithm=info.alg,
        state=info.state,
        created=iso(info.created_at),
        activated=_iso(info.activated_at),
        retired=_iso(info.retired_at),
        verifies_until=_iso(info.verify_until),
        data_keys=info.data_keys,
    )


def _rotation(done: Rotated) -> Rotation:
    return Rotation(algorithm=done.alg, retired=done.retired, active=done.active, next=done.next)


def operator(request: Request) -> Actor:
    """Key ceremonies need the role `operator`."""
    return require_role(request, "operator")


Operator = Annotated[Actor, Depends(operator)]


def operator_router(keys: KeyStore) -> APIRouter:
    """Key ceremonies over HTTP."""
    router = APIRouter(prefix="/api/keys", tags=["keys"], route_class=LaterRoute)

    @router.get("", operation_id="keys_list", summary="List keys with their states", responses=problems(*GUARDED))
    async def list_keys(actor: Operator) -> Keys:
        return Keys(keys=[_key(info) for info in await keys.list_keys()])

    @router.post(
        "/rotate",
        operation_id="keys_rotate",
        summary="Rotate signing keys",
        responses=problems(*GUARDED, RotationTooSoon),
    )
    async def rotate(body: RotateBody, actor: Operator) -> Rotations:
        """The next key signs from now on, the active one only verifies, and a new next key is published."""
        done = await keys.rotate_signing(actor=actor, algs=body.algorithms, compromised=body.compromised)
        return Rotations(rotated=[_rotation(one) for one in done])

    @router.post(
        "/rewrap",
        operation_id="keys_rewrap",
        summary="Rotate the key-encryption key",
        responses=problems(*GUARDED),
    )
    async def rewrap(actor: Operator) -> Rewrapped:
        """Wrap every data key anew under a new key-encryption key, and destroy the old one."""
        return Rewrapped(data_keys=await keys.rotate_kek(actor=actor))

    return router
