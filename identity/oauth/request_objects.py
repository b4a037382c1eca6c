"""Finding, opening and verifying the object behind `request` or `request_uri`.

OpenID Connect Core sections 6.1 and 6.2, RFC 9101 sections 5 and 6. By value, or by reference to an address that the
client registered (section 10.4: an open `request_uri` would let anybody make us call anywhere), fetched guarded.
"""

from typing import Any

from identity import once
from identity.client_keys import ClientKeys
from identity.clients import Client
from identity.crowd import Crowd
from identity.oauth import jar
from identity.oauth.errors import InvalidRequest, InvalidRequestObject, InvalidRequestUri, TemporarilyUnavailable
from identity.oauth.jwt_times import SKEW
from identity.oauth.parameters import Parameters
from keys.errors import BadToken
from keys.jwe import check_sealed
from keys.ring import KeyRing
from kit.clock import Clock
from kit.db import Database
from kit.fetch import Fetcher, FetchRefused

_MAX_OBJECT = 32_768  # it may be encrypted, or bring a trust chain along (OpenID Federation 1.0 section 4.3)


class RequestObjects:
    """Resolves request objects to the parameters they hold."""

    def __init__(
        self, issuer: str, keys: ClientKeys, ring: KeyRing, fetcher: Fetcher, clock: Clock, crowd: Crowd
    ) -> None:
        self._issuer = issuer
        self._keys = keys
        self._ring = ring
        self._fetcher = fetcher
        self._clock = clock
        self._crowd = crowd

    async def resolve(self, parameters: Parameters, client: Client, source: str) -> Parameters:
        """The parameters that count; raises InvalidRequestObject, InvalidRequestUri or InvalidRequest.

        Making us fetch is charged to the network of `source` (TemporarilyUnavailable).
        """
        if "request" in parameters and "request_uri" in parameters:
            raise InvalidRequest("send request or request_uri, not both")  # RFC 9101 section 5
        token = parameters.get("request")
        if token is None:
            token = await self._fetch(parameters["request_uri"], client, source)
        claims = await self._claims(token, client)
        return jar.parameters_of(claims, client.id)

    async def spend(self, database: Database, token: str | None, client: Client) -> None:
        """Use up the object of a client that registered automatically; raises InvalidRequestObject for one used before.

        OpenID Federation 1.0 section 12.1.1.1: its signature is all that proves who asks, so it counts once.
        """
        if token is None or not client.automatic:
            return
        claims = await self._claims(token, client)
        jti, ends_at = jar.check_federated(claims, client_id=client.id, issuer=self._issuer)
        key = once.digest("request-object", client.id, jti)
        if not await database.write_core(once.claim, key, ends_at + SKEW):
            raise InvalidRequestObject("the request object was used already")

    async def _claims(self, token: str, client: Client) -> dict[str, Any]:
        try:
            if token.count(".") == 4:
                token = self._opened(token, client)
            typ = jar.type_of(token)
            _, claims = await self._keys.verify(client, token, algs=client.request_algs, typ=typ, longest=_MAX_OBJECT)
        except BadToken as error:
            raise InvalidRequestObject("the request object does not verify", private=error.private) from error
        jar.check_claims(claims, client_id=client.id, issuer=self._issuer, now=self._clock.ms())
        if client.fapi:
            jar.check_lifetime(claims, self._clock.ms())
        if client.automatic:
            jar.check_federated(claims, client_id=client.id, issuer=self._issuer)
        return claims

    def _opened(self, token: str, client: Client) -> str:
        """RFC 9101 section 6.1, OpenID Connect Core section 6.1: signed, then encrypted to a key of ours.

        Raises BadToken, so that what can't be opened, what was made by somebody else and what is no request are one
        answer: whoever sends us a message they found learns nothing about it.
        """
        header = check_sealed(token)
        wanted = client.request_encryption
        if wanted is not None and (header["alg"], header["enc"]) != wanted:
            raise BadToken(private="the client registered another way of encrypting")
        inside = self._ring.open_jwe(token)
        if inside.count(".") != 2:
            raise BadToken(private="what is inside is not signed")
        return inside

    async def _fetch(self, uri: str, client: Client, source: str) -> str:
        if uri not in client.request_uris:
            raise InvalidRequestUri("request_uri is not registered for this client")
        if seconds := self._crowd.wait(source):
            raise TemporarilyUnavailable(
                "too many requests from this network", headers=((b"retry-after", str(seconds).encode()),)
            )
        try:
            answer = await self._fetcher.get(
                uri, limit=_MAX_OBJECT, accept="application/oauth-authz-req+jwt, application/jwt"
            )
        except FetchRefused as error:
            raise InvalidRequestUri("request_uri could not be fetched", private=str(error)) from error
        if answer.status != 200:
            raise InvalidRequestUri("request_uri could not be fetched", private=f"status {answer.status}")
        return answer.body.decode("ascii", "replace").strip()
