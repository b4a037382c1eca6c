"""Storage stays bounded: whatever has expired is swept, in chunks, when nobody waits.

Codes stay a while after they expire, so that a replay is still recognised; pushed requests as long as a page that one
of them opened may wait (two hours at most, `interaction_seconds`); refresh families until their last access token is
gone.
"""

from sqlalchemy import text

from kit.clock import DAY, HOUR, Clock, Millis
from kit.db import Database, Session

CHUNK = 500

# Table, key, and how long after expiry a row may go.
_SWEPT: tuple[tuple[str, str, Millis], ...] = (
    ("identity_code", "digest", DAY),
    ("identity_par", "digest", 2 * HOUR),
    ("identity_decoupled", "digest", HOUR),
    ("identity_interaction", "id", DAY),
    ("identity_refresh", "id", DAY),
    ("identity_issued", "id", HOUR),
    ("identity_revoked", "id", HOUR),
    ("identity_once", "digest", HOUR),
    ("identity_initial_token", "id", DAY),
    ("identity_client_change", "client_id", DAY),
    ("identity_certificate_list", "id", 0),
    ("identity_federation_change", "id", DAY),
    ("identity_federation_mark", "id", DAY),  # with its last JWT
)


def sweep(session: Session, table: str, key: str, before: Millis) -> int:
    """Delete one chunk of a table; returns how many rows went."""
    # The names are constants of this module.
    statement = (
        f"DELETE FROM {table} WHERE {key} IN"  # noqa: S608
        f" (SELECT {key} FROM {table} WHERE expires_at < :before ORDER BY expires_at LIMIT {CHUNK})"
    )
    return int(session.connection().execute(text(statement), {"before": before}).rowcount)


async def sweep_all(database: Database, clock: Clock) -> int:
    """Everything that may go now; returns how many rows went."""
    total = 0
    for table, key, keep in _SWEPT:
        while True:
            gone = await database.bulk(sweep, table, key, clock.ms() - keep)
            total += gone
            if gone < CHUNK:
                break
    return total
