"""The grant management API: a client asks what a grant holds, or gives it back.

Grant Management for OAuth 2.0 (draft 03) section 6. The caller proves itself by a token of its own with one of two
scopes; a grant id alone opens nothing (section 10). Unknown, ended and another client's are one answer (section 6.6),
by the same steps. Giving back ends the grant, its tokens and the consents it rests on in one write: the resident reads
that the recipient ended them, and each has its entry in the ledger (I2, I5).
"""

from typing import Any

from sqlalchemy import Connection

from identity import grants
from identity.assurance.verified_request import MARK as VERIFIED
from identity.bearer import Access, Bearer
from identity.clients import Client, Clients
from identity.errors import TokenRefused, TokenTooNarrow, UnknownGrant
from identity.oauth.details import DetailTypes
from identity.oauth.grant_actions import QUERY, REVOKE
from identity.oidc.claims import MARK, names_of
from kit.clock import SECOND, Clock
from kit.db import Database, Session
from kit.front import NO_STORE, Call, Reply, reply_json

PATH = "/oauth/grants"


class GrantManagement:
    """Handles /oauth/grants/{grant_id}."""

    def __init__(self, bearer: Bearer, clients: Clients, types: DetailTypes, database: Database, clock: Clock) -> None:
        self._bearer = bearer
        self._clients = clients
        self._types = types
        self._database = database
        self._clock = clock

    async def query(self, call: Call) -> Reply:
        """GET: what it holds now (section 6.4). Nothing in it says who the resident is (section 9)."""
        access = await self._own(call, QUERY)
        return reply_json(200, describe(await self._database.peek(_of, _target(call), access.client_id)))

    async def revoke(self, call: Call) -> Reply:
        """DELETE: nothing under it is honoured once this answers (section 6.5). Raises TokenRefused."""
        access = await self._own(call, REVOKE)
        client = await self._clients.get(access.client_id)
        if client is None:
            raise TokenRefused("The client of this token is gone.")
        await self._database.write(self._end, _target(call), client, access)
        return Reply(204, b"", [NO_STORE])

    async def _own(self, call: Call, scope: str) -> Access:
        access = await self._bearer.verify(call, scope=scope)
        if access.account_id is not None or "exchanged_from" in access.claims:
            raise TokenTooNarrow("A grant is managed with a token of the client's own (client_credentials).")
        return access

    def _end(self, session: Session, grant_id: str, client: Client, access: Access) -> None:
        now, actor = self._clock.ms(), access.actor()
        grant = _of(session.connection(), grant_id, client.id)
        grants.revoke(session, grant.id, actor=actor, now=now, reason="client-revoked")
        self._types.end(session, client, grant.details, actor=actor, now=now)


def describe(grant: grants.Grant) -> dict[str, Any]:
    """The members of section 6.4. Pure."""
    scopes = frozenset(scope for scope in grant.scopes if not scope.startswith((MARK, VERIFIED)))
    single = {scope.removeprefix(MARK) for scope in grant.scopes if scope.startswith(MARK)}
    return {
        "scopes": [{"scope": " ".join(scope for scope in grant.scopes if scope in scopes)}] if scopes else [],
        "claims": sorted(names_of(scopes) | single),
        "authorization_details": list(grant.details),
        "created_at": grant.created_at // SECOND,
        "last_updated_at": grant.changed_at // SECOND,
    }


def _of(connection: Connection, grant_id: str, client_id: str) -> grants.Grant:
    found = grants.find(connection, grant_id)
    if found is None or found.client_id != client_id or not found.active:
        raise UnknownGrant("No grant of yours has this id.")
    return found


def _target(call: Call) -> str:
    return call.path.removeprefix(PATH + "/")[:100]
