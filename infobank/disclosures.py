"""The disclosure history: who got what, when, why, under which consent.

The resident's view of what APPI articles 29 and 30 ask to be recorded, and what article 33 paragraph 5 lets the
resident see. The exported shape keeps the field names of Estonia's data tracker (`findUsage`: logtime, action,
receiverCode, receiverName, receiverSystem; newest first) and adds what it lacks: the consent and the purpose.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from identity import members
from infobank import store
from infobank.errors import RecordNotFound
from infobank.store import Place
from kit.clock import Millis, iso
from kit.db import Session


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One provision of data."""

    id: str
    at: Millis
    member_id: str
    client_id: str
    consent_id: str
    revision_id: str
    grant_id: str | None
    purpose: str
    action: str
    counts: tuple[tuple[str, int], ...]  # (category, records), in the order provided
    item_ids: tuple[str, ...]
    withheld: tuple[tuple[str, str], ...]  # (category, reason)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories provided."""
        return tuple(category for category, _count in self.counts)

    @property
    def records(self) -> int:
        """How many records were provided."""
        return sum(count for _category, count in self.counts)


@dataclass(frozen=True, slots=True)
class Recipient:
    """A member organisation, as a resident reads it."""

    id: str
    name_ja: str
    name_en: str
    status: str

    def name(self, lang: str) -> str:
        """The name in a language."""
        return self.name_en if lang.startswith("en") else self.name_ja


def history(
    place: Place,
    account_id: str,
    *,
    since: Millis | None = None,
    until: Millis | None = None,
    member_id: str | None = None,
    consent_id: str | None = None,
    category: str | None = None,
    limit: int = 1000,
    offset: int = 0,
) -> tuple[Disclosure, ...]:
    """The disclosures of a resident, newest first."""
    rows = store.disclosures(
        place,
        account_id,
        since=store.FAR_PAST if since is None else since,
        until=store.FAR_FUTURE if until is None else until,
        member_id=member_id,
        consent_id=consent_id,
        category=category,
        limit=limit,
        offset=offset,
    )
    return tuple(_disclosure(row) for row in rows)


def get(place: Place, account_id: str, disclosure_id: str) -> Disclosure:
    """One disclosure of this resident; another's is as absent as none."""
    row = store.find_disclosure(place, account_id, disclosure_id)
    if row is None:
        raise RecordNotFound("There is no such disclosure of yours.")
    return _disclosure(row)


def recipients(session: Session) -> dict[str, Recipient]:
    """Names of the member organisations, by id."""
    found: dict[str, Recipient] = {}
    after = ""
    while page := members.list_all(session, after=after, limit=200):
        for member in page:
            found[member.id] = Recipient(member.id, member.name_ja, member.name_en, member.status)
        after = page[-1].id
    return found


def usage(disclosure: Disclosure, names: Mapping[str, Recipient], *, lang: str = "ja") -> dict[str, Any]:
    """One line of the exported history."""
    recipient = names.get(disclosure.member_id)
    return {
        "id": disclosure.id,
        "logtime": iso(disclosure.at),
        "action": disclosure.action,
        "receiverCode": disclosure.member_id,
        "receiverName": recipient.name(lang) if recipient else disclosure.member_id,
        "receiverSystem": disclosure.client_id,
        "purpose": disclosure.purpose,
        "consent": disclosure.consent_id,
        "agreementRevision": disclosure.revision_id,
        "categories": [{"category": category, "records": count} for category, count in disclosure.counts],
        "withheld": [{"category": category, "reason": reason} for category, reason in disclosure.withheld],
    }


def affected(
    place: Place, *, member_ids: tuple[str, ...], since: Millis, until: Millis, categories: frozenset[str] = frozenset()
) -> dict[str, int]:
    """Residents whose data these members got in a time, with how many disclosures: the desk's blast radius."""
    return store.accounts_disclosed_to(place, member_ids=member_ids, since=since, until=until, categories=categories)


def _disclosure(row: Mapping[str, Any]) -> Disclosure:
    return Disclosure(
        id=row["id"],
        at=row["at"],
        member_id=row["member_id"],
        client_id=row["client_id"],
        consent_id=row["consent_id"],
        revision_id=row["revision_id"],
        grant_id=row["grant_id"],
        purpose=row["purpose"],
        action=row["action"],
        counts=tuple(row["counts"].items()),
        item_ids=tuple(row["item_ids"]),
        withheld=tuple((entry["category"], entry["reason"]) for entry in row["withheld"]),
    )
