"""What an answer does to a grant that is there already: add to it, or take its place.

Grant Management for OAuth 2.0 (draft 03) section 5.2, as the resident reads it. Before anything is agreed to, the page
names every use of data that stays or ends besides what is asked; the answer carries which state of the grant was shown,
and an answer to another state is refused: nothing is kept, and nothing ended, that was not on the page.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from consent import records
from consent.errors import UnknownConsent
from consent.records import RecordView
from identity import grants
from identity.interaction import Interaction, Interactions
from identity.oauth.errors import InvalidGrantId
from identity.sessions import BrowserSession
from keys.envelope import Sealer
from kit.clock import Millis
from kit.db import Session
from kit.problems import Conflict, Malformed
from portal.contexts.interaction import Amends, ScopeRow
from portal.web import Form

FIELD = "grant_shown"


@dataclass(frozen=True)
class Amending:
    """A grant that the answer changes. `others` are its consents that this request does not ask about."""

    grant: grants.Grant
    merges: bool
    others: tuple[RecordView, ...]

    @property
    def held(self) -> Mapping[str, Collection[str]]:
        """Of a merge, the kinds of data the grant has under each agreement: they are shown with what is added."""
        if not self.merges:
            return {}
        return {
            str(each["agreement"]): frozenset(each["datatypes"])
            for each in self.grant.details
            if each.get("type") == "data_use"
        }

    @property
    def scopes(self) -> tuple[str, ...]:
        """What a merge keeps of the profile."""
        return self.grant.scopes if self.merges else ()

    def check_shown(self, form: Form) -> None:
        """What is changed is what was read. Raises Malformed, Conflict."""
        shown = form.one(FIELD)
        if not shown:
            raise Malformed("The answer does not say what it adds to or replaces.")
        if shown != self.grant.version:
            raise Conflict("What you agreed to before was changed while you were reading. Read it again, then answer.")

    def end_others(self, session: Session, sealer: Sealer, *, browser: BrowserSession, now: Millis) -> None:
        """After a replacement: what is not in the grant any more is withdrawn, in the same write."""
        after = grants.find(session, self.grant.id)
        if self.merges or after is None or after.version == self.grant.version:
            return  # the request ended in an error: nothing was replaced
        for record in self.others:
            records.withdraw(
                session,
                sealer,
                consent_id=record.id,
                account_id=browser.account_id,
                actor=browser.actor(),
                now=now,
            )


def amending(
    session: Session, interactions: Interactions, interaction: Interaction, account_id: str, *, now: Millis
) -> Amending | None:
    """What this request changes, or None. Raises InvalidGrantId: not this resident's, or a consent of it is over."""
    grant = interactions.amends(session, interaction, account_id)
    if grant is None:
        return None
    asked = {str(detail.get("agreement")) for detail in interaction.details}
    try:
        found = [
            records.get(session, consent_id, account_id=account_id, now=now)
            for consent_id in grants.consents_of(session, grant.id)
        ]
    except UnknownConsent:
        raise InvalidGrantId("grant_id is unknown") from None
    if not all(record.stands for record in found):
        raise InvalidGrantId("grant_id is unknown")
    others = tuple(record for record in found if record.agreement_id not in asked)
    return Amending(grant, interaction.request.grant_action == "merge", others)


def widened(detail: dict[str, Any], held: Mapping[str, Collection[str]], known: Collection[str]) -> dict[str, Any]:
    """An element with what a merge keeps, as far as the agreement still has it: one list, ticked and unticked."""
    before = held.get(str(detail["agreement"]))
    if not before:
        return detail
    return {**detail, "datatypes": sorted({*detail["datatypes"], *(set(before) & set(known))})}


def told(
    change: Amending, sentences: tuple[str, ...], learns: tuple[ScopeRow, ...], before: tuple[ScopeRow, ...]
) -> Amends:
    """For the page: what stays or ends, in the words of the consents."""
    now = {row.name for row in learns}
    return Amends(
        merges=change.merges,
        shown=change.grant.version,
        others=sentences,
        forgets=() if change.merges else tuple(row.name for row in before if row.name not in now),
    )
