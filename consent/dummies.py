"""Dummy leaves: ledger entries that stand for nothing, so that the number of entries tells little.

A private entry is one kind byte and 32 bytes of HMAC-SHA-256 under a random key; 32 random bytes look the same. They
come at random moments (a Poisson process), each in a write of its own. Inside, a row says which leaf is one.
"""

import asyncio
import math
import secrets

from sqlalchemy import Connection, Table
from sqlmodel import SQLModel

from consent.ledger import CONSENT_EVENT, private_entry
from consent.models import Dummy
from kit import audit
from kit.clock import Clock, Millis
from kit.db import Database
from kit.host import SYSTEM
from kit.tlog.log import append

_DUMMY: Table = SQLModel.metadata.tables[Dummy.__tablename__]
SPAN = 4.0  # shorter than a job's lease


def add(connection: Connection, *, now: Millis) -> str:
    """One dummy leaf; its id."""
    leaf = append(connection, private_entry(secrets.token_bytes(32), kind=CONSENT_EVENT))
    connection.execute(_DUMMY.insert(), {"leaf_id": leaf.leaf_id, "at": now})
    audit.record(connection, "consent.dummy.added", actor=SYSTEM, object=("leaf", leaf.leaf_id))
    return leaf.leaf_id


def gaps(an_hour: int, seconds: float) -> list[float]:
    """Random waiting times, in seconds, that fit into a span: exponential, so the moments tell nothing."""
    found: list[float] = []
    while an_hour:
        gap = -math.log(1 - secrets.randbits(53) / 2**53) * 3600 / an_hour
        if sum(found) + gap > seconds:
            break
        found.append(gap)
    return found


async def run(database: Database, clock: Clock, an_hour: int) -> None:
    """The job: a few seconds, with the dummies that fall into them. It waits by itself; run it again at once."""
    waited = 0.0
    for gap in gaps(an_hour, SPAN):
        await asyncio.sleep(gap)
        await database.write_core(add, now=clock.ms())
        waited += gap
    await asyncio.sleep(SPAN - waited)
