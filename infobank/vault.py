"""The vault: records go in sealed under their resident's own data key and come out opened.

Every blob is bound to its table, column and row (`infobank_item|sealed|<id>`), so that a blob moved to another row, or
to another resident, does not open. Opening what a *service* gets happens in `infobank.access` only, with a Permit;
what is opened here is for the resident alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson

from infobank import store
from infobank.errors import AccountClosed, RecordNotFound, RecordTooLarge
from infobank.items import SELF, Draft, Item, SealedItem
from infobank.store import Place
from keys.envelope import OwnerKey, Sealer
from keys.errors import KeyDestroyed
from kit import audit
from kit.clock import Millis
from kit.host import Actor
from kit.ids import new_id


@dataclass(frozen=True, slots=True)
class Deposited:
    """One record taken in."""

    id: str
    category: str
    recorded_at: Millis


def context(item_id: str) -> str:
    """What a sealed item is bound to."""
    return f"infobank_item|sealed|{item_id}"


#: How many bytes residents may put in themselves. Anybody may sign up, so this is what a stranger may make us keep.
OWN_SPACE = 32 * 1024 * 1024


def owner_key(place: Place, sealer: Sealer, account_id: str) -> OwnerKey:
    """The resident's data key; AccountClosed once it is destroyed."""
    try:
        return sealer.owner(place, account_id)
    except KeyDestroyed as error:
        raise AccountClosed("The resident has left; nothing can be read any more.") from error


def deposit(
    place: Place,
    sealer: Sealer,
    drafts: Sequence[Draft],
    *,
    account_id: str,
    source: str,
    client_id: str | None,
    actor: Actor,
    now: Millis,
) -> tuple[Deposited, ...]:
    """Seal and keep checked records; one audit entry for the deposit. Raises RecordTooLarge beyond one's own space."""
    key = owner_key(place, sealer, account_id)
    if source == SELF and store.own_size(place, account_id) + sum(len(each.data) for each in drafts) > OWN_SPACE:
        raise RecordTooLarge("The space for records of your own is full. Delete some first.")
    rows, taken = [], []
    for draft in drafts:
        item_id = new_id("itm")
        rows.append(
            {
                "id": item_id,
                "account_id": account_id,
                "category": draft.category,
                "category_version": draft.category_version,
                "source": source,
                "client_id": client_id,
                "recorded_at": draft.recorded_at,
                "created_at": now,
                "size": len(draft.data),
                "sealed": key.seal(context(item_id), draft.data),
            }
        )
        taken.append(Deposited(item_id, draft.category, draft.recorded_at))
    store.insert_items(place, rows)
    counts: dict[str, int] = {}
    for draft in drafts:
        counts[draft.category] = counts.get(draft.category, 0) + 1
    audit.record(
        place,
        "infobank.item.deposited",
        actor=actor,
        object=("account", account_id),
        detail={"source": source, "counts": counts},
    )
    return tuple(taken)


def correct(
    place: Place, sealer: Sealer, draft: Draft, *, account_id: str, item_id: str, actor: Actor, now: Millis
) -> None:
    """Replace what residents wrote themselves; what a source recorded is for the source to correct (404 alike).

    Raises RecordNotFound.
    """
    found = store.find(place, account_id, item_id)
    if found is None or found.source != SELF or found.category != draft.category:
        raise RecordNotFound("There is no such record of yours that could be corrected here.")
    key = owner_key(place, sealer, account_id)
    values = {
        "sealed": key.seal(context(item_id), draft.data),
        "recorded_at": draft.recorded_at,
        "size": len(draft.data),
        "version": draft.category_version,
        "now": now,
    }
    store.replace(place, account_id, item_id, values)
    audit.record(
        place,
        "infobank.item.corrected",
        actor=actor,
        object=("item", item_id),
        detail={"account": account_id, "category": draft.category},
    )


def delete(place: Place, *, account_id: str, item_id: str, actor: Actor) -> None:
    """Take one record out, whoever deposited it: the vault is the resident's. Raises RecordNotFound."""
    found = store.find(place, account_id, item_id)
    if found is None or not store.delete(place, account_id, item_id):
        raise RecordNotFound("There is no such record of yours.")
    audit.record(
        place,
        "infobank.item.deleted",
        actor=actor,
        object=("item", item_id),
        detail={"account": account_id, "category": found.category, "source": found.source},
    )


def get(place: Place, sealer: Sealer, *, account_id: str, item_id: str) -> Item:
    """One record, for its resident; another's is as absent as none (404). Raises RecordNotFound."""
    found = store.find(place, account_id, item_id)
    if found is None:
        raise RecordNotFound("There is no such record of yours.")
    return open_item(owner_key(place, sealer, account_id), found)


def open_item(key: OwnerKey, item: SealedItem) -> Item:
    """Open one sealed item."""
    data = orjson.loads(key.open(context(item.id), item.sealed))
    return Item(item.id, item.category, item.source, item.recorded_at, item.created_at, data)


def open_all(key: OwnerKey, items: Iterable[SealedItem]) -> tuple[Item, ...]:
    """Open sealed items."""
    return tuple(open_item(key, item) for item in items)
