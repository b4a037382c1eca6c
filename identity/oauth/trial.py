"""An authorization request gone through without anybody being asked: why it would be accepted or refused.

For operators who help a service to its first sign-in. The verdict is that of the endpoint itself (`Authorize.examine`,
`PushedRequests.examine`); beside it every rule of `oauth.checks` is asked by itself, so that all faults are seen at
once and not one after the other. Nothing is written, no code, no page, no pushed request.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from urllib.parse import urlencode, urlsplit

from identity.clients import Client, Clients
from identity.oauth.authorize import Authorize
from identity.oauth.checks import CHECKS, check_redirect_uri
from identity.oauth.details import DetailTypes
from identity.oauth.errors import InvalidRequest, OAuthError
from identity.oauth.grant_actions import check_grant
from identity.oauth.par import PREFIX, PushedRequests
from identity.oauth.parameters import Parameters, read_form, read_query, require
from identity.oauth.request import AuthorizationRequest
from identity.oauth.request_objects import RequestObjects
from identity.oidc.hints import IdTokenHints
from kit.db import Database

#: The rules, in the order they are shown: those of `oauth.checks` by the name of their function.
RULES = (
    "read", "client", "object", "address", "way", *(check.__name__ for check in CHECKS), "hint", "details", "grant",
)  # fmt: skip
_LONGEST = 65_536
_FORM = b"application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule and what came of it. `error` None: kept; `asked` False: it was not come to."""

    name: str
    asked: bool = True
    error: OAuthError | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """The verdict and the rules. `told`: where a refusal goes, `page` or `client`."""

    rules: tuple[Rule, ...]
    request: AuthorizationRequest | None = None
    error: OAuthError | None = None
    told: str = ""


def as_query(text: str) -> str:
    """What was pasted, as a query: an address, a query or form body, or one `name=value` a line."""
    text = text.strip()
    if text.startswith(("https://", "http://")) and "\n" not in text:
        return urlsplit(text).query
    if "\n" not in text:
        return text.lstrip("?")
    pairs = [line.strip().rstrip("&").lstrip("?&").partition("=") for line in text.splitlines() if line.strip()]
    return urlencode([(name.strip(), value.strip()) for name, _, value in pairs])


class Trial:
    """Goes through requests."""

    def __init__(
        self,
        database: Database,
        clients: Clients,
        authorize: Authorize,
        pushed: PushedRequests,
        objects: RequestObjects,
        hints: IdTokenHints,
        types: DetailTypes,
    ) -> None:
        self._database = database
        self._clients = clients
        self._authorize = authorize
        self._pushed = pushed
        self._objects = objects
        self._hints = hints
        self._types = types

    async def run(self, text: str, *, pushed: bool, source: str) -> Tried:
        """As the browser would bring it, or as the client would push it once it has proved itself."""
        query = as_query(text[:_LONGEST])
        rules = await self._rules(query, pushed=pushed, source=source)
        if pushed:
            try:
                form = read_form(_FORM, query.encode("ascii", "replace"))
                request = await self._pushed.examine(form, await self._client(form), source)
                return Tried(rules, request)
            except OAuthError as error:
                return Tried(rules, error=error, told="client")
        found = await self._authorize.examine(query, source)
        told = "" if found.error is None else "page" if found.answerable is None else "client"
        return Tried(rules, found.request, found.error, told)

    async def _rules(self, query: str, *, pushed: bool, source: str) -> tuple[Rule, ...]:
        kept: dict[str, Rule] = {}
        parameters: Parameters = {}
        try:
            parameters = read_query(query)
            kept["read"] = Rule("read")
            client = await self._client(parameters)
            kept["client"] = Rule("client")
        except OAuthError as error:
            name = "client" if "read" in kept else "read"
            return _in_order(kept | {name: Rule(name, error=error)})
        signed = "request" in parameters or "request_uri" in parameters
        if parameters.get("request_uri", "").startswith(PREFIX):
            kept["object"] = await _asked("object", self._pushed.find(parameters["request_uri"], client))
            return _in_order(kept)  # what was pushed was checked then, and counts as it is
        if signed:
            try:
                parameters = await self._objects.resolve(parameters, client, source)
                kept["object"] = Rule("object")
            except OAuthError as error:
                return _in_order(kept | {"object": Rule("object", error=error)})
        kept["address"] = _tried("address", lambda: check_redirect_uri(parameters, client))
        kept["way"] = _tried("way", lambda: _check_way(client, signed=signed, pushed=pushed))
        fields: dict[str, object] = {}
        for check in CHECKS:
            name = check.__name__
            kept[name] = _tried(name, lambda check=check: fields.update(check(parameters, client)))  # type: ignore[misc]
        empty = AuthorizationRequest(client.id, "", "")
        kept["hint"] = _tried("hint", lambda: self._hints.read(parameters, empty))
        kept["details"] = await _asked("details", self._types.narrow(self._database, client, parameters, empty))
        grant_id = fields.get("grant_id")
        named = replace(empty, grant_id=str(grant_id)) if grant_id else empty
        kept["grant"] = await _asked("grant", check_grant(self._database, client, named))
        return _in_order(kept)

    async def _client(self, parameters: Parameters) -> Client:
        client = await self._clients.get(require(parameters, "client_id"))
        if client is None:
            raise InvalidRequest("client_id is unknown")
        if not client.usable:
            raise InvalidRequest("this client is suspended")
        return client


def _check_way(client: Client, *, signed: bool, pushed: bool) -> None:
    """RFC 9126 section 5, RFC 9101 section 10.5."""
    if client.require_par and not pushed:
        raise InvalidRequest("this client must push its authorization requests")
    if client.require_signed_request and not signed:
        raise InvalidRequest("this client must send its requests signed")


def _tried(name: str, rule: Callable[[], object]) -> Rule:
    try:
        rule()
    except OAuthError as error:
        return Rule(name, error=error)
    return Rule(name)


async def _asked(name: str, rule: Awaitable[object]) -> Rule:
    try:
        await rule
    except OAuthError as error:
        return Rule(name, error=error)
    return Rule(name)


def _in_order(kept: dict[str, Rule]) -> tuple[Rule, ...]:
    return tuple(kept.get(name, Rule(name, asked=False)) for name in RULES)
