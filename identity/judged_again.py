"""Clients that registered themselves under earlier rules of ours, judged by today's when the city starts.

OpenID Connect Core section 8.1. Closes: a client that registered while another service's address alone gave it that
service's sector, and so its names of residents, would keep them for ever; what a rule refuses to newcomers it must not
leave to who came before. It gets a sector of its own and begins anew there (`sectors.end_if_moved`). A row remembers by
which rule it was judged, so a start looks at those alone that an older release wrote. Clients of a federation are
judged anew whenever their chain is.
"""

from typing import Final

from sqlmodel import col, select

from identity import clients
from identity.clients import Client
from identity.models import ClientEnrolment, ClientRow
from identity.sectors import end_if_moved, is_proved
from kit import audit
from kit.clock import Clock
from kit.db import Database, Session, tx_of
from kit.host import SYSTEM
from kit.ids import new_id

#: Raised with each change of `sectors.is_proved`.
RULE: Final = 1
_CHUNK = 100


async def judge_again(database: Database, clock: Clock) -> int:
    """Judge all whom an older rule let in; returns how many moved."""
    moved = 0
    while await database.read(_waiting, 1):
        moved += await database.write(_judge, clock.ms())
    return moved


def _waiting(session: Session, most: int) -> list[str]:
    older = select(ClientEnrolment.client_id).where(col(ClientEnrolment.sector_rule) < RULE)
    return list(session.exec(older.limit(most)))


def _judge(session: Session, now: int) -> int:
    moved = 0
    for client_id in _waiting(session, _CHUNK):
        enrolment, before = session.get_one(ClientEnrolment, client_id), clients.get(session, client_id)
        if before.status != "removed" and not is_proved(clients.registration_of(session, client_id)):
            _move(session, before, now)
            moved += 1
        enrolment.sector_rule = RULE
        session.add(enrolment)
    session.flush()
    return moved


def _move(session: Session, before: Client, now: int) -> None:
    row = session.get_one(ClientRow, before.id)
    row.settings = {**row.settings, "subject_type": "pairwise", "sector_identifier": new_id("sec")}
    row.changed_at = now
    session.add(row)
    session.flush()
    tx_of(session).touch("clients")
    detail = {"sector": "its-own"}
    audit.record(session, "identity.client.changed", actor=SYSTEM, object=("client", before.id), detail=detail)
    end_if_moved(session, before, clients.get(session, before.id), actor=SYSTEM, now=now)
