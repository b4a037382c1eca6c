"""What an upstream's answers must be: the redirect, the token response, the ID token, userinfo. Pure.

OpenID Connect Core 1.0 sections 3.1.2.7, 3.1.3.5, 3.1.3.7 and 5.3.4, RFC 6749 section 4.1.2, RFC 9207 section 2.4.
Every refusal is `Failed` with a stable word; what the upstream wrote is never shown or logged.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson

from identity.upstream.profiles import Upstream
from keys.hashing import same
from kit.clock import SECOND, Millis
from kit.encoding import b64url
from kit.fetch import Fetched

SKEW: Millis = 10 * SECOND
_LATEST = 1e12  # JSON numbers may be so large that arithmetic with them fails
_LONGEST = 8192


class Failed(Exception):
    """The sign-in by the upstream came to nothing. `reason` is for the page and the trail."""

    def __init__(self, reason: str, private: str = "") -> None:
        super().__init__(f"{reason}: {private}" if private else reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Proof:
    """Who the upstream says is there, since when, and how surely."""

    subject: str
    auth_at: Millis
    acr: str
    amr: tuple[str, ...]


def read_redirect(query: str) -> dict[str, str]:
    """The parameters of the redirect back; each once (RFC 6749 section 3.1)."""
    if len(query) > _LONGEST or not query.isascii():
        raise Failed("stale")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise Failed("stale") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Failed("stale")
    return found


def check_redirect(answer: Mapping[str, str], upstream: Upstream, *, says_iss: bool) -> str:
    """The code of an answer whose `state` held; raises Failed.

    `iss` must be this upstream's wherever it is sent, and must be sent where it was promised (RFC 9207 section 2.4): a
    code that another server made is not carried to this one's token endpoint (mix-up, RFC 9700 section 4.4).
    """
    iss = answer.get("iss")
    if (iss is None and says_iss) or (iss is not None and iss != upstream.issuer):
        raise Failed("mixed-up")
    if "error" in answer:
        raise Failed("denied" if answer["error"] == "access_denied" else "refused-there", answer["error"][:40])
    code = answer.get("code", "")
    if not 0 < len(code) <= 4096:
        raise Failed("refused-there", "no code")
    return code


def read_json(answer: Fetched) -> dict[str, Any]:
    """A JSON object that was answered with 200."""
    if answer.status != 200:
        raise Failed("refused-there", f"status {answer.status}")
    try:
        value = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise Failed("broken", "not JSON") from None
    if not isinstance(value, dict):
        raise Failed("broken", "not an object")
    return value


def read_tokens(answer: Fetched) -> tuple[str, str]:
    """ID token and access token of a token response (Core section 3.1.3.3)."""
    value = read_json(answer)
    id_token, access_token = value.get("id_token"), value.get("access_token")
    if not isinstance(id_token, str) or not isinstance(access_token, str):
        raise Failed("broken", "a token is missing")
    if str(value.get("token_type")).lower() != "bearer":
        raise Failed("broken", "token_type")
    return id_token, access_token


def check_id_token(
    claims: Mapping[str, Any], upstream: Upstream, *, nonce: str, access_token: str, now: Millis
) -> Proof:
    """The claims of an ID token whose signature held (Core section 3.1.3.7); raises Failed.

    Stricter than the section: only ours may be the audience, so that no other client of the upstream can show us a
    token it got; and a token says when it was made.
    """
    if claims.get("iss") != upstream.issuer:  # rule 2
        raise Failed("broken", "iss")
    if claims.get("aud") not in (upstream.client_id, [upstream.client_id]):  # rule 3
        raise Failed("broken", "aud")
    if claims.get("azp", upstream.client_id) != upstream.client_id:  # rules 4 and 5
        raise Failed("broken", "azp")
    made, ends = _moment(claims, "iat"), _moment(claims, "exp")
    if made is None or ends is None or ends + SKEW <= now or made > now + SKEW:  # rules 9 and 10
        raise Failed("broken", "exp or iat")
    if not isinstance(claims.get("nonce"), str) or not same(claims["nonce"], nonce):  # rule 11: replay, code injection
        raise Failed("broken", "nonce")
    if "at_hash" in claims and claims["at_hash"] != _half(access_token):  # section 3.1.3.8
        raise Failed("broken", "at_hash")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isascii():  # section 2
        raise Failed("broken", "sub")
    level = upstream.level(claims.get("acr"), claims.get("amr"))  # rule 12
    if level is None:
        raise Failed("too-weak")
    since = _moment(claims, "auth_time")
    if upstream.max_age is None:
        since = now if since is None else min(since, now)
    elif since is None or since > now + SKEW or now - since > upstream.max_age * SECOND + SKEW:  # rule 13
        # A session there that began this morning is no proof of who sits here now.
        raise Failed("too-old")
    return Proof(subject, min(since, now), level.acr, level.amr)


def check_attributes(claims: Mapping[str, Any], upstream: Upstream, *, subject: str) -> dict[str, str]:
    """The attributes the profile allows, and no others, of a userinfo answer about this very subject.

    Core section 5.3.4: userinfo of another `sub` must not be used (token substitution).
    """
    if claims.get("sub") != subject:
        raise Failed("broken", "userinfo sub")
    found = {name: claims.get(name) for name in upstream.attributes}
    return {name: value[:200] for name, value in found.items() if isinstance(value, str) and value}


def _moment(claims: Mapping[str, Any], name: str) -> Millis | None:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        return None
    return int(value * SECOND)


def _half(access_token: str) -> str:
    """RS256, ES256 and PS256 all hash with SHA-256; Ed25519 with SHA-512 (Core section 3.1.3.6), of which no upstream
    here sends `at_hash`, so it fails closed."""
    return b64url(hashlib.sha256(access_token.encode()).digest()[:16])
