"""Consents that others wrote down, taken in as evidence: kept sealed with where they came from, and never a consent.

An imported record proves at most that somebody wrote a file. So it permits nothing: no decision reads it. If it fits
an agreement in force (one that it names, or the only one with its recipient, purpose and data), the resident is asked
about that one as about any other (`consent.questions`), and only the resident's answer is a consent.

Taking in the same file twice is taking it in once, by a keyed hash for each resident. Everything of it is sealed
under the resident's key, and goes when they go.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import orjson
from sqlmodel import col, func, select

from consent import agreements, questions
from consent.errors import AgreementState, BadImport, ConsentState, UnknownAgreement
from consent.foreign import Foreign
from consent.models import Import
from consent.revisions import Revision
from consent.states import OPEN
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import Millis, iso
from kit.db import Session
from kit.encoding import canonical
from kit.host import Actor
from kit.ids import new_id

MOST_KEPT = 500
_LABEL = "consent-import"
Authority = Literal["self", "operator"]


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken in, and what came of it."""

    id: str
    format: str
    foreign_id: str
    source: str
    authority: str
    signature: str
    said_at: Millis | None
    taken_at: Millis
    agreement_id: str | None
    question: str | None  # the record with which the resident is, or was, asked
    new: bool = False


def take_in(
    session: Session,
    sealer: Sealer,
    hasher: TokenHasher,
    found: Sequence[Foreign],
    *,
    account_id: str,
    source: str,
    authority: Authority,
    actor: Actor,
    now: Millis,
) -> tuple[Imported, ...]:
    """Keep each of these about a resident, whole or not at all; ask the resident where one fits an agreement. Raises
    BadImport when there would be too many."""
    count = select(func.count()).select_from(Import).where(Import.account_id == account_id)
    if session.exec(count).one() + len(found) > MOST_KEPT:
        raise BadImport(f"At most {MOST_KEPT} are kept for each resident.")
    offers = in_force(session)
    return tuple(
        _one(
            session, sealer, hasher, each, account_id, offers=offers, source=source, authority=authority, actor=actor,
            now=now,
        )
        for each in found
    )  # fmt: skip


def list_for(session: Session, sealer: Sealer, account_id: str) -> tuple[Imported, ...]:
    """A resident's imports, newest first."""
    query = select(Import).where(Import.account_id == account_id).order_by(col(Import.id).desc())
    return tuple(_view(session, sealer, row) for row in session.exec(query))


def _one(
    session: Session,
    sealer: Sealer,
    hasher: TokenHasher,
    each: Foreign,
    account_id: str,
    *,
    offers: Sequence[Revision],
    source: str,
    authority: Authority,
    actor: Actor,
    now: Millis,
) -> Imported:
    digest = hasher.digest(_LABEL, f"{account_id}|{each.format}|{canonical(each.document).decode()}")
    known = session.exec(select(Import).where(Import.account_id == account_id, Import.digest == digest)).first()
    if known is not None:
        return _view(session, sealer, known)
    key, identifier = sealer.owner(session, account_id), new_id("cim")
    fits = matching(session, each, offers)
    question = None
    if fits is not None and each.agreed:
        try:
            question = questions.ask(
                session, sealer, account_id=account_id, revision_id=fits.id, actor=actor, now=now, by_itself=True,
                categories=each.categories & fits.all_categories,
            )  # fmt: skip
        except (ConsentState, AgreementState):  # agreed to already, refused already, or stopped: nothing to ask
            question = None
    told = {
        "format": each.format, "id": each.id, "source": source, "authority": authority, "signature": each.signature,
        "at": each.at, "agreed": each.agreed, "agreement": fits.agreement_id if fits else None, "question": question,
        "document": dict(each.document),
    }  # fmt: skip
    sealed = key.seal(f"consent_import|sealed|{identifier}", canonical(told))
    row = Import(id=identifier, account_id=account_id, digest=digest, sealed=sealed, taken_at=now)
    session.add(row)
    session.flush()
    audit.record(
        session, "consent.import.taken", actor=actor, object=("account", account_id),
        detail={"import": identifier, "format": each.format, "authority": authority, "question": question},
    )  # fmt: skip
    return replace(_view(session, sealer, row), new=True)


def in_force(session: Session) -> tuple[Revision, ...]:
    """Every offer that stands: read once for a whole file, since this is inside a write."""
    found: list[Revision] = []
    after = ""
    while page := agreements.list_all(session, status="approved", after=after):
        after = page[-1].id
        found += [agreements.current(session, agreement.id) for agreement in page]
    return tuple(found)


def matching(session: Session, each: Foreign, offers: Sequence[Revision]) -> Revision | None:
    """The agreement in force that this is about: the one it names, or the only one that fits; else none."""
    if each.agreement_id is not None:
        try:
            named = agreements.current(session, each.agreement_id)
        except UnknownAgreement:
            named = None
        if named is not None:
            return named if named.status == "approved" and _covers(named, each) else None
    fits = []
    for revision in offers:
        names = {revision.recipient.name_ja, revision.recipient.name_en, revision.member_id}
        if names & each.recipients and revision.purpose in each.purposes and _covers(revision, each):
            fits.append(revision)
    return fits[0] if len(fits) == 1 else None


def _covers(revision: Revision, each: Foreign) -> bool:
    """Whether the data said to be agreed to are an answer to this agreement. One that names none asks for all of it."""
    return not each.categories or revision.required <= each.categories <= revision.all_categories


def _view(session: Session, sealer: Sealer, row: Import) -> Imported:
    opened = sealer.owner(session, row.account_id).open(f"consent_import|sealed|{row.id}", row.sealed)
    told = orjson.loads(opened)
    return Imported(
        id=row.id,
        format=told["format"],
        foreign_id=told["id"],
        source=told["source"],
        authority=told["authority"],
        signature=told["signature"],
        said_at=told["at"],
        taken_at=row.taken_at,
        agreement_id=told["agreement"],
        question=told["question"],
    )


def document(made: Imported) -> dict[str, object]:
    """An import for the API and the command."""
    return {
        "import": made.id,
        "format": made.format,
        "id": made.foreign_id,
        "source": made.source,
        "authority": made.authority,
        "signature": made.signature,
        "said": None if made.said_at is None else iso(made.said_at),
        "taken": iso(made.taken_at),
        "agreement": made.agreement_id,
        "question": made.question,
        "state": OPEN if made.question else "evidence",
        "new": made.new,
    }
