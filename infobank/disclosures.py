"""The disclosure history: who got what, when, why, under which consent.

The resident's view of what APPI articles 29 and 30 ask to be recorded, and what article 33 paragraph 5 lets the
resident see. What a service was told of the profile at sign-in, and that it looked up these very uses, is a disclosure
too (`claims`): identity keeps those, and here they stand among the others. The exported shape keeps the field names of
Estonia's data tracker (`findUsage`: logtime, action, receiverCode, receiverName, receiverSystem; newest first) and adds
what it lacks: the consent, the purpose and the claims.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from identity import clients, grants, members
from identity.oidc import told
from identity.oidc.told import Told
from infobank import store
from infobank.catalogue import Label
from infobank.errors import RecordNotFound
from infobank.store import Place
from kit.clock import Millis, iso
from kit.db import Session

PROFILE = "profile"  # stands for the claims of a sign-in where a filter names a category
SIGN_IN = "IdentityAuthentication"  # DPV term
USES = "uses"  # told to a service that looks up, for the resident, who used their data (infobank.tracker)
LOOK_UP = "look-up"  # what that was for; DPV has no term
_CLAIMS = {
    "name": Label("お名前", "name"),
    "family_name": Label("姓", "family name"),
    "given_name": Label("名", "given name"),
    "name#ja-Kana-JP": Label("お名前の読み", "reading of the name"),
    "nickname": Label("呼び名", "what to call you"),
    "gender": Label("性別", "gender"),
    "birthdate": Label("生年月日", "date of birth"),
    "locale": Label("使う言葉", "language"),
    "email": Label("メールアドレス", "e-mail address"),
    "address": Label("住所", "address"),
    "phone_number": Label("電話番号", "telephone number"),
    "verified:name": Label("確認済みのお名前", "name, verified"),
    "verified:family_name": Label("確認済みの姓", "family name, verified"),
    "verified:given_name": Label("確認済みの名", "given name, verified"),
    "verified:birthdate": Label("確認済みの生年月日", "date of birth, verified"),
    "verified:address": Label("確認済みの住所", "address, verified"),
    "verified:gender": Label("確認済みの性別", "gender, verified"),
    "verified:verification": Label("窓口で本人確認を受けたこと", "that a clerk verified you"),
    "verified:evidence": Label("確認に使った書類", "what it was verified by"),
    USES: Label("データを受け取った相手の記録", "record of who received your data"),
}
#: They say something of another claim beside them, and nothing by themselves.
_QUALIFIES = frozenset(
    {
        "email_verified", "phone_number_verified", "updated_at", "family_name#ja-Kana-JP", "given_name#ja-Kana-JP",
    }
)  # fmt: skip


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
    claims: tuple[str, ...] = ()  # told at a sign-in: names of the claims; then there are no records
    for_client_id: str | None = None  # the service whose grant it was, if another of its organisation acted for it
    recipient: "Recipient | None" = None  # of a client that belongs to no member

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
    signed_in: tuple[Disclosure, ...] = ()
    if category in (None, PROFILE) and consent_id is None:  # a consent is about records, never about the profile
        signed_in = _signed_in(place, account_id, since=since, until=until, member_id=member_id, limit=offset + limit)
    if category == PROFILE:
        return signed_in[offset : offset + limit]
    rows = store.disclosures(
        place,
        account_id,
        since=store.FAR_PAST if since is None else since,
        until=store.FAR_FUTURE if until is None else until,
        member_id=member_id,
        consent_id=consent_id,
        category=category,
        limit=offset + limit if signed_in else limit,
        offset=0 if signed_in else offset,
    )
    provided = tuple(_disclosure(row) for row in rows)
    if not signed_in:
        return provided
    both = heapq.merge(provided, signed_in, key=lambda each: (each.at, each.id), reverse=True)
    return tuple(both)[offset : offset + limit]


def times(place: Place, account_id: str, *, since: Millis, until: Millis) -> list[tuple[Millis, str, int]]:
    """(at, recipient, how often) of a resident's disclosures, oldest first: for strips and counts."""
    connection = store.connection_of(place)
    found = [
        (at, member_id, 1)
        for at, member_id, _consent in store.disclosure_times(place, account_id, since=since, until=until)
    ]
    told_at = told.times(connection, account_id, since=since, until=until)
    owners = {client: _owner(connection, client)[0] for client in {client for _at, client, _count in told_at}}
    return sorted(found + [(at, owners[client], count) for at, client, count in told_at])


def get(place: Place, account_id: str, disclosure_id: str) -> Disclosure:
    """One disclosure of this resident; another's is as absent as none. Raises RecordNotFound."""
    row = store.find_disclosure(place, account_id, disclosure_id)
    if row is None:
        raise RecordNotFound("There is no such disclosure of yours.")
    return _disclosure(row)


def without_member(place: Place, account_id: str) -> dict[str, Recipient]:
    """Services of no member that were told about this resident, by id."""
    connection = store.connection_of(place)
    owners = [_owner(connection, client) for client in told.client_ids(connection, account_id)]
    return {name: recipient for name, recipient in owners if recipient is not None}


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
    recipient = disclosure.recipient or names.get(disclosure.member_id)
    return {
        "id": disclosure.id,
        "logtime": iso(disclosure.at),
        "action": disclosure.action,
        "receiverCode": disclosure.member_id,
        "receiverName": recipient.name(lang) if recipient else disclosure.member_id,
        "receiverSystem": disclosure.client_id,
        "onBehalfOf": disclosure.for_client_id,
        "purpose": disclosure.purpose,
        "consent": disclosure.consent_id or None,
        "agreementRevision": disclosure.revision_id or None,
        "claims": list(disclosure.claims),
        "categories": [{"category": category, "records": count} for category, count in disclosure.counts],
        "withheld": [{"category": category, "reason": reason} for category, reason in disclosure.withheld],
    }


def claims_in_words(claims: tuple[str, ...], lang: str) -> list[str]:
    """The claims of a profile, as a resident calls them. What only qualifies another claim is left out."""
    known = [label.of(lang) for claim, label in _CLAIMS.items() if claim in claims]
    return known + [claim for claim in claims if claim not in _CLAIMS and claim not in _QUALIFIES]


def affected(
    place: Place, *, member_ids: tuple[str, ...], since: Millis, until: Millis, categories: frozenset[str] = frozenset()
) -> dict[str, int]:
    """Residents whose data these members got in a time, with how many disclosures: the desk's blast radius."""
    return store.accounts_disclosed_to(place, member_ids=member_ids, since=since, until=until, categories=categories)


def _signed_in(
    place: Place,
    account_id: str,
    *,
    since: Millis | None,
    until: Millis | None,
    member_id: str | None,
    limit: int,
) -> tuple[Disclosure, ...]:
    """What services were told at sign-ins, newest first."""
    connection = store.connection_of(place)
    owners = {client: _owner(connection, client) for client in told.client_ids(connection, account_id)}
    asked = [client for client, (name, _recipient) in owners.items() if member_id in (None, name)]
    if not asked:
        return ()
    found = told.history(connection, account_id, since=since, until=until, client_ids=asked, limit=limit)
    given = {one.grant_id for one in found if one.grant_id}
    consents = {grant: next(iter(grants.consents_of(connection, grant)), "") for grant in given}
    return tuple(
        _told(one, owners[one.client_id][0], consents.get(one.grant_id or "", ""), owners[one.client_id][1])
        for one in found
    )


def _owner(connection: Connection, client_id: str) -> tuple[str, Recipient | None]:
    """The member a client belongs to; else the client itself, and what it is called."""
    service = clients.find(connection, client_id)
    if service is not None and service.member_id is not None:
        return service.member_id, None
    names = (service.name_ja, service.name_en) if service else (client_id, client_id)
    return client_id, Recipient(client_id, *names, service.status if service else "unknown")


def _told(one: Told, recipient_id: str, consent_id: str, recipient: Recipient | None) -> Disclosure:
    looked_up = one.claims == (USES,)
    return Disclosure(
        id=one.id,
        at=one.at,
        member_id=recipient_id,
        client_id=one.client_id,
        consent_id=consent_id,
        revision_id="",
        grant_id=one.grant_id,
        purpose=LOOK_UP if looked_up else SIGN_IN,
        action="look-up" if looked_up else "sign-in",
        counts=(),
        item_ids=(),
        withheld=(),
        claims=one.claims,
        recipient=recipient,
    )


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
        for_client_id=row["for_client_id"],
    )
