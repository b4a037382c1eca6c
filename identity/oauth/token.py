"""The token endpoint: parse, authenticate, check the proof, hand to the grant, answer.

RFC 6749 section 3.2 and 5, RFC 9449 section 5. The grant types are a table.
"""

from typing import Any, Protocol

from identity.clients import Client
from identity.oauth.client_auth import ClientAuth
from identity.oauth.dpop import Dpop, Proved
from identity.oauth.errors import UnauthorizedClient, UnsupportedGrantType
from identity.oauth.parameters import Parameters, read_form, require
from keys.ring import KeyRing
from kit.clock import Clock
from kit.db import Database
from kit.front import Call, Reply, reply_json


class Grant(Protocol):
    """One grant type."""

    async def handle(self, form: Parameters, client: Client, proved: Proved | None) -> dict[str, Any]:
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
    ) -> None:
        self._auth = auth
        self._dpop = dpop
        self._grants = grants
        self._ring = ring
        self._database = database
        self._clock = clock

    async def endpoint(self, call: Call) -> Reply:
        """One request, one grant."""
        form = read_form(call.headers.get(b"content-type", b""), await call.body())
        client = await self._auth.authenticate(call, form)
        kind = require(form, "grant_type")
        grant = self._grants.get(kind)
        if grant is None:
            raise UnsupportedGrantType("grant_type is not supported")
        if kind not in client.grant_types:
            raise UnauthorizedClient("this client may not use this grant type")
        proved = None
        if b"dpop" in call.headers:
            proved = await self._dpop.prove(call, self._database, self._clock.ms())
        await self._ring.refresh()  # a key retired by another process signs nothing more here
        return reply_json(200, await grant.handle(form, client, proved))
