"""Verified claims on their way out: what stands of the resident, what this client may hear, how it signed them in."""

from typing import Any

from identity.assurance import verified_claims
from identity.assurance.minimums import VERIFIED_AAL
from identity.assurance.verifications import Verifications
from identity.assurance.verified_claims import Proof
from identity.assurance.verified_request import Asked
from identity.clients import Client
from identity.levels import rank
from kit.clock import Clock
from kit.db import Database, Session


class Telling:
    """Answers what was asked, as things are now: a verification that ended is told no more, at refresh neither."""

    def __init__(self, database: Database, clock: Clock, visits: Verifications, framework: str) -> None:
        self._database = database
        self._clock = clock
        self._visits = visits
        self._framework = framework

    async def of(self, asked: tuple[Asked, ...], client: Client, account_id: str, acr: str) -> Any:
        """The value of `verified_claims`, or None.

        What the operator lets the client hear is asked here and not only when the request came: an operator who takes
        it back is obeyed at once. A session that proved too little tells nothing, whatever the page allowed.
        """
        if not asked or client.verified_claims == "none" or rank(acr) < VERIFIED_AAL:
            return None
        proof = await self._database.read(self._proof, account_id)
        may_see = client.verified_claims == "evidence"
        return verified_claims.answer(asked, proof, framework=self._framework, evidence=may_see, now=self._clock.ms())

    def _proof(self, session: Session, account_id: str) -> Proof | None:
        return proof_of(self._visits, session, account_id)


def proof_of(visits: Verifications, session: Session, account_id: str) -> Proof | None:
    """What stands of a resident, for an answer."""
    found = visits.standing(session, account_id)
    if found is None or found.verified_at is None:
        return None
    return Proof(found.ial, found.claims, found.documents, found.face, found.verified_at)
