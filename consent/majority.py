"""Coming of age: what a guardian agreed to for a child ends with the guardian's mandate, and the person is asked.

Civil Code articles 4 and 818: from eighteen on nobody's word stands for theirs. In one write for each mandate that ran
out (`identity.mandates.of_age`): the mandate ends, each consent whose last answer was given under it ends as
`invalidated` with its ledger entry, its grants and its recipient's duty to confirm, and the same question is put to the
person, who finds it with their consents and answers in their own name. What they themselves, or another guardian whose
mandate still stands, agreed to is not touched. The mandate allowed nothing from that hour on by the clock (`require`),
so between the hour and this job nothing can be given under it; and what was given before is found here, however late.
"""

from typing import Final

from consent import questions, store
from consent.changes import StoredEvent, append_event
from consent.errors import AgreementState, BadConsent, ConsentState
from consent.records import history
from consent.states import ASIDE, STANDING
from identity import mandates
from identity.mandates import MandateView
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from kit.clock import Millis
from kit.db import Session
from kit.host import SYSTEM

REASON: Final = "came-of-age"


def settle(session: Session, sealer: Sealer, *, now: Millis, limit: int = 20) -> int:
    """End what is to end and ask; how many mandates. A chunk; run it again."""
    found = mandates.of_age(session, now=now, limit=limit)
    for mandate in found:
        if mandates.came_of_age(session, mandate, now=now):
            _one(session, sealer, mandate, now)
    return len(found)


def _one(session: Session, sealer: Sealer, mandate: MandateView, now: Millis) -> None:
    for row in store.records_of(session, mandate.subject_id):
        if row.state != STANDING:
            continue
        try:
            events = history(session, sealer, row.id, account_id=mandate.subject_id)
        except KeyDestroyed:
            return
        answer = _answer(events)
        if answer.document["actor"].get("mandate") != mandate.id:
            continue
        lang, categories = str(answer.document["notice"]["lang"]), tuple(row.categories.split())
        append_event(
            session, sealer, row, "invalidated", actor=SYSTEM, authority="rule", now=now, reason=REASON
        )  # fmt: skip
        session.flush()
        try:
            questions.ask(
                session, sealer, account_id=mandate.subject_id, revision_id=row.revision_id, actor=SYSTEM, now=now,
                notice_lang=lang, categories=categories,
            )  # fmt: skip
        except (AgreementState, BadConsent, ConsentState):
            continue  # nobody offers this any more: there is nothing to ask


def _answer(events: tuple[StoredEvent, ...]) -> StoredEvent:
    """The event that says what stands: telling and asking aside."""
    return next(event for event in reversed(events) if event.document["type"] not in ASIDE)
