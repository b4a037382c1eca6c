"""Verified claims on their way out: what stands of the resident, what this client may hear, how it signed them in."""

from typing import Any

from identity import grants
from identity.assurance import verified_claims
from identity.assurance.minimums import VERIFIED_AAL
from identity.assurance.verifications import Verifications
from identity.assurance.verified_claims import Proof
from identity.assurance.verified_request import Asked, dated, marks
from identity.clients import Client
from identity.levels import rank
from kit.clock import Clock
from kit.db import Database, Session


class Telling:
    """Answers what was asked, as things are now: a verification that ended is told no more, at refresh neither."""

    def __init__(
        self, database: Database, clock: Clock, visits: Verifications, *, framework: str, electronic_framework: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._visits = visits
        self._frameworks = {False: framework, True: electronic_framework}

    async def of(
        self, asked: tuple[Asked, ...], client: Client, *, account_id: str, grant_id: str | None, acr: str
    ) -> Any:
        """The value of `verified_claims`, or None.

        What the operator lets the client hear is asked here and not only when the request came: an operator who takes
        it back is obeyed at once. A session that proved too little tells nothing, whatever the page allowed; nor is a
        verification told that is not the one the resident saw when they agreed, by the word of the grant.
        """
        if not asked or client.verified_claims == "none" or rank(acr) < VERIFIED_AAL:
            return None
        proof, agreed = await self._database.read(self._known, account_id, grant_id)
        if proof is None:
            return None
        allowed = [one for one in asked if agreed.issuperset(dated(marks((one,)), proof.verified_at))]
        may_see = client.verified_claims == "evidence"
        return verified_claims.answer(
            allowed, proof, framework=self._frameworks[bool(proof.electronic)], evidence=may_see, now=self._clock.ms()
        )

    def _known(self, session: Session, account_id: str, grant_id: str | None) -> tuple[Proof | None, frozenset[str]]:
        grant = None if grant_id is None else grants.find(session, grant_id)
        return proof_of(self._visits, session, account_id), frozenset(grant.scopes if grant else ())


def proof_of(visits: Verifications, session: Session, account_id: str) -> Proof | None:
    """What stands of a resident, for an answer."""
    found = visits.standing(session, account_id)
    if found is None or found.verified_at is None:
        return None
    return Proof(found.ial, found.claims, found.documents, found.face, found.verified_at, found.electronic)
