"""The demo services' side of an ended consent, so that a demo left running is a city whose services answer.

Each client of the credentials file follows its own stream (polled, RFC 8936), verifies every security event token (RFC
8417) under the published keys, and confirms the end of a consent: with a JWS under its registered key where it has one,
and in the lesser form for services with a secret where it has none. A token is taken from the stream only after the
confirmation was kept, so a stop in between loses nothing. All of it over HTTP and by the published metadata; nothing
here knows ours. A stream that somebody has set to push is theirs, and left alone.
"""

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import httpx2
import jwt
from joserfc.jwk import ECKey

ENDED = "urn:sekisho:event:consent-ended"
POLL = "urn:ietf:rfc:8936"
_KNOWN_ALGS = ["EdDSA", "ES256"]
_SPARE = 30  # seconds before a token of ours runs out


class Unanswered(Exception):
    """The city did not do what a service asks of it."""


class Recipient:
    """One client of the credentials file, as its own developer would run it."""

    def __init__(
        self, http: httpx2.AsyncClient, registration: dict[str, Any], metadata: dict[str, Any], now: Callable[[], int]
    ) -> None:
        self._http = http
        self._metadata = metadata
        self._now = now  # in seconds
        self._issuer: str = metadata["issuer"]
        self._id: str = registration["client_id"]
        self._member: str = registration["member"]
        self._secret: str | None = registration["client_secret"]
        self._method: str = registration["token_endpoint_auth_method"]
        jwk = registration["private_jwk"]
        self._key = jwt.PyJWK(jwk, "ES256").key if jwk else None
        self._proofs = ECKey.generate_key("P-256") if registration["dpop"] else None
        self._token, self._until = "", 0

    async def answer(self) -> int:
        """Confirm every end that the stream tells of; how many."""
        if not await self._follows():
            return 0
        confirmed, done, refused = 0, list[str](), dict[str, Any]()
        while True:
            ask = {"returnImmediately": True, "ack": done, "setErrs": refused}
            sets = (await self._call("POST", "/consent/stream/poll", json=ask)).json()["sets"]
            if not sets:
                return confirmed
            keys = (await self._http.get(self._metadata["jwks_uri"])).json()["keys"]
            done, refused = [], {}
            for name, token in sets.items():
                try:
                    claims = self._verify(token, keys, name)
                except (jwt.PyJWTError, ValueError) as error:
                    refused[name] = {"err": "invalid_request", "description": type(error).__name__}
                    continue
                if claims["events"].get(ENDED, {}).get("recipient") == self._member:
                    confirmed += await self._confirm(claims)
                done.append(name)

    async def _follows(self) -> bool:
        """Whether the stream is ours to poll; opened if there is none."""
        found = await self._call("GET", "/consent/stream", unless=404)
        if found.status_code == 404:
            found = await self._call("PUT", "/consent/stream", json={"delivery": {"method": POLL}})
        return bool(found.json()["delivery"]["method"] == POLL)

    def _verify(self, token: str, keys: list[dict[str, Any]], name: str) -> dict[str, Any]:
        """The claims of a token about somebody's consent (RFC 8417 section 2). A stranger's makes us say nothing."""
        header = jwt.get_unverified_header(token)
        named = next((key for key in keys if key.get("kid") == header.get("kid")), None)
        if named is None or header.get("typ") != "secevent+jwt":  # typ: none of the city's other tokens will do
            raise ValueError("not a security event token of this city")
        said: dict[str, Any] = jwt.decode(
            token, jwt.PyJWK(named), algorithms=_KNOWN_ALGS, issuer=self._issuer, audience=self._id,
            options={"verify_iat": False},  # what happened may be told late, and does not run out
        )  # fmt: skip
        if said.get("jti") != name:
            raise ValueError("not the token that the stream names")
        return said

    async def _confirm(self, claims: dict[str, Any]) -> int:
        """1 if this word is the first; what was confirmed before stays as it is."""
        word = {"txn": claims["txn"], "sub_id": claims["sub_id"], "data": "erased"}
        if self._key is None:
            answer = await self._call("POST", "/consent/acknowledgements", unless=409, json=word)
        else:
            statement = self._sign(self._about() | word, "consent-acknowledgement+jwt")
            kind = {"Content-Type": "application/jwt"}
            answer = await self._call("POST", "/consent/acknowledgements", unless=409, content=statement, headers=kind)
        return int(answer.status_code == 200)

    def _about(self) -> dict[str, Any]:
        return {"iss": self._id, "aud": self._issuer, "iat": self._now(), "jti": secrets.token_urlsafe(16)}

    def _sign(self, claims: dict[str, Any], typ: str) -> str:
        assert self._key is not None
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"typ": typ})

    async def _call(
        self, method: str, path: str, *, unless: int = 0, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx2.Response:
        """A request with a token of the service's own; raises Unanswered for what is no success (nor `unless`)."""
        url, token = self._issuer + path, await self._access()
        said = {"Authorization": f"{'DPoP' if self._proofs else 'Bearer'} {token}", **self._proof(method, url, token)}
        answer = await self._http.request(method, url, headers=said | (headers or {}), **more)
        if not answer.is_success and answer.status_code != unless:
            self._until = 0  # whatever it was, the next round begins with a token of its own
            raise Unanswered(f"{method} {path} → {answer.status_code}")
        return answer

    async def _access(self) -> str:
        """Client credentials, kept while they last."""
        if self._now() < self._until - _SPARE:
            return self._token
        url, form = self._metadata["token_endpoint"], {"grant_type": "client_credentials"}
        auth = httpx2.Auth()  # none, unless the client sends its secret in a header
        if self._key is not None:  # RFC 7523 section 2.2
            claims = self._about() | {"sub": self._id, "exp": self._now() + 60}
            form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            form["client_assertion"] = self._sign(claims, "JWT")
        elif self._method == "client_secret_post":
            form |= {"client_id": self._id, "client_secret": self._secret or ""}
        else:
            auth = httpx2.BasicAuth(self._id, self._secret or "")
        answer = await self._http.post(url, data=form, auth=auth, headers=self._proof("POST", url))
        if answer.status_code != 200:
            raise Unanswered(f"POST {url} → {answer.status_code}")
        given = answer.json()
        self._token, self._until = given["access_token"], self._now() + given["expires_in"]
        return self._token

    def _proof(self, method: str, url: str, token: str = "") -> dict[str, str]:
        """RFC 9449 section 4.2, for a client that binds its tokens."""
        if self._proofs is None:
            return {}
        claims: dict[str, Any] = {"htm": method, "htu": url, "iat": self._now(), "jti": secrets.token_urlsafe(16)}
        if token:
            claims["ath"] = urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        public = {name: self._proofs.as_dict(private=False)[name] for name in ("kty", "crv", "x", "y")}
        private = self._proofs.private_key
        assert private is not None
        headers = {"typ": "dpop+jwt", "jwk": public}
        return {"DPoP": jwt.encode(claims, private, algorithm="ES256", headers=headers)}


class Acknowledger:
    """All the services of the demo. `trouble` hears once of each that gets nowhere (it may well be suspended)."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        known: dict[str, Any],
        *,
        issuer: str,
        now: Callable[[], int],
        trouble: Callable[[str, str], None],
    ) -> None:
        self._http = http
        self._known = known["clients"]
        self._issuer = issuer
        self._now = now
        self._trouble = trouble
        self._recipients: dict[str, Recipient] = {}
        self._silent: dict[str, str] = {}

    async def run(self) -> int:
        """A round of all; how many ends were confirmed."""
        if not self._recipients:
            metadata = (await self._http.get(f"{self._issuer}/.well-known/openid-configuration")).json()
            self._recipients = {
                name: Recipient(self._http, each, metadata, self._now) for name, each in self._known.items()
            }
        confirmed = 0
        for name, each in self._recipients.items():
            try:
                confirmed += await each.answer()
                self._silent.pop(name, None)
            except (Unanswered, httpx2.HTTPError, json.JSONDecodeError, KeyError) as error:
                why = str(error) if isinstance(error, Unanswered) else type(error).__name__
                if self._silent.get(name) != why:
                    self._trouble(name, why)
                self._silent[name] = why
        return confirmed
