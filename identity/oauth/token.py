"""The token endpoint: parse, authenticate, see what the caller holds, hand to the grant, answer.

RFC 6749 section 3.2 and 5, RFC 9449 section 5, RFC 8705 section 3. The grant types are a table.
"""

from typing import Any, Protocol

from identity.clients import Client
from identity.encryption import Envelopes
from identity.oauth.client_auth import ClientAuth
from identity.oauth.dpop import Dpop
from identity.oauth.errors import UnauthorizedClient, UnsupportedGrantType
from identity.oauth.holder import NOTHING, Holder
from identity.oauth.mtls import certificate_of
from identity.oauth.parameters import Parameters, read_form, require
from keys.ring import KeyRing
from kit.clock import Clock
from kit.db import Database
from kit.front import Call, Reply, reply_json


class Grant(Protocol):
    """One grant type."""

    async def handle(self, form: Parameters, client: Client, holder: Holder) -> dict[str, Any]:
        """The body of the answer, or an OAuthError."""
        ...


class TokenEndpoint:
    """Handles POST /oauth/token."""

    def __init__(
        self,
        auth: ClientAuth,
        dpop: Dpop,
        grants: dict[str, Grant],
        ring: KeyRing,
        database: Database,
        clock: Clock,
        envelopes: Envelopes,
    ) -> None:
        self._auth = auth
        self._dpop = dpop
        self._grants = grants
        self._ring = ring
        self._database = database
        self._clock = clock
        self._envelopes = envelopes

    async def endpoint(self, call: Call) -> Reply:
        """One request, one grant. Raises UnsupportedGrantType, UnauthorizedClient."""
        form = read_form(call.headers.get(b"content-type", b""), await call.body())
        client = await self._auth.authenticate(call, form)
        kind = require(form, "grant_type")
        grant = self._grants.get(kind)
        if grant is None:
            raise UnsupportedGrantType("grant_type is not supported")
        if kind not in client.grant_types:
            raise UnauthorizedClient("this client may not use this grant type")
        holder = NOTHING
        if b"dpop" in call.headers or client.certificate_bound:
            holder = await self._holder(call, client)
        await self._ring.refresh()  # a key retired by another process signs nothing more here
        if not client.encryptions:
            return reply_json(200, await grant.handle(form, client, holder))
        envelope = await self._envelopes.find(client, "id_token")  # before a code is spent
        body = await grant.handle(form, client, holder)
        if envelope is not None and "id_token" in body:
            body["id_token"] = envelope.close(body["id_token"])  # OpenID Connect Core section 10.2
        return reply_json(200, body)

    async def _holder(self, call: Call, client: Client) -> Holder:
        jkt = None
        if b"dpop" in call.headers:
            proved = await self._dpop.prove(call, self._database, self._clock.ms(), client)
            jkt = proved.jkt if proved is not None else None
        certificate = certificate_of(call.scope) if client.certificate_bound else None
        return Holder(jkt, certificate.x5t if certificate is not None else None)
