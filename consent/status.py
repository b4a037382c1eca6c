"""Places in the status lists: taken with an event, ended by the next one of its record; and the lists, served.

Token Status List, draft-ietf-oauth-status-list-21, section 8 (fetching), 9 (aggregation), 12 (privacy).

A receipt is of an event, so each event has a place of its own: valid while the event is its record's last word. Giving,
changing, withdrawing and expiring all end a place, and what is published moves only every few minutes, so that a list
beside the ledger does not tell which line was a withdrawal. The place is sealed with the event: the table knows that
somebody's place ended, not whose, and a resident who leaves takes the link along.

An index is drawn at random from all of a list (section 12.3): places in order would be a clock, and neighbours would be
told apart by when they agreed. What nobody took reads as valid, and cannot be told from what somebody took.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from sqlalchemy import Connection

from consent import status_list
from consent.errors import HistoryNotKept
from keys.ring import KeyRing
from kit.clock import SECOND, Clock, Millis
from kit.db import Database, Quick
from kit.encoding import canonical
from kit.front import Call, Handler, Reply
from kit.problems import NotFound

PATH: Final = "/status-lists"
_TRIES: Final = 8  # drawn in vain, the lists are full: as many again are opened
_LATEST: Final = 1 << 16
_KEPT: Final = 64  # signed lists in memory, some 60 KB each at most
_EXPIRES: Final = 3600  # a verifier off the network may go on with a list for an hour

_TAKE = Quick("INSERT INTO consent_status (number, idx, ended) VALUES (:number, :idx, :ended) ON CONFLICT DO NOTHING")
_END = Quick("UPDATE consent_status SET ended = :ended WHERE number = :number AND idx = :idx")
_ENDED = Quick("SELECT idx FROM consent_status WHERE number = :number AND ended = :ended")
_NEWEST = Quick("SELECT max(number) FROM consent_status")

_hint = 1  # how many lists are in use, as far as this process noticed; a wrong hint costs a few draws


@dataclass(frozen=True, slots=True)
class Place:
    """An index of a list; lists are numbered from 1."""

    number: int
    index: int


def take(connection: Connection) -> Place:
    """A random free place, in the running write."""
    global _hint
    lists = _hint
    while lists <= _LATEST:
        for _ in range(_TRIES):
            place = Place(1 + secrets.randbelow(lists), secrets.randbelow(status_list.SIZE))
            if _TAKE.run(connection, number=place.number, idx=place.index, ended=False):
                _hint = lists
                return place
        lists *= 2
    raise RuntimeError("no status list has a free place")  # after some seventeen billion events


def end(connection: Connection, place: Place) -> None:
    """What stood at this place is not the last word any more."""
    _END.run(connection, number=place.number, idx=place.index, ended=True)


def ended(connection: Connection, number: int) -> list[int]:
    """The ended places of a list."""
    return [found[0] for found in _ENDED.all(connection, number=number, ended=True)]


def newest(connection: Connection) -> int:
    """How many lists there are: at least one, for the first is there before anybody has a place in it."""
    found = _NEWEST.one(connection)
    return int(found[0] or 1) if found else 1


class StatusLists:
    """Signs and serves the lists."""

    def __init__(self, database: Database, ring: KeyRing, clock: Clock, *, issuer: str, every: float) -> None:
        self._database = database
        self._ring = ring
        self._clock = clock
        self._issuer = issuer
        self._every = max(1, round(every))
        self._kept: OrderedDict[int, tuple[Millis, bytes]] = OrderedDict()
        self._making: dict[int, asyncio.Future[str]] = {}

    def uri(self, number: int) -> str:
        """A list's address, which is also its name."""
        return f"{self._issuer}{PATH}/{number}"

    def claim(self, place: Place) -> dict[str, Any]:
        """A receipt's `status` claim (section 6.2)."""
        return {"status_list": {"idx": place.index, "uri": self.uri(place.number)}}

    async def addresses(self) -> list[str]:
        """Every list there is."""
        return [self.uri(number) for number in range(1, await self._database.read_core(newest) + 1)]

    @property
    def life(self) -> int:
        """For how many seconds a signed list is good."""
        return max(_EXPIRES, 2 * self._every)

    async def token(self, number: int) -> tuple[bytes, int]:
        """The signed list and for how many seconds more it is the newest that anybody gets."""
        now = self._clock.ms()
        kept = self._kept.get(number)
        if kept is None or not 0 <= now - kept[0] < self._every * SECOND:
            kept = now, (await asyncio.shield(self._one_making(number, now))).encode()
            while len(self._kept) >= _KEPT:
                self._kept.popitem(last=False)
            self._kept[number] = kept
        return kept[1], self._every - (now - kept[0]) // SECOND

    def _one_making(self, number: int, now: Millis) -> asyncio.Future[str]:
        """A list that ran out is made once, however many ask for it at that moment: a full one is work."""
        making = self._making.get(number)
        if making is None:
            making = asyncio.ensure_future(self._database.read_core(self._make, number, now // SECOND))
            self._making[number] = making
            making.add_done_callback(lambda _: self._making.pop(number, None))
        return making

    def _make(self, connection: Connection, number: int, now: int) -> str:
        if not 1 <= number <= newest(connection):
            raise NotFound("There is no such list.")
        listed = status_list.document(
            status_list.pack(ended(connection, number)), aggregation_uri=f"{self._issuer}{PATH}"
        )
        claims = {
            "iss": self._issuer,
            "sub": self.uri(number),
            "iat": now,
            "exp": now + self.life,
            "ttl": self._every,
            "status_list": listed,
        }
        return self._ring.sign_jwt(claims, typ=status_list.TYP)


_OPEN = (b"access-control-allow-origin", b"*")  # section 8.1: browsers of anybody's pages may check a receipt


def list_handler(lists: StatusLists) -> Handler:
    """One list. Of whom the reader asks stays with the reader: a quarter of a million receipts have one address."""

    async def one(call: Call) -> Reply:
        if "time" in parse_qs(call.query, keep_blank_values=True):
            raise HistoryNotKept("Only the newest list is kept. Ask without `time`.")
        text = call.path.removeprefix(f"{PATH}/")
        if not (text.isascii() and text.isdigit() and len(text) < 6) or text != str(int(text)):
            raise NotFound("There is no such list.")
        token, left = await lists.token(int(text))
        caching = (b"cache-control", b"public, max-age=%d" % left)
        return Reply(200, token, [(b"content-type", status_list.MEDIA_TYPE.encode()), caching, _OPEN])

    return one


def aggregation_handler(lists: StatusLists) -> Handler:
    """The addresses of all lists (section 9.3): who fetches them all tells nobody which one was wanted."""

    async def every(_call: Call) -> Reply:
        body = canonical({"status_lists": await lists.addresses()})
        caching = (b"cache-control", b"public, max-age=300")
        return Reply(200, body, [(b"content-type", b"application/json"), caching, _OPEN])

    return every


_PROBLEM = {
    "application/problem+json": {
        "schema": {"type": "object", "properties": {"type": {"type": "string"}, "title": {"type": "string"}}},
        "example": {"type": "/problems/kit/not-found", "title": "There is nothing here", "status": 404},
    }
}
LIST_OPERATION = {
    "operationId": "status_list",
    "summary": "A signed status list of receipts",
    "description": "Token Status List (draft-ietf-oauth-status-list-21): a JWT of type `statuslist+jwt` with one bit "
    "for each receipt, at the index its `status` claim names. 0: its event is still the last word on that consent; "
    "1: a later event replaced it. Published anew every few minutes; ask `/api/consent/decision` for right now.",
    "tags": ["ledger"],
    "parameters": [
        {
            "name": "path",
            "in": "path",
            "required": True,
            "description": "The list's number",
            "schema": {"type": "string"},
            "example": "1",
        }
    ],
    "responses": {
        "200": {
            "description": "The signed list",
            "content": {
                status_list.MEDIA_TYPE: {"schema": {"type": "string"}, "example": "eyJ0eXAiOiJzdGF0dXNsaXN0K2p3dCJ9…"}
            },
        },
        "404": {"description": "No such list", "content": _PROBLEM},
        "501": {"description": "A past list was asked for (`time`)", "content": _PROBLEM},
    },
}
AGGREGATION_OPERATION = {
    "operationId": "status_lists",
    "summary": "The addresses of all status lists",
    "description": "Status List Aggregation, section 9.3.",
    "tags": ["ledger"],
    "responses": {
        "200": {
            "description": "Addresses",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"status_lists": {"type": "array", "items": {"type": "string"}}},
                    },
                    "example": {"status_lists": ["http://localhost:8080/status-lists/1"]},
                }
            },
        }
    },
}
