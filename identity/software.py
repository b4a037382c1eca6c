"""Software statements: what somebody we trust says of a client.

RFC 7591 sections 2.3 and 3.1.1: a signed JWT of metadata, which counts before what the client says beside it. Only
issuers on the operator's list are believed; their keys are fetched from the address listed there, never from one that
the statement names.
"""

from collections.abc import Mapping
from typing import Any

from identity.oauth.errors import InvalidSoftwareStatement, UnapprovedSoftwareStatement
from identity.registration import ASSERTION_ALGS
from identity.remote_keys import RemoteKeys
from identity.unverified import unverified_claim
from keys.errors import BadToken
from kit.clock import SECOND, Clock

_ABOUT_ITSELF = frozenset({"iss", "sub", "aud", "iat", "exp", "nbf", "jti"})


class SoftwareStatements:
    """Verifies statements."""

    def __init__(self, issuers: Mapping[str, str], keys: RemoteKeys, clock: Clock) -> None:
        self._issuers = issuers
        self._keys = keys
        self._clock = clock

    async def merged(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The metadata with the statement's over it; raises InvalidSoftwareStatement or UnapprovedSoftwareStatement."""
        statement = document.get("software_statement")
        if statement is None:
            return dict(document)
        if not isinstance(statement, str):
            raise InvalidSoftwareStatement("software_statement is not a JWT")
        issuer = unverified_claim(statement, "iss")
        if issuer is None:
            raise InvalidSoftwareStatement("software_statement is not a JWT with an issuer")
        if issuer not in self._issuers:
            raise UnapprovedSoftwareStatement("the issuer of software_statement is not trusted here")
        try:
            _, claims = await self._keys.verify(self._issuers[issuer], statement, algs=ASSERTION_ALGS, typ=None)
        except BadToken as error:
            raise InvalidSoftwareStatement("software_statement does not verify", private=error.private) from error
        expires_at = claims.get("exp")
        if expires_at is not None and (
            not isinstance(expires_at, int | float) or expires_at * SECOND <= self._clock.ms()
        ):
            raise InvalidSoftwareStatement("software_statement has expired")
        return {**document, **{name: value for name, value in claims.items() if name not in _ABOUT_ITSELF}}
