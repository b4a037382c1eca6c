"""Pushed authorization requests.

RFC 9126: the client sends its request over the back channel, authenticated, and gets a `request_uri` for it. The same
checks as at /oauth/authorize are made here, where the client sees the error. Our `request_uri` is 256 random bits, kept
as a keyed hash, for its own client only, and counts as used when its authorization completes (section 4).
"""

from sqlalchemy import Connection, text

from identity.clients import Client
from identity.crowd import Crowd
from identity.oauth.checks import check_redirect_uri, check_request
from identity.oauth.client_auth import ClientAuth
from identity.oauth.details import DetailTypes
from identity.oauth.dpop import Dpop
from identity.oauth.errors import InvalidRequest, InvalidRequestUri, TemporarilyUnavailable
from identity.oauth.grant_actions import check_grant
from identity.oauth.grants.shared import note_issued
from identity.oauth.hints import opened, sealed
from identity.oauth.parameters import Parameters, read_form
from identity.oauth.request import AuthorizationRequest, bound, unpack
from identity.oauth.request_objects import RequestObjects
from identity.oidc.hints import IdTokenHints
from identity.settings import IdentitySettings
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.clock import SECOND, Clock, Millis
from kit.db import Database
from kit.front import Call, Reply, reply_json
from kit.ids import secret

PREFIX = "urn:ietf:params:oauth:request_uri:"

_ADD = text(
    "INSERT INTO identity_par (digest, client_id, request, used_at, expires_at)"
    " VALUES (:digest, :client_id, :request, NULL, :expires_at)"
)
_FIND = text("SELECT client_id, request, used_at, expires_at FROM identity_par WHERE digest = :digest")


class PushedRequests:
    """The endpoint, and the look-up for /oauth/authorize."""

    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        hasher: TokenHasher,
        sealer: Sealer,
        auth: ClientAuth,
        objects: RequestObjects,
        hints: IdTokenHints,
        dpop: Dpop,
        types: DetailTypes,
        crowd: Crowd,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._hasher = hasher
        self._sealer = sealer
        self._auth = auth
        self._objects = objects
        self._hints = hints
        self._dpop = dpop
        self._types = types
        self._crowd = crowd

    async def endpoint(self, call: Call) -> Reply:
        """POST /oauth/par (section 2). Raises TemporarilyUnavailable."""
        form = read_form(call.headers.get(b"content-type", b""), await call.body())
        client = await self._auth.authenticate(call, form)
        # Anybody may call itself a public client, and where registration is open anybody may have a secret too.
        stranger = client.public or (client.member_id is None and not client.first_party)
        if stranger and (seconds := self._crowd.wait(call.source)):
            raise TemporarilyUnavailable(
                "too many requests from this network", headers=((b"retry-after", str(seconds).encode()),)
            )
        request = await self.examine(form, client, call.source)
        request = await self._bind(call, client, request)
        await self._objects.spend(self._database, form.get("request"), client)
        now = self._clock.ms()
        handle = secret("par")
        await self._database.write_core(self._add, self._hasher.digest("par", handle), client, request, now)
        return reply_json(201, {"request_uri": PREFIX + handle, "expires_in": self._settings.par_seconds})

    async def examine(self, form: Parameters, client: Client, source: str) -> AuthorizationRequest:
        """The request, if it may be pushed by this client; nothing is written. Raises OAuthError."""
        if "request_uri" in form:
            raise InvalidRequest("request_uri can't be pushed")  # section 2.1 step 2
        if form.get("client_id", client.id) != client.id:
            raise InvalidRequest("client_id differs from the authenticated client")
        if "request" in form:
            form = await self._objects.resolve(form, client, source)  # section 3: what is signed counts, nothing else
        elif client.require_signed_request:
            raise InvalidRequest("this client must send its requests signed")  # RFC 9101 section 10.5
        request = check_request(form, client, check_redirect_uri(form, client))
        request = self._hints.read(form, request)
        request = await self._types.narrow(self._database, client, form, request)
        return await check_grant(self._database, client, request)

    async def find(self, request_uri: str, client: Client) -> tuple[bytes, AuthorizationRequest]:
        """The pushed request behind a `request_uri` of ours; raises InvalidRequestUri."""
        digest = self._hasher.digest("par", request_uri.removeprefix(PREFIX))
        found = await self._database.peek(_find, digest)
        if found is None or found[0] != client.id:
            raise InvalidRequestUri("request_uri is unknown")
        if found[2] is not None:
            raise InvalidRequestUri("request_uri was used already")
        if found[3] <= self._clock.ms():
            raise InvalidRequestUri("request_uri has expired")
        return digest, opened(unpack(found[1]), self._sealer, digest.hex())

    async def _bind(self, call: Call, client: Client, request: AuthorizationRequest) -> AuthorizationRequest:
        """RFC 9449 section 10.1: a proof sent here binds the code as `dpop_jkt` does."""
        proved = await self._dpop.prove(call, self._database, self._clock.ms(), client)
        if proved is None:
            return request
        if request.dpop_jkt is not None and request.dpop_jkt != proved.jkt:
            raise InvalidRequest("dpop_jkt differs from the key of the DPoP proof")
        return bound(request, proved.jkt)

    def _add(
        self, connection: Connection, digest: bytes, client: Client, request: AuthorizationRequest, now: Millis
    ) -> None:
        lifetime = self._settings.par_seconds
        connection.execute(
            _ADD,
            {
                "digest": digest,
                "client_id": client.id,
                "request": sealed(request, self._sealer, digest.hex()).pack(),
                "expires_at": now + lifetime * SECOND,
            },
        )
        note_issued(connection, digest[:12].hex(), "par", client_id=client.id, grant_id=None, now=now, seconds=lifetime)


def _find(connection: Connection, digest: bytes) -> tuple[str, str, int | None, int] | None:
    row = connection.execute(_FIND, {"digest": digest}).first()
    return None if row is None else (row[0], row[1], row[2], row[3])
