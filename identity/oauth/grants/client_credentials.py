"""The client credentials grant: a service acts for itself.

RFC 6749 section 4.4. No resident, no refresh token, no OpenID scopes.
"""

from typing import Any

from identity.clients import Client
from identity.oauth.errors import InvalidScope, UnauthorizedClient
from identity.oauth.grants.shared import note_issued, read_audience, require_binding
from identity.oauth.holder import Holder
from identity.oauth.parameters import Parameters, read_scopes
from identity.registration import STANDARD_SCOPES
from identity.settings import IdentitySettings
from identity.tokens import Tokens, new_jti
from kit.clock import Clock
from kit.db import Database, Tx

_PEOPLES = frozenset(STANDARD_SCOPES)


class ClientCredentials:
    """Handles grant_type=client_credentials."""

    def __init__(self, database: Database, clock: Clock, settings: IdentitySettings, tokens: Tokens) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._tokens = tokens

    async def handle(self, form: Parameters, client: Client, holder: Holder) -> dict[str, Any]:
        """A token for the client itself; answered once its row is durable. Raises UnauthorizedClient, InvalidScope."""
        if client.public:
            raise UnauthorizedClient("a public client can't use client_credentials")  # section 4.4
        require_binding(client, holder)
        asked = read_scopes(form.get("scope"))
        for scope in asked:
            if scope in _PEOPLES or scope not in client.scopes:
                raise InvalidScope(f"scope {scope[:60]} is not allowed to this client here")
        scopes = asked or tuple(sorted(client.scopes - _PEOPLES))
        allowed = (self._tokens.issuer, *client.resources)
        audience = read_audience(form.get("resource"), allowed, self._tokens.issuer)
        now = self._clock.ms()
        jti = new_jti()
        await self._database.append(_note, jti, client.id, now, self._settings.access_token_seconds)
        token = self._tokens.access_token(client, jti=jti, audience=audience, scopes=scopes, now=now, holder=holder)
        return {
            "access_token": token,
            "token_type": holder.token_type,
            "expires_in": self._settings.access_token_seconds,
            "scope": " ".join(scopes),
        }


def _note(tx: Tx, jti: str, client_id: str, now: int, seconds: int) -> None:
    note_issued(tx, jti, "access", client_id=client_id, grant_id=None, now=now, seconds=seconds)
