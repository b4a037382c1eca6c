"""Grants: what one resident lets one client do.

A grant of kind `sign-in` holds standard scopes, is remembered, and grows when the resident agrees to more. A grant of
kind `data` holds authorization details and rests on consent records; it is made anew each time and never remembered.
Revoking one acts at its commit in every process: bearer and introspection compare the topic "tokens" on every use,
refresh asks the row itself.

A client that manages its grants (Grant Management for OAuth 2.0, draft 03) may have one made apart from what is
remembered, and may have the resident merge more into one or replace it (section 5.2). Either ends what was issued and
is refreshed or fetched later; replacing ends access tokens too, by the grant's generation, which tokens carry.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from sqlalchemy import Connection, Table, delete, insert, select, update
from sqlmodel import SQLModel

from identity.errors import UnknownGrant
from identity.models import GrantConsent, GrantRow
from kit import audit
from kit.clock import Millis
from kit.db import Quick, Session, tx_of
from kit.host import Actor
from kit.ids import new_id

Kind = Literal["sign-in", "data", "managed"]

_grants: Table = SQLModel.metadata.tables[str(GrantRow.__tablename__)]
_consents: Table = SQLModel.metadata.tables[str(GrantConsent.__tablename__)]
_families: Table = SQLModel.metadata.tables["identity_refresh"]
_codes: Table = SQLModel.metadata.tables["identity_code"]
_decoupled: Table = SQLModel.metadata.tables["identity_decoupled"]
_REMEMBERED = Quick(
    "SELECT id, scopes, created_at, changed_at, generation FROM identity_grant WHERE account_id = :account_id"
    " AND client_id = :client_id AND kind = 'sign-in' AND status = 'active'"
)


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant as of now."""

    id: str
    account_id: str
    client_id: str
    kind: Kind
    scopes: tuple[str, ...]
    details: tuple[dict[str, Any], ...]
    status: Literal["active", "revoked"]
    created_at: Millis
    changed_at: Millis
    generation: int = 0

    @property
    def version(self) -> str:
        """Which state of it this is: what a page showed must be what is changed."""
        return f"{self.generation}.{self.changed_at}"

    @property
    def active(self) -> bool:
        """Whether tokens under it are honoured."""
        return self.status == "active"


def find(place: Session | Connection, grant_id: str) -> Grant | None:
    """A grant, or None."""
    found = _connection(place).execute(select(_grants).where(_grants.c.id == grant_id)).mappings().first()
    return None if found is None else _grant(found)


def find_remembered(place: Session | Connection, account_id: str, client_id: str) -> Grant | None:
    """The active sign-in grant between a resident and a client, or None."""
    found = _REMEMBERED.one(_connection(place), account_id=account_id, client_id=client_id)
    if found is None:
        return None
    return Grant(
        found[0], account_id, client_id, "sign-in", tuple(found[1].split()), (), "active", found[2], found[3], found[4]
    )


def list_for(place: Session | Connection, account_id: str, *, active_only: bool = True) -> tuple[Grant, ...]:
    """A resident's grants, newest first."""
    query = select(_grants).where(_grants.c.account_id == account_id).order_by(_grants.c.id.desc())
    if active_only:
        query = query.where(_grants.c.status == "active")
    return tuple(_grant(found) for found in _connection(place).execute(query).mappings())


def holders(place: Session | Connection, client_id: str) -> tuple[str, ...]:
    """The accounts with an active grant for this client: whom suspending it would touch."""
    query = (
        select(_grants.c.account_id)
        .where(_grants.c.client_id == client_id, _grants.c.status == "active")
        .distinct()
        .order_by(_grants.c.account_id)
    )
    return tuple(_connection(place).execute(query).scalars())


def consents_of(place: Session | Connection, grant_id: str) -> tuple[str, ...]:
    """The consent records a grant rests on."""
    query = select(_consents.c.consent_id).where(_consents.c.grant_id == grant_id).order_by(_consents.c.consent_id)
    return tuple(_connection(place).execute(query).scalars())


def give(
    place: Session | Connection,
    *,
    account_id: str,
    client_id: str,
    scopes: Sequence[str],
    details: Sequence[dict[str, Any]] = (),
    consent_ids: Iterable[str] = (),
    actor: Actor,
    now: Millis,
    apart: bool = False,
) -> Grant:
    """Record what the resident agreed to. Standard scopes alone widen the remembered grant; data makes a new one.

    `apart`: a new one in any case, which is never remembered.
    """
    connection = _connection(place)
    consents = tuple(consent_ids)
    if not details and not consents and not apart:
        remembered = find_remembered(place, account_id, client_id)
        if remembered is not None:
            return _widen(connection, remembered, scopes, actor, now)
    kind: Kind = "data" if details or consents else "managed" if apart else "sign-in"
    grant = Grant(new_id("grt"), account_id, client_id, kind, tuple(scopes), tuple(details), "active", now, now)
    connection.execute(
        insert(_grants),
        {
            "id": grant.id, "account_id": account_id, "client_id": client_id, "kind": kind,
            "scopes": " ".join(scopes), "details": orjson.dumps(list(details)).decode() if details else "",
            "status": "active", "created_at": now, "changed_at": now,
        },
    )  # fmt: skip
    if consents:
        connection.execute(insert(_consents), [{"grant_id": grant.id, "consent_id": one} for one in consents])
    audit.record(
        place,
        "identity.grant.given",
        actor=actor,
        object=("grant", grant.id),
        detail={"client": client_id, "scopes": list(scopes), "consents": list(consents)},
    )
    return grant


def merge(
    place: Session | Connection,
    grant: Grant,
    *,
    scopes: Sequence[str],
    details: Sequence[dict[str, Any]],
    consent_ids: Iterable[str],
    actor: Actor,
    now: Millis,
) -> Grant:
    """What the resident agreed to now, added to a grant (section 5.2). Raises UnknownGrant if it changed meanwhile.

    An element of the same consent takes the place of the one before. Refresh tokens and unfetched answers end; an
    access token stays good for what it says, which is no more than was agreed to and is judged by consent each time.
    """
    agreed = {detail.get("consent") for detail in details if "consent" in detail}
    kept = [each for each in grant.details if each.get("consent") not in agreed and each not in details]
    consents = dict.fromkeys([*consents_of(place, grant.id), *consent_ids])
    together = tuple(dict.fromkeys([*grant.scopes, *scopes]))
    return _amend(place, grant, together, (*kept, *details), tuple(consents), actor, now, replaced=False)


def replace(
    place: Session | Connection,
    grant: Grant,
    *,
    scopes: Sequence[str],
    details: Sequence[dict[str, Any]],
    consent_ids: Iterable[str],
    actor: Actor,
    now: Millis,
) -> Grant:
    """A grant becomes what the resident agreed to now and nothing else (section 5.2). Raises UnknownGrant if it changed
    meanwhile.

    Every token issued before ends with this commit (section 10). The consents that are no longer in it are the
    caller's to end.
    """
    consents = tuple(dict.fromkeys(consent_ids))
    return _amend(place, grant, tuple(scopes), tuple(details), consents, actor, now, replaced=True)


def revoke(place: Session | Connection, grant_id: str, *, actor: Actor, now: Millis, reason: str = "revoked") -> None:
    """End a grant and every token under it; raises UnknownGrant. Ending it again changes nothing."""
    if find(place, grant_id) is None:
        raise UnknownGrant("No grant has this id.")
    _revoke(place, [grant_id], actor, now, reason)


def revoke_for_consent(
    place: Session | Connection, consent_id: str, *, actor: Actor, now: Millis, reason: str = "consent-ended"
) -> list[str]:
    """End every active grant that rests on a consent record; returns their ids."""
    query = (
        select(_grants.c.id)
        .join(_consents, _consents.c.grant_id == _grants.c.id)
        .where(_consents.c.consent_id == consent_id, _grants.c.status == "active")
    )
    return _revoke(place, list(_connection(place).execute(query).scalars()), actor, now, reason)


def revoke_for_account(
    place: Session | Connection, account_id: str, *, actor: Actor, now: Millis, reason: str = "account-closed"
) -> list[str]:
    """End every active grant of a resident; returns their ids."""
    query = select(_grants.c.id).where(_grants.c.account_id == account_id, _grants.c.status == "active")
    return _revoke(place, list(_connection(place).execute(query).scalars()), actor, now, reason)


def revoke_for_client(
    place: Session | Connection, client_id: str, *, actor: Actor, now: Millis, reason: str = "client-removed"
) -> list[str]:
    """End every active grant of a client; returns their ids."""
    query = select(_grants.c.id).where(_grants.c.client_id == client_id, _grants.c.status == "active")
    return _revoke(place, list(_connection(place).execute(query).scalars()), actor, now, reason)


def _widen(connection: Connection, grant: Grant, scopes: Sequence[str], actor: Actor, now: Millis) -> Grant:
    wider = tuple(dict.fromkeys([*grant.scopes, *scopes]))
    if wider == grant.scopes:
        return grant
    connection.execute(update(_grants).where(_grants.c.id == grant.id).values(scopes=" ".join(wider), changed_at=now))
    audit.record(
        connection,
        "identity.grant.widened",
        actor=actor,
        object=("grant", grant.id),
        detail={"client": grant.client_id, "scopes": list(wider)},
    )
    return Grant(
        grant.id, grant.account_id, grant.client_id, grant.kind, wider, grant.details, "active", grant.created_at, now,
        grant.generation,
    )  # fmt: skip


def _amend(
    place: Session | Connection,
    grant: Grant,
    scopes: tuple[str, ...],
    details: tuple[dict[str, Any], ...],
    consents: tuple[str, ...],
    actor: Actor,
    now: Millis,
    *,
    replaced: bool,
) -> Grant:
    connection = _connection(place)
    kind: Kind = "data" if details or consents else "managed" if grant.kind == "data" else grant.kind
    generation = grant.generation + replaced
    changed_at = max(now, grant.changed_at + 1)  # so that no two states of it have one version
    changed = connection.execute(
        update(_grants)
        .where(
            _grants.c.id == grant.id,
            _grants.c.status == "active",
            _grants.c.generation == grant.generation,
            _grants.c.changed_at == grant.changed_at,
        )
        .values(
            kind=kind,
            scopes=" ".join(scopes),
            details=orjson.dumps(list(details)).decode() if details else "",
            generation=generation,
            changed_at=changed_at,
        )
    )
    if changed.rowcount != 1:
        raise UnknownGrant("The grant was changed or ended meanwhile.")
    connection.execute(delete(_consents).where(_consents.c.grant_id == grant.id))
    if consents:
        connection.execute(insert(_consents), [{"grant_id": grant.id, "consent_id": one} for one in consents])
    connection.execute(
        update(_families)
        .where(_families.c.grant_id == grant.id, _families.c.status == "active")
        .values(status="revoked")
    )
    # Answers not fetched yet would begin a family with what was agreed to before.
    connection.execute(delete(_codes).where(_codes.c.grant_id == grant.id, _codes.c.used_at.is_(None)))
    connection.execute(
        update(_decoupled)
        .where(_decoupled.c.grant_id == grant.id, _decoupled.c.status == "approved")
        .values(status="outdated")  # not refused: nobody said no, and who did is left alone for a while
    )
    audit.record(
        place,
        "identity.grant.replaced" if replaced else "identity.grant.merged",
        actor=actor,
        object=("grant", grant.id),
        detail={"client": grant.client_id, "scopes": list(scopes), "consents": list(consents)},
    )
    tx_of(place).touch("tokens")
    return Grant(
        grant.id, grant.account_id, grant.client_id, kind, scopes, details, "active", grant.created_at, changed_at,
        generation,
    )  # fmt: skip


def _revoke(place: Session | Connection, ids: list[str], actor: Actor, now: Millis, reason: str) -> list[str]:
    connection = _connection(place)
    ended = []
    for grant_id in ids:
        changed = connection.execute(
            update(_grants)
            .where(_grants.c.id == grant_id, _grants.c.status == "active")
            .values(status="revoked", changed_at=now)
        )
        if changed.rowcount != 1:
            continue
        ended.append(grant_id)
        connection.execute(
            update(_families)
            .where(_families.c.grant_id == grant_id, _families.c.status == "active")
            .values(status="revoked")
        )
        audit.record(
            place, "identity.grant.revoked", actor=actor, object=("grant", grant_id), detail={"reason": reason}
        )
    if ended:
        tx_of(place).touch("tokens")
    return ended


def _connection(place: Session | Connection) -> Connection:
    if isinstance(place, Connection):
        return place
    place.flush()
    return place.connection()


def _grant(found: Any) -> Grant:
    return Grant(
        id=found["id"],
        account_id=found["account_id"],
        client_id=found["client_id"],
        kind=found["kind"],
        scopes=tuple(found["scopes"].split()),
        details=tuple(orjson.loads(found["details"])) if found["details"] else (),
        status=found["status"],
        created_at=found["created_at"],
        changed_at=found["changed_at"],
        generation=found["generation"],
    )
