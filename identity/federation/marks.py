"""Trust marks: whether one holds, for whom, by whose leave. Pure.

OpenID Federation 1.0 sections 7.1 to 7.3. Who issued it must be trusted first: the caller brings the issuer's keys from
a chain that held, to the same trust anchor whose configuration says who may issue which mark.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from identity.federation.refusals import Refused
from identity.federation.statements import ALGS, LONGEST, SKEW
from keys.errors import BadToken
from keys.jose import peek, verify_with_jwks
from kit.clock import SECOND, Millis

TYP = "trust-mark+jwt"
DELEGATION_TYP = "trust-mark-delegation+jwt"
STATUS_TYP = "trust-mark-status-response+jwt"
_LATEST = 1e11


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark that was read, not yet proved."""

    token: str
    kind: str
    issuer: str
    subject: str
    expires_at: Millis | None


def refused(word: str, detail: str) -> Refused:
    """A mark that does not hold."""
    return Refused("invalid_trust_chain", f"mark-{word}", detail)


def read(entry: Mapping[str, Any], *, subject: str, now: Millis) -> Mark:
    """An element of an entity's `trust_marks` (section 3.1.2), all but its signature; raises Refused."""
    token, kind = entry.get("trust_mark"), entry.get("trust_mark_type")
    try:
        header, claims = peek(token if isinstance(token, str) else "", longest=LONGEST)
    except BadToken as error:
        raise refused("form", "a trust mark is not a signed JWT") from error
    if header.get("typ") not in (TYP, f"application/{TYP}") or header.get("alg") not in ALGS or not header.get("kid"):
        raise refused("form", f"a trust mark is a signed JWT of the type {TYP} that names its key")
    if not isinstance(kind, str) or claims.get("trust_mark_type") != kind:
        raise refused("type", "the type beside a trust mark is not the type in it")
    if claims.get("sub") != subject:  # section 7.3: another's mark says nothing of this entity
        raise refused("subject", f"the trust mark {kind} was given to somebody else")
    issuer = claims.get("iss")
    if not isinstance(issuer, str):
        raise refused("form", f"the trust mark {kind} names no issuer")
    expires_at = _check_times(claims, f"the trust mark {kind}", now)
    assert isinstance(token, str)
    return Mark(token, kind, issuer, subject, expires_at)


def prove(mark: Mark, issuer_keys: Mapping[str, Any], anchor: Mapping[str, Any], now: Millis) -> None:
    """Raise Refused unless its issuer may give it, signed it, and has the owner's leave where one is needed.

    `anchor` is what the trust anchor's entity configuration says (its claims).
    """
    check_issuer(mark, anchor)
    try:
        _, claims = verify_with_jwks(mark.token, issuer_keys, algs=ALGS, typ=TYP, longest=LONGEST)
    except BadToken as error:
        raise refused("signature", f"the trust mark {mark.kind} is not signed by {mark.issuer}") from error
    owner, delegation = anchor.get("trust_mark_owners", {}).get(mark.kind), claims.get("delegation")
    if owner is None and delegation is None:
        return
    if owner is None or delegation is None:
        raise refused("delegation", f"the trust mark {mark.kind} and its owner's leave do not go together")
    _check_delegation(delegation, mark, owner, now)


def check_issuer(mark: Mark, anchor: Mapping[str, Any]) -> None:
    """Raise Refused unless its issuer may give it (section 3.1.2): asked before anybody is fetched.

    A type that the anchor doesn't name is unknown in this federation; an empty list is anybody of the federation.
    """
    issuers = anchor.get("trust_mark_issuers", {}).get(mark.kind)
    if issuers is None or (issuers and mark.issuer not in issuers):
        raise refused("issuer", f"{mark.issuer} may not give the trust mark {mark.kind} in this federation")


def _check_delegation(token: Any, mark: Mark, owner: Mapping[str, Any], now: Millis) -> None:
    """Section 7.2.2."""
    try:
        header, claims = verify_with_jwks(token, owner["jwks"], algs=ALGS, typ=DELEGATION_TYP, longest=LONGEST)
    except BadToken as error:
        raise refused("delegation", f"the leave to give {mark.kind} is not signed by its owner") from error
    _check_times(claims, f"the leave to give {mark.kind}", now)
    told = (claims.get("iss"), claims.get("sub"), claims.get("trust_mark_type"))
    if told != (owner["sub"], mark.issuer, mark.kind) or not header.get("kid"):
        raise refused("delegation", f"the leave to give {mark.kind} is another's, or for something else")


def _check_times(claims: Mapping[str, Any], what: str, now: Millis) -> Millis | None:
    made, ends = claims.get("iat"), claims.get("exp")
    if _moment(made, what) > now + SKEW:
        raise refused("times", f"{what} is from the future")
    if ends is None:
        return None
    if _moment(ends, what) <= now - SKEW:
        raise refused("expired", f"{what} has expired")
    return _moment(ends, what)


def _moment(value: Any, what: str) -> Millis:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise refused("times", f"{what} says no proper times")
    return int(value * SECOND)
