"""What is known about the request in hand: set at the door, read by audit and logs.

Context variables travel with the call into the writer thread (kit.db copies the caller's context).
"""

from contextvars import ContextVar

from kit.ids import new_id


class RequestContext:
    """`source` is the network address the request came from (personal: sealed wherever it is kept).

    A request gets its id when somebody first asks for it: most hot ones never need one.
    """

    __slots__ = ("_id", "headers", "source")

    def __init__(self, request_id: str | None, source: str) -> None:
        self._id = request_id
        self.source = source
        self.headers: tuple[tuple[bytes, bytes], ...] = ()  # what the answer carries, whatever it will be

    @property
    def request_id(self) -> str:
        """The id by which the audit trail and the logs know this request."""
        if self._id is None:
            self._id = new_id("req")
        return self._id


NOBODY = RequestContext(request_id="", source="")
request: ContextVar[RequestContext] = ContextVar("sekisho_request", default=NOBODY)


def answer_with(name: bytes, value: bytes) -> None:
    """Let the answer to the request in hand carry a header, be it good or bad; outside a request nothing happens."""
    about = request.get()
    if about is not NOBODY:
        about.headers = (*(header for header in about.headers if header[0] != name), (name, value))
