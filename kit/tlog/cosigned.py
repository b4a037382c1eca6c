"""Cosignatures at rest: stored, found again, and put under the checkpoint they belong to.

Every function takes a Core connection first. What is stored here was verified before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from sqlalchemy import Connection, desc, func, select

from kit.tlog.cosignature import Cosignature, with_cosignatures
from kit.tlog.reading import Published
from kit.tlog.tables import checkpoints, cosignatures

TOPIC = "ledger.cosignatures"
_LOOKED_AT = 64  # newest cosigned sizes that are searched for a quorum

Enough = Callable[[Collection[str]], bool]
"""Whether the witnesses with these vkeys are a quorum."""


def store(connection: Connection, log: str, size: int, witness: str, found: Cosignature) -> bool:
    """Keep a witness's first cosignature of a size; False if there is one already."""
    key = (cosignatures.c.log == log) & (cosignatures.c.size == size) & (cosignatures.c.witness == witness)
    if connection.execute(select(cosignatures.c.time).where(key)).first() is not None:
        return False
    row = {"log": log, "size": size, "witness": witness, "time": found.time, "line": found.line}
    connection.execute(cosignatures.insert(), row)
    return True


def newest_size(connection: Connection, log: str, witness: str) -> int | None:
    """The largest size this witness cosigned."""
    wanted = select(func.max(cosignatures.c.size)).where(cosignatures.c.log == log, cosignatures.c.witness == witness)
    size: int | None = connection.execute(wanted).scalar()
    return size


def lines_of(connection: Connection, log: str, size: int) -> dict[str, str]:
    """The signature lines under one checkpoint, by the witness's vkey."""
    wanted = select(cosignatures.c.witness, cosignatures.c.line)
    rows = connection.execute(wanted.where(cosignatures.c.log == log, cosignatures.c.size == size))
    return {row.witness: row.line for row in rows.all()}


def standing(connection: Connection, log: str) -> dict[str, tuple[int, int]]:
    """How far each witness followed: the size and the time (seconds) of its newest cosignature."""
    newest = (
        select(cosignatures.c.witness, func.max(cosignatures.c.size).label("size"))
        .where(cosignatures.c.log == log)
        .group_by(cosignatures.c.witness)
        .subquery()
    )
    wanted = select(cosignatures.c.witness, cosignatures.c.size, cosignatures.c.time).join(
        newest, (cosignatures.c.witness == newest.c.witness) & (cosignatures.c.size == newest.c.size)
    )
    rows = connection.execute(wanted.where(cosignatures.c.log == log)).all()
    return {row.witness: (row.size, row.time) for row in rows}


def vouched(connection: Connection, log: str, index: int, newest: Published, enough: Enough) -> Published:
    """The newest checkpoint over an entry that has a quorum; while none has, the newest with whatever lines it has."""
    wanted = (
        select(cosignatures.c.size)
        .where(cosignatures.c.log == log, cosignatures.c.size > index)
        .group_by(cosignatures.c.size)
        .order_by(desc(cosignatures.c.size))
        .limit(_LOOKED_AT)
    )
    for size in connection.scalars(wanted).all():
        lines = lines_of(connection, log, size)
        if enough(lines):
            row = connection.execute(
                select(checkpoints.c.root, checkpoints.c.note).where(
                    checkpoints.c.log == log, checkpoints.c.size == size
                )
            ).one()
            return Published(size, bytes(row.root), with_cosignatures(bytes(row.note), lines.values()))
    return Published(
        newest.size, newest.root, with_cosignatures(newest.note, lines_of(connection, log, newest.size).values())
    )
