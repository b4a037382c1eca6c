"""Finding the chain from an entity to a trust anchor: the only part of the federation that asks the network.

OpenID Federation 1.0 sections 9, 10.1, 10.3 and 18.1. From the entity's own configuration upwards, level by level, so
that the shortest chain is found first. Strangers choose whom we ask, so everything is bounded: the guarded fetch (no
inside addresses, kit.fetch), hints looked at, levels, requests and seconds of one search, searches at once, sizes. What
was found is kept until it ends, and no longer than the operator says; what was refused is not looked for again at once;
one search for an entity serves all who ask meanwhile. Strangers wait for each other in turn (`turns`), never whom we
know for them.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import urlencode, urlsplit

from identity.federation.chains import LONGEST, Anchors, Chain, validate
from identity.federation.entities import check_entity_id, configuration_address
from identity.federation.refusals import Refused, chain
from identity.federation.statements import LONGEST as MOST_BYTES
from identity.federation.statements import MOST_HINTS, Statement, prove, read
from identity.federation.turns import Turns
from kit.clock import SECOND, Clock, Millis
from kit.fetch import Fetcher, FetchRefused

REQUESTS = 30
SECONDS = 10.0
AT_ONCE = 8
#: Of the places for strangers: at once for one network, and how many searches of it may wait.
EACH, LINE = 2, 8
PAUSE: Millis = 30 * SECOND
_MOST_KEPT = 1000
_ACCEPT = "application/entity-statement+jwt"


#: Entity, anchor, and the network that asks for a stranger ("" where somebody here named it).
_Key = tuple[str, str, str]


class Own(Protocol):
    """What this city says itself: asked in this process, not over the network."""

    entity_id: str

    async def configuration(self) -> str:
        """Its entity configuration."""

    async def about(self, entity_id: str) -> str | None:
        """Its statement about a subordinate."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a search: what was looked at, and why it was refused, if it was."""

    what: Literal["configuration", "statement", "chain"]
    iss: str
    sub: str
    refused: Refused | None = None


@dataclass(slots=True)
class _Search:
    """One search: what it may still spend, where it was, why paths ended, and each step, for who wants to know."""

    now: Millis
    steps: list[Step] = field(default_factory=list)
    requests: int = REQUESTS
    seen: set[str] = field(default_factory=set)
    why: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Kept:
    until: Millis
    found_at: Millis
    chain: Chain


class Discovery:
    """Resolves entities to chains."""

    def __init__(
        self,
        fetcher: Fetcher,
        clock: Clock,
        anchors: Callable[[], Awaitable[Anchors]],
        own: Own,
        *,
        chain_seconds: int,
    ) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._anchors = anchors
        self._own = own
        self._longest: Millis = chain_seconds * SECOND
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._refused: OrderedDict[_Key, tuple[Millis, Refused]] = OrderedDict()
        self._under_way: dict[_Key, asyncio.Task[Chain]] = {}
        self._known, self.strangers = asyncio.Semaphore(AT_ONCE), Turns(AT_ONCE, each=EACH, line=LINE)

    async def resolve(
        self,
        entity_id: str,
        *,
        anchor: str | None = None,
        anew: bool = False,
        oldest: Millis | None = None,
        requester: str = "",
    ) -> Chain:
        """The chain of an entity, to that anchor or to any that is trusted; raises Refused.

        `oldest`: one that was found longer ago is looked for again. `requester`: nobody here named it before, and this
        network wants to know.
        """
        check_entity_id(entity_id, "the entity")
        kept = self._kept.get((entity_id, anchor or ""))
        young = kept is not None and (oldest is None or kept.found_at + oldest > self._clock.ms())
        if young and not anew and (found := self.known(entity_id, anchor=anchor)) is not None:
            return found
        # What came of a stranger's waiting is that stranger's: nobody else waits or is refused with it.
        key = (entity_id, anchor or "", requester)
        until, before = self._refused.get(key, (0, None))
        if before is not None and until > self._clock.ms() and not anew:
            raise Refused(before.code, before.word, before.detail)
        task = self._under_way.get(key)
        if task is None:
            # Closes: eight web servers that dawdle, named by requests that prove nothing, and nobody comes in any more.
            gate = self.strangers.take(requester) if requester else self._known
            task = self._under_way[key] = asyncio.create_task(self._find(entity_id, anchor, gate, []))
            task.add_done_callback(lambda done: self._finished(key, done))
        # Whoever gave up waiting does not end it for the others.
        return await asyncio.shield(task)

    async def retrace(self, entity_id: str, steps: list[Step], *, anchor: str | None = None) -> Chain:
        """Look anew, whatever was kept or refused, and write down each step; raises Refused. For operators.

        What is found counts for everybody from now on.
        """
        check_entity_id(entity_id, "the entity")
        found = await self._find(entity_id, anchor, self._known, steps)
        _keep(self._kept, (entity_id, anchor or ""), _Kept(self.until(found), self._clock.ms(), found))
        for key in [key for key in self._refused if key[:2] == (entity_id, anchor or "")]:
            del self._refused[key]
        return found

    def known(self, entity_id: str, *, anchor: str | None = None) -> Chain | None:
        """A chain that held a while ago and still does; nobody is asked."""
        kept = self._kept.get((entity_id, anchor or ""))
        return kept.chain if kept is not None and kept.until > self._clock.ms() else None

    async def check(self, tokens: Sequence[object], *, subject: str) -> Chain:
        """A chain that was sent along (section 4.3), judged as any; raises Refused."""
        return validate(tokens, await self._anchors(), self._clock.ms(), subject=subject)

    async def climb(self, configuration: str, entity_id: str, *, aud: str, requester: str) -> Chain:
        """The chain that begins with a configuration that was handed in (section 12.2.2); raises Refused. Not kept.

        What was handed in may name an audience, which no statement in a chain does: it stands in its place below.
        """
        search, own = _Search(self._clock.ms()), read(configuration, self._clock.ms(), aud=aud)
        if own.sub != entity_id or not own.about_itself:
            raise chain("subject", "the request is not the entity configuration of who it speaks of")
        prove(own, own.jwks, f"{entity_id} itself")
        async with _in_time(), self.strangers.take(requester):  # anybody signs one, with hints to where they like
            return await self._climb(search, own, await self._anchors(), None)

    def until(self, found: Chain) -> Millis:
        """How long it is believed."""
        return min(found.expires_at, self._clock.ms() + self._longest)

    # -- one search ---------------------------------------------------------------------------------------------------

    async def _find(
        self, entity_id: str, anchor: str | None, gate: AbstractAsyncContextManager[None], steps: list[Step]
    ) -> Chain:
        async with _in_time(), gate:
            search = _Search(self._clock.ms(), steps)
            own = await self._configuration(search, entity_id)
            return await self._climb(search, own, await self._anchors(), anchor)

    async def _climb(self, search: _Search, own: Statement, anchors: Anchors, anchor: str | None) -> Chain:
        wanted = anchors if anchor is None else {name: keys for name, keys in anchors.items() if name == anchor}
        if not wanted:
            raise Refused("invalid_trust_anchor", "anchor", "no such trust anchor is trusted here")
        if own.sub in wanted:
            return self._judge(search, [own], wanted)
        search.seen.add(own.sub)
        level: list[tuple[Statement, list[Statement]]] = [(own, [own])]
        for _ in range(LONGEST - 2):
            above: list[tuple[Statement, list[Statement]]] = []
            for top, path in level:
                for hint in self._hints(search, top, wanted):
                    try:
                        superior, said = await self._step(search, hint, top.sub)
                        if hint in wanted:
                            return self._judge(search, [*path, said, superior], wanted)
                        search.seen.add(hint)
                        above.append((superior, [*path, said]))
                    except Refused as refused:
                        search.why.append(refused)
            level = above
        raise search.why[0] if search.why else chain("no-path", f"no path leads from {own.sub} to a trust anchor")

    def _judge(self, search: _Search, path: list[Statement], wanted: Anchors) -> Chain:
        first, tokens = path[0], [one.token for one in path]
        with _noted(search, "chain", path[-1].iss, first.sub):
            return validate(tokens, wanted, search.now, subject=first.sub, aud=first.claims.get("aud"))

    def _hints(self, search: _Search, top: Statement, wanted: Mapping[str, Any]) -> list[str]:
        """Anchors first; whoever was asked already is a loop, or a diamond that leads nowhere new (section 10.1)."""
        hints = [hint for hint in dict.fromkeys(top.hints[:MOST_HINTS]) if hint not in search.seen]
        return sorted(hints, key=lambda hint: hint not in wanted)

    async def _step(self, search: _Search, superior_id: str, subject: str) -> tuple[Statement, Statement]:
        """A superior's configuration, and what it says of who named it."""
        superior = await self._configuration(search, superior_id)
        with _noted(search, "statement", superior_id, subject):
            said = read(await self._about(search, superior, subject), search.now)
            if (said.iss, said.sub) != (superior_id, subject):
                raise chain("subject", f"{superior_id} answered with a statement about somebody else")
            prove(said, superior.jwks, superior_id)
        return superior, said

    async def _about(self, search: _Search, superior: Statement, subject: str) -> str:
        if superior.sub == self._own.entity_id:
            token = await self._own.about(subject)
            if token is None:
                raise chain("not-vouched-for", f"{superior.sub} says nothing about {subject}")
            return token
        endpoint = superior.endpoint("federation_fetch_endpoint")
        if endpoint is None:
            raise chain("no-fetch-endpoint", f"{superior.sub} has no fetch endpoint")
        mark = "&" if urlsplit(endpoint).query else "?"
        return await self._get(search, f"{endpoint}{mark}{urlencode({'sub': subject})}", superior.sub)

    async def _configuration(self, search: _Search, entity_id: str) -> Statement:
        with _noted(search, "configuration", entity_id, entity_id):
            if entity_id == self._own.entity_id:
                token = await self._own.configuration()
            else:
                token = await self._get(search, configuration_address(entity_id), entity_id)
            found = read(token, search.now)
            if not found.about_itself or found.sub != entity_id:
                raise chain("subject", f"what stands at {entity_id} is not its entity configuration")
            prove(found, found.jwks, f"{entity_id} itself")
        return found

    async def _get(self, search: _Search, address: str, whose: str) -> str:
        if search.requests <= 0:
            raise chain("too-many-requests", "the search took too many requests")
        search.requests -= 1
        try:
            answer = await self._fetcher.get(address, limit=MOST_BYTES, accept=_ACCEPT)
        except FetchRefused as error:
            # One word for all causes: what a stranger may not reach, a stranger may not map either.
            raise chain("unreachable", f"{whose} could not be asked") from error
        if answer.status != 200 or answer.content_type != _ACCEPT:  # sections 8.1.2 and 9.2
            raise chain("no-statement", f"{whose} gave no entity statement")
        return answer.body.decode("ascii", "replace").strip()

    def _finished(self, key: _Key, done: "asyncio.Task[Chain]") -> None:
        self._under_way.pop(key, None)
        if done.cancelled():
            return
        error, now = done.exception(), self._clock.ms()
        if error is None:
            self._refused.pop(key, None)
            _keep(self._kept, key[:2], _Kept(self.until(done.result()), now, done.result()))
        elif isinstance(error, Refused):
            self._kept.pop(key[:2], None)
            _keep(self._refused, key, (now + PAUSE, error))


@contextmanager
def _noted(search: _Search, what: Literal["configuration", "statement", "chain"], iss: str, sub: str) -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        search.steps.append(Step(what, iss, sub, refused))
        raise
    search.steps.append(Step(what, iss, sub))


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    kept.pop(key, None)
    if len(kept) >= _MOST_KEPT:
        kept.popitem(last=False)
    kept[key] = value


class _in_time:  # noqa: N801 - reads as the words it stands for
    """So many seconds for a whole search, whoever is slow."""

    def __init__(self) -> None:
        self._timeout = asyncio.timeout(SECONDS)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *about: Any) -> None:
        try:
            await self._timeout.__aexit__(*about)
        except TimeoutError:
            raise chain("too-slow", "the search took too long") from None
