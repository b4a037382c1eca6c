"""How security event tokens reach their receiver: what a stream may say of it, and one push.

SSF 1.0 section 6.1 names the two ways; RFC 8935 section 2 is the push: a POST of the token, guarded (`kit.fetch`), to
an address the receiver wrote, with the header it gave. 202 alone means taken (section 2.2).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from identity.signals.events import MEDIA_TYPE
from identity.signals.polling import members
from kit.fetch import Fetcher, FetchRefused
from kit.problems import Problem

PUSH: Final = "urn:ietf:rfc:8935"
POLL: Final = "urn:ietf:rfc:8936"
_HEADER = re.compile(r"[!-~](?:[ -~]{0,998}[!-~])?")


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where tokens are pushed to, with which header; both None where they are polled."""

    endpoint: str | None = None
    authorization: str | None = field(default=None, repr=False)


def read_delivery(value: Any, fetcher: Fetcher, refuse: type[Problem], *, polled_at: str | None = None) -> Delivery:
    """What a receiver says of delivery. `polled_at` is our own address, which it may repeat. Raises `refuse`."""
    said = members(value, "/delivery", {"method", "endpoint_url", "authorization_header"}, refuse)
    method, endpoint, authorization = (said.get(name) for name in ("method", "endpoint_url", "authorization_header"))
    if method == POLL:
        if authorization is not None or (endpoint is not None and endpoint != polled_at):
            extra = "authorization_header" if authorization is not None else "endpoint_url"
            raise refuse("A stream that is polled has no address of yours.", pointer=f"/delivery/{extra}")
        return Delivery()
    if method != PUSH:
        raise refuse(f"Say {PUSH} or {POLL}.", pointer="/delivery/method")
    if not isinstance(endpoint, str) or len(endpoint) > 2000 or "#" in endpoint:
        raise refuse("Send an address of at most 2000 characters.", pointer="/delivery/endpoint_url")
    try:
        fetcher.check(endpoint)
    except FetchRefused:
        raise refuse("Send an https address.", pointer="/delivery/endpoint_url") from None
    if authorization is not None and not (isinstance(authorization, str) and _HEADER.fullmatch(authorization)):
        raise refuse("Send a header's value in visible ASCII.", pointer="/delivery/authorization_header")
    return Delivery(endpoint, authorization)


def shown(delivery: Delivery, polled_at: str) -> Mapping[str, str]:
    """What is said of it; the header it goes with is never shown again."""
    if delivery.endpoint is None:
        return {"method": POLL, "endpoint_url": polled_at}
    return {"method": PUSH, "endpoint_url": delivery.endpoint}


async def push(fetcher: Fetcher, delivery: Delivery, token: str) -> str | None:
    """None if the receiver took it, else why not."""
    assert delivery.endpoint is not None
    headers = {"accept": "application/json"}
    if delivery.authorization is not None:
        headers["authorization"] = delivery.authorization
    try:
        answer = await fetcher.post(
            delivery.endpoint, token.encode(), content_type=MEDIA_TYPE, headers=headers, limit=8192
        )
    except FetchRefused as error:
        return error.reason
    return None if answer.status == 202 else f"status-{answer.status}"
