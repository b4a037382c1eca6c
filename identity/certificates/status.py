"""Asking authorities about certificates: lists and responders over the guarded way out, adapters; kept while fresh.

RFC 5280 section 6.3, RFC 6960. Ways are tried in the order the operator wrote them, until one tells. Every certificate
of a path is asked about, but the anchor, and those between that name no list and no responder: the operator keeps them
in a file, and answers for them by that. Addresses stand in certificates that an authority of the city signed, or in
the settings; they are fetched by `kit.fetch` only, plain http where `SEKISHO_OUTGOING__ALLOW` or the settings name the
host. One question at a time about one thing (single flight); a failure is not asked again for ten seconds.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from identity.certificates.adapters import HttpsJson, StatusAdapter
from identity.certificates.authorities import Authority
from identity.certificates.newest import is_newest
from keys.certificates import Certificate
from keys.pki import crl
from keys.pki.paths import Link, Path
from keys.pki.status import Status, Untold
from kit.clock import SECOND, Clock, Millis
from kit.db import Database
from kit.fetch import Fetcher, FetchRefused

PAUSE: Millis = 10 * SECOND
_MOST_LISTS = 50
_MOST = 10_000


@dataclass(slots=True)
class _List:
    """A revocation list, or why there is none. `believed`: until when nobody needs to look for a newer one."""

    crl: crl.Crl | None
    why: str
    tried_at: Millis
    believed: Millis = 0

    def due(self, now: Millis) -> bool:
        """Whether to look for a newer one: a quarter of its time before anybody would have to wait for it."""
        return now >= self.believed - (self.believed - self.tried_at) // 4


class _Found(NamedTuple):
    crl: crl.Crl
    believed: Millis


class CertificateStatus:
    """What authorities say. `adapters` by name: a city's own are put here when the building is composed."""

    def __init__(self, fetcher: Fetcher, clock: Clock, authorities: Iterable[Authority], db: Database) -> None:
        self._db = db
        self._fetcher = fetcher
        self._clock = clock
        self.adapters: dict[str, StatusAdapter] = {}
        self._listed: dict[str, Fetcher] = {}
        for authority in authorities:
            for url in (authority.settings.crl_url, authority.settings.ocsp_url):
                if url:
                    self._listed[url] = fetcher.reaching([urlsplit(url).hostname or ""], seconds=5.0)
            adapter = authority.settings.adapter
            if adapter is not None and adapter.kind == "https-json":
                self.adapters[authority.id] = HttpsJson(adapter, fetcher)
        self._lists: OrderedDict[tuple[str, bytes], _List] = OrderedDict()
        self._locks: dict[Any, asyncio.Lock] = {}

    async def of(self, authority: Authority, path: Path) -> Status:
        """The status of a whole path: the worst of it, believed as long as its shortest; raises Untold."""
        found: Status | None = None
        for link in path.links:
            leaf = link is path.links[0]
            if not leaf and not (link.crl_addresses() or link.ocsp_addresses()):
                continue
            said = await self._link(authority, link, leaf=leaf)
            if said.state != "good":
                return said
            found = said if found is None else Status("good", min(found.until, said.until), found.identifier,
                                                      found.attributes)  # fmt: skip
        assert found is not None  # the first link is always asked about
        return found

    async def _link(self, authority: Authority, link: Link, *, leaf: bool) -> Status:
        why = Untold("no-way", "the certificate names none, and the settings neither")
        for way in authority.settings.checking:
            try:
                match way:
                    case "crl":
                        return await self._by_crl(authority, link, leaf=leaf)
                    case "ocsp":
                        return await self._by_ocsp(authority, link, leaf=leaf)
                    case "adapter" if leaf:
                        return await self._by_adapter(authority, link)
                    case _:
                        continue
            except Untold as untold:
                why = untold
        raise why

    # -- lists ----------------------------------------------------------------------------------------------------

    async def _by_crl(self, authority: Authority, link: Link, *, leaf: bool) -> Status:
        own = authority.settings.crl_url if leaf else ""
        why = Untold("no-way")
        for address in (own,) if own else link.crl_addresses()[:3]:
            try:
                found = await self._list(authority, address, link)
                said = found.crl.status(link, now=self._clock.ms(), stale=authority.settings.stale_seconds * SECOND)
                return replace(said, until=min(said.until, found.believed))
            except Untold as untold:
                why = untold
        raise why

    async def _list(self, authority: Authority, address: str, link: Link) -> "_Found":
        """The list there: kept until its nextUpdate, or as long as the operator believes one."""
        key = (address, link.issuer_key)
        async with self._lock(key):
            now, kept = self._clock.ms(), self._lists.get(key)
            if kept is None or kept.due(now):
                fetched = await self._fetch_list(authority, address, link)
                if fetched.crl is None or not await self._newest(fetched.crl):
                    # An older one is as good as its nextUpdate; what is newer is looked for again and again. One from
                    # before it, shown again by who sits on the way, takes back no revocation: at no other address, in
                    # no other process and after no restart either.
                    if fetched.crl is not None:
                        fetched.crl, fetched.why = None, "older than one that was seen"
                    if kept is not None and kept.crl is not None and await self._newest(kept.crl):
                        fetched.crl = kept.crl
                    fetched.believed = now + PAUSE
                else:
                    fetched.believed = max(min(fetched.crl.ends_at, now + authority.fresh), now + PAUSE)
                self._lists.pop(key, None)
                if len(self._lists) >= _MOST_LISTS:
                    self._lists.popitem(last=False)
                kept = self._lists[key] = fetched
            if kept.crl is None:
                raise Untold("no-list", kept.why)
            return _Found(kept.crl, kept.believed)

    async def _newest(self, found: crl.Crl) -> bool:
        return await self._db.write(is_newest, found)

    async def _fetch_list(self, authority: Authority, address: str, link: Link) -> _List:
        now = self._clock.ms()
        try:
            fetcher = self._listed.get(address, self._fetcher)
            answer = await fetcher.get(address, limit=authority.settings.crl_limit, accept="application/pkix-crl, */*")
            if answer.status != 200:
                return _List(None, f"status {answer.status}", now)
            # Off the loop: a hundred thousand entries are looked at, one by one.
            return _List(await asyncio.to_thread(crl.read, answer.body, link.issuer, now=now), "", now)
        except (FetchRefused, Untold) as error:
            return _List(None, str(error), now)

    # -- responders -----------------------------------------------------------------------------------------------

    async def _by_ocsp(self, authority: Authority, link: Link, *, leaf: bool) -> Status:
        from keys.pki import ocsp  # a start that asks nobody does without

        settings = authority.settings
        own = settings.ocsp_url if leaf else ""
        why = Untold("no-way")
        for address in (own,) if own else link.ocsp_addresses()[:2]:
            question = ocsp.ask(link, sha1=settings.ocsp_hash == "sha1")
            try:
                fetcher = self._listed.get(address, self._fetcher)
                answer = await fetcher.post(address, question.der, content_type="application/ocsp-request")
                if answer.status != 200 or answer.content_type != "application/ocsp-response":
                    raise Untold("refused-there", f"status {answer.status}")
                return ocsp.judge(
                    answer.body, question, link, now=self._clock.ms(), freshest=authority.fresh,
                    nonce_needed=settings.ocsp_nonce == "required",
                )  # fmt: skip
            except FetchRefused as error:
                why = Untold("unreachable", str(error))
            except Untold as untold:
                why = untold
        raise why

    async def _by_adapter(self, authority: Authority, link: Link) -> Status:
        adapter = self.adapters.get(authority.id)
        if adapter is None:
            raise Untold("no-way", "no adapter of that kind was put in")
        now = self._clock.ms()
        return await adapter.ask(Certificate(link.certificate), Certificate(link.issuer), now=now)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _lock(self, key: Any) -> asyncio.Lock:
        if len(self._locks) >= _MOST:
            self._locks = {one: lock for one, lock in self._locks.items() if lock.locked()}
        return self._locks.setdefault(key, asyncio.Lock())
