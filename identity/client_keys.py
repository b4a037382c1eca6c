"""A client's public keys: registered by value, or fetched from its `jwks_uri` (RFC 7591 section 2)."""

from collections.abc import Collection
from typing import Any

from identity.clients import Client
from identity.remote_keys import RemoteKeys
from keys.errors import BadToken
from keys.hashing import same
from keys.jose import thumbprint, verify_with_jwks


class ClientKeys:
    """Verifies what clients sign: assertions and request objects."""

    def __init__(self, remote: RemoteKeys) -> None:
        self._remote = remote

    async def verify(
        self, client: Client, token: str, *, algs: Collection[str], typ: str | None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims of a JWT signed by the client; raises BadToken. No claim is checked."""
        if client.jwks is not None:
            return verify_with_jwks(token, client.jwks, algs=algs, typ=typ)
        if client.jwks_uri is None:
            raise BadToken(private="this client registered no keys")
        return await self._remote.verify(client.jwks_uri, token, algs=algs, typ=typ)

    async def verify_under(
        self, client: Client, token: str, *, algs: Collection[str], typ: str | None
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Header, claims, and the very key they are signed with: evidence must outlast a rotation."""
        header, claims = await self.verify(client, token, algs=algs, typ=typ)
        jwks = client.jwks if client.jwks is not None else await self._remote.get(client.jwks_uri or "")
        for key in jwks["keys"]:
            try:
                verify_with_jwks(token, {"keys": [key]}, algs=algs, typ=typ)
            except BadToken:
                continue
            return header, claims, dict(key)
        raise BadToken(private="the key went away meanwhile")

    async def has(self, client: Client, thumb: str) -> bool:
        """Whether a key with this thumbprint (RFC 7638) is one of the client's."""
        try:
            jwks = client.jwks if client.jwks_uri is None else await self._remote.get(client.jwks_uri)
        except BadToken:
            return False
        found = False
        for key in (jwks or {}).get("keys", ()):
            try:
                found = found or same(thumbprint(key), thumb)
            except BadToken:  # a kind we don't know, in a set somebody else keeps
                continue
        return found
