"""When a JWT from elsewhere may be used: one clock, one tolerance for assertions and request objects.

RFC 7519 sections 4.1.4 to 4.1.6, RFC 7523 section 3 (rules 4 to 6). Pure: claims and a moment in.
"""

from collections.abc import Mapping
from typing import Any

from identity.oauth.errors import OAuthError
from kit.clock import SECOND, Millis

#: How far a client's clock may differ from ours.
SKEW: Millis = 10 * SECOND
# Far beyond any date: JSON numbers may be so large that arithmetic with them fails.
_LATEST = 1e12


def find_moment(claims: Mapping[str, Any], name: str, *, of: str, refusal: type[OAuthError]) -> Millis | None:
    """A NumericDate (RFC 7519 section 2) in milliseconds, None where it isn't there; raises `refusal`, naming `of`."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise refusal(f"{name} of the {of} must be a number of seconds")
    return int(value * SECOND)


def check_begun(claims: Mapping[str, Any], *, of: str, now: Millis, refusal: type[OAuthError]) -> None:
    """Neither `iat` nor `nbf` lies ahead (rules 5 and 6); raises `refusal`."""
    for name in ("iat", "nbf"):
        if (find_moment(claims, name, of=of, refusal=refusal) or 0) > now + SKEW:
            raise refusal(f"{name} of the {of} is in the future")


def check_assertion_times(
    claims: Mapping[str, Any], *, longest: Millis, now: Millis, refusal: type[OAuthError]
) -> Millis:
    """An assertion must expire (rule 4), within `longest`, or its `jti` would be kept for ever. Returns when."""
    expires_at = find_moment(claims, "exp", of="assertion", refusal=refusal)
    if expires_at is None or expires_at + SKEW <= now:
        raise refusal("the assertion has expired, or has no exp")
    if expires_at > now + longest + SKEW:
        raise refusal("exp of the assertion is too far ahead")
    check_begun(claims, of="assertion", now=now, refusal=refusal)
    return expires_at
