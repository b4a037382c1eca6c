"""The service's door: fetch and deposit, as handlers of the front table (no framework on the way)."""

from typing import Any
from urllib.parse import parse_qsl

import orjson

from identity.bearer import Access, Bearer
from identity.clients import Clients
from identity.standing import standing
from identity.subjects import pairwise
from infobank import access, items, vault
from infobank.access import Ask, Provided, Refused
from infobank.catalogue import Catalogue
from infobank.cursors import read_cursor
from infobank.errors import NoCoverage, NoMember, NoSubject, NotASource
from infobank.settings import InfobankSettings
from infobank.store import FAR_FUTURE, FAR_PAST
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.clock import Clock, Millis, from_iso, iso
from kit.db import Database
from kit.front import Call, Reply, reply_json
from kit.problems import Invalid, Malformed

SCOPE_DEPOSIT = "bank:deposit"


class Services:
    """Holds what the handlers need."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        hasher: TokenHasher,
        clients: Clients,
        bearer: Bearer,
        catalogue: Catalogue,
        settings: InfobankSettings,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._hasher = hasher
        self._clients = clients
        self._bearer = bearer
        self._catalogue = catalogue
        self._known = frozenset(catalogue.ids)
        self._settings = settings
        self._categories = orjson.dumps({"categories": [category_document(one) for one in catalogue]})

    async def fetch(self, call: Call) -> Reply:
        """`GET /api/bank/records`. Raises NoCoverage."""
        caller = await self._bearer.verify(call, uses=("data_use",))
        _require_resident(caller)
        ask = read_ask(call.query, limit=self._settings.page_records)
        target = access.choose(caller.details, ask, self._known)
        outcome = await self._database.write_core(
            access.provide, self._sealer, access=caller, target=target, ask=ask, now=self._clock.ms()
        )
        withheld = [{"category": entry.category, "reason": entry.reason} for entry in outcome.withheld]
        if isinstance(outcome, Refused):
            raise NoCoverage(
                "Ask the resident for consent; `withheld` tells what is missing for each category.",
                reason=outcome.reason,
                withheld=withheld,
            )
        # Durable from here on (I4): only now is anything opened.
        return reply_json(200, _answer(outcome, await self._subject(caller), withheld))

    async def deposit(self, call: Call) -> Reply:
        """`POST /api/bank/records`."""
        caller = await self._bearer.verify(call, scope=SCOPE_DEPOSIT)
        _require_resident(caller)
        now = self._clock.ms()
        body = await call.json(self._settings.deposit_limit)
        drafts = items.drafts(
            self._catalogue,
            body,
            now=now,
            limit=self._settings.record_limit,
            most=self._settings.deposit_records,
        )
        taken = await self._database.write_core(self._keep, caller, drafts, now)
        return reply_json(
            201,
            {
                "deposited": [
                    {"id": one.id, "category": one.category, "recorded_at": iso(one.recorded_at)} for one in taken
                ]
            },
        )

    async def categories(self, _call: Call) -> Reply:
        """`GET /api/bank/categories`."""
        return Reply(
            200,
            self._categories,
            [(b"content-type", b"application/json"), (b"cache-control", b"public, max-age=3600")],
        )

    async def _subject(self, caller: Access) -> str:
        """The resident as this client knows them: pairwise for its own sector, so that no two clients can compare."""
        client = await self._clients.get(caller.client_id)
        assert client is not None
        assert caller.account_id is not None
        return pairwise(self._hasher, caller.account_id, client.sector)

    def _keep(
        self, connection: Any, caller: Access, drafts: tuple[items.Draft, ...], now: Millis
    ) -> tuple[vault.Deposited, ...]:
        assert caller.account_id is not None
        assert caller.member_id is not None
        allowed = standing(connection, caller)
        if not allowed.honoured:
            raise NotASource("The access token is not honoured any more.")
        for index, draft in enumerate(drafts):
            if draft.category not in allowed.source_categories:
                raise NotASource(
                    "The city registers which categories a member may deposit; ask its operator.",
                    pointer=f"/records/{index}/category",
                )
        return vault.deposit(
            connection,
            self._sealer,
            drafts,
            account_id=caller.account_id,
            source=caller.member_id,
            client_id=caller.client_id,
            actor=caller.actor(),
            now=now,
        )


def category_document(category: Any) -> dict[str, Any]:
    """A category as the public API tells it."""
    return {
        "id": category.id,
        "version": category.version,
        "area": category.area,
        "sensitivity": category.sensitivity,
        "personal_data": category.pd,
        "label": {"ja": category.label.ja, "en": category.label.en},
        "description": {"ja": category.description.ja, "en": category.description.en},
        "model": {"name": category.model_name, "reference": category.model_reference},
        "schema": category.schema,
    }


_ONCE = frozenset({"consent", "since", "until", "before", "limit"})


def read_ask(query: str, *, limit: int) -> Ask:
    """Read the query strictly: known names, once each but `category`; raises Malformed or Invalid."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict", max_num_fields=50)
    except ValueError as error:
        raise Malformed("The query does not parse.") from error
    categories: dict[str, None] = {}
    single: dict[str, str] = {}
    for name, value in pairs:
        if name == "category":
            categories[value[:80]] = None
        elif name not in _ONCE:
            raise Invalid("This parameter is not known here.", pointer=f"/{name[:60]}")
        elif name in single:
            raise Malformed(f"The parameter {name} was sent more than once.")
        else:
            single[name] = value
    before = None
    if "before" in single:
        before = read_cursor(single["before"])
        if before is None:
            raise Invalid("Send what `next` of the earlier answer said.", pointer="/before")
        if len(categories) != 1:
            raise Invalid("A continued page needs exactly one category.", pointer="/before")
    return Ask(
        categories=tuple(categories),
        consent_id=single.get("consent"),
        since=_moment(single, "since", FAR_PAST),
        until=_moment(single, "until", FAR_FUTURE),
        before=before,
        limit=_limit(single, limit),
    )


def _moment(single: dict[str, str], name: str, otherwise: Millis) -> Millis:
    if name not in single:
        return otherwise
    try:
        return from_iso(single[name].replace(" ", "+"))  # an unescaped plus sign arrives as a space
    except (ValueError, OverflowError) as error:
        raise Invalid("Send a time with a zone, for example 2026-11-22T00:00:00Z.", pointer=f"/{name}") from error


def _limit(single: dict[str, str], otherwise: int) -> int:
    if "limit" not in single:
        return otherwise
    text = single["limit"]
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= 1000:
        raise Invalid("Send a whole number from 1 to 1000.", pointer="/limit")
    return int(text)


def _require_resident(caller: Access) -> None:
    if caller.account_id is None:
        raise NoSubject("Use a token a resident has granted (authorization code flow).")
    if caller.member_id is None:
        raise NoMember("Only a member's client gets data: an operator registers it under the member, in the console.")


def _answer(outcome: Provided, subject: str, withheld: list[dict[str, str]]) -> dict[str, Any]:
    key = outcome.key
    return {
        "subject": subject,
        "consent": outcome.consent_id,
        "disclosure": outcome.disclosure_id,
        "records": [
            {
                "id": item.id,
                "category": item.category,
                "recorded_at": iso(item.recorded_at),
                "source": item.source,
                "data": orjson.Fragment(key.open(vault.context(item.id), item.sealed)),
            }
            for item in outcome.items
        ],
        "withheld": withheld,
        "next": dict(outcome.next),
    }
