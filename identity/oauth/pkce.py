"""Proof Key for Code Exchange.

RFC 7636; S256 only, after RFC 9700 section 2.1.1. Required unless a confidential client is registered without it; a
challenge once sent is always enforced, and a verifier without one is a sign of a downgrade.
Pure: no clock, no storage, no web.
"""

import hashlib
import hmac
import re
from typing import NewType

from identity.oauth.errors import InvalidGrant, InvalidRequest
from kit.encoding import b64url

Challenge = NewType("Challenge", str)

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)  # section 4.1
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)  # section 4.2: base64url of 32 bytes, so exactly 43


NONE = Challenge("")  # none was sent, and none was required


def read_challenge(challenge: str | None, method: str | None, *, required: bool = True) -> Challenge:
    """Accept the challenge of an authorization request (section 4.3). Raises InvalidRequest."""
    if challenge is None and not required and method is None:
        return NONE
    if challenge is None:
        raise InvalidRequest("code_challenge is required")  # section 4.4.1
    if method != "S256":
        # An absent method would mean `plain` (section 4.3), which protects nothing once the request leaks.
        raise InvalidRequest("code_challenge_method must be S256")
    if not _CHALLENGE.fullmatch(challenge):
        raise InvalidRequest("code_challenge must be 43 base64url characters")
    return Challenge(challenge)


def verify(verifier: str | None, challenge: Challenge) -> None:
    """Raise InvalidGrant unless the verifier fits the challenge (section 4.6)."""
    if challenge == NONE:
        if verifier is not None:
            # RFC 9700 section 4.8.2: somebody may have taken the challenge out of the request on its way.
            raise InvalidGrant("code_verifier was sent, but no code_challenge")
        return
    if verifier is None:
        raise InvalidGrant("code_verifier is required")
    if not _VERIFIER.fullmatch(verifier):
        raise InvalidGrant("code_verifier is malformed")
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    if not hmac.compare_digest(b64url(digest), challenge):
        raise InvalidGrant("code_verifier does not match the code_challenge")
