"""Reading by pages of other sites: which answers a browser shows to any of them.

The Fetch standard's CORS protocol, for paths that never look at cookies: any origin (`*`), hence never with credentials
(section 3.2.5: a browser refuses the two together), so nothing a person's session could do is within a foreign page's
reach. A path is opened by its row of the front table; every other path says nothing and stays closed.
"""

from collections.abc import Iterable

from kit import context
from kit.front import Call, Handler, Reply

ANY = (b"access-control-allow-origin", b"*")
#: What a page's program needs to know beside the body: RFC 9449 section 8, RFC 6750 section 3, RFC 9110 section 10.2.3.
EXPOSED = (b"access-control-expose-headers", b"DPoP-Nonce, WWW-Authenticate, Retry-After")
_MAY_SEND = (b"access-control-allow-headers", b"Authorization, Content-Type, DPoP")
_REMEMBER = (b"access-control-max-age", b"7200")


def opened(handler: Handler) -> Handler:
    """The same handler, whose every answer, good or bad, a page of any site may read."""

    async def answer(call: Call) -> Reply:
        if b"origin" in call.headers:
            context.answer_with(*ANY)
            context.answer_with(*EXPOSED)
        return await handler(call)

    return answer


def preflight(methods: Iterable[str]) -> Handler:
    """What a browser asks before it lets a page send such a request (OPTIONS); the same for everybody."""
    allowed = ", ".join(sorted(methods)).encode()
    reply = Reply(
        204, b"", [ANY, (b"access-control-allow-methods", allowed), _MAY_SEND, _REMEMBER, (b"allow", allowed)]
    )

    async def answer(_: Call) -> Reply:
        return reply

    return answer
