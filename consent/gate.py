"""Where decisions meet the database: inside a disclosing write, and from a checked cache for those who only ask.

`judge` re-reads the record in the very write that discloses, so it serialises with withdrawal (invariants I1, I5).
`Decisions` answers questions without a write: what it remembers is dropped as soon as the change counters of consents
or members have moved; the counters are compared on every single use, and if they cannot be read, it does not answer.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from consent.agreements import TOPIC
from consent.decisions import Facts, Permit, Refusal, decide, decide_among
from consent.store import look
from kit.clock import Clock, Millis
from kit.db import Database, Session

_MEMBERS_TOPIC = "clients"  # identity touches it when a member is suspended


def judge(
    place: Session | Connection,
    *,
    account_id: str,
    member_id: str,
    categories: Iterable[str],
    now: Millis,
    purpose: str | None = None,
    consent_id: str | None = None,
    grant_id: str | None = None,
) -> Permit | Refusal:
    """Decide as of now, inside the write that acts on the answer.

    By a consent id, else by the consents a grant rests on, else by any consent of the resident for the member.
    """
    connection = _connection(place)
    found: Sequence[Facts]
    if consent_id:
        found = _facts(connection, "id", write=True, id=consent_id)
    elif grant_id:
        found = _facts(connection, "grant", write=True, grant=grant_id)
    else:
        found = _facts(connection, "pair", write=True, account=account_id, member=member_id)
    return decide_among(
        found, recipient=member_id, categories=categories, now=now, purpose=purpose, account_id=account_id
    )


@dataclass(frozen=True, slots=True)
class Question:
    """May this recipient use these categories under this consent?"""

    consent_id: str
    recipient: str
    categories: tuple[str, ...]
    purpose: str | None = None
    account_id: str | None = None


class Decisions:
    """Decisions for those who only ask (services before they act, other holders of data)."""

    def __init__(self, database: Database, clock: Clock, *, size: int = 100_000) -> None:
        self._database = database
        self._clock = clock
        self._size = size
        self._count: tuple[int, int] = (-1, -1)
        # Ordered: the first key of a plain dict is found behind all that went before it, ever slower as it turns over.
        self._kept: OrderedDict[str, Facts] = OrderedDict()

    async def ask(
        self,
        consent_id: str,
        *,
        recipient: str,
        categories: Iterable[str],
        purpose: str | None = None,
        account_id: str | None = None,
    ) -> Permit | Refusal:
        """Decide on a consent as of now. The answer is good for this moment only."""
        (outcome,) = await self.ask_all([Question(consent_id, recipient, tuple(categories), purpose, account_id)])
        return outcome

    async def ask_all(self, questions: Sequence[Question]) -> list[Permit | Refusal]:
        """Decide on many as of one moment: all answers rest on the same count of changes."""
        count = (await self._database.counter(TOPIC), await self._database.counter(_MEMBERS_TOPIC))
        if count != self._count:
            self._kept.clear()
            self._count = count
        known = {each.consent_id: self._kept.get(each.consent_id) for each in questions}
        unknown = [consent_id for consent_id, facts in known.items() if facts is None]
        if unknown:
            found = await self._database.peek(_look, unknown)
            known.update(found)
            if self._count == count:
                for consent_id, facts in found.items():
                    if len(self._kept) >= self._size:
                        self._kept.popitem(last=False)
                    self._kept[consent_id] = facts
        now = self._clock.ms()
        return [
            decide(
                known[each.consent_id],
                recipient=each.recipient,
                categories=each.categories,
                now=now,
                purpose=each.purpose,
                account_id=each.account_id,
            )
            for each in questions
        ]


def _look(connection: Connection, consent_ids: Sequence[str]) -> dict[str, Facts]:
    return {
        facts.consent_id: facts
        for consent_id in consent_ids
        for facts in _facts(connection, "id", write=False, id=consent_id)
    }


def _facts(connection: Connection, by: str, *, write: bool, **values: str) -> list[Facts]:
    return [
        Facts(
            consent_id=row[0],
            account_id=row[1],
            member_id=row[2],
            agreement_id=row[3],
            revision_id=row[4],
            state=row[5],
            purpose=row[6],
            categories=frozenset(row[7].split()),
            until_at=row[8],
            agreement_status=row[9],
            member_status=row[10],
            held=bool(row[11]),
        )
        for row in look(connection, by, lock=write, values=values)
    ]


def _connection(place: Session | Connection) -> Connection:
    if isinstance(place, Connection):
        return place
    place.flush()
    return place.connection()
