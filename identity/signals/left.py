"""The subjects receivers took out of their streams: as keyed hashes, and only as long as there is somebody behind them.

SSF 1.0 section 8.1.3. Nobody is looked up when a receiver names somebody (section 9.1), so a row can't say whose it is.
It goes when its person leaves all the same: what stands under an address, in the write that replaces the address or
makes it unreadable; what stands under the receiver's name of the person, when it has been told that they left. A person
in a session is kept with a hash of the person alone beside it. A session alone leads to nobody: it ends by itself.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Table, delete, or_, select
from sqlmodel import SQLModel

from identity.models import SignalLeft, SignalStream
from identity.signals import subjects
from keys.hashing import TokenHasher
from kit.clock import DAY, Millis
from kit.db import Session

#: A row about a session ends then: no session lives longer than a week (`session_seconds`).
SESSION_KEPT: Final[Millis] = 8 * DAY

_left: Table = SQLModel.metadata.tables[str(SignalLeft.__tablename__)]
_streams: Table = SQLModel.metadata.tables[str(SignalStream.__tablename__)]


def left_key(hasher: TokenHasher, stream_id: str, subject: Sequence[str]) -> bytes:
    """What is kept of a subject a receiver named: a keyed hash, of use for this stream only."""
    return hasher.digest("signal-subject", "\n".join((stream_id, *sorted(subject))))


def row_of(hasher: TokenHasher, stream_id: str, subject: Sequence[str], now: Millis) -> dict[str, object]:
    """What is kept of a subject (`subjects.read`)."""
    who = [name for name in subject if not subjects.is_session(name)]
    in_session = len(who) < len(subject)
    return {
        "stream_id": stream_id,
        "digest": left_key(hasher, stream_id, subject),
        "person": left_key(hasher, stream_id, who) if who and in_session else None,
        "ends_at": now + SESSION_KEPT if in_session else None,
    }


def forget(connection: Connection, hasher: TokenHasher, stream_id: str, name: str) -> int:
    """This person of this stream, alone and in sessions; how many rows."""
    key = left_key(hasher, stream_id, (name,))
    known = or_(_left.c.digest == key, _left.c.person == key)
    return int(connection.execute(delete(_left).where(_left.c.stream_id == stream_id, known)).rowcount)


def forget_address(connection: Connection, hasher: TokenHasher, address: str) -> None:
    """Somebody leaves it, and nobody will know afterwards whose it was."""
    for stream_id in connection.execute(select(_streams.c.id)).scalars():
        forget(connection, hasher, stream_id, subjects.email(address))


def sweep(session: Session, now: Millis) -> int:
    """Sessions that have long ended."""
    return int(session.connection().execute(delete(_left).where(_left.c.ends_at < now)).rowcount)
