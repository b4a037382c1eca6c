"""A glance into a JWT that nobody has verified yet, for one purpose: to find the key to verify it with. Pure."""

import orjson

from kit.encoding import b64url_decode

# No key is looked for on behalf of a token longer than this.
_LONGEST = 16_384


def unverified_claim(token: str, name: str) -> str | None:
    """What a JWT claims under `name`; None where it is no JWT, too long, or says no text there."""
    if len(token) > _LONGEST:
        return None
    try:
        claim = orjson.loads(b64url_decode(token.split(".")[1]))[name]
    except (ValueError, IndexError, KeyError, TypeError):
        return None
    return claim if isinstance(claim, str) else None
