"""What services are told of changes: the claims of security event tokens. Pure.

RFC 8417 section 2 (a JWT of type `secevent+jwt` with `iss`, `iat`, `jti`, `aud` and one event), RFC 9493 section 3.2.5
(the subject is an opaque identifier: the consent's, so no token says who anybody is). A token says *that* something
changed; what is true now is asked of the decision. So a token that comes late or twice does no harm.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from kit.clock import SECOND, Millis

TYPE: Final = "secevent+jwt"

Kind = Literal[
    "consent-changed",
    "consent-ended",
    "agreement-withdrawn",
    "sharing-held",
    "sharing-released",
    "member-suspended",
    "member-resumed",
]
KINDS: Final[tuple[Kind, ...]] = (
    "consent-changed",
    "consent-ended",
    "agreement-withdrawn",
    "sharing-held",
    "sharing-released",
    "member-suspended",
    "member-resumed",
)


def uri(kind: Kind) -> str:
    """The event's identifier (RFC 8417 section 1.2 asks for a URI)."""
    return f"urn:sekisho:event:{kind}"


def claims(
    kind: Kind, about: str, *, recipient: str, at: Millis, transaction: str | None = None, **more: Any
) -> dict[str, Any]:
    """What is kept until it is delivered: subject, time of the event (`toe`, section 2.2) and the event itself.

    `transaction` (`txn`, section 2.2) is the same in the tokens of all who are told of one ending.
    """
    return {
        "sub_id": {"format": "opaque", "id": about},
        "toe": at // SECOND,
        **({"txn": transaction} if transaction else {}),
        "events": {uri(kind): {"recipient": recipient, **more}},
    }


def token_claims(
    kept: Mapping[str, Any], *, issuer: str, audience: str, token_id: str, issued_at: Millis
) -> dict[str, Any]:
    """The whole token for one service. No `exp`: what happened does not run out (section 2.2)."""
    return {"iss": issuer, "aud": audience, "iat": issued_at // SECOND, "jti": token_id, **kept}
