"""Answers that only their client can read: signed, then encrypted to a key it registered for that.

OpenID Connect Core sections 10.2 and 16.14, Registration section 2, JARM section 3, RFC 9701 section 6. Who registered
encryption never gets the same in clear: without a key there is no answer, and nothing is spent for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from identity.addresses import bad
from identity.clients import Client
from identity.oauth.errors import TemporarilyUnavailable
from identity.registration import ENCRYPTED, Registration
from identity.remote_keys import RemoteKeys
from keys.errors import BadToken
from keys.jwe import encrypt, find_key


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is needed to close one kind of answer for one client."""

    key: Mapping[str, Any]
    alg: str
    enc: str

    def close(self, token: str) -> str:
        """The signed token, encrypted."""
        try:
            return encrypt(token, self.key, alg=self.alg, enc=self.enc)
        except BadToken as error:
            raise _no_key(error) from error


class Envelopes:
    """Finds the key a client wants its answers encrypted to."""

    def __init__(self, remote: RemoteKeys) -> None:
        self._remote = remote

    async def find(self, client: Client, kind: str) -> Envelope | None:
        """For `id_token`, `userinfo`, `authorization` or `introspection`; None if the client did not ask for it.

        Raises TemporarilyUnavailable if it did and its key can't be had: asked for before anything is spent.
        """
        wanted = client.encryptions.get(kind)
        if wanted is None:
            return None
        alg, enc = wanted
        try:
            jwks = client.jwks if client.jwks is not None else await self._remote.get(client.jwks_uri or "")
        except BadToken as error:
            raise _no_key(error) from error
        key = find_key(jwks, alg)
        if key is None:
            raise _no_key(None)
        return Envelope(key, alg, enc)

    async def check(self, registration: Registration) -> None:
        """Of a client whose keys are at an address: raise InvalidClientMetadata unless one of them fits."""
        wanted = {getattr(registration, f"{kind}_encrypted_response_alg") for kind in ENCRYPTED} - {None}
        if not wanted or registration.jwks_uri is None:
            return
        try:
            jwks = await self._remote.get(registration.jwks_uri)
        except BadToken:
            jwks = {}  # one sentence for every cause: what a stranger may not reach, a stranger may not map either
        if any(find_key(jwks, alg) is None for alg in wanted):
            raise bad("/jwks_uri", "No key there with use enc fits the encryption asked for.")


def _no_key(error: BadToken | None) -> TemporarilyUnavailable:
    return TemporarilyUnavailable(
        "this client's key to encrypt to could not be had; nothing was given in clear",
        status=503,
        private=error.private if error is not None else None,
    )
