"""The bank's queries. Text SQL, since most of them stand on the hot path; portable as written."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, text
from sqlmodel import Session, SQLModel

from infobank import models
from infobank.items import SealedItem
from kit.clock import Millis
from kit.db import Quick

DISCLOSURE: Table = SQLModel.metadata.tables[models.Disclosure.__tablename__]

Place = Session | Connection

_COLUMNS = "id, category, source, recorded_at, created_at, sealed"

_PAGE = Quick(
    f"SELECT {_COLUMNS} FROM infobank_item WHERE account_id = :account AND category = :category "  # noqa: S608
    "AND recorded_at >= :since AND recorded_at < :until "
    "ORDER BY recorded_at DESC, id DESC LIMIT :limit"
)
_PAGE_AFTER = Quick(
    f"SELECT {_COLUMNS} FROM infobank_item WHERE account_id = :account AND category = :category "  # noqa: S608
    "AND recorded_at >= :since AND (recorded_at < :at OR (recorded_at = :at AND id < :id)) "
    "ORDER BY recorded_at DESC, id DESC LIMIT :limit"
)
_ONE = Quick(f"SELECT {_COLUMNS} FROM infobank_item WHERE id = :id AND account_id = :account")  # noqa: S608
_COUNTS = Quick(
    "SELECT category, COUNT(*) AS n, MAX(recorded_at) AS latest, MAX(created_at) AS arrived "
    "FROM infobank_item WHERE account_id = :account GROUP BY category"
)
_OWN_SIZE = Quick("SELECT COALESCE(SUM(size), 0) FROM infobank_item WHERE account_id = :account AND source = 'self'")
_SOURCES = Quick("SELECT DISTINCT category, source FROM infobank_item WHERE account_id = :account")
_DELETE = text("DELETE FROM infobank_item WHERE id = :id AND account_id = :account")
_DELETE_ALL = text("DELETE FROM infobank_item WHERE account_id = :account")
_REPLACE = text(
    "UPDATE infobank_item SET sealed = :sealed, recorded_at = :recorded_at, size = :size, "
    "category_version = :version, created_at = :now WHERE id = :id AND account_id = :account"
)
_INSERT = Quick(
    "INSERT INTO infobank_item (id, account_id, category, category_version, source, client_id, recorded_at, "
    "created_at, size, sealed) VALUES (:id, :account_id, :category, :category_version, :source, :client_id, "
    ":recorded_at, :created_at, :size, :sealed)"
)

FAR_PAST: Millis = -(2**62)
FAR_FUTURE: Millis = 2**62


def connection_of(place: Place) -> Connection:
    """The Core connection under either kind of place."""
    return place.connection() if isinstance(place, Session) else place


def insert_items(place: Place, rows: Sequence[dict[str, Any]]) -> None:
    """Add items at once (not buffered: an erasure later in the same batch must see them)."""
    _INSERT.run_many(connection_of(place), rows)


def page(
    place: Place,
    account_id: str,
    category: str,
    *,
    limit: int,
    since: Millis = FAR_PAST,
    until: Millis = FAR_FUTURE,
    before: tuple[Millis, str] | None = None,
) -> tuple[SealedItem, ...]:
    """Items of one category, newest first; `before` continues after the last one seen."""
    values: dict[str, Any] = {"account": account_id, "category": category, "since": since, "limit": limit}
    if before is None:
        rows = _PAGE.all(connection_of(place), **values, until=until)
    else:
        rows = _PAGE_AFTER.all(connection_of(place), **values, at=before[0], id=before[1])
    return tuple(_item(row) for row in rows)


def find(place: Place, account_id: str, item_id: str) -> SealedItem | None:
    """One item of this resident."""
    row = _ONE.one(connection_of(place), id=item_id, account=account_id)
    return None if row is None else _item(row)


def counts(place: Place, account_id: str) -> dict[str, tuple[int, Millis, Millis]]:
    """For each category: how many, the newest facts, the newest arrival."""
    rows = _COUNTS.all(connection_of(place), account=account_id)
    return {category: (count, latest, arrived) for category, count, latest, arrived in rows}


def own_size(place: Place, account_id: str) -> int:
    """How many bytes the resident put in."""
    found = _OWN_SIZE.one(connection_of(place), account=account_id)
    return int(found[0]) if found else 0


def sources(place: Place, account_id: str) -> dict[str, tuple[str, ...]]:
    """For each category: who deposited."""
    found: dict[str, list[str]] = {}
    for category, source in _SOURCES.all(connection_of(place), account=account_id):
        found.setdefault(category, []).append(source)
    return {category: tuple(sorted(names)) for category, names in found.items()}


def replace(place: Place, account_id: str, item_id: str, values: dict[str, Any]) -> bool:
    """Overwrite one item; whether it was there."""
    result = connection_of(place).execute(_REPLACE, {**values, "id": item_id, "account": account_id})
    return result.rowcount == 1


def delete(place: Place, account_id: str, item_id: str) -> bool:
    """Delete one item; whether it was there."""
    return connection_of(place).execute(_DELETE, {"id": item_id, "account": account_id}).rowcount == 1


def delete_all(place: Place, account_id: str) -> int:
    """Delete everything of a resident; how many."""
    return connection_of(place).execute(_DELETE_ALL, {"account": account_id}).rowcount


def disclosures(
    place: Place,
    account_id: str,
    *,
    since: Millis = FAR_PAST,
    until: Millis = FAR_FUTURE,
    member_id: str | None = None,
    consent_id: str | None = None,
    category: str | None = None,
    limit: int = 1000,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """The disclosures of a resident, newest first."""
    columns = DISCLOSURE.c
    query = DISCLOSURE.select().where(columns.account_id == account_id, columns.at >= since, columns.at < until)
    if member_id is not None:
        query = query.where(columns.member_id == member_id)
    if consent_id is not None:
        query = query.where(columns.consent_id == consent_id)
    query = query.order_by(columns.at.desc(), columns.id.desc())
    if category is None:
        query = query.limit(limit).offset(offset)
    rows = [dict(row._mapping) for row in connection_of(place).execute(query)]
    if category is not None:  # few rows a resident, and JSON operators differ between databases
        rows = [row for row in rows if category in row["counts"]][offset : offset + limit]
    return rows


def find_disclosure(place: Place, account_id: str, disclosure_id: str) -> dict[str, Any] | None:
    """One disclosure of this resident."""
    columns = DISCLOSURE.c
    query = DISCLOSURE.select().where(columns.id == disclosure_id, columns.account_id == account_id)
    row = connection_of(place).execute(query).first()
    return None if row is None else dict(row._mapping)


def disclosure_times(place: Place, account_id: str, *, since: Millis, until: Millis) -> list[tuple[Millis, str, str]]:
    """(at, member, consent) of a resident's disclosures, oldest first: for strips and counts."""
    query = text(
        "SELECT at, member_id, consent_id FROM infobank_disclosure "
        "WHERE account_id = :account AND at >= :since AND at < :until ORDER BY at"
    )
    rows = connection_of(place).execute(query, {"account": account_id, "since": since, "until": until})
    return [(row.at, row.member_id, row.consent_id) for row in rows]


def uses(place: Place, account_id: str) -> list[tuple[Millis, str]]:
    """(at, consent) of disclosures that gave somebody something, oldest first; a look that found nothing is none."""
    query = text("SELECT at, consent_id, counts FROM infobank_disclosure WHERE account_id = :account ORDER BY at")
    typed = query.columns(DISCLOSURE.c.at, DISCLOSURE.c.consent_id, DISCLOSURE.c.counts)
    rows = connection_of(place).execute(typed, {"account": account_id})
    return [(row.at, row.consent_id) for row in rows if any(row.counts.values())]


def accounts_disclosed_to(
    place: Place, *, member_ids: Iterable[str], since: Millis, until: Millis, categories: frozenset[str]
) -> dict[str, int]:
    """Residents whose data went to these members in a time, with how many disclosures (for the incident desk)."""
    query = text(
        "SELECT account_id, counts FROM infobank_disclosure "
        "WHERE member_id IN :members AND at >= :since AND at < :until"
    ).bindparams(bindparam("members", expanding=True))
    rows = connection_of(place).execute(
        query.columns(DISCLOSURE.c.account_id, DISCLOSURE.c.counts),
        {"members": list(member_ids), "since": since, "until": until},
    )
    found: dict[str, int] = {}
    for account_id, row_counts in rows:
        if not categories or categories & row_counts.keys():
            found[account_id] = found.get(account_id, 0) + 1
    return found


def _item(row: Sequence[Any]) -> SealedItem:
    item_id, category, source, recorded_at, created_at, sealed = row
    return SealedItem(item_id, category, source, recorded_at, created_at, bytes(sealed))
