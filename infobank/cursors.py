"""Where the next page of a category begins: the moment and the id of the last record seen. Pure."""

from typing import Protocol

from kit.clock import Millis


class _Recorded(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def recorded_at(self) -> Millis: ...


def write_cursor(last: _Recorded) -> str:
    """The cursor after a record."""
    return f"{last.recorded_at}.{last.id}"


def read_cursor(text: str | None) -> tuple[Millis, str] | None:
    """Read a page cursor; nonsense begins at the newest."""
    if not text:
        return None
    moment, _dot, item_id = text.partition(".")
    digits = moment.removeprefix("-")
    # Short enough for any database's 64 bits: a longer one would be an error of ours instead of nonsense of theirs.
    if not item_id or not digits.isascii() or not digits.isdigit() or len(digits) > 15:
        return None
    return int(moment), item_id
