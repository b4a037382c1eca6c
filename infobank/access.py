"""Reading by services: the only way out of the bank, and never without a Permit.

One write decides and records: the consent gate judges *now* (I1), the sealed records are selected, the disclosure and
its audit entry are laid, all in a transaction that serialises with withdrawal. Only after it is durable are the
records opened and the answer made (I4). What was asked for and is not given is named with a reason, never left out
silently. The token alone opens nothing: it only narrows what may be asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from consent import gate
from consent.decisions import Permit
from identity.bearer import Access
from identity.standing import standing
from infobank import store, vault
from infobank.cursors import write_cursor
from infobank.items import SealedItem
from infobank.store import DISCLOSURE, Place
from keys.envelope import OwnerKey, Sealer
from kit import audit, context
from kit.clock import Millis
from kit.db import tx_of
from kit.host import Actor
from kit.ids import new_id
from kit.problems import Invalid

NOT_IN_TOKEN = "not_in_token"
UNKNOWN_CATEGORY = "unknown_category"
TOKEN_ENDED = "token_ended"  # revoked or suspended between the door and the write


@dataclass(frozen=True, slots=True)
class Ask:
    """What a service asks for, read from its query."""

    categories: tuple[str, ...]  # empty: everything its token covers
    consent_id: str | None = None
    since: Millis = store.FAR_PAST
    until: Millis = store.FAR_FUTURE
    before: tuple[Millis, str] | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Withheld:
    """A category asked for and not given, with the machine-readable reason."""

    category: str
    reason: str


@dataclass(frozen=True, slots=True)
class Provided:
    """What the write decided to give; still sealed."""

    disclosure_id: str
    consent_id: str
    items: tuple[SealedItem, ...]
    withheld: tuple[Withheld, ...]
    next: Mapping[str, str]  # category -> where its next page begins
    key: OwnerKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing is covered; the audit entry of the attempt stays."""

    reason: str
    withheld: tuple[Withheld, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """The granted detail that an ask is measured against."""

    consent_id: str
    purpose: str | None
    categories: tuple[str, ...]  # asked for, and in the token
    withheld: tuple[Withheld, ...]


def choose(details: Sequence[Mapping[str, Any]], ask: Ask, known: frozenset[str]) -> Target:
    """Find the granted detail the ask is about. Pure.

    A token may carry several consents (several agreements). One answer rests on one consent, so an ask that fits more
    than one must name it. Raises Invalid when it must be named, or names one the token does not carry.
    """
    granted = [detail for detail in details if detail.get("type") == "data_use" and "consent" in detail]
    if ask.consent_id is not None:
        granted = [detail for detail in granted if detail["consent"] == ask.consent_id]
        if not granted:
            raise Invalid("The token does not carry that consent.", pointer="/consent")
    elif len(granted) > 1:
        fitting = [detail for detail in granted if ask.categories and set(ask.categories) <= set(detail["datatypes"])]
        if len(fitting) != 1:
            raise Invalid("The token carries several consents; name one with `consent`.", pointer="/consent")
        granted = fitting
    detail = granted[0] if granted else {}
    covered = tuple(detail.get("datatypes", ()))
    asked = ask.categories or covered
    withheld = tuple(
        Withheld(category, NOT_IN_TOKEN if category in known else UNKNOWN_CATEGORY)
        for category in asked
        if category not in covered
    )
    return Target(
        consent_id=str(detail.get("consent", "")),
        purpose=detail.get("purpose"),
        categories=tuple(category for category in asked if category in covered),
        withheld=withheld,
    )


def provide(
    connection: Connection, sealer: Sealer, *, access: Access, target: Target, ask: Ask, now: Millis
) -> Provided | Refused:
    """Judge, select, record: one write. The caller opens the items after it is durable."""
    assert access.account_id is not None
    assert access.member_id is not None
    actor = Actor(kind="service", id=access.client_id, client_id=access.client_id)
    permit, withheld = _judge(connection, access, target, now)
    if permit is None:
        reason = withheld[0].reason if withheld else "nothing_asked"
        audit.record(
            connection,
            "infobank.disclosure.refused",
            actor=actor,
            object=("account", access.account_id),
            detail={
                "consent": target.consent_id,
                "reason": reason,
                "categories": [entry.category for entry in withheld],
            },
            outcome="refused",
        )
        return Refused(reason, withheld)
    return disclose(
        connection,
        sealer,
        permit,
        account_id=access.account_id,
        member_id=access.member_id,
        client_id=access.client_id,
        for_client_id=access.origin if access.origin != access.client_id else None,
        grant_id=access.grant_id,
        ask=ask,
        withheld=withheld,
        now=now,
    )


def disclose(
    place: Place,
    sealer: Sealer,
    permit: Permit,
    *,
    account_id: str,
    member_id: str,
    client_id: str,
    grant_id: str | None,
    for_client_id: str | None = None,
    ask: Ask,
    withheld: tuple[Withheld, ...],
    now: Millis,
) -> Provided:
    """Select what the permit covers and lay the disclosure record, in the same write the permit was made in."""
    key = vault.owner_key(place, sealer, account_id)
    items: list[SealedItem] = []
    counts: dict[str, int] = {}
    following: dict[str, str] = {}
    for category in permit.categories:
        found = store.page(
            place,
            account_id,
            category,
            limit=ask.limit + 1,
            since=ask.since,
            until=ask.until,
            before=ask.before,
        )
        if len(found) > ask.limit:
            found = found[: ask.limit]
            following[category] = write_cursor(found[-1])
        counts[category] = len(found)
        items.extend(found)
    disclosure_id = new_id("dis")
    tx_of(place).append(
        DISCLOSURE,
        {
            "id": disclosure_id,
            "account_id": account_id,
            "at": now,
            "member_id": member_id,
            "client_id": client_id,
            "for_client_id": for_client_id,
            "consent_id": permit.consent_id,
            "revision_id": permit.revision_id,
            "grant_id": grant_id,
            "purpose": permit.purpose,
            "action": "read",
            "counts": counts,
            "item_ids": [item.id for item in items],
            "withheld": [{"category": entry.category, "reason": entry.reason} for entry in withheld],
            "request_id": context.request.get().request_id or None,
        },
    )
    audit.record(
        place,
        "infobank.disclosure.made",
        actor=Actor(kind="service", id=client_id, client_id=client_id),
        object=("disclosure", disclosure_id),
        detail={
            "account": account_id,
            "consent": permit.consent_id,
            "member": member_id,
            "counts": counts,
            **({"for": for_client_id} if for_client_id else {}),
        },
    )
    return Provided(disclosure_id, permit.consent_id, tuple(items), withheld, following, key)


def _judge(
    connection: Connection, access: Access, target: Target, now: Millis
) -> tuple[Permit | None, tuple[Withheld, ...]]:
    """One judgement for all; if only some categories are not covered, a second one for the others."""
    if not target.categories:
        return None, target.withheld
    if not standing(connection, access).honoured:
        return None, tuple(Withheld(category, TOKEN_ENDED) for category in target.categories)
    asked, withheld = target.categories, target.withheld
    for _attempt in range(2):
        outcome = gate.judge(
            connection,
            account_id=str(access.account_id),
            member_id=str(access.member_id),
            categories=asked,
            purpose=target.purpose,
            consent_id=target.consent_id,
            now=now,
        )
        if isinstance(outcome, Permit):
            return outcome, withheld
        named = outcome.categories or asked
        withheld = (*withheld, *(Withheld(category, outcome.reason) for category in named))
        asked = tuple(category for category in asked if category not in named)
        if not asked:
            break
    return None, withheld
