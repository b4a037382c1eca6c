"""A question to a resident that waits: put and not answered yet, put off, taken back.

A question that is answered on the page that asks it is recorded with its answer (`records.Put`). One that outlives
its page is a record of its own from the start (`requested`): the resident finds it with their consents and answers it
there, the answer is its next event, and what was asked and put off is in the ledger like everything else. It covers
nothing.
A service's question that a standing instruction answers is answered in the write that puts it (`answering`).

One question waits for each resident and agreement, by a partial unique index: who asks again finds the first one, so a
service cannot fill a resident's page; nor by asking and taking back, for each is in the ledger and in the resident's
history: three come to nothing, then nobody asks by itself for a while. Who was told no about a text does not ask for
the same again by itself.
"""

from collections.abc import Iterable
from typing import Final

from consent import answering, store
from consent.changes import ConsentRef, append_event
from consent.errors import BadConsent, ConsentState, UnknownConsent
from consent.records import QUESTION_WAITS, check_lang, new_record, revision_in_force
from consent.states import OPEN
from keys.envelope import Sealer
from kit.clock import Millis
from kit.db import Session
from kit.host import SYSTEM, Actor

WAITS: Final[Millis] = QUESTION_WAITS
#: Questions of one agreement that a service may put by itself in that time and take back, or see run out.
MOST_UNANSWERED: Final = 3


def ask(
    session: Session,
    sealer: Sealer,
    *,
    account_id: str,
    revision_id: str,
    actor: Actor,
    now: Millis,
    notice_lang: str = "ja",
    categories: Iterable[str] | None = None,
    by_itself: bool = False,
) -> str:
    """Put a question; the id of its record, or of the one that waits already.

    `by_itself`: a service asks without the resident in front of it. Raises AgreementState, BadConsent, and ConsentState
    if the same was agreed to already, or refused by itself.
    """
    revision = revision_in_force(session, revision_id)
    check_lang(revision, notice_lang)
    asked = revision.all_categories if categories is None else frozenset(categories) | revision.required
    if not asked <= revision.all_categories:
        raise BadConsent("Not all of this is part of the agreement.", pointer="/categories")
    standing = store.standing_record(session, account_id, revision.agreement_id)
    if standing is not None and standing.until_at > now:
        raise ConsentState("A consent under this agreement stands already.")
    waiting = store.open_question(session, account_id, revision.agreement_id)
    if waiting is not None and waiting.until_at > now:
        return waiting.id
    if waiting is not None:
        append_event(session, sealer, waiting, "expired", actor=SYSTEM, authority="rule", now=now, reason="unanswered")
    if by_itself and store.said_no(session, account_id, revision.id):
        raise ConsentState("The person has said no to this. Only they can come back to it.")
    if by_itself and store.unanswered(session, account_id, revision.agreement_id, now - WAITS) >= MOST_UNANSWERED:
        raise ConsentState("The person was asked this often enough lately. Wait until they come by themselves.")
    row = new_record(account_id, revision, now)
    row.categories, row.until_at = " ".join(sorted(asked)), now + WAITS
    append_event(
        session, sealer, row, "requested", actor=actor, authority="recipient", now=now, revision=revision,
        lang=notice_lang, reason="asked", asked=asked,
    )  # fmt: skip
    if by_itself and actor.kind == "service":
        # Who asks from elsewhere may be answered in advance; what a person brings or is asked in front of is theirs.
        session.flush()
        answering.answer(
            session, sealer, account_id=account_id, revision=revision, categories=asked, notice_lang=notice_lang,
            asked_at=now, now=now,
        )  # fmt: skip
    return row.id


def put_off(session: Session, sealer: Sealer, *, consent_id: str, account_id: str, actor: Actor, now: Millis) -> None:
    """The resident will decide later: the question goes on waiting. Raises UnknownConsent, ConsentState."""
    row = store.record_of(session, consent_id, account_id)
    if row is None:
        raise UnknownConsent("No consent of yours has this id.")
    if row.state != OPEN or row.until_at <= now:
        raise ConsentState("This question does not wait any more.")
    append_event(session, sealer, row, "deferred", actor=actor, authority="self", now=now)


def take_back(
    session: Session,
    sealer: Sealer,
    *,
    account_id: str,
    member_id: str,
    actor: Actor,
    now: Millis,
    only: str | None = None,
) -> list[ConsentRef]:
    """The recipient does not ask this resident any more: its questions that wait are over (or the `only` one)."""
    done = []
    for row in store.records_of(session, account_id):
        if row.member_id == member_id and row.state == OPEN and only in (None, row.id):
            done.append(
                append_event(
                    session,
                    sealer,
                    row,
                    "ended",
                    actor=actor,
                    authority="recipient",
                    now=now,
                    reason="not-asked-any-more",
                )
            )
    return done
