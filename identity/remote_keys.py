"""Key sets that others publish, fetched when needed and never trusted for long.

RFC 7517 section 5, RFC 8725 section 3.10 and OpenID Connect Core section 10.1.1 (rotation: a new `kid` is a reason to
look again). A set is kept for a minute, so a key its owner has taken away is honoured a minute at most; when it can't
be fetched anew, nothing it held is honoured. A key that is not in the set is a reason to fetch before the minute is
over, but once in ten seconds at most: else anybody could make us call an address by sending nonsense.
Fetching is guarded (`kit.fetch`); one fetch at a time for each address.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from keys.errors import BadToken
from keys.jose import LONGEST, verify_and_tell
from kit.clock import SECOND, Clock, Millis
from kit.encoding import b64url_decode
from kit.fetch import Fetcher, FetchRefused

KEPT: Millis = 60 * SECOND
PAUSE: Millis = 10 * SECOND
_MOST = 1000
_ANYTIME: Millis = -(10**15)


@dataclass(slots=True)
class _Set:
    """What an address said, and when it was asked."""

    jwks: dict[str, Any] | None = None
    fetched_at: Millis = _ANYTIME
    tried_at: Millis = _ANYTIME
    why: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class RemoteKeys:
    """Key sets by address."""

    def __init__(self, fetcher: Fetcher, clock: Clock) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._sets: OrderedDict[str, _Set] = OrderedDict()

    async def verify(
        self, uri: str, token: str, *, algs: Collection[str], typ: str | None, longest: int = LONGEST
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims of a JWT signed by a key of the set there; raises BadToken. No claim is checked."""
        header, claims, _key = await self.verify_and_tell(uri, token, algs=algs, typ=typ, longest=longest)
        return header, claims

    async def verify_and_tell(
        self, uri: str, token: str, *, algs: Collection[str], typ: str | None, longest: int = LONGEST
    ) -> tuple[dict[str, Any], dict[str, Any], Mapping[str, Any]]:
        """The same, and the key it was signed with."""
        kept = self._of(uri)
        jwks = await self._now(uri, kept)
        try:
            return verify_and_tell(token, jwks, algs=algs, typ=typ, longest=longest)
        except BadToken:
            if _names_a_key_of(jwks, token):
                raise  # the key is there: the signature is wrong, and fetching again would not make it right
            before = kept.fetched_at
            jwks = await self._now(uri, kept, newer_than=before)
            if kept.fetched_at == before:
                raise
            return verify_and_tell(token, jwks, algs=algs, typ=typ, longest=longest)

    async def get(self, uri: str) -> dict[str, Any]:
        """The set there, at most a minute old; raises BadToken if it can't be had."""
        return await self._now(uri, self._of(uri))

    def _of(self, uri: str) -> _Set:
        kept = self._sets.get(uri)
        if kept is None:
            if len(self._sets) >= _MOST:
                self._sets.popitem(last=False)
            kept = self._sets[uri] = _Set()
        return kept

    async def _now(self, uri: str, kept: _Set, *, newer_than: Millis | None = None) -> dict[str, Any]:
        """The set, at most a minute old; fetched anew if it may be."""
        async with kept.lock:
            now = self._clock.ms()
            old = now - kept.fetched_at >= KEPT or (newer_than is not None and kept.fetched_at <= newer_than)
            if old and now - kept.tried_at >= PAUSE:
                kept.tried_at = now
                try:
                    kept.jwks, kept.fetched_at = await self._fetch(uri), now
                except FetchRefused as error:
                    kept.why = str(error)
            if kept.jwks is None or self._clock.ms() - kept.fetched_at >= KEPT:
                raise BadToken(private=f"the key set can't be fetched: {kept.why}")
            return kept.jwks

    async def _fetch(self, uri: str) -> dict[str, Any]:
        answer = await self._fetcher.get(uri, accept="application/jwk-set+json, application/json")
        if answer.status != 200:
            raise FetchRefused("status", f"it answered {answer.status}")
        try:
            value = orjson.loads(answer.body)
        except orjson.JSONDecodeError as error:
            raise FetchRefused("content", "not JSON") from error
        if not isinstance(value, dict) or not isinstance(value.get("keys"), list):
            raise FetchRefused("content", "not a JWK Set")
        return value


def _names_a_key_of(jwks: dict[str, Any], token: str) -> bool:
    try:
        kid = orjson.loads(b64url_decode(token.partition(".")[0])).get("kid")
    except (ValueError, AttributeError):
        return True  # no reason to call anybody
    return kid is not None and any(isinstance(key, dict) and key.get("kid") == kid for key in jwks["keys"])
