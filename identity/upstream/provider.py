"""Asking an upstream: what it publishes of itself, tokens for a code, the attributes a profile allows.

OpenID Connect Discovery 1.0 sections 3 and 4, RFC 8414 section 3.3; client authentication by Core section 9 (RFC 7523)
or RFC 6749 section 2.3.1. Everything goes out through `kit.fetch`: an upstream is trusted to say who somebody is, not
to choose which of our neighbours we call.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from identity.federation.refusals import Refused
from identity.federation.service import Federation
from identity.remote_keys import RemoteKeys
from identity.upstream import answers
from identity.upstream.answers import Failed
from identity.upstream.profiles import Upstream
from keys.errors import BadToken
from keys.jose import verify_with_jwks
from kit.clock import MINUTE, SECOND, Clock, Millis
from kit.fetch import Fetched, Fetcher, FetchRefused
from kit.ids import secret

KEPT: Millis = 10 * MINUTE
PAUSE: Millis = 10 * SECOND
ASSERTION_SECONDS = 60
_FORM = "application/x-www-form-urlencoded"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Document:
    """What of an upstream's metadata is used."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    says_iss: bool
    jwks: Mapping[str, Any] | None = None  # by value, where its chain says so


class Provider:
    """Calls upstreams. Their metadata is kept for ten minutes; one that doesn't answer is asked again after a pause."""

    def __init__(self, fetcher: Fetcher, keys: RemoteKeys, clock: Clock, federation: Federation | None = None) -> None:
        self._fetcher = fetcher
        self._keys = keys
        self._clock = clock
        self._federation = federation
        self._kept: dict[str, tuple[Document | None, Millis]] = {}

    async def document(self, upstream: Upstream) -> Document:
        """Its metadata; raises Failed."""
        now = self._clock.ms()
        found, at = self._kept.get(upstream.id, (None, -KEPT))
        if found is None or now - at >= KEPT:
            if found is None and now - at < PAUSE:
                raise Failed("unreachable", "asked a moment ago")
            self._kept[upstream.id] = (None, now)
            if upstream.federated:
                found, until = await self._by_chain(upstream)
                now = min(now, until - KEPT)  # no longer than its chain
            else:
                found = self._read(upstream, answers.read_json(await self._get(upstream.issuer)))
            self._kept[upstream.id] = (found, now)
        return found

    async def _by_chain(self, upstream: Upstream) -> tuple[Document, Millis]:
        """Its metadata as its federation gives it, and until when (OpenID Federation 1.0 section 12.1): what it says of
        itself elsewhere counts for nothing. Raises Failed.
        """
        if self._federation is None or not self._federation.on:
            raise Failed("broken", "this city takes part in no federation")
        try:
            chain = await self._federation.discovery.resolve(upstream.issuer, oldest=PAUSE)
            value = chain.of("openid_provider")
            jwks, uri = await self._federation.keys_of(chain, "openid_provider")
        except Refused as refused:
            raise Failed("unreachable" if refused.word == "unreachable" else "broken", str(refused)) from refused
        if "automatic" not in value.get("client_registration_types_supported", ()):
            raise Failed("broken", "client_registration_types_supported lacks automatic")
        found = self._read(upstream, {**value, "jwks_uri": uri or value.get("jwks_uri") or upstream.issuer})
        return replace(found, jwks=jwks), self._federation.discovery.until(chain)

    async def exchange(self, upstream: Upstream, document: Document, *, code: str, verifier: str) -> tuple[str, str]:
        """ID token and access token for a code (Core section 3.1.3.1); raises Failed."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": upstream.redirect_uri,
            "code_verifier": verifier,  # RFC 7636 section 4.5: a code of another request's is worth nothing
        }
        headers = {"accept": "application/json"}
        if upstream.key is not None:
            audience = upstream.issuer if upstream.assertion_audience == "issuer" else document.token_endpoint
            now = self._clock.ms() // SECOND
            claims = {
                "iss": upstream.client_id,
                "sub": upstream.client_id,
                "aud": audience,
                "jti": secret("skj"),
                "iat": now,
                "exp": now + ASSERTION_SECONDS,
            }
            form |= {
                "client_id": upstream.client_id,
                "client_assertion_type": _ASSERTION,
                "client_assertion": upstream.key.sign_jwt(claims, typ="JWT"),
            }
        else:
            pair = f"{quote(upstream.client_id, safe='')}:{quote(upstream.secret or '', safe='')}"
            headers["authorization"] = "Basic " + b64encode(pair.encode()).decode()
        return answers.read_tokens(await self._post(document.token_endpoint, urlencode(form).encode(), headers))

    async def claims(self, upstream: Upstream, document: Document, id_token: str) -> Mapping[str, Any]:
        """The claims of an ID token that is signed by the upstream, by the one algorithm agreed; raises Failed."""
        try:
            if document.jwks is not None:
                return verify_with_jwks(id_token, document.jwks, algs=(upstream.alg,), typ=None)[1]
            _, claims = await self._keys.verify(document.jwks_uri, id_token, algs=(upstream.alg,), typ=None)
        except BadToken as error:
            raise Failed("broken", error.private or "signature") from error
        return claims

    async def attributes(
        self, upstream: Upstream, document: Document, *, access_token: str, subject: str
    ) -> dict[str, str]:
        """What userinfo says of the subject, as far as the profile allows (Core section 5.3); raises Failed."""
        if not upstream.attributes or not document.userinfo_endpoint:
            return {}
        headers = {"accept": "application/json", "authorization": f"Bearer {access_token}"}
        found = answers.read_json(await self._post(document.userinfo_endpoint, b"", headers))
        return answers.check_attributes(found, upstream, subject=subject)

    def _read(self, upstream: Upstream, value: Mapping[str, Any]) -> Document:
        if value.get("issuer") != upstream.issuer:  # Discovery section 4.3, RFC 8414 section 3.3: impersonation
            raise Failed("broken", "issuer of the metadata")
        addresses = [value.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        userinfo = value.get("userinfo_endpoint", "")
        try:
            for address in (*addresses, *([userinfo] if userinfo else [])):
                if not isinstance(address, str):
                    raise FetchRefused("address")
                self._fetcher.check(address)
        except FetchRefused as error:
            raise Failed("broken", "an endpoint's address") from error
        authorization, token, jwks = map(str, addresses)
        parts = urlsplit(authorization)
        if f"{parts.scheme}://{parts.netloc}" != upstream.pages_at or parts.fragment:
            # Residents are sent to pages the operator knows, whatever the metadata says today.
            raise Failed("broken", "authorization_endpoint is elsewhere than pages_at")
        for name, needed in (
            ("code_challenge_methods_supported", "S256"),
            ("id_token_signing_alg_values_supported", upstream.alg),
            ("token_endpoint_auth_methods_supported", "private_key_jwt" if upstream.key else "client_secret_basic"),
        ):
            if isinstance(value.get(name), list) and needed not in value[name]:
                raise Failed("broken", f"{name} lacks {needed}")
        says_iss = value.get("authorization_response_iss_parameter_supported") is True
        return Document(authorization, token, jwks, str(userinfo), says_iss)

    async def _get(self, issuer: str) -> Fetched:
        try:
            return await self._fetcher.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        except FetchRefused as error:
            raise Failed("unreachable", str(error)) from error

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Fetched:
        try:
            return await self._fetcher.post(url, body, content_type=_FORM, headers=headers)
        except FetchRefused as error:
            raise Failed("unreachable", str(error)) from error
