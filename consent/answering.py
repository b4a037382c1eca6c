"""What a standing instruction answers is answered here, in the write that puts the question.

The person's instructions are read with their rows locked, each judges the question (`instruction_rules.judge`), and the
first that answers does: a refusal before an agreement. The consent's event names the instruction and its revision as
its authority; the person is told at once, on their first page and by letter, with the way to undo it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from consent import instructions, records, store
from consent.changes import ConsentRef, Instructed
from consent.errors import AgreementState
from consent.instruction_rules import Agrees, Asked, Asks, Person, Verdict, judge
from consent.instructions import Instruction
from consent.records import Put
from consent.revisions import Revision
from identity import mandates, members
from keys.envelope import Sealer
from kit import audit
from kit.clock import Millis
from kit.db import Session
from kit.host import SYSTEM


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a question."""

    verdict: Verdict
    instruction: Instruction
    consent: ConsentRef


def verdict_of(
    session: Session,
    sealer: Sealer,
    *,
    account_id: str,
    revision: Revision,
    categories: Collection[str],
    asked_at: Millis,
    now: Millis,
    lasts: Millis | None = None,
) -> tuple[Verdict, Instruction] | None:
    """Which instruction answers the question, and how; None if the person is to be asked."""
    found = instructions.in_force(session, sealer, account_id, now=now)
    if not found:
        return None
    member = members.find(session, revision.member_id)
    standing = store.standing_record(session, account_id, revision.agreement_id)
    asked = Asked(
        member_id=revision.member_id,
        accredited=member is not None and bool(member.accreditation),
        purpose=revision.purpose,
        lawful_basis=revision.lawful_basis,
        jurisdiction=revision.jurisdiction,
        required=revision.required,
        categories=frozenset(categories) | revision.required,
        sensitivity={use.category: use.sensitivity for use in revision.categories},
        lasts=revision.duration_ms if lasts is None else lasts,
        asked_at=asked_at,
        again=standing is not None and standing.until_at > now,
    )
    person = Person(
        minor=mandates.is_minor(session, sealer, account_id, now=now),
        said_otherwise=store.said_otherwise(session, account_id, revision.agreement_id),
    )
    for each in found:
        verdict = judge(each.rule, asked, person, since=each.since_at, until=each.until_at, now=now)
        if not isinstance(verdict, Asks):
            return verdict, each
    return None


def answer(
    session: Session,
    sealer: Sealer,
    *,
    account_id: str,
    revision: Revision,
    categories: Collection[str],
    notice_lang: str,
    asked_at: Millis,
    now: Millis,
    lasts: Millis | None = None,
    question: Put | None = None,
) -> Answered | None:
    """Answer the question if an instruction does; None, and nothing is written, if the person is to be asked."""
    found = verdict_of(
        session, sealer, account_id=account_id, revision=revision, categories=categories, asked_at=asked_at, now=now,
        lasts=lasts,
    )  # fmt: skip
    if found is None:
        return None
    verdict, instruction = found
    under = Instructed(instruction.id, instruction.revision)
    until = now + (revision.duration_ms if lasts is None else lasts)
    try:
        if isinstance(verdict, Agrees):
            made = records.give(
                session, sealer, account_id=account_id, revision_id=revision.id, categories=verdict.categories,
                notice_lang=notice_lang, actor=SYSTEM, now=now, until_ms=until, question=question, instructed=under,
            )  # fmt: skip
        else:
            made = records.refuse(
                session, sealer, account_id=account_id, revision_id=revision.id, notice_lang=notice_lang, actor=SYSTEM,
                now=now, question=question, instructed=under,
            )  # fmt: skip
    except AgreementState:  # taken back or held just now: there is nothing to answer
        return None
    audit.record(
        session, "consent.instruction.answered", actor=SYSTEM, object=("account", account_id),
        detail={"instruction": instruction.id, "revision": instruction.revision, "consent": made.consent_id},
    )  # fmt: skip
    return Answered(verdict, instruction, made)
