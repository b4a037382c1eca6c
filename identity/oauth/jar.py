"""Request objects: what a signed authorization request may say.

OpenID Connect Core section 6, RFC 9101 sections 4, 6 and 10. The parameters of a request are those of its object and no
others (RFC 9101 section 6.3): what stands beside it in the address was signed by nobody. Pure: claims in, parameters
out, in the form of `parameters.read_query`, so that the same checks follow.
"""

import re
from typing import Any

import orjson

from identity.oauth.errors import InvalidRequestObject
from identity.oauth.jwt_times import SKEW, check_begun, find_moment
from identity.oauth.parameters import Parameters
from kit.clock import HOUR, Millis
from kit.encoding import b64url_decode

TYPE = "oauth-authz-req+jwt"
# RFC 9101 section 4: about the object, not about the request.
_ABOUT_ITSELF = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti", "sub", "trust_chain"})
_OF = "request object"
_JSON = frozenset({"claims", "authorization_details"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def type_of(token: str) -> str | None:
    """The `typ` to verify an object by: RFC 9101's where it is given, else untyped, as OpenID Connect has them.

    RFC 9101 section 10.8, RFC 8725 section 3.11: a client assertion by the same key must not pass for a request.
    Raises InvalidRequestObject.
    """
    try:
        typ = orjson.loads(b64url_decode(token.partition(".")[0])).get("typ")
    except (ValueError, AttributeError):
        raise InvalidRequestObject("the request object is not a JWT") from None
    if typ is None:
        return None
    kind = str(typ).lower().removeprefix("application/")
    if kind == TYPE:
        return TYPE
    if kind == "jwt":
        return None
    raise InvalidRequestObject("typ of the request object must be " + TYPE)


def check_claims(claims: dict[str, Any], *, client_id: str, issuer: str, now: Millis) -> None:
    """Who made it, for whom, and when (RFC 9101 sections 4 and 6.3); raises InvalidRequestObject."""
    if claims.get("client_id", client_id) != client_id or claims.get("iss", client_id) != client_id:
        raise InvalidRequestObject("iss and client_id of the request object must be the client's")
    if claims.get("sub") == client_id:
        raise InvalidRequestObject("sub of the request object must not be the client")  # section 10.8
    audience = claims.get("aud", issuer)
    if issuer not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidRequestObject("aud of the request object must be this issuer")
    ends_at = _moment(claims, "exp")
    if ends_at is not None and ends_at + SKEW <= now:
        raise InvalidRequestObject("the request object has expired")
    check_begun(claims, of=_OF, now=now, refusal=InvalidRequestObject)
    if "request" in claims or "request_uri" in claims:
        raise InvalidRequestObject("a request object holds neither request nor request_uri")  # section 4


def check_lifetime(claims: dict[str, Any], now: Millis) -> None:
    """What FAPI 2.0 Message Signing section 5.3.1 (items 2 to 4) asks beyond: `aud`, `nbf` and `exp` must be there,
    and no object is good for more than an hour. Raises InvalidRequestObject.
    """
    begins_at, ends_at = _moment(claims, "nbf"), _moment(claims, "exp")
    for name, found in (("aud", claims.get("aud")), ("nbf", begins_at), ("exp", ends_at)):
        if found is None:
            raise InvalidRequestObject(f"{name} of the request object is required")
    assert begins_at is not None
    assert ends_at is not None
    if begins_at < now - HOUR:
        raise InvalidRequestObject("nbf of the request object is more than 60 minutes ago")
    if ends_at > begins_at + HOUR:
        raise InvalidRequestObject("exp of the request object is more than 60 minutes after nbf")


def check_federated(claims: dict[str, Any], *, client_id: str, issuer: str) -> tuple[str, Millis]:
    """What OpenID Federation 1.0 section 12.1.1.1 asks beyond, of who has no registration to be known by: `aud` this
    issuer and nobody else, `iss`, `client_id`, `exp` and `jti` there, no `sub`. Returns `jti` and the end.
    Raises InvalidRequestObject.
    """
    if claims.get("aud") not in (issuer, [issuer]):
        raise InvalidRequestObject("aud of the request object must be this issuer, and nobody else")
    if claims.get("iss") != client_id or claims.get("client_id") != client_id:
        raise InvalidRequestObject("iss and client_id of the request object are required")
    if "sub" in claims:  # or it could be taken for a client assertion
        raise InvalidRequestObject("sub of the request object must not be there")
    jti, ends_at = claims.get("jti"), _moment(claims, "exp")
    if not isinstance(jti, str) or not 0 < len(jti) <= 512:
        raise InvalidRequestObject("jti of the request object is required")
    if ends_at is None:
        raise InvalidRequestObject("exp of the request object is required")
    return jti, ends_at


def parameters_of(claims: dict[str, Any], client_id: str) -> Parameters:
    """The request the object makes. Numbers and JSON become what they are in an address."""
    found: Parameters = {"client_id": client_id}
    for name, value in claims.items():
        if name in _ABOUT_ITSELF or value is None or value == "":
            continue
        found[name] = _text(name, value)
    return found


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        if _CONTROL.search(value) or (name == "resource" and " " in value):
            raise InvalidRequestObject(f"{name[:40]} of the request object holds a control character")
        return value
    if name in _JSON and isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if name == "resource" and isinstance(value, list) and all(isinstance(one, str) and " " not in one for one in value):
        return " ".join(value)
    raise InvalidRequestObject(f"{name[:40]} of the request object is of the wrong type")


def _moment(claims: dict[str, Any], name: str) -> Millis | None:
    return find_moment(claims, name, of=_OF, refusal=InvalidRequestObject)
