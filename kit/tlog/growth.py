"""How a log grew: its size at chosen moments, from the ids of its leaves, which are ordered by birth.

An index look-up for each moment, whatever the log's size. Exact to within one batch: an id is made before its leaf is
laid. A moment here is a day's beginning for whoever shows it: the log's own public entries already say as much by the
hour, so that a chart tells nobody more than the log does.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from kit.clock import Millis
from kit.ids import born_at, first_id
from kit.tlog.tables import leaves

_PREFIX = "lea"
_LAID = select(leaves.c.idx).where(leaves.c.log == bindparam("log"), leaves.c.idx.is_not(None))
_BEFORE = _LAID.where(leaves.c.leaf_id < bindparam("bound")).order_by(leaves.c.leaf_id.desc()).limit(1)
_FIRST = select(leaves.c.leaf_id).where(leaves.c.log == bindparam("log"), leaves.c.idx == 0)


def began_at(connection: Connection, log: str) -> Millis | None:
    """When the first leaf was made; None for an empty log."""
    found: str | None = connection.execute(_FIRST, {"log": log}).scalar()
    return None if found is None else born_at(found)


def sizes_at(connection: Connection, log: str, moments: Sequence[Millis]) -> list[int]:
    """How many leaves there were at each moment, oldest first; never falling."""
    found: list[int] = []
    for moment in moments:
        index = connection.execute(_BEFORE, {"log": log, "bound": first_id(_PREFIX, moment)}).scalar()
        size = 0 if index is None else int(index) + 1
        found.append(max(size, found[-1]) if found else size)
    return found
