"""Structured logs on standard error. Nothing personal and no secret may be passed here; a last filter drops the
names that would carry one (invariant I6).

An exception is logged by its type and the places it came through, never by its text: texts of libraries repeat the
value that was wrong (a validation error its input, a driver the row), and that may be somebody's.
"""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

# structlog draws tracebacks with rich wherever that is installed. We print JSON and one-line text, and loading rich
# would be a tenth of the time a start takes, so it is hidden for the moment of this import.
_rich = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog
finally:
    if _rich is None:
        del sys.modules["rich"]
    else:
        sys.modules["rich"] = _rich

_NEVER = {
    "password", "code", "token", "secret", "client_secret", "authorization", "cookie", "login", "name", "email",
    "source", "refresh_token", "access_token", "id_token", "totp", "recovery",
}  # fmt: skip


#: Some addresses are secrets themselves (a receipt that is shown): what `kit.ids.secret` makes, wherever it stands.
_SECRET = re.compile(r"[a-z]{2,5}_[A-Za-z0-9_-]{43}")


def _redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if key in _NEVER:
            event[key] = "[not logged]"
        elif key == "path" and isinstance(value, str):
            event[key] = _SECRET.sub("[not logged]", value)
    return event


def without_texts(error: BaseException) -> str:
    """What happened where, without any exception's text: types and frames, the cause first."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"{frames}{type(current).__module__}.{type(current).__qualname__}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\n\n".join(reversed(parts))


def _exception(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    found = event.pop("exc_info", None)
    error = sys.exc_info()[1] if found is True else found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["exception"] = without_texts(error)
    return event


class Plain(logging.Formatter):
    """For libraries that use the standard library's logging."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the standard library's name
        """An exception, the same way."""
        return without_texts(ei[1]) if ei[1] is not None else ""


def configure(*, json: bool = True) -> None:
    """Set up once, at the roof."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(Plain("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact,
            _exception,
            structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


log: Any = structlog.get_logger()
