"""Sealed tickets: what we send a browser away with, to be brought back soon and by nobody changed.

A ticket stands in an address, so it is sealed (it may name a person's services) and good for `life` only. Each purpose
has a context of its own: a ticket doesn't open where another belongs. It can be shown twice; who must not allow that
spends something else.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from identity.oauth.errors import InvalidRequest
from keys.envelope import Sealer
from keys.errors import SealBroken
from kit.clock import Clock, Millis
from kit.encoding import b64url, b64url_decode

# Far more than an address may hold: nobody makes us decode a book.
_MAX = 16_384


class Tickets:
    """Seals and opens the tickets of one purpose; `context` is its name under the seal, `life` in milliseconds."""

    def __init__(self, sealer: Sealer, clock: Clock, *, context: str, life: Millis) -> None:
        self._sealer = sealer
        self._clock = clock
        self._context = context
        self._life = life

    def seal(self, ticket: Mapping[str, Any]) -> str:
        """The ticket as one word for an address, from now on good for `life`."""
        blob = orjson.dumps({**ticket, "until": self._clock.ms() + self._life})
        return b64url(self._sealer.system().seal(self._context, blob))

    def open(self, ticket: str) -> dict[str, Any]:
        """What was sealed; raises InvalidRequest for anything else and for what is too old."""
        try:
            if len(ticket) > _MAX:
                raise ValueError
            found: dict[str, Any] = orjson.loads(self._sealer.system().open(self._context, b64url_decode(ticket)))
        except (SealBroken, ValueError) as error:
            raise InvalidRequest("there is nothing here") from error
        if found.pop("until") <= self._clock.ms():
            raise InvalidRequest("this page is too old; start again at the service")
        return found
