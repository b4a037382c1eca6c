"""What is known about the request in hand: set at the door, read by audit and logs.

Context variables travel with the call into the writer thread (kit.db copies the caller's context).
"""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestContext:
    """`source` is the network address the request came from (personal: sealed wherever it is kept)."""

    request_id: str
    source: str


NOBODY = RequestContext(request_id="", source="")
request: ContextVar[RequestContext] = ContextVar("sekisho_request", default=NOBODY)
