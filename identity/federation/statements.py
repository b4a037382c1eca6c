"""One entity statement: what it must hold, and by whom it is signed. Pure.

OpenID Federation 1.0 sections 3.1 and 3.2. `read` takes a statement apart and judges everything but its signature;
`prove` judges that. Nothing of a statement is used for a decision before it was proved.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from identity.federation.entities import check_entity_id, is_entity_id
from identity.federation.refusals import chain
from keys.errors import BadToken
from keys.jose import peek, public_members, verify_with_jwks
from kit.clock import SECOND, Millis

TYP = "entity-statement+jwt"
#: Section 3: RS256 should be verified. Never `none`, nothing symmetric (section 3.2).
ALGS = ("ES256", "PS256", "EdDSA", "RS256")

SKEW: Millis = 10 * SECOND
LONGEST = 65_536
MOST_KEYS = 32
#: Section 18.1: hundreds of false hints must not become hundreds of requests of ours.
MOST_HINTS = 10
#: Nobody's statement is good for longer here, so that a removed member is gone in time (section 11.4).
_LATEST = 1e11

_ONLY_CONFIGURATION = (
    "authority_hints",
    "trust_anchor_hints",
    "trust_marks",
    "trust_mark_issuers",
    "trust_mark_owners",
)
_ONLY_SUBORDINATE = ("constraints", "metadata_policy", "metadata_policy_crit", "source_endpoint")
_DEFINED = frozenset(
    {"iss", "sub", "iat", "exp", "jwks", "metadata", "crit", "aud", "trust_anchor", "nbf", "jti"}
).union(_ONLY_CONFIGURATION, _ONLY_SUBORDINATE)
Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that was read, not yet proved."""

    token: str
    kid: str
    claims: Claims
    iss: str
    sub: str
    issued_at: Millis
    expires_at: Millis

    @property
    def about_itself(self) -> bool:
        """Whether it is an entity configuration."""
        return self.iss == self.sub

    @property
    def jwks(self) -> Mapping[str, Any]:
        """The subject's federation keys."""
        found: Mapping[str, Any] = self.claims.get("jwks", {"keys": []})
        return found

    @property
    def metadata(self) -> Mapping[str, Mapping[str, Any]]:
        """By entity type."""
        found: Mapping[str, Mapping[str, Any]] = self.claims.get("metadata", {})
        return found

    @property
    def hints(self) -> tuple[str, ...]:
        """Its immediate superiors, as it says."""
        return tuple(self.claims.get("authority_hints", ()))

    def endpoint(self, name: str) -> str | None:
        """A federation endpoint of its own, from its configuration (sections 5.1.1 and 8.1)."""
        found = self.metadata.get("federation_entity", {}).get(name)
        return found if isinstance(found, str) and 0 < len(found) <= 2000 else None


def read(token: object, now: Millis, *, aud: str | None = None) -> Statement:
    """Take a statement apart; raises Refused. Its signature is not looked at: ask `prove`.

    `aud`: it is an explicit registration request to that entity (section 3.1.4); elsewhere none may be there.
    """
    try:
        header, claims = peek(token if isinstance(token, str) else "", longest=LONGEST)
    except BadToken as error:
        raise chain("not-a-statement", f"a statement is not a signed JWT ({error.private})") from None
    typ = header.get("typ")
    if typ not in (TYP, f"application/{TYP}"):  # section 3: no other JWT may pass for a statement
        raise chain("typ", f"the typ of a statement must be {TYP}")
    if header.get("alg") not in ALGS:
        raise chain("alg", "a statement is signed by an algorithm that is not accepted")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise chain("kid", "a statement must name its key by kid")
    if aud is None and ("trust_chain" in header or "peer_trust_chain" in header):  # sections 4.3 and 4.4
        raise chain("trust-chain-header", "a statement in a chain carries no chain itself")
    iss, sub = check_entity_id(claims.get("iss"), "iss"), check_entity_id(claims.get("sub"), "sub")
    issued_at, expires_at = _moment(claims, "iat", sub), _moment(claims, "exp", sub)
    if issued_at > now + SKEW:
        raise chain("not-yet", f"the statement of {iss} about {sub} is from the future")
    if expires_at <= now - SKEW or expires_at <= issued_at:
        raise chain("expired", f"the statement of {iss} about {sub} has expired")
    check_keys(claims.get("jwks"), f"{iss} about {sub}")
    _check_claims(claims, iss, sub, aud)
    assert isinstance(token, str)
    return Statement(token, kid, claims, iss, sub, issued_at, expires_at)


def prove(statement: Statement, jwks: Mapping[str, Any], whose: str) -> None:
    """Raise Refused unless the key named by `kid` is in the set and the signature is its own."""
    try:
        verify_with_jwks(statement.token, jwks, algs=ALGS, typ=TYP, longest=LONGEST)
    except BadToken as error:
        named = f"the statement of {statement.iss} about {statement.sub} is not signed by a key of {whose}"
        raise chain("signature", named) from error


def _moment(claims: Claims, name: str, sub: str) -> Millis:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise chain("times", f"{name} of a statement about {sub} is not a time")
    return int(value * SECOND)


def check_keys(jwks: Any, where: str) -> None:
    """Section 3.1.1: public keys, each with a `kid` of its own; raises Refused."""
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= MOST_KEYS:
        raise chain("jwks", f"the statement of {where} holds no key set, or too many keys")
    kids = [key.get("kid") for key in keys if isinstance(key, dict)]
    if len(kids) != len(keys) or not all(isinstance(kid, str) and kid for kid in kids) or len(set(kids)) != len(kids):
        raise chain("jwks", f"each key in the statement of {where} needs a kid of its own")
    for key in keys:
        if key.get("kty") in ("RSA", "EC", "OKP"):
            try:
                public_members(key)
            except BadToken as error:
                raise chain("jwks", f"a key in the statement of {where} is not a public key") from error
        elif key.get("kty") == "oct" or "d" in key or "k" in key:
            raise chain("jwks", f"a key in the statement of {where} is not a public key")


def _check_claims(claims: Claims, iss: str, sub: str, aud: str | None) -> None:
    for name in _ONLY_SUBORDINATE if iss == sub else _ONLY_CONFIGURATION:
        if name in claims:
            raise chain("misplaced", f"{name} does not belong in the statement of {iss} about {sub}")
    if "trust_anchor" in claims or claims.get("aud") != aud:  # section 3.1.4, 3.1.5: not sent on to somebody else
        raise chain("audience", f"the statement of {iss} about {sub} is not meant for this use")
    crit = claims.get("crit")
    if crit is not None:
        # Section 13.4: no extension is understood here, so whatever is critical can't be processed.
        named = crit if _strings(crit) else ["(malformed)"]
        why = "is defined, and must not be there" if _DEFINED & set(named) else "is not understood"
        raise chain("crit", f"{named[0][:60] if named else '(empty)'} in crit of a statement about {sub} {why}")
    for name in ("authority_hints", "trust_anchor_hints"):
        hints = claims.get(name)
        if hints is not None and not (_strings(hints) and hints and all(is_entity_id(hint) for hint in hints)):
            raise chain("hints", f"{name} of {sub} is not a list of entity identifiers")
    _check_metadata(claims.get("metadata", {}), sub)
    marks = claims.get("trust_marks", [])
    if not isinstance(marks, list) or not all(
        isinstance(mark, dict)
        and isinstance(mark.get("trust_mark_type"), str)
        and isinstance(mark.get("trust_mark"), str)
        for mark in marks
    ):
        raise chain("trust-marks", f"trust_marks of {sub} is malformed")
    issuers = claims.get("trust_mark_issuers", {})
    if not isinstance(issuers, dict) or not all(_strings(value) for value in issuers.values()):
        raise chain("trust-marks", f"trust_mark_issuers of {sub} is malformed")
    owners = claims.get("trust_mark_owners", {})
    if not isinstance(owners, dict) or not all(
        isinstance(owner, dict) and is_entity_id(owner.get("sub")) and isinstance(owner.get("jwks"), dict)
        for owner in owners.values()
    ):
        raise chain("trust-marks", f"trust_mark_owners of {sub} is malformed")


def _check_metadata(metadata: Any, sub: str) -> None:
    """Section 5: an object for each entity type, no member null at the top."""
    if not isinstance(metadata, dict) or not all(isinstance(value, dict) for value in metadata.values()):
        raise chain("metadata", f"metadata of {sub} is malformed")
    for kind, values in metadata.items():
        for name, value in values.items():
            if value is None:
                raise chain("metadata", f"{name[:60]} of {kind[:60]} of {sub} is null")
    if "jwks" in metadata.get("federation_entity", {}):
        raise chain("metadata", f"federation_entity of {sub} holds keys of its own")  # section 5.2.1


def _strings(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, str) for one in value)
