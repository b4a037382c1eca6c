"""Data-use agreements: what a member may ask residents for, in immutable numbered revisions.

What a revision is, and the hash that names it: `consent.revisions`. Every revision and every decision about one is a
public ledger entry: anyone can read what residents were asked.

    draft -> offered -> approved -> superseded        offered -> returned        any -> withdrawn

`offered` waits for the data ethics board (データ倫理審査会). Only an approved revision can be agreed to. A newer
approved revision never widens a consent given under an older one: the consent stands for the text it was given for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, cast

from consent import store, streams
from consent.durations import parse_duration
from consent.errors import AgreementState, BadAgreement, UnknownAgreement
from consent.four_eyes import Hands, approves
from consent.ledger import public_entry
from consent.materiality import weighing
from consent.models import Agreement, AgreementRevision
from consent.proposal import Proposal
from consent.revisions import Revision, RevisionStatus, body_of, known, parse, read_revision, row_of
from consent.sensitivities import Sensitivities
from identity import members
from keys.envelope import Sealer
from kit import audit
from kit.clock import Millis, iso
from kit.db import Session, tx_of
from kit.host import Actor
from kit.ids import new_id
from kit.tlog.log import append

TOPIC = "consent"
LONGEST = timedelta(days=731)

AgreementStatus = Literal["offered", "approved", "withdrawn"]


@dataclass(frozen=True, slots=True)
class AgreementView:
    """An agreement and how it stands."""

    id: str
    member_id: str
    status: AgreementStatus
    current_id: str | None
    latest: int
    created_at: Millis
    changed_at: Millis


def propose(
    session: Session,
    *,
    member_id: str,
    proposal: Proposal,
    actor: Actor,
    now: Millis,
    agreement_id: str | None = None,
    longest: timedelta = LONGEST,
    sensitivities: Sensitivities,
) -> Revision:
    """Offer a new agreement to the ethics board; returns its first revision."""
    sensitivities.check(proposal)
    agreement = Agreement(
        id=agreement_id or new_id("agr"),
        member_id=member_id,
        status="offered",
        current_id=None,
        latest=0,
        created_at=now,
        changed_at=now,
    )
    session.add(agreement)
    session.flush()
    return _add_revision(session, agreement, proposal, predecessor=None, actor=actor, now=now, longest=longest)


def revise(
    session: Session,
    agreement_id: str,
    *,
    proposal: Proposal,
    actor: Actor,
    now: Millis,
    longest: timedelta = LONGEST,
    sensitivities: Sensitivities,
) -> Revision:
    """Offer a next revision. The one in force stays in force until this one is approved."""
    sensitivities.check(proposal)
    agreement = _revisable(session, agreement_id)
    last = store.revision_by_number(session, agreement_id, agreement.latest)
    made = _add_revision(session, agreement, proposal, predecessor=last.hash, actor=actor, now=now, longest=longest)
    _check_change(session, agreement, last, made)
    return made


def draft(
    session: Session,
    *,
    member_id: str,
    proposal: Proposal,
    now: Millis,
    agreement_id: str | None = None,
    longest: timedelta = LONGEST,
    sensitivities: Sensitivities,
) -> Revision:
    """What a proposal would come to, with every check of proposing it and nothing written."""
    sensitivities.check(proposal)
    agreement = None if agreement_id is None else _revisable(session, agreement_id)
    last = None if agreement is None else store.revision_by_number(session, agreement.id, agreement.latest)
    body = _body(
        session,
        agreement_id or "",
        agreement.member_id if agreement else member_id,
        proposal,
        number=agreement.latest + 1 if agreement else 1,
        predecessor=last.hash if last else None,
        longest=longest,
    )
    made = parse(row_of(body, "", now))
    if agreement is not None and last is not None:
        _check_change(session, agreement, last, made)
    return made


def _revisable(session: Session, agreement_id: str) -> Agreement:
    agreement = _agreement(session, agreement_id)
    if agreement.status == "withdrawn":
        raise AgreementState("A withdrawn agreement is not revised; propose a new one.")
    return agreement


def _check_change(session: Session, agreement: Agreement, last: AgreementRevision, made: Revision) -> None:
    # Also beside what is in force: else an offer that was sent back, sent again, would be "the same as before".
    in_force = _revision(session, agreement.current_id) if agreement.current_id else last
    for before in (last, in_force):
        if not made.material and (found := weighing(read_revision(before), made)):
            raise BadAgreement(f"This is material, whatever it is called: {', '.join(found)}.", pointer="/change")


def approve(session: Session, revision_id: str, *, actor: Actor, now: Millis, sealer: Sealer | None) -> Revision:
    """The ethics board approved: from now on residents may be asked with this revision.

    Four eyes (`consent.four_eyes`), each revision by itself: raises SecondPersonNeeded. Of a proposal that no person
    made, the first approval is kept and the revision is still `offered`; the second, by somebody else, publishes it.
    """
    row = _revision(session, revision_id)
    publishes = approves(session, sealer, _hands(row), actor)
    agreement = _agreement(session, row.agreement_id)
    if row.status != "offered" or agreement.status == "withdrawn":
        raise AgreementState(f"A revision that is {row.status} cannot be approved.")
    if not publishes:
        return _endorsed(session, row, actor=actor, now=now)
    if agreement.current_id is not None:
        former = _revision(session, agreement.current_id)
        if former.number > row.number:
            raise AgreementState("A newer revision is in force already.")
        former.status = "superseded"
        session.add(former)
    agreement.current_id, agreement.status, agreement.changed_at = row.id, "approved", now
    session.add(agreement)
    return _decided(session, row, "approved", actor=actor, now=now)


def send_back(session: Session, revision_id: str, *, actor: Actor, now: Millis) -> Revision:
    """The ethics board returned the offer; the member may revise it. Raises AgreementState."""
    row = _revision(session, revision_id)
    if row.status != "offered":
        raise AgreementState(f"A revision that is {row.status} cannot be returned.")
    return _decided(session, row, "returned", actor=actor, now=now)


def withdraw(session: Session, agreement_id: str, *, actor: Actor, now: Millis) -> AgreementView:
    """End an agreement: every consent under it stops covering anything at this commit; their events follow.

    Raises AgreementState.
    """
    agreement = _agreement(session, agreement_id)
    if agreement.status == "withdrawn":
        raise AgreementState("This agreement is withdrawn already.")
    agreement.status, agreement.changed_at = "withdrawn", now
    session.add(agreement)
    session.flush()
    last = store.revision_by_number(session, agreement_id, agreement.latest)
    _announce(session, "agreement-withdrawn", last, now)
    streams.tell(session, "agreement-withdrawn", agreement_id, member_id=agreement.member_id, now=now)
    audit.record(session, "consent.agreement.withdrawn", actor=actor, object=("agreement", agreement_id))
    tx_of(session).touch(TOPIC)
    return _view(agreement)


def get(session: Session, agreement_id: str) -> AgreementView:
    """An agreement; raises UnknownAgreement."""
    return _view(_agreement(session, agreement_id))


def current(session: Session, agreement_id: str) -> Revision:
    """The revision in force, or the newest one if none is; raises UnknownAgreement. Look at `status`."""
    agreement = _agreement(session, agreement_id)
    if agreement.current_id is not None:
        return read_revision(_revision(session, agreement.current_id), withdrawn=agreement.status == "withdrawn")
    return read_revision(store.revision_by_number(session, agreement_id, agreement.latest))


def get_revision(session: Session, revision_id: str) -> Revision:
    """A revision by its id; raises UnknownAgreement."""
    row = _revision(session, revision_id)
    return read_revision(row, withdrawn=_agreement(session, row.agreement_id).status == "withdrawn")


def text_of(session: Session, revision_id: str) -> Revision:
    """A revision for what never changes in it; its `status` may be an old one. Raises UnknownAgreement."""
    return known(revision_id) or get_revision(session, revision_id)


def revisions(session: Session, agreement_id: str) -> tuple[Revision, ...]:
    """All revisions, oldest first."""
    withdrawn = _agreement(session, agreement_id).status == "withdrawn"
    return tuple(read_revision(row, withdrawn=withdrawn) for row in store.revisions(session, agreement_id))


def hands(session: Session, revision_id: str) -> Hands:
    """Who proposed a revision and who decided about it."""
    return _hands(_revision(session, revision_id))


def _hands(row: AgreementRevision) -> Hands:
    return Hands(row.proposed_by, row.decided_by, row.endorsed_by, row.proposed_via)


def published(session: Session, agreement_id: str) -> tuple[Revision, ...]:
    """The revisions that residents could ever agree to, oldest first: approved, now or once."""
    found = [row for row in store.revisions(session, agreement_id) if row.status in ("approved", "superseded")]
    withdrawn = _agreement(session, agreement_id).status == "withdrawn"
    return tuple(read_revision(row, withdrawn=withdrawn) for row in found)


def since(session: Session, revision: Revision) -> tuple[Revision, ...]:
    """The revisions that came into force after this one, the one in force last; none if it is in force itself."""
    return tuple(each for each in published(session, revision.agreement_id) if each.number > revision.number)


def superseded(session: Session) -> Iterator[tuple[Revision, tuple[Revision, ...]]]:
    """Every revision that another one replaced, with those that came into force since, the one in force last."""
    for row in store.superseded(session):
        given = read_revision(row)
        if newer := since(session, given):
            yield given, newer


def list_all(
    session: Session,
    *,
    member_id: str | None = None,
    status: AgreementStatus | None = None,
    after: str = "",
    limit: int = 100,
) -> tuple[AgreementView, ...]:
    """Agreements in order of proposal, after an id."""
    found = store.agreements(session, member_id=member_id, status=status, after=after, limit=limit)
    return tuple(_view(row) for row in found)


def pending(session: Session, *, limit: int = 100) -> tuple[Revision, ...]:
    """Revisions that wait for the ethics board, oldest first."""
    return tuple(read_revision(row) for row in store.pending(session, limit))


def _body(
    session: Session,
    agreement_id: str,
    member_id: str,
    proposal: Proposal,
    *,
    number: int,
    predecessor: str | None,
    longest: timedelta,
) -> dict[str, Any]:
    """What is hashed. Raises AgreementState, BadAgreement, UnknownMember."""
    member = members.get(session, member_id)
    if member.status != "approved":
        raise AgreementState("Only an approved member may propose to use residents' data.")
    if parse_duration(proposal.duration) > longest.total_seconds() * 1000:
        raise BadAgreement(f"A consent lasts at most {longest.days} days.", pointer="/duration")
    return body_of(proposal, agreement_id=agreement_id, member=member, number=number, predecessor=predecessor)


def _add_revision(
    session: Session,
    agreement: Agreement,
    proposal: Proposal,
    *,
    predecessor: str | None,
    actor: Actor,
    now: Millis,
    longest: timedelta,
) -> Revision:
    number = agreement.latest + 1
    body = _body(
        session, agreement.id, agreement.member_id, proposal, number=number, predecessor=predecessor, longest=longest
    )
    row = row_of(body, new_id("rev"), now)
    row.proposed_by = actor.id[:40] if actor.kind == "operator" else None
    row.proposed_via = actor.id[:40] if actor.kind == "service" else None
    session.add(row)
    agreement.latest, agreement.changed_at = number, now
    session.add(agreement)
    session.flush()
    try:
        _announce(session, "agreement-offered", row, now, body=body)
    except ValueError:
        raise BadAgreement("The texts are too long for the public ledger; shorten them.", pointer="/text") from None
    audit.record(
        session,
        "consent.agreement.offered",
        actor=actor,
        object=("agreement", agreement.id),
        detail={"revision": row.id, "number": number, "hash": row.hash},
    )
    tx_of(session).touch(TOPIC)
    return read_revision(row)


def _endorsed(session: Session, row: AgreementRevision, *, actor: Actor, now: Millis) -> Revision:
    row.endorsed_by, row.endorsed_at = actor.id[:40], now
    session.add(row)
    session.flush()
    audit.record(
        session,
        "consent.agreement.endorsed",
        actor=actor,
        object=("agreement", row.agreement_id),
        detail={"revision": row.id, "number": row.number, "hash": row.hash},
    )
    return read_revision(row)


def _decided(session: Session, row: AgreementRevision, to: RevisionStatus, *, actor: Actor, now: Millis) -> Revision:
    row.status, row.decided_at = to, now
    row.decided_by = actor.id[:40] if actor.kind == "operator" else None
    session.add(row)
    session.flush()
    _announce(session, f"agreement-{to}", row, now)
    audit.record(
        session,
        f"consent.agreement.{to}",
        actor=actor,
        object=("agreement", row.agreement_id),
        detail={
            "revision": row.id,
            "number": row.number,
            "hash": row.hash,
            "hands": [each for each in (row.proposed_by or row.proposed_via, row.endorsed_by) if each],
        },
    )
    tx_of(session).touch(TOPIC)
    return read_revision(row)


def _announce(
    session: Session, kind: str, row: AgreementRevision, now: Millis, *, body: Mapping[str, Any] | None = None
) -> None:
    """The public ledger entry: anyone can read which text was offered, approved or withdrawn, and when."""
    document = {
        "type": kind,
        "agreement": row.agreement_id,
        "revision": row.id,
        "number": row.number,
        "hash": row.hash,
        "time": iso(now),
        **({"body": dict(body)} if body is not None else {}),
    }
    append(session, public_entry(document))


def _agreement(session: Session, agreement_id: str) -> Agreement:
    row = session.get(Agreement, agreement_id)
    if row is None:
        raise UnknownAgreement("No agreement has this id.")
    return row


def _revision(session: Session, revision_id: str) -> AgreementRevision:
    row = session.get(AgreementRevision, revision_id)
    if row is None:
        raise UnknownAgreement("No agreement revision has this id.")
    return row


def _view(row: Agreement) -> AgreementView:
    return AgreementView(
        row.id,
        row.member_id,
        cast(AgreementStatus, row.status),
        row.current_id,
        row.latest,
        row.created_at,
        row.changed_at,
    )
