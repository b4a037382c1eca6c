"""Dynamic client registration and its management.

RFC 7591 section 3 (POST /oauth/register), RFC 7592 section 2 (GET, PUT, DELETE /oauth/register/{client_id}), OpenID
Connect Registration sections 3 and 4. Who may register is a setting: nobody, the holder of an initial access token
(default), or anybody, and then without data, for data needs an approved member. Fetching and verifying come first; one
write then spends the initial access token, registers the client and records it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import orjson

from identity import client_secrets, clients, fapi, grants
from identity.client_metadata import from_wire, to_wire
from identity.clients import Client, Clients
from identity.crowd import Crowd
from identity.encryption import Envelopes
from identity.enrolments import OPEN, Enrolments, Leave
from identity.errors import InvalidClientMetadata, UnknownClient
from identity.oauth.errors import (
    AccessDenied,
    InvalidMetadata,
    InvalidRedirectUri,
    InvalidRequest,
    InvalidToken,
    TemporarilyUnavailable,
)
from identity.registration import Registration, check
from identity.sectors import check_sector, check_told, end_if_moved, sector_of_its_own, sector_of_the_unseen
from identity.settings import IdentitySettings
from identity.software import SoftwareStatements
from keys.hashing import TokenHasher
from kit.clock import SECOND, Clock
from kit.db import Database, Session
from kit.fetch import Fetcher
from kit.front import NO_STORE, Call, Reply, reply_json
from kit.host import Actor
from kit.problems import NotFound

PATH = "/oauth/register"
_LIMIT = 65_536
# RFC 7592 section 2.2: what an update must not hold.
_OURS = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")
#: Without an organisation behind it a client acts for residents only.
_OPEN_GRANTS = frozenset({"authorization_code", "refresh_token"})
_ANONYMOUS = Actor(kind="anonymous", id="")


class ClientRegistration:
    """Handles /oauth/register and what is below it."""

    def __init__(
        self,
        issuer: str,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        hasher: TokenHasher,
        registry: Clients,
        enrolments: Enrolments,
        software: SoftwareStatements,
        fetcher: Fetcher,
        crowd: Crowd,
        envelopes: Envelopes,
    ) -> None:
        self._issuer = issuer
        self._settings = settings
        self._database = database
        self._clock = clock
        self._hasher = hasher
        self._registry = registry
        self._enrolments = enrolments
        self._software = software
        self._fetcher = fetcher
        self._crowd = crowd
        self._envelopes = envelopes

    async def register(self, call: Call) -> Reply:
        """POST /oauth/register (RFC 7591 section 3.1). Raises NotFound, TemporarilyUnavailable."""
        if self._settings.registration == "off":
            raise NotFound("Clients are registered by the city's operators here.")
        if seconds := self._crowd.wait(call.source):  # each call writes rows for somebody nobody knows
            raise TemporarilyUnavailable(
                "too many requests from this network", headers=((b"retry-after", str(seconds).encode()),)
            )
        leave = await self._leave(call)
        registration = await self._read(await _document(call), leave, kept={"member_id": leave.member_id})
        with _told():
            client, secret, token = await self._database.write(self._add, registration, leave)
        return self._answer(201, client, registration, token, secret)

    async def read(self, call: Call) -> Reply:
        """GET /oauth/register/{client_id} (RFC 7592 section 2.1)."""
        client_id, token = _target(call)
        await self._prove(client_id, token)
        client, registration = await self._database.read(_both, client_id)
        return self._answer(200, client, registration, token, None)

    async def update(self, call: Call) -> Reply:
        """PUT /oauth/register/{client_id}: the metadata is replaced, whole (RFC 7592 section 2.2)."""
        client_id, token = _target(call)
        leave = await self._prove(client_id, token)
        client, before = await self._database.read(_both, client_id)
        document = await _document(call)
        self._check_update(document, client)
        kept = {name: getattr(before, name) for name in _NOT_ITS_OWN}
        if fapi.stricter(before.profile, _asked_profile(document)) == before.profile:
            kept["profile"] = before.profile  # a client may ask for more, not for less
        registration = await self._read(document, leave, kept=kept)
        with _told():
            changed, secret, fresh = await self._database.write(self._change, client_id, registration)
        return self._answer(200, changed, registration, fresh, secret)

    async def delete(self, call: Call) -> Reply:
        """DELETE /oauth/register/{client_id}: nothing of it is honoured any more (RFC 7592 section 2.3)."""
        client_id, token = _target(call)
        await self._prove(client_id, token)
        with _told():
            await self._database.write(self._remove, client_id)
        return Reply(204, b"", [NO_STORE])

    # -- who asks -----------------------------

    async def _leave(self, call: Call) -> Leave:
        token = _bearer(call)
        if token is None:
            if self._settings.registration == "open":
                return OPEN
            raise _refused(None)
        leave = await self._database.read(self._enrolments.find_initial, token)
        if leave is None:
            raise _refused("the initial access token is unknown, used up or expired")
        return leave

    async def _prove(self, client_id: str, token: str) -> Leave:
        leave = await self._database.write(self._enrolments.find, client_id, token)
        client = await self._registry.get(client_id)
        if leave is None or client is None or client.status == "removed":
            # RFC 7592 section 2.1: the same answer for a client that never was.
            raise _refused("the registration access token is not this client's")
        if not client.usable:
            raise AccessDenied("this client is suspended")  # section 2.1: no permission is 403
        return leave

    # -- what is asked -----------------------------

    async def _read(self, document: Mapping[str, Any], leave: Leave, *, kept: Mapping[str, Any]) -> Registration:
        with _told():
            said = await self._software.merged(document)
            if kept.get("sector_identifier") is None:  # an update keeps what it has: nobody becomes somebody else by it
                own = sector_of_its_own(said) if "sector_identifier" not in kept else None
                kept = {**kept, "sector_identifier": sector_of_the_unseen(said) or own}
            registration = check(from_wire(said, kept=kept, scopes=leave.scopes))
            if leave.kind == "open" and not set(registration.grant_types) <= _OPEN_GRANTS:
                raise InvalidMetadata("grant_types: this grant type needs an initial access token of the city")
            check_told(registration)
            await check_sector(self._fetcher, registration)
            await self._envelopes.check(registration)
        if registration.require_pkce is None:
            always = registration.profile != "none" or self._settings.require_pkce
            return registration.model_copy(update={"require_pkce": always})
        return registration

    def _check_update(self, document: Mapping[str, Any], client: Client) -> None:
        if document.get("client_id") != client.id:
            raise InvalidRequest("client_id is required and must be this client's")
        for name in _OURS:
            if name in document:
                raise InvalidRequest(f"{name} can't be sent")
        secret = document.get("client_secret")
        if secret is not None and not (
            isinstance(secret, str)
            and client_secrets.fits(client, self._hasher.digest("client-secret", secret), self._clock.ms())
        ):
            raise InvalidMetadata("client_secret is not the current one; a client does not choose its secret")

    # -- writes -----------------------------

    def _add(self, session: Session, registration: Registration, leave: Leave) -> tuple[Client, str | None, str]:
        if not self._enrolments.spend(session, leave):
            raise _refused("the initial access token is used up")
        actor = _ANONYMOUS if leave.token_id is None else Actor(kind="service", id=leave.token_id)
        client, secret = self._registry.create(session, registration, actor=actor, secret_expires=True)
        return client, secret, self._enrolments.begin(session, client.id, leave)

    def _change(self, session: Session, client_id: str, registration: Registration) -> tuple[Client, str | None, str]:
        before = clients.get(session, client_id)
        client = self._registry.replace(session, client_id, registration, actor=_itself(client_id))
        end_if_moved(session, before, client, actor=_itself(client_id), now=self._clock.ms())
        secret = None
        if registration.token_endpoint_auth_method in ("client_secret_basic", "client_secret_post"):
            if client.secret_digest is None:
                secret = self._registry.give_secret(session, client_id, actor=_itself(client_id))
            elif self._ends_soon(client):
                secret = self._registry.rotate_secret(
                    session,
                    client_id,
                    actor=_itself(client_id),
                    overlap_seconds=self._settings.client_secret_overlap_seconds,
                    expires=True,
                )
        return clients.get(session, client_id), secret, self._enrolments.rotate(session, client_id)

    def _remove(self, session: Session, client_id: str) -> None:
        self._registry.remove(session, client_id, actor=_itself(client_id))
        grants.revoke_for_client(session, client_id, actor=_itself(client_id), now=self._clock.ms())
        self._enrolments.end(session, client_id)

    def _ends_soon(self, client: Client) -> bool:
        """In the last third of its life a secret is replaced at the next update."""
        if client.secret_expires_at is None:
            return False
        left = client.secret_expires_at - self._clock.ms()
        return left * 3 < self._settings.client_secret_seconds * SECOND

    # -- the answer -----------------------------

    def _answer(self, status: int, client: Client, registration: Registration, token: str, secret: str | None) -> Reply:
        """RFC 7591 section 3.2.1, RFC 7592 section 3."""
        said = to_wire(registration) | {
            "client_id": client.id,
            "client_id_issued_at": client.created_at // SECOND,
            "registration_access_token": token,
            "registration_client_uri": f"{self._issuer}{PATH}/{client.id}",
        }
        if client.secret_digest is not None:
            said["client_secret_expires_at"] = (client.secret_expires_at or 0) // SECOND
        if secret is not None:
            said["client_secret"] = secret
        return reply_json(status, said)


#: What an operator decided, or follows from the initial access token.
_NOT_ITS_OWN = (
    "member_id", "first_party", "resources", "introspects", "sector_identifier", "access_token_signed_alg",
    "exchange_audiences", "exchange_scope", "exchange_impersonation", "may_act", "assertion_issuers",
    "minimum_ial", "minimum_aal", "verified_claims",
)  # fmt: skip


@contextmanager
def _told() -> Iterator[None]:
    """A rule that is not met, here or in the write, in the words of RFC 7591 section 3.2.2."""
    try:
        yield
    except InvalidClientMetadata as error:
        pointer = (error.pointer or "").strip("/")
        kind = InvalidRedirectUri if pointer.startswith("redirect_uris") else InvalidMetadata
        words = str(error.detail)
        named = not pointer or words.startswith((f"{pointer}:", f"{pointer} "))
        raise kind(words if named else f"{pointer}: {words}") from error
    except UnknownClient as error:
        # Ended between the proof and the write: the answer is that of a client that never was (RFC 7592 section 2.1).
        raise _refused("the registration access token is not this client's") from error


def _both(session: Session, client_id: str) -> tuple[Client, Registration]:
    return clients.get(session, client_id), clients.registration_of(session, client_id)


def _itself(client_id: str) -> Actor:
    return Actor(kind="service", id=client_id, client_id=client_id)


def _asked_profile(document: Mapping[str, Any]) -> fapi.Profile:
    asked = document.get("profile")
    return asked if asked in fapi.PROFILES else "none"  # anything else is refused when the registration is read


async def _document(call: Call) -> dict[str, Any]:
    kind = call.headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
    if kind != b"application/json":
        raise InvalidRequest("send application/json")
    try:
        value = orjson.loads(await call.body(_LIMIT))
    except orjson.JSONDecodeError:
        raise InvalidRequest("the body is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidRequest("the body is not a JSON object")
    return value


def _target(call: Call) -> tuple[str, str]:
    token = _bearer(call)
    if token is None:
        raise _refused(None)
    return urlsplit(call.path).path.removeprefix(PATH + "/"), token


def _bearer(call: Call) -> str | None:
    sent = call.header_values(b"authorization")
    if not sent:
        return None
    scheme, _, token = sent[0].decode("latin-1").partition(" ")
    if len(sent) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise _refused("send one token by the Bearer scheme")
    return token.strip()


def _refused(why: str | None) -> InvalidToken:
    """RFC 6750 section 3: a bare challenge when no token was sent."""
    challenge = b'Bearer realm="registration"' + (b', error="invalid_token"' if why else b"")
    return InvalidToken(
        why or "send an initial access token from the city office, or the client's own, as a Bearer token",
        headers=((b"www-authenticate", challenge),),
    )
