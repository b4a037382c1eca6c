"""Structured logs on standard error. Nothing personal and no secret may be passed here; a last filter drops the
names that would carry one (invariant I6).
"""

import sys
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


def _redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if key in _NEVER:
            event[key] = "[not logged]"
    return event


def configure(*, json: bool = True) -> None:
    """Set up once, at the roof."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


log: Any = structlog.get_logger()
