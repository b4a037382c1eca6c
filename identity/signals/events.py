"""The events services are told of, and the claims of their tokens. Pure.

OpenID Shared Signals Framework 1.0 section 4 (a SET of type `secevent+jwt` with `iss`, `aud`, `iat`, `jti`, `txn` and
one event; never `sub` or `exp`), CAEP 1.0 section 3, RISC 1.0 section 2, RFC 9493 (subjects). The subject is the
receiver's own pairwise `iss_sub`, with its own name of the session where there is one, and nothing more: no token says
who anybody is, and no two receivers can join theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kit.clock import SECOND, Millis

TYPE: Final = "secevent+jwt"
MEDIA_TYPE: Final = "application/secevent+jwt"
_SSF: Final = "https://schemas.openid.net/secevent/ssf/event-type/"
_CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
_RISC: Final = "https://schemas.openid.net/secevent/risc/event-type/"
_OWN: Final = "urn:sekisho:event:"
VERIFICATION: Final = f"{_SSF}verification"
STREAM_UPDATED: Final = f"{_SSF}stream-updated"


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of event. `last_word` is told although the grant ended by it; `plain` has no CAEP members."""

    name: str
    base: str
    last_word: bool = False
    plain: bool = False

    @property
    def uri(self) -> str:
        """Its identifier."""
        return self.base + self.name


KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("session-established", _CAEP),
        Kind("session-presented", _CAEP),
        Kind("session-revoked", _CAEP),
        Kind("credential-change", _CAEP),
        Kind("token-claims-change", _CAEP),
        Kind("assurance-level-change", _CAEP),
        Kind("account-disabled", _RISC, plain=True),
        Kind("account-enabled", _RISC, plain=True),
        Kind("account-purged", _RISC, plain=True, last_word=True),
        Kind("recovery-activated", _RISC, plain=True),
        Kind("recovery-information-changed", _RISC, plain=True),
        Kind("consent-withdrawn", _OWN, last_word=True),
        Kind("device-compromised", _OWN),
    )
}
#: What every receiver may ask for (section 8.1.1, `events_supported`).
SUPPORTED: Final[tuple[str, ...]] = tuple(kind.uri for kind in KINDS.values())
#: CAEP section 2, `initiating_entity`, by the kind of actor in the audit trail.
ENTITY: Final[Mapping[str, str]] = {"resident": "user", "operator": "admin"}


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened: to whom (or under which grant), when, by whom, and what the event says of it."""

    kind: str
    at: Millis
    account_id: str = ""
    grant_id: str = ""
    by: str = "system"
    cause: str = ""
    said: Mapping[str, Any] = field(default_factory=dict)
    #: For what happened to a browser session: (client, the session as it knows it).
    sessions: tuple[tuple[str, str], ...] = ()


def delivered(requested: object) -> tuple[str, ...]:
    """Of what a receiver asked for, what it gets: what we don't know is passed over (section 8.1.1)."""
    return tuple(uri for uri in SUPPORTED if isinstance(requested, list | tuple) and uri in requested)


def user(issuer: str, sub: str) -> dict[str, Any]:
    """RFC 9493 section 3.2.3: the resident as this receiver knows them."""
    return {"format": "iss_sub", "iss": issuer, "sub": sub}


def in_session(person: Mapping[str, Any], sid: str) -> dict[str, Any]:
    """SSF section 3.4: that resident in that session, as its ID tokens name it (`sid`)."""
    return {"format": "complex", "user": dict(person), "session": {"format": "opaque", "id": sid}}


def event(kind: Kind, at: Millis, by: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """The event itself; CAEP section 2 says when and through whom, RISC knows neither."""
    more = {} if kind.plain else {"event_timestamp": at // SECOND, "initiating_entity": by}
    return {kind.uri: {**more, **said}}


def control(uri: str, stream_id: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Of the stream itself (sections 8.1.4.1 and 8.1.5)."""
    return {"sub_id": {"format": "opaque", "id": stream_id}, "events": {uri: dict(said)}}


def token_claims(
    kept: Mapping[str, Any], *, issuer: str, audience: str, token_id: str, transaction: str, issued_at: Millis
) -> dict[str, Any]:
    """A whole token for one receiver (section 4.1)."""
    return {
        "iss": issuer,
        "aud": audience,
        "iat": issued_at // SECOND,
        "jti": token_id,
        "txn": transaction,
        **kept,
    }
