"""Which key signs, as whoever gets a token sees it."""

import json

from keys.ring import KeyRing
from kit.encoding import b64url_decode


def active_kid(ring: KeyRing, alg: str) -> str:
    """The `kid` of what the ring signs now by an algorithm."""
    header = ring.sign_jwt({}, typ="JWT", alg=alg).partition(".")[0]
    return str(json.loads(b64url_decode(header))["kid"])
