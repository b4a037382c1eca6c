"""Answers in a resident's place, for a conformance suite that has nobody at a phone. Off, unless a setting asks for it.

The OpenID Foundation's CIBA plans call an address of the tested server with the `auth_req_id` and `allow` or `deny`
(their configuration's `automated_ciba_approval_url`). Whoever reaches it answers for residents: so it is there only on
a loopback issuer, or where the setting spells out what it does; the start says so and every answer is audited.
Questions about data are never answered here: consent is a resident's.
"""

from typing import Final

from identity import decoupled, levels
from identity.interaction import Interactions
from identity.oauth.errors import InvalidRequest
from identity.oauth.parameters import read_query
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import Clock
from kit.db import Database, Session
from kit.front import Call, Reply, reply_json
from kit.host import SYSTEM
from kit.logs import log

PATH: Final = "/oauth/backchannel-authentication/rehearsal"
_LEVEL: Final = levels.of(("password", "totp"))


class Rehearsal:
    """Handles POST /oauth/backchannel-authentication/rehearsal?auth_req_id=…&action=allow|deny."""

    def __init__(self, database: Database, clock: Clock, hasher: TokenHasher, interactions: Interactions) -> None:
        self._database = database
        self._clock = clock
        self._hasher = hasher
        self._interactions = interactions

    async def warn(self) -> None:
        """At the start."""
        log.warning("questions of services can be answered for residents by anybody", path=PATH)

    async def endpoint(self, call: Call) -> Reply:
        """The answer a resident would give. Raises InvalidRequest."""
        query = read_query(call.query)
        action = query.get("action")
        if action not in ("allow", "deny"):
            raise InvalidRequest("action must be allow or deny")
        digest = self._hasher.digest("auth-req-id", query.get("auth_req_id", ""))
        await self._database.write(self._answer, digest, action == "allow")
        return reply_json(200, {"action": action})

    def _answer(self, session: Session, digest: bytes, allow: bool) -> None:
        now = self._clock.ms()
        found = decoupled.waiting_for(session.connection(), digest, now)
        if found is None:
            raise InvalidRequest("auth_req_id is unknown, answered, or nobody's")
        interaction_id, account_id = found
        audit.record(
            session,
            "identity.backchannel.rehearsed",
            actor=SYSTEM,
            object=("interaction", interaction_id),
            detail={"account": account_id, "action": "allow" if allow else "deny"},
        )
        if not allow:
            self._interactions.refuse(session, interaction_id, account_id=account_id)
            return
        interaction = self._interactions.get(session, interaction_id)
        request = interaction.request
        if request.details or request.verified or request.grant_action is not None:
            raise InvalidRequest("data is agreed to by its resident only")
        self._interactions.approve(
            session,
            interaction_id,
            account_id=account_id,
            session_id="rehearsal",
            auth_at=now,
            acr=_LEVEL.acr,
            amr=_LEVEL.amr,
            scopes=interaction.scopes,
        )
