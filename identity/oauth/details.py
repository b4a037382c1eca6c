"""Rich authorization requests: the registry of `authorization_details` types.

RFC 9396 sections 2, 5 and 6. A type is known because a package registered a checker for it; an unknown type, an unknown
member or a value of the wrong shape is refused by name. What an element means is the checker's business alone.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import orjson

from identity.clients import Client
from identity.oauth.errors import InvalidAuthorizationDetails
from identity.oauth.parameters import Parameters
from identity.oauth.request import AuthorizationRequest, narrowed
from kit.clock import Millis
from kit.db import Database, Session
from kit.host import Actor

MAX_ELEMENTS = 20
MAX_BYTES = 16_384

Detail = dict[str, Any]


class DetailChecker(Protocol):
    """Judges and normalises elements of one type."""

    def check(self, session: Session, client: Client, detail: Detail) -> Detail:
        """The normalised element, or raise InvalidAuthorizationDetails with a text that names the member."""
        ...

    def end(self, session: Session, client: Client, detail: Detail, *, actor: Actor, now: Millis) -> None:
        """The client gives back what was granted with this element; what is over already is left alone."""
        ...


class DetailTypes:
    """The types this server knows. Packages register at wiring time: `host.get(DetailTypes).register(…)`."""

    def __init__(self) -> None:
        self._checkers: dict[str, DetailChecker] = {}

    def register(self, name: str, checker: DetailChecker) -> None:
        """Make a type known; metadata lists it as supported."""
        if name in self._checkers:
            raise RuntimeError(f"authorization details type {name} is registered twice")
        self._checkers[name] = checker

    @property
    def names(self) -> tuple[str, ...]:
        """The known types, for `authorization_details_types_supported`."""
        return tuple(sorted(self._checkers))

    def check(self, session: Session, client: Client, details: list[Detail]) -> list[Detail]:
        """Every element normalised by its own checker (section 5)."""
        return [self._checkers[detail["type"]].check(session, client, detail) for detail in details]

    def end(self, session: Session, client: Client, details: Iterable[Detail], *, actor: Actor, now: Millis) -> None:
        """What rests on these elements ends too, in the running write (Grant Management for OAuth 2.0 section 6.5)."""
        for detail in details:
            if detail.get("type") in self._checkers:
                self._checkers[detail["type"]].end(session, client, detail, actor=actor, now=now)

    async def narrow(
        self, database: Database, client: Client, form: Parameters, request: AuthorizationRequest
    ) -> AuthorizationRequest:
        """The request with the details it asks for, normalised; as it is where it asks for none."""
        details = self.read(form.get("authorization_details"))
        return narrowed(request, await database.read(self.check, client, details)) if details else request

    def read(self, text: str | None) -> list[Detail]:
        """Parse the parameter: a JSON array of objects, each with a known `type` (section 2).

        Raises InvalidAuthorizationDetails.
        """
        if text is None:
            return []
        if len(text) > MAX_BYTES:
            raise InvalidAuthorizationDetails("authorization_details is too large")
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise InvalidAuthorizationDetails("authorization_details is not JSON") from None
        if not isinstance(value, list) or not value:
            raise InvalidAuthorizationDetails("authorization_details must be a JSON array with at least one element")
        if len(value) > MAX_ELEMENTS:
            raise InvalidAuthorizationDetails(f"authorization_details holds more than {MAX_ELEMENTS} elements")
        for element in value:
            kind = element.get("type") if isinstance(element, dict) else None
            if not isinstance(kind, str):
                raise InvalidAuthorizationDetails("each element of authorization_details needs a type")
            if kind not in self._checkers:
                raise InvalidAuthorizationDetails(f"authorization_details type {kind[:40]} is unknown")
        return value
