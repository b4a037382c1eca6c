"""Access tokens at the door of every API of ours: who calls, under which grant, as of now.

RFC 9068 section 4 (validation), RFC 6750 (bearer), RFC 9449 section 7 (DPoP), RFC 8705 section 3 (certificates), RFC
9470 (step-up), RFC 9728 section 5 (where the resource describes itself). A
verdict is kept by the token's hash and compared with the change counter "tokens" on every use (invariant I5):
withdrawal, revocation and suspension touch that topic, so what is refused is refused in every process before the call
that refused it is answered.
"""

import hashlib
import re
import uuid
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, text

from identity import once
from identity.certificates.check import Certificates
from identity.clients import Clients
from identity.errors import (
    AmbiguousToken,
    ProofRefused,
    SignInTooWeak,
    TokenRefused,
    TokenRequired,
    TokenTooNarrow,
)
from identity.oauth.dpop import ALGS, Dpop
from identity.oauth.errors import OAuthError
from identity.oauth.mtls import certificate_of
from identity.step_up import Minimums
from keys.errors import BadToken
from keys.hashing import same
from keys.ring import KeyRing
from kit import context
from kit.clock import SECOND, Clock, Millis
from kit.db import Database
from kit.host import Actor
from kit.logs import log
from kit.problems import Problem

TYP = "at+jwt"
_MAX_TOKEN = 16_384
_CACHE_SIZE = 20_000
_INTERACTION = b"x-fapi-interaction-id"
_UUID = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_ALIVE = text(
    "SELECT g.account_id, g.status, a.status, g.generation FROM identity_grant g"
    " JOIN identity_account a ON a.id = g.account_id WHERE g.id = :grant_id"
)
_REVOKED = text("SELECT 1 FROM identity_revoked WHERE id = :jti OR id = :chain")


class HasScope(Protocol):
    """A front call or a framework request: both carry the ASGI scope."""

    @property
    def scope(self) -> Any:
        """The ASGI scope."""
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """A proved access token. `account_id` is ours to use inside, never to be given out."""

    client_id: str
    member_id: str | None
    grant_id: str | None
    account_id: str | None
    scopes: frozenset[str]
    details: tuple[dict[str, Any], ...]
    audience: tuple[str, ...]
    claims: Mapping[str, Any]
    jti: str
    jkt: str | None
    x5t: str | None
    expires_at: Millis
    fapi: bool = False

    @property
    def origin(self) -> str:
        """The client whose grant it is: not who calls, if the token was exchanged (RFC 8693)."""
        path = self.claims.get("exchanged_from", ())
        return str(path[0]) if path else self.client_id

    def require(self, scope: str) -> None:
        """Raise TokenTooNarrow unless the token has the scope (RFC 6750 section 3.1)."""
        if scope not in self.scopes:
            kind = "DPoP" if self.jkt else "Bearer"
            raise TokenTooNarrow(
                f"This needs the scope {scope}.",
                headers={"WWW-Authenticate": f'{kind} error="insufficient_scope", scope="{scope}"'},
            )

    def actor(self) -> Actor:
        """The service as the author of what it does."""
        return Actor(kind="service", id=self.client_id, client_id=self.client_id, scopes=self.scopes)


def chain_of(jti: str) -> str:
    """The chain a token belongs to: the part of its `jti` before the dot."""
    return jti.partition(".")[0]


class AccessTokens:
    """Our own access tokens, judged as of now; shared by the bearer check, introspection and revocation."""

    def __init__(self, issuer: str, database: Database, ring: KeyRing, clients: Clients, clock: Clock) -> None:
        self._issuer = issuer
        self._database = database
        self._ring = ring
        self._clients = clients
        self._clock = clock
        self._count = -1
        self._kept: OrderedDict[bytes, tuple[Millis, Access]] = OrderedDict()  # with the end of the verdict

    async def find(self, token: str) -> Access | None:
        """The token's access if it is ours, unexpired and honoured now; else None."""
        if len(token) > _MAX_TOKEN or not token.isascii():
            return None
        count = await self._database.counter("tokens")
        if count != self._count:
            self._kept.clear()
            self._count = count
        key = hashlib.sha256(token.encode()).digest()
        found = self._kept.get(key)
        now = self._clock.ms()
        if found is not None:
            return found[1] if now < found[0] else None
        judged = await self._judge(token, now)
        if judged is None:
            return None
        if self._count == count:
            if len(self._kept) >= _CACHE_SIZE:
                self._kept.popitem(last=False)
            self._kept[key] = judged
        return judged[1]

    async def _judge(self, token: str, now: Millis) -> tuple[Millis, Access] | None:
        """The access, and until when that holds: the token's end, or that of a trust chain its clients came by."""
        await self._ring.refresh()  # a key found compromised in another process proves nothing here
        try:
            claims = self._ring.verify_jwt(token, typ=TYP)
        except BadToken:
            return None
        if claims.get("iss") != self._issuer or claims["exp"] * SECOND <= now:
            return None
        client = await self._clients.get(claims["client_id"])
        if client is None or not client.usable:
            return None
        until = min(claims["exp"] * SECOND, client.federated_until or claims["exp"] * SECOND)
        grant_id = claims.get("grant_id")
        for passed in claims.get("exchanged_from", ()):  # RFC 8693: as good as every client it came through
            before = await self._clients.get(passed)
            if before is None or not before.usable:
                return None
            until = min(until, before.federated_until or until)
        honoured, account_id = await self._database.peek(honours, claims)
        if not honoured:
            return None
        audience = claims["aud"]
        access = Access(
            client_id=client.id,
            member_id=client.member_id,
            grant_id=grant_id,
            account_id=account_id,
            scopes=frozenset(claims.get("scope", "").split()),
            details=tuple(claims.get("authorization_details", ())),
            audience=tuple(audience) if isinstance(audience, list) else (audience,),
            claims=claims,
            jti=claims["jti"],
            jkt=claims.get("cnf", {}).get("jkt"),
            x5t=claims.get("cnf", {}).get("x5t#S256"),
            expires_at=claims["exp"] * SECOND,
            fapi=client.fapi,
        )
        return until, access


class Bearer:
    """Verifies the access token of a request."""

    def __init__(
        self,
        issuer: str,
        tokens: AccessTokens,
        dpop: Dpop,
        database: Database,
        clock: Clock,
        minimums: Minimums,
        metadata: str,
        certificates: Certificates,
    ) -> None:
        self._issuer = issuer
        self._tokens = tokens
        self._dpop = dpop
        self._database = database
        self._clock = clock
        self._minimums = minimums
        self._metadata = metadata
        self._certificates = certificates

    async def verify(
        self,
        call: HasScope,
        *,
        scope: str | None = None,
        audience: str | None = None,
        body_token: str | None = None,
        uses: Collection[str] = (),
    ) -> Access:
        """Who calls; raises a Problem with its WWW-Authenticate challenge (RFC 6750 section 3, RFC 9449 s. 7.1).

        `audience` is the resource the caller must have named; our own APIs answer to the issuer's name.
        `body_token` is one read from a form (RFC 6750 section 2.2), where an endpoint allows that. `uses` are scopes
        and types of details that the endpoint serves if the token has them: with `scope`, what the resident's sign-in
        must be sure enough for (RFC 9470).
        """
        try:
            return await self._verify(call, scope, audience, body_token, uses)
        except Problem as problem:
            if problem.status == 401:  # RFC 9728 section 5.1: where to read who gives tokens for this
                said = problem.headers["WWW-Authenticate"]
                where = f'resource_metadata="{self._metadata}"'
                said = said.replace("Bearer, DPoP", f"Bearer {where}, DPoP") if said.startswith("Bearer, ") else said
                problem.headers["WWW-Authenticate"] = f"{said}, {where}"
            raise

    async def _verify(
        self, call: HasScope, scope: str | None, audience: str | None, body_token: str | None, uses: Collection[str]
    ) -> Access:
        headers: Iterable[tuple[bytes, bytes]] = call.scope["headers"]
        _correlate(headers)
        scheme, token = ("Bearer", body_token) if body_token is not None else _read_authorization(headers)
        access = await self._tokens.find(token)
        if access is None:
            raise _refused(scheme, "The access token is expired, revoked or not ours. Get a new one.")
        if (audience or self._issuer) not in access.audience:
            raise _refused(scheme, "The access token was issued for another audience.")
        if access.x5t is not None:
            await self._check_certificate(call, scheme, access.x5t)
            if not any(name == _INTERACTION for name, _ in headers):
                context.answer_with(_INTERACTION, str(uuid.uuid4()).encode())
        if access.jkt is not None or scheme == "DPoP":
            await self._check_proof(call, headers, scheme, token, access)
        if scope is not None:
            access.require(scope)
        if access.account_id is not None:
            self._check_level(access, scope, uses)
        return access

    def _check_level(self, access: Access, scope: str | None, uses: Collection[str]) -> None:
        """RFC 9470 section 3: good, but got with too little for this."""
        carried = {*access.scopes, *(detail.get("type", "") for detail in access.details)}
        needed = {*(carried & set(uses)), *(() if scope is None else (scope,))}
        missing = self._minimums.missing(needed, access.claims, self._clock.ms())
        if missing is not None:
            raise SignInTooWeak(
                "The resident must sign in again, or more surely, before this token is enough here.",
                headers={"WWW-Authenticate": missing.challenge("DPoP" if access.jkt else "Bearer")},
            )

    async def _check_certificate(self, call: HasScope, scheme: str, x5t: str) -> None:
        """RFC 8705 section 3: a token bound to a certificate is good on connections with that certificate only.

        And while its authority stands by it, by the policy of the token endpoint (`certificates.check`): a token must
        not outlive what it is bound to, nor work for who keeps us from asking.
        """
        certificate = certificate_of(call.scope)
        if certificate is None or not same(certificate.x5t, x5t):
            raise _refused(
                scheme,
                "The access token is bound to a client certificate; call with that certificate, at its own port.",
            )
        if await self._certificates.disowned(certificate.certificate, certificate.sent):
            raise _refused(scheme, "The client certificate that the access token is bound to is not good any more.")

    async def _check_proof(
        self, call: HasScope, headers: Iterable[tuple[bytes, bytes]], scheme: str, token: str, access: Access
    ) -> None:
        if scheme != "DPoP":
            # Section 7.1: a bound token sent as a bearer token is a stolen one, or a mistake.
            raise _refused("DPoP", "This access token is bound to a key; send it with the DPoP scheme and a proof.")
        if access.jkt is None:
            raise _refused("Bearer", "This access token is not bound to a key; send it with the Bearer scheme.")
        proofs = [value for name, value in headers if name == b"dpop"]
        try:
            proved = self._dpop.read(
                proofs,
                method=call.scope["method"],
                path=call.scope["path"],
                now=self._clock.ms(),
                access_token=token,
                nonce_required=self._dpop.wants_nonce(fapi=access.fapi),
            )
        except OAuthError as error:
            raise _bad_proof(error.description, code=error.code) from error
        if proved is None:
            raise _bad_proof("The DPoP header is missing.")
        if not same(proved.jkt, access.jkt):
            raise _refused("DPoP", "The proof was made with another key than the token is bound to.")
        if not await self._database.write_core(once.claim, proved.once, proved.expires_at):
            raise _bad_proof("The DPoP proof was used already.")


def _correlate(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """FAPI 1.0 Part 1 section 6.2.1 item 11, which FAPI-CIBA builds on: the answer, good or bad, carries the number by
    which a client finds its request again in both logs; one of our own where a certificate-bound call sends none. What
    is no UUID is not repeated: nobody's text gets into our headers."""
    for name, value in headers:
        if name == _INTERACTION:
            number = value if _UUID.fullmatch(value) else str(uuid.uuid4()).encode()
            log.info("a client numbers its request", fapi_interaction_id=number.decode())  # item 12
            context.answer_with(_INTERACTION, number)


def honours(connection: Connection, claims: Mapping[str, Any]) -> tuple[bool, str | None]:
    """Whether a token of ours stands, and all that it stands on: its own chain and grant, and, exchanged, those of
    every actor on the way (RFC 8693); and who the resident is."""
    for actor in claims.get("acting_with", ()):
        if not alive(connection, actor["jti"], actor.get("grant_id"), actor.get("grant_generation", 0))[0]:
            return False, None
    return alive(connection, claims["jti"], claims.get("grant_id"), claims.get("grant_generation", 0))


def alive(connection: Connection, jti: str, grant_id: str | None, generation: int) -> tuple[bool, str | None]:
    """Whether neither token nor chain is revoked, the grant is there and was not replaced since (`generation`), and its
    resident is there; and who it is."""
    while True:
        if connection.execute(_REVOKED, {"jti": jti, "chain": chain_of(jti)}).first() is not None:
            return False, None
        if jti.count(".") < 2:
            break
        jti = jti.rpartition(".")[0]  # exchanged: it dies with the token it came from
    if grant_id is None:
        return True, None
    found = connection.execute(_ALIVE, {"grant_id": grant_id}).first()
    if found is None or found[1] != "active" or found[2] != "active" or found[3] != generation:
        return False, None
    return True, found[0]


def _read_authorization(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str]:
    sent = [value for name, value in headers if name == b"authorization"]
    if not sent:
        raise TokenRequired(
            "Send an access token in the Authorization header.",
            headers={"WWW-Authenticate": f'Bearer, DPoP algs="{" ".join(ALGS)}"'},
        )
    if len(sent) > 1:
        raise AmbiguousToken("There is more than one Authorization header.")
    scheme, _, token = sent[0].decode("latin-1").partition(" ")
    kind = {"bearer": "Bearer", "dpop": "DPoP"}.get(scheme.lower())
    token = token.strip(" ")
    if kind is None or not token:
        raise TokenRequired(
            "Use the Bearer or the DPoP scheme.",
            headers={"WWW-Authenticate": f'Bearer, DPoP algs="{" ".join(ALGS)}"'},
        )
    return kind, token


def _refused(scheme: str, detail: str) -> TokenRefused:
    more = f', algs="{" ".join(ALGS)}"' if scheme == "DPoP" else ""
    return TokenRefused(detail, headers={"WWW-Authenticate": f'{scheme} error="invalid_token"{more}'})


def _bad_proof(detail: str, *, code: str = "invalid_dpop_proof") -> ProofRefused:
    """RFC 9449 section 7.1, and section 9 where the nonce is missing or old."""
    return ProofRefused(detail, headers={"WWW-Authenticate": f'DPoP error="{code}", algs="{" ".join(ALGS)}"'})
