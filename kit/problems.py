"""Problems: every error this system tells about itself (RFC 9457). No framework here.

A problem has two texts: `detail` is for the caller and says what to do; `private` goes to the log only. Packages
subclass in their `errors.py` and register; the wire shape is made at the door (kit.web, kit.front).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Problem(Exception):
    """An error with a stable type. `slug` and the package name form the type's address."""

    package: ClassVar[str] = "kit"
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side"
    status: ClassVar[int] = 500

    def __init__(
        self,
        detail: str = "",
        *,
        private: str | None = None,
        pointer: str | None = None,
        errors: Sequence[Mapping[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.private = private
        self.pointer = pointer
        self.errors = list(errors or ())
        self.headers = dict(headers or {})
        self.extra = extra

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.package = cls.__module__.split(".", 1)[0]

    @classmethod
    def type_path(cls) -> str:
        """The type's address below the issuer."""
        return f"/problems/{cls.package}/{cls.slug}"

    def document(self) -> dict[str, Any]:
        """The problem details object (RFC 9457 section 3)."""
        body: dict[str, Any] = {"type": self.type_path(), "title": self.title, "status": self.status}
        if self.detail:
            body["detail"] = self.detail
        if self.pointer is not None:
            body["errors"] = [{"pointer": self.pointer, "detail": self.detail}]
        elif self.errors:
            body["errors"] = [dict(error) for error in self.errors]
        body.update(self.extra)
        return body


class Malformed(Problem):
    """The bytes do not parse."""

    slug, title, status = "malformed", "The request could not be read", 400


class Unauthenticated(Problem):
    """Nobody proved who is asking."""

    slug, title, status = "unauthenticated", "Sign in, or send a valid access token", 401


class Forbidden(Problem):
    """Known, but not allowed."""

    slug, title, status = "forbidden", "This is not allowed for you", 403


class NotFound(Problem):
    """Nothing there, or nothing there for you: the answer does not tell which."""

    slug, title, status = "not-found", "There is nothing here", 404


class MethodNotAllowed(Problem):
    """The path exists, the method does not."""

    slug, title, status = "method-not-allowed", "This address does not take that method", 405


class Conflict(Problem):
    """The state moved on, or does not allow the step."""

    slug, title, status = "conflict", "The current state does not allow this", 409


class TooLarge(Problem):
    """The body is over the limit."""

    slug, title, status = "too-large", "The request is too large", 413


class UnsupportedType(Problem):
    """The content type is not read here."""

    slug, title, status = "unsupported-type", "This content type is not read here", 415


class Invalid(Problem):
    """Parsed, but a field is wrong; `errors` or `pointer` name it."""

    slug, title, status = "invalid", "Some fields need correction", 422


class TooMany(Problem):
    """Asked too often; `retry_after` seconds."""

    slug, title, status = "too-many", "Too many tries; wait a little", 429

    def __init__(self, detail: str = "", *, retry_after: int = 60, **kwargs: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(max(1, retry_after))}, **kwargs)
        self.retry_after = retry_after


class Unavailable(Problem):
    """Busy or stopping; nothing was done."""

    slug, title, status = "unavailable", "Not possible right now; nothing was changed", 503

    def __init__(self, detail: str = "", *, retry_after: int = 1, **kwargs: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(max(1, retry_after))}, **kwargs)


class Internal(Problem):
    """Ours; the caller learns a reference, the log learns the rest."""

    slug, title, status = "internal", "Something went wrong on our side", 500


COMMON: tuple[type[Problem], ...] = (
    Malformed, Unauthenticated, Forbidden, NotFound, MethodNotAllowed, Conflict, TooLarge, UnsupportedType,
    Invalid, TooMany, Unavailable, Internal,
)  # fmt: skip
