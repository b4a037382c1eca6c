"""Client authentication: who calls the token, pushed-request, introspection or revocation endpoint.

RFC 6749 section 2.3 (secret by Basic or by body), RFC 7523 section 3 and OpenID Connect Core section 9
(private_key_jwt), RFC 8705 section 2 (certificates), public clients by their id. A client uses the one method it
registered. Unknown client, wrong secret and suspended client get the same answer after the same work.
"""

import base64
import binascii
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus

from identity import client_secrets, once
from identity.certificates.check import Certificates, Good
from identity.client_keys import ClientKeys
from identity.clients import Client, Clients
from identity.federation.admission import Admission
from identity.oauth.errors import (
    UNPROVEN,
    InvalidClient,
    InvalidFederationMetadata,
    InvalidRequest,
    InvalidTrustAnchor,
    InvalidTrustChain,
)
from identity.oauth.jwt_times import SKEW, check_assertion_times
from identity.oauth.mtls import METHODS, certificate_of, names_client
from identity.oauth.parameters import Parameters
from identity.settings import IdentitySettings
from identity.unverified import unverified_claim
from keys.errors import BadToken
from keys.hashing import TokenHasher
from kit.clock import SECOND, Clock, Millis
from kit.db import Database
from kit.front import Call

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CHALLENGE = ((b"www-authenticate", b'Basic realm="sekisho", charset="UTF-8"'),)


class ClientAuth:
    """Authenticates the client of a call."""

    def __init__(
        self,
        issuer: str,
        settings: IdentitySettings,
        clients: Clients,
        keys: ClientKeys,
        hasher: TokenHasher,
        database: Database,
        clock: Clock,
        certificates: Certificates,
        admission: Admission,
    ) -> None:
        self._issuer = issuer
        self._certificates = certificates
        self._settings = settings
        self._clients = clients
        self._keys = keys
        self._hasher = hasher
        self._database = database
        self._clock = clock
        self._admission = admission

    async def authenticate(self, call: Call, form: Parameters) -> Client:
        """The client that proved itself; raises InvalidClient (401), or InvalidRequest for two methods at once."""
        authorization = call.headers.get(b"authorization")
        assertion, password = form.get("client_assertion"), form.get("client_secret")
        if (authorization is not None) + (assertion is not None) + (password is not None) > 1:
            raise InvalidRequest("use one method of client authentication only")  # RFC 6749 section 2.3
        if authorization is not None:
            if len(call.header_values(b"authorization")) > 1:
                raise InvalidRequest("there is more than one Authorization header")
            client_id, secret = _read_basic(authorization)
            if form.get("client_id", client_id) != client_id:
                raise InvalidRequest("client_id differs from the Authorization header")
            return await self._by_secret(client_id, secret, "client_secret_basic")
        if assertion is not None:
            return await self._by_assertion(call, form, assertion)
        client_id = form.get("client_id", "")
        if password is not None:
            return await self._by_secret(client_id, password, "client_secret_post")
        if not client_id:
            raise InvalidClient("client authentication is missing", headers=_CHALLENGE)
        client = await self._clients.get(client_id)
        if client is not None and client.auth_method in METHODS:
            return await self._by_certificate(call, client)
        if client is None or not client.public or not client.usable:
            raise InvalidClient(UNPROVEN)
        return client

    async def _by_certificate(self, call: Call, client: Client) -> Client:
        """RFC 8705 section 2: the certificate of this connection is the credential, so client_id alone is sent."""
        certificate = certificate_of(call.scope)
        if certificate is None or not client.usable:
            raise InvalidClient(UNPROVEN, private="no certificate came with this request, or the client is suspended")
        if client.auth_method == "tls_client_auth":
            if self._certificates.judges:
                # A name counts as far as its authority stands by the certificate today (RFC 8705 section 7.1 and 7.3).
                verdict = await self._certificates.check(certificate.certificate, "clients", certificate.sent)
                if not isinstance(verdict, Good):
                    raise InvalidClient(UNPROVEN, private=verdict.reason)
                certificate = replace(certificate, trusted=True)
            fits = client.certificate_name is not None and names_client(certificate, *client.certificate_name)
        else:
            fits = await self._keys.has(client, certificate.key_thumbprint)
        if not fits:
            raise InvalidClient(UNPROVEN, private="the certificate is not this client's")
        return client

    async def _by_secret(self, client_id: str, secret: str, method: str) -> Client:
        client = await self._clients.get(client_id)
        digest = self._hasher.digest("client-secret", secret)
        matches = client_secrets.fits(client, digest, self._clock.ms())
        if not matches or client is None or client.auth_method != method or not client.usable:
            raise InvalidClient(UNPROVEN, headers=_CHALLENGE if method == "client_secret_basic" else ())
        return client

    async def _by_assertion(self, call: Call, form: Parameters, assertion: str) -> Client:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidRequest("client_assertion_type must be " + ASSERTION_TYPE)
        unverified_id = unverified_claim(assertion, "sub")
        if unverified_id is None:
            raise InvalidClient("client_assertion is malformed")
        if form.get("client_id", unverified_id) != unverified_id:
            raise InvalidClient("client_id differs from the assertion's subject")
        client = await self._find(unverified_id, form.get("request") or assertion, assertion, call)
        if client is None or client.auth_method != "private_key_jwt" or not client.usable:
            raise InvalidClient(UNPROVEN)
        try:
            _, claims = await self._keys.verify(client, assertion, algs=client.assertion_algs, typ=None)
        except BadToken as error:
            raise InvalidClient(UNPROVEN, private=error.private) from error
        expires_at = self._check_claims(claims, client, call.path, self._clock.ms())
        key = once.digest("assertion", client.id, claims["jti"])
        if not await self._database.write_core(once.claim, key, expires_at + SKEW):
            raise InvalidClient("the assertion was used already")  # RFC 7523 section 3, rule 7
        return client

    async def _find(self, client_id: str, token: str, assertion: str, call: Call) -> Client | None:
        """The client; one of a federation may have to be looked for first (OpenID Federation 1.0 section 12.1.1.2.1).

        Why its chain is refused is told where a request is pushed (section 12.1.3); elsewhere it is unknown.
        """
        try:
            return await self._admission.client(client_id, token, call.source, assertion=assertion)
        except (InvalidTrustAnchor, InvalidTrustChain, InvalidFederationMetadata) as error:
            if call.path == "/oauth/par":
                raise
            raise InvalidClient(UNPROVEN, private=error.private) from error

    def _check_claims(self, claims: dict[str, Any], client: Client, path: str, now: Millis) -> Millis:
        """RFC 7523 section 3, rules 1 to 6. Returns the moment of expiry."""
        if claims.get("iss") != client.id or claims.get("sub") != client.id:
            raise InvalidClient("iss and sub of the assertion must be the client_id")
        audience = claims.get("aud")
        if (client.fapi or client.automatic) and audience != self._issuer:
            # FAPI 2.0 Security Profile section 5.3.2.1 item 8: an endpoint's address could be one a rogue server gave.
            # OpenID Federation 1.0 section 12.1.1.2: the entity id, and nothing else.
            raise InvalidClient("aud of the assertion must be this issuer, as a string")
        named = [audience] if isinstance(audience, str) else audience
        # An assertion that also names somebody else could be replayed there, or was meant for there.
        accepted = {self._issuer, self._issuer + path, self._issuer + "/oauth/token"}
        if self._settings.mtls_url is not None:
            accepted.add(self._settings.mtls_url + path)
        if not isinstance(named, list) or not named or not all(isinstance(a, str) and a in accepted for a in named):
            raise InvalidClient("aud of the assertion must be this issuer, and nobody else")
        longest = self._settings.assertion_seconds * SECOND
        expires_at = check_assertion_times(claims, longest=longest, now=now, refusal=InvalidClient)
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= 512:
            raise InvalidClient("jti of the assertion is required")
        return expires_at


def _read_basic(header: bytes) -> tuple[str, str]:
    """RFC 7617, with both parts form-encoded (RFC 6749 section 2.3.1). Loosely encoded credentials are refused."""
    scheme, _, encoded = header.partition(b" ")
    if scheme.lower() != b"basic":
        raise InvalidClient("this authentication scheme is not known here", headers=_CHALLENGE)
    try:
        raw = base64.b64decode(encoded.strip(b" "), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidClient("the Basic credentials are malformed", headers=_CHALLENGE) from None
    client_id, colon, secret = raw.partition(":")
    if not colon or not client_id:
        raise InvalidClient("the Basic credentials are malformed", headers=_CHALLENGE)
    if "%" in raw or "+" in raw:
        return unquote_plus(client_id), unquote_plus(secret)
    return client_id, secret
