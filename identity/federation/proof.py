"""Whoever comes by a chain holds a key of its metadata: asked before the first row is written.

OpenID Federation 1.0 sections 12.1.1.1.2 and 12.1.1.2.1. A chain is public, so naming an entity costs nothing; without
this, anybody could fill the tables with the names of other people's services, and renew what they know of them. The
caller proves the same token again by all its rules, and uses it up; here it has to be that entity's own word to us.
"""

from typing import Any

from identity.oauth import jar
from identity.oauth.errors import UNPROVEN, InvalidClient, InvalidRequestObject
from identity.oauth.jwt_times import SKEW
from identity.registration import ASSERTION_ALGS, Registration
from identity.remote_keys import RemoteKeys
from keys.errors import BadToken
from keys.jose import verify_with_jwks
from keys.jwe import check_sealed
from keys.ring import KeyRing
from kit.clock import SECOND, Clock

#: A token that may bring its chain along.
LONGEST = 32_768


class Proof:
    """Judges what a client signed by keys that nothing here holds yet."""

    def __init__(self, issuer: str, remote: RemoteKeys, ring: KeyRing, clock: Clock) -> None:
        self._issuer = issuer
        self._remote = remote
        self._ring = ring
        self._clock = clock

    async def request(self, token: str, client_id: str, registration: Registration) -> None:
        """A request object; raises InvalidRequestObject."""
        try:
            if token.count(".") == 4:
                check_sealed(token)
                token = self._ring.open_jwe(token)
            claims = await self._signed(token, registration, jar.type_of(token))
        except BadToken as error:
            raise InvalidRequestObject("the request object does not verify", private=error.private) from error
        jar.check_claims(claims, client_id=client_id, issuer=self._issuer, now=self._clock.ms())
        jar.check_federated(claims, client_id=client_id, issuer=self._issuer)

    async def assertion(self, token: str, client_id: str, registration: Registration) -> None:
        """A client assertion; raises InvalidClient."""
        try:
            claims = await self._signed(token, registration, None)
        except BadToken as error:
            raise InvalidClient(UNPROVEN, private=error.private) from error
        ends = claims.get("exp")
        if isinstance(ends, bool) or not isinstance(ends, int | float) or ends * SECOND + SKEW <= self._clock.ms():
            raise InvalidClient("exp of the assertion is in the future")
        if claims.get("aud") != self._issuer:
            raise InvalidClient("aud of the assertion must be this issuer, as a string")
        if claims.get("iss") != client_id or claims.get("sub") != client_id:
            raise InvalidClient("iss and sub of the assertion must be the client_id")

    async def _signed(self, token: str, registration: Registration, typ: str | None) -> dict[str, Any]:
        if registration.jwks is not None:
            return verify_with_jwks(token, registration.jwks, algs=ASSERTION_ALGS, typ=typ, longest=LONGEST)[1]
        if registration.jwks_uri is None:
            raise BadToken(private="this entity has no keys")
        return (await self._remote.verify(registration.jwks_uri, token, algs=ASSERTION_ALGS, typ=typ, longest=LONGEST))[
            1
        ]
