"""Token exchange: who may have which token for which, decided on one screen.

RFC 8693 sections 1.1 (delegation and impersonation), 2.1, 4.1 (`act`) and 4.4 (`may_act`). Pure: the tokens are proved
already. The rules: a client exchanges only what an operator's policy names; only tokens that were issued to it, that it
is the resource server of, or that name it in `may_act`; never for more scope, more data or a longer life than the
subject token has; an ID token says who somebody is and never becomes access.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from identity.clients import Client
from identity.oauth.errors import InvalidRequest, InvalidScope, InvalidTarget
from identity.oauth.parameters import Parameters, read_scopes, require

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"  # what our access tokens are, too (section 3)
#: How many hands a token may go through.
DEEPEST = 4
#: A session of the resident's own at a service does not come out of an exchange.
_NEVER = frozenset({"openid", "offline_access"})


@dataclass(frozen=True, slots=True)
class Proved:
    """A subject or actor token: ours, unexpired, honoured now."""

    kind: str
    claims: Mapping[str, Any]
    jti: str
    client_id: str
    member_id: str | None
    grant_id: str | None
    account_id: str | None
    expires_at: int  # seconds

    @property
    def scopes(self) -> frozenset[str]:
        """What it may do; an ID token nothing."""
        return frozenset(self.claims.get("scope", "").split()) if self.kind == ACCESS_TOKEN else frozenset()

    @property
    def audience(self) -> tuple[str, ...]:
        """For whom it is."""
        named = self.claims["aud"]
        return tuple(named) if isinstance(named, list) else (named,)

    @property
    def path(self) -> tuple[str, ...]:
        """The clients it went through."""
        return (*self.claims.get("exchanged_from", ()), self.client_id)


@dataclass(frozen=True, slots=True)
class Decided:
    """What the new token may be."""

    audience: str
    scopes: tuple[str, ...]
    details: tuple[dict[str, Any], ...]
    act: Mapping[str, Any] | None
    path: tuple[str, ...]
    actors: tuple[Mapping[str, Any], ...]  # the actors' tokens, which the new one stands on as well
    expires_at: int


def decide(form: Parameters, client: Client, subject: Proved, actor: Proved | None) -> Decided:
    """The whole policy; raises InvalidRequest, InvalidScope or InvalidTarget (section 2.2.2)."""
    _check_subject(client, subject)
    act = _act(client, subject, actor)
    if len(subject.path) > DEEPEST or _depth(act) > DEEPEST:
        raise InvalidRequest("subject_token went through too many hands already")
    ends = (subject.expires_at, actor.expires_at) if actor is not None else (subject.expires_at,)
    # Data was agreed to for one recipient: another organisation's client gets none of it by exchange.
    same_recipient = subject.member_id is not None and subject.member_id == client.member_id
    details = tuple(subject.claims.get("authorization_details", ())) if same_recipient else ()
    return Decided(
        audience=_audience(form, client),
        scopes=_scopes(form, client, subject),
        details=details if subject.kind == ACCESS_TOKEN else (),
        act=act,
        path=subject.path,
        actors=(*subject.claims.get("acting_with", ()), *(() if actor is None else (_stood_on(actor),))),
        expires_at=min(ends),
    )


def requested_type(form: Parameters) -> str:
    """Section 2.1: only access tokens are issued. Raises InvalidRequest."""
    asked = form.get("requested_token_type", ACCESS_TOKEN)
    if asked not in (ACCESS_TOKEN, JWT):
        raise InvalidRequest("requested_token_type must be an access token's")
    return asked


def _check_subject(client: Client, subject: Proved) -> None:
    """A token somebody merely got hold of is not theirs to exchange."""
    if subject.kind == ID_TOKEN:
        if subject.audience != (client.id,):
            raise InvalidRequest("subject_token was issued to another client")
        return
    if subject.client_id == client.id:
        return
    named = subject.claims.get("may_act", {}).get("sub")
    if named is not None and named != client.id:
        raise InvalidRequest("may_act of subject_token names somebody else")  # section 4.4
    if named is None and not set(subject.audience) & client.introspects:
        raise InvalidRequest("subject_token is neither this client's nor for a resource of it")


def _act(client: Client, subject: Proved, actor: Proved | None) -> Mapping[str, Any] | None:
    """Section 4.1: the current actor outside, earlier ones within; without an actor the chain stays as it was."""
    before: Mapping[str, Any] | None = subject.claims.get("act")
    if actor is None:
        if not client.impersonates:
            raise InvalidRequest("actor_token is required: this client may not impersonate")
        return before
    if actor.client_id != client.id:
        raise InvalidRequest("actor_token was issued to another client")
    if "act" in actor.claims:
        raise InvalidRequest("actor_token must be the actor's own")
    now: dict[str, Any] = {"sub": actor.claims["sub"], "client_id": actor.client_id}
    return now if before is None else {**now, "act": before}


def _stood_on(actor: Proved) -> Mapping[str, Any]:
    """What ends the new token when it ends: the actor's token, its chain, its grant."""
    named = {"jti": actor.jti, "grant_id": actor.grant_id, "grant_generation": actor.claims.get("grant_generation")}
    return {name: value for name, value in named.items() if value}


def _depth(act: Mapping[str, Any] | None) -> int:
    count = 0
    while act is not None:
        count, act = count + 1, act.get("act")
    return count


def _audience(form: Parameters, client: Client) -> str:
    """Section 2.1, RFC 8707: one target, named by `resource` or `audience`, of those the policy names."""
    named = {form[name] for name in ("resource", "audience") if name in form}
    if len(named) > 1 or any(" " in one for one in named):
        raise InvalidTarget("ask for one target at a time")
    if not named and len(client.exchange_audiences) == 1:
        return next(iter(client.exchange_audiences))
    (asked,) = named or {""}
    if asked not in client.exchange_audiences:
        raise InvalidTarget("this client may not exchange tokens for this target")
    return asked


def _scopes(form: Parameters, client: Client, subject: Proved) -> tuple[str, ...]:
    allowed = (subject.scopes & client.exchange_scopes) - _NEVER
    asked = read_scopes(form.get("scope"))
    if not set(asked) <= allowed:
        raise InvalidScope("scope asks for more than subject_token has or this client may exchange")
    return asked or tuple(sorted(allowed))


def check_types(form: Parameters) -> None:
    """Section 2.1: each token with its type, and no type without its token. Raises InvalidRequest."""
    require(form, "subject_token")
    if require(form, "subject_token_type") not in (ACCESS_TOKEN, ID_TOKEN, JWT):
        raise InvalidRequest("subject_token_type must be an access token's or an ID token's")
    if ("actor_token" in form) != ("actor_token_type" in form):
        raise InvalidRequest("actor_token and actor_token_type go together")
    if form.get("actor_token_type", ACCESS_TOKEN) not in (ACCESS_TOKEN, JWT):
        raise InvalidRequest("actor_token_type must be an access token's")
