"""What services were told about a resident at userinfo or in an ID token: by name of the claim, never by value.

Invariant I4: every telling stands in the audit trail before it is answered (oidc.userinfo, oidc.id_token_claims), and
`history` is the resident's view of those entries. Read from the rows themselves, so that one is seen as soon as it is
durable, before the chain has reached it (PostgreSQL).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from identity.assurance import verified_claims
from kit import audit
from kit.audit import audit_table
from kit.clock import HOUR, Millis
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


def names(claims: Iterable[str], verified: Any) -> list[str]:
    """What is about to be told, verified claims by names of their own."""
    return [*claims, *(verified_claims.names(verified) if verified is not None else ())]


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
    limit: int,
    since: Millis | None = None,
    until: Millis | None = None,
    client_ids: Collection[str] | None = None,
) -> tuple[Told, ...]:
    """What was told about a resident, newest first; only to these clients, if any are named."""
    query = select(_column.id, _column.at, _column.actor_id, _column.authority, _column.detail)
    query = query.where(*_about(account_id, since, until))
    if client_ids is not None:
        alone = and_(_column.actor_id == "", _column.authority.in_(client_ids))
        query = query.where(or_(_column.actor_id.in_(client_ids), alone))
    found = _connection(place).execute(query.order_by(_column.at.desc(), _column.id.desc()).limit(limit))
    return tuple(_told(*row) for row in found)


def times(
    place: Session | Connection, account_id: str, *, since: Millis | None = None, until: Millis | None = None
) -> list[tuple[Millis, str, int]]:
    """(the last one's time, client, how often) for each hour with a telling: a service that asks without end makes
    rows without end, and whoever only counts them need not read them."""
    query = select(func.max(_column.at), _column.actor_id, _column.authority, func.count())
    query = query.where(*_about(account_id, since, until))
    query = query.group_by(_column.actor_id, _column.authority, _column.at // HOUR)
    return [(at, actor or authority, count) for at, actor, authority, count in _connection(place).execute(query)]


def client_ids(place: Session | Connection, account_id: str) -> frozenset[str]:
    """Who was ever told something about a resident."""
    query = select(_column.actor_id, _column.authority).distinct().where(*_about(account_id, None, None))
    return frozenset(actor or authority for actor, authority in _connection(place).execute(query))


def _about(account_id: str, since: Millis | None, until: Millis | None) -> list[ColumnElement[bool]]:
    found = [_column.object_id == account_id, _column.action == ACTION]
    if since is not None:
        found.append(_column.at >= since)
    if until is not None:
        found.append(_column.at < until)
    return found


def _connection(place: Session | Connection) -> Connection:
    return place if isinstance(place, Connection) else place.connection()


def _told(entry: str, at: Millis, actor: str, authority: str, detail: str) -> Told:
    said = orjson.loads(detail)
    return Told(entry, at, actor or authority, said.get("grant"), tuple(said["claims"]))
