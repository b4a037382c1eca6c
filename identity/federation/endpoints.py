"""What the federation asks this city over HTTP.

OpenID Federation 1.0 section 8: fetch, list, resolve, trust mark, its status, who has it, historical keys; section 9:
the entity configuration; section 12.2: explicit registration. Nobody authenticates at them (the default of section
8.8): what they say is public. So none of them makes us ask strangers: `resolve` answers what is known (section 18.1).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import orjson

from identity.federation import mark_book, subordinates
from identity.federation.chains import Chain
from identity.federation.explicit import ExplicitRegistration
from identity.federation.marks import STATUS_TYP
from identity.federation.marks import TYP as MARK_TYP
from identity.federation.refusals import STATUS, Refused
from identity.federation.service import Federation
from keys.errors import BadToken
from kit.clock import SECOND, Clock
from kit.db import Database, Session
from kit.front import JSON, NO_STORE, Call, Reply, reply_json
from kit.problems import Problem

_MOST = 8192
Handler = Callable[[Call], Awaitable[Reply]]
Query = Mapping[str, list[str]]


class FederationEndpoints:
    """The handlers. Every one answers 404 where this city takes part in no federation."""

    def __init__(
        self, federation: Federation, explicit: ExplicitRegistration, database: Database, clock: Clock
    ) -> None:
        self._federation = federation
        self._explicit = explicit
        self._database = database
        self._clock = clock
        self._us = federation.city.entity_id

    # -- what this city says --------------------------------------------------------------------------------------

    async def configuration(self, _: Call) -> Reply:
        """GET /.well-known/openid-federation (section 9)."""
        return _jwt("entity-statement+jwt", await self._federation.city.configuration())

    async def fetch(self, call: Call) -> Reply:
        """GET /federation/fetch (section 8.1)."""
        self._vouches()
        sub = _one(_query(call), "sub")
        if sub == self._us:
            raise Refused("invalid_request", "sub", "sub is this city itself; ask for its entity configuration")
        token = await self._federation.city.about(sub)
        if token is None:
            raise Refused("not_found", "sub", "this city vouches for no such entity")
        return _jwt("entity-statement+jwt", token)

    async def listing(self, call: Call) -> Reply:
        """GET /federation/list (section 8.2)."""
        self._vouches()
        query = _query(call)
        kinds, mark = set(query.get("entity_type", ())), _maybe(query, "trust_mark_type")
        marked, intermediate = _flag(query, "trust_marked"), _flag(query, "intermediate")
        now = self._clock.ms()

        def find(session: Session) -> list[str]:
            found = [below for below in subordinates.list_all(session) if kinds <= set(below.entity_types)]
            if intermediate is not None:
                found = [below for below in found if below.intermediate is intermediate]
            if marked or mark is not None:
                given = mark_book.list_all(session, kind=mark)
                having = {one.entity_id for one in given if one.stands(now)}
                found = [below for below in found if below.entity_id in having]
            return [below.entity_id for below in found]

        return _public(await self._database.read(find))

    async def history(self, _: Call) -> Reply:
        """GET /federation/historical-keys (section 8.7)."""
        keys = self._federation.keys
        said = {"iss": self._us, "iat": self._clock.ms() // SECOND, "keys": await keys.history()}
        return _jwt("jwk-set+jwt", await keys.sign(said, typ="jwk-set+jwt"))

    # -- what this city found -------------------------------------------------------------------------------------

    async def resolve(self, call: Call) -> Reply:
        """GET /federation/resolve (section 8.3)."""
        query = _query(call)
        sub, kinds = _one(query, "sub"), query.get("entity_type", [])
        anchors = query.get("trust_anchor", [])
        if not anchors:
            raise Refused("invalid_request", "trust_anchor", "trust_anchor is required")
        trusted = await self._federation.anchors()
        if not set(anchors) & trusted.keys():
            raise Refused("invalid_trust_anchor", "trust_anchor", "no such trust anchor is trusted here")
        chain = await self._known(sub, [anchor for anchor in anchors if anchor in trusted])
        marked = await self._federation.marked(chain)
        ends = [chain.expires_at, *([] if marked.expires_at is None else [marked.expires_at])]
        said: dict[str, Any] = {
            "iss": self._us,
            "sub": sub,
            "iat": self._clock.ms() // SECOND,
            "exp": min(ends) // SECOND,
            "metadata": {kind: value for kind, value in chain.metadata.items() if not kinds or kind in kinds},
            "trust_chain": chain.tokens,
        }
        if marked.entries:
            said["trust_marks"] = list(marked.entries)
        return _jwt("resolve-response+jwt", await self._federation.keys.sign(said, typ="resolve-response+jwt"))

    async def _known(self, sub: str, anchors: Sequence[str]) -> Chain:
        """A chain that was found before, or one of who stands directly below us: an operator put it there."""
        discovery = self._federation.discovery
        for anchor in anchors:
            found = discovery.known(sub, anchor=anchor)
            whichever = discovery.known(sub)
            if found is None and whichever is not None and whichever.anchor == anchor:
                found = whichever
            if found is not None:
                return found
        below = await self._database.read(subordinates.find, sub)
        if sub == self._us or below is not None:
            return await discovery.resolve(sub, anchor=anchors[0])
        raise Refused("not_found", "sub", "this city has not resolved that entity")

    # -- trust marks ----------------------------------------------------------------------------------------------

    async def mark(self, call: Call) -> Reply:
        """GET /federation/trust-mark (section 8.6)."""
        self._vouches()
        query, now = _query(call), self._clock.ms()
        kind = _one(query, "trust_mark_type")
        given = await self._database.read(mark_book.find, kind, _one(query, "sub"), now)
        if given is None:
            raise Refused("not_found", "trust-mark", "that entity does not have this trust mark from here")
        settings = self._federation.settings
        said = given.claims(
            self._us, now=now, seconds=settings.statement_seconds, delegation=settings.mark_delegations.get(kind)
        )
        return _jwt("trust-mark+jwt", await self._federation.keys.sign(said, typ=MARK_TYP))

    async def mark_status(self, call: Call) -> Reply:
        """POST /federation/trust-mark-status (section 8.4): `expired`, `revoked`, `active`; 404 for one not of ours."""
        self._vouches()
        try:
            token = (await call.form()).get("trust_mark", "")
        except Problem as problem:  # section 8.9 has one word for all of them
            raise Refused("invalid_request", "form", "send trust_mark in a form") from problem
        try:
            claims = await self._federation.keys.verify(token, typ=MARK_TYP)
        except BadToken as error:
            # Section 8.4.2: something it did not issue is unknown here, whatever else is wrong with it.
            raise Refused("not_found", "trust-mark", "this trust mark was not given here") from error
        given = await self._database.read(mark_book.get, str(claims.get("jti", "")))
        if given is None:
            raise Refused("not_found", "trust-mark", "this trust mark was not given here")
        now = self._clock.ms()
        status = given.status(now)
        if status == "active" and claims.get("exp", 0) * SECOND <= now:
            status = "expired"  # the mark stands, this JWT of it has ended
        said = {"iss": self._us, "iat": now // SECOND, "trust_mark": token, "status": status}
        return _jwt("trust-mark-status-response+jwt", await self._federation.keys.sign(said, typ=STATUS_TYP))

    async def marked(self, call: Call) -> Reply:
        """GET /federation/trust-marked (section 8.5)."""
        self._vouches()
        query, now = _query(call), self._clock.ms()
        kind, sub = _one(query, "trust_mark_type"), _maybe(query, "sub")
        given = await self._database.read(lambda session: mark_book.list_all(session, kind=kind, entity_id=sub))
        return _public(sorted({one.entity_id for one in given if one.stands(now)}))

    # -- registration ---------------------------------------------------------------------------------------------

    async def register(self, call: Call) -> Reply:
        """POST /federation/register (section 12.2)."""
        token = await self._explicit.register(call)
        return Reply(200, token.encode(), [_type("explicit-registration-response+jwt"), NO_STORE])

    # -- what they share ------------------------------------------------------------------------------------------

    def told(self, handler: Handler) -> Handler:
        """The handler, its refusals in the words of section 8.9."""

        async def serve(call: Call) -> Reply:
            try:
                if not self._federation.on:
                    raise Refused("not_found", "off", "this city takes part in no federation")
                return await handler(call)
            except Refused as refused:
                said = {"error": refused.code, "error_description": refused.detail}
                return reply_json(STATUS[refused.code], said)

        return serve

    def _vouches(self) -> None:
        if not self._federation.settings.subordinates:
            raise Refused("not_found", "leaf", "this city vouches for nobody")


def _query(call: Call) -> Query:
    """Parameters of a request; unknown ones are ignored (section 8)."""
    try:
        if len(call.query) > _MOST:
            raise ValueError
        pairs = parse_qsl(call.query, keep_blank_values=True, max_num_fields=50, strict_parsing=bool(call.query))
    except ValueError:
        raise Refused("invalid_request", "query", "the query can't be read") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _one(query: Query, name: str) -> str:
    found = _maybe(query, name)
    if not found:
        raise Refused("invalid_request", name, f"{name} is required")
    return found


def _maybe(query: Query, name: str) -> str | None:
    found = query.get(name, [])
    if len(found) > 1:
        raise Refused("invalid_request", name, f"{name} is sent twice")
    return found[0] if found else None


def _flag(query: Query, name: str) -> bool | None:
    found = _maybe(query, name)
    if found not in (None, "true", "false"):
        raise Refused("invalid_request", name, f"{name} is true or false")
    return None if found is None else found == "true"


def _type(name: str) -> tuple[bytes, bytes]:
    return b"content-type", f"application/{name}".encode()


def _jwt(name: str, token: str) -> Reply:
    return Reply(200, token.encode(), [_type(name), (b"cache-control", b"no-cache")])


def _public(value: Any) -> Reply:
    return Reply(200, orjson.dumps(value), [JSON, (b"cache-control", b"no-cache")])
