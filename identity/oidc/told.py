"""What services were told about a resident at userinfo or in an ID token: by name of the claim, never by value.

Invariant I4: every telling stands in the audit trail before it is answered (oidc.userinfo, oidc.id_token_claims), and
`history` is the resident's view of those entries. Read from the rows themselves, so that one is seen as soon as it is
durable, before the chain has reached it (PostgreSQL).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, select

from kit import audit
from kit.audit import audit_table
from kit.clock import Millis
from kit.db import Session
from kit.host import Actor

ACTION = "identity.claims.told"
_column = audit_table.c


@dataclass(frozen=True, slots=True)
class Told:
    """One telling."""

    id: str
    at: Millis
    client_id: str
    grant_id: str | None
    claims: tuple[str, ...]


def record(
    connection: Connection, claims: Iterable[str], *, actor: Actor, account_id: str, grant_id: str | None
) -> None:
    """Write down that these claims are about to be told."""
    detail = {"claims": sorted(claims), "grant": grant_id}
    audit.record(connection, ACTION, actor=actor, object=("account", account_id), detail=detail)


def history(
    place: Session | Connection,
    account_id: str,
    *,
    since: Millis | None = None,
    until: Millis | None = None,
) -> tuple[Told, ...]:
    """What was told about a resident, newest first."""
    query = select(_column.id, _column.at, _column.actor_id, _column.authority, _column.detail).where(
        _column.object_id == account_id, _column.action == ACTION
    )
    if since is not None:
        query = query.where(_column.at >= since)
    if until is not None:
        query = query.where(_column.at < until)
    connection = place if isinstance(place, Connection) else place.connection()
    found = connection.execute(query.order_by(_column.at.desc(), _column.id.desc()))
    return tuple(_told(*row) for row in found)


def _told(entry: str, at: Millis, actor: str, authority: str, detail: str) -> Told:
    said = orjson.loads(detail)
    return Told(entry, at, actor or authority, said.get("grant"), tuple(said["claims"]))
