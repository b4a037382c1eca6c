"""Somebody else's OpenID provider on loopback, strict and independent of our code: PyJWT signs and verifies.

It asks what デジタル認証アプリ asks (code, PKCE S256, `state`, `nonce`, `private_key_jwt` with ES256, `acr_values`, a
scope for each attribute) and refuses whatever lacks a part of it. A test tells it to misbehave by `claims` (put over
those of the next ID token) and by the other switches. `GBizID` asks what GビズID asks instead.
"""

import asyncio
import contextlib
import hashlib
import json
import string
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.support.site import Site, reply, serving

PERSON = {"name": "湊 花", "address": "湊浜市汐見町2丁目3番地1", "birthdate": "19510402", "gender": "2"}
_ATTRIBUTES = {"name", "address", "birthdate", "gender"}


class Strict(Exception):
    """The provider does not take this request; the text says why."""


@dataclass
class StandIn:
    """One provider and its one client. `now` is the clock its tokens are made by, in seconds."""

    base: ClassVar[str] = "/realms/main"

    site: Site
    now: Callable[[], int]
    client_id: str = "RP00000001"
    redirect_uri: str = "http://localhost:8080/sign-in/from/app"
    client_key: dict[str, Any] | None = None  # the public half the client registered
    secret: str | None = None
    acr_values: str | None = "aal3 crl"
    acr: str | None = "aal3"
    subject: str = "pairwise-hana"
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    # -- how it misbehaves
    claims: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    redirect: dict[str, str] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[dict[str, Any]], str] | None = None
    # -- what it saw
    refusals: list[str] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    exchanges: int = 0
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _jtis: set[str] = field(default_factory=set)
    _tokens: dict[str, set[str]] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return self.site.url(self.base)

    async def visit(self, url: str) -> str:
        """The browser at the provider's page, where the person says yes; the address it is sent back to."""
        async with httpx2.AsyncClient(verify=False) as browser:  # no certificates to load: it is plain http
            answer = await browser.get(url)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def jwks(self) -> dict[str, Any]:
        public: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": "k1", "use": "sig", "alg": "ES256"}]}

    def answer(self, _path: str) -> bytes:
        """One request, whole."""
        head, _, body = self.site.asked[-1].partition(b"\r\n\r\n")
        method, target, *_ = head.decode().split(" ")
        headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
        plain = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        authorization = next((value for name, value in plain.items() if name.lower() == "authorization"), "")
        parts = urlsplit(target)
        try:
            match method, parts.path.removeprefix(self.base.rstrip("/")):
                case "GET", "/.well-known/openid-configuration":
                    return _json(self._metadata())
                case "GET", "/jwks":
                    return _json(self.jwks())
                case "GET", "/auth":
                    return reply(b"", "303 See Other", f"location: {self._authorize(parts.query)}")
                case "POST", "/token":
                    return _json(self._token(_form(headers, body), authorization))
                case "POST", "/userinfo":
                    return _json(self._userinfo(authorization))
        except Strict as error:
            self.refusals.append(str(error))
            said = json.dumps({"error": "invalid_request", "error_description": "<b>words of the upstream</b>"})
            return reply(said.encode(), "400 Bad Request", "content-type: application/json")
        return reply(b"", "404 Not Found")

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            **{
                name: self.issuer.rstrip("/") + path
                for name, path in {
                    "authorization_endpoint": "/auth",
                    "token_endpoint": "/token",
                    "userinfo_endpoint": "/userinfo",
                    "jwks_uri": "/jwks",
                }.items()
            },
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"],
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def _authorize(self, query: str) -> str:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
        asked = dict(pairs)
        _must(len(asked) == len(pairs), "a parameter twice")
        _must(asked.get("response_type") == "code", "response_type")
        _must(asked.get("client_id") == self.client_id, "client_id")
        _must(asked.get("redirect_uri") == self.redirect_uri, "redirect_uri, character for character")
        scopes = asked.get("scope", "").split(" ")
        _must("openid" in scopes and set(scopes) <= {"openid", *_ATTRIBUTES}, "scope")
        _must(len(asked.get("state", "")) >= 32 and len(asked.get("nonce", "")) >= 32, "state and nonce")
        _must(asked.get("code_challenge_method") == "S256" and len(asked.get("code_challenge", "")) == 43, "PKCE")
        _must(asked.get("acr_values") == self.acr_values, "acr_values")
        self.requests.append(asked)
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.issuer, **self.redirect}
        return f"{self.redirect_uri}?{urlencode({name: value for name, value in back.items() if value})}"

    def _token(self, form: dict[str, str], authorization: str) -> dict[str, Any]:
        self.exchanges += 1
        self._client(form, authorization)
        _must(form.get("grant_type") == "authorization_code", "grant_type")
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None:
            raise Strict("the code is unknown or used")
        _must(form.get("redirect_uri") == asked["redirect_uri"], "redirect_uri of the code")
        digest = urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=")
        _must(digest.decode() == asked["code_challenge"], "code_verifier")
        token = f"at-{self.exchanges}"
        self._tokens[token] = set(asked["scope"].split(" "))
        half = hashlib.sha256(token.encode()).digest()[:16]
        claims = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.client_id,
            "iat": self.now(),
            "exp": self.now() + 300,
            "nonce": asked["nonce"],
            "at_hash": urlsafe_b64encode(half).rstrip(b"=").decode(),
            "acr": self.acr,
            "amr": ["hwk", "pin", "mynumber"],
            **({"auth_time": self.now()} if "max_age" in asked else {}),
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        sign = self.sign or (lambda told: jwt.encode(told, self.key, algorithm="ES256", headers={"kid": "k1"}))
        return {"access_token": token, "token_type": "Bearer", "expires_in": 300, "id_token": sign(claims)}

    def _client(self, form: dict[str, str], authorization: str) -> None:
        if self.secret is not None:
            _must("client_assertion" not in form, "a secret, not an assertion")
            given = b64decode(authorization.removeprefix("Basic ")).decode().split(":")
            _must([unquote(part) for part in given] == [self.client_id, self.secret], "client_secret_basic")
            return
        _must(form.get("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "type")
        try:
            said = jwt.decode(
                form.get("client_assertion", ""), jwt.PyJWK(self.client_key or {}), algorithms=["ES256"],
                audience=self.issuer, issuer=self.client_id,
                options={
                    "require": ["iss", "sub", "aud", "jti", "iat", "exp"], "verify_exp": False, "verify_iat": False,
                },
            )  # fmt: skip
        except jwt.PyJWTError as error:
            raise Strict(f"client_assertion: {error}") from error
        _must(said["sub"] == self.client_id and said["aud"] == self.issuer, "sub and aud of the assertion")
        _must(self.now() - 10 <= said["iat"] <= self.now() < said["exp"] <= said["iat"] + 300, "times of the assertion")
        _must(said["jti"] not in self._jtis, "an assertion twice")
        self._jtis.add(said["jti"])

    def _userinfo(self, authorization: str) -> dict[str, Any]:
        scopes = self._tokens.get(authorization.removeprefix("Bearer "))
        if scopes is None:
            raise Strict("access token")
        told = {name: value for name, value in PERSON.items() if name in scopes}
        return {"sub": self.subject, **told, "email": "not@asked.example", **self.userinfo}


@cache
def _rsa() -> Any:
    return rsa.generate_private_key(65537, 2048)


@dataclass
class GBizID(StandIn):
    """GビズID, after a description of its guideline for connecting systems, section 3.4.1 (2.9, 2026; not the text
    itself): a client secret by Basic, ID tokens signed RS256 with `auth_time` and without `acr`, `amr` and `at_hash`,
    no `iss` in the redirect, an issuer that ends in a slash. `max_age` means nothing to it; whoever signed in there
    stays signed in, and only `prompt=login` asks them again. PKCE, which it recommends, is required here.
    """

    base: ClassVar[str] = "/oauth/"
    since: int = 0  # when the person signed in there; 0: not yet
    SCOPES: ClassVar[set[str]] = {"openid", "profile", "user", "mandate", "email", "offline_access"}

    def jwks(self) -> dict[str, Any]:
        public: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(_rsa().public_key()))
        return {"keys": [{**public, "kid": "g1", "use": "sig", "alg": "RS256"}]}

    def _metadata(self) -> dict[str, Any]:
        said = super()._metadata()
        del said["authorization_response_iss_parameter_supported"]
        return {
            **said,
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            **self.metadata,
        }

    def _authorize(self, query: str) -> str:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
        asked = dict(pairs)
        known = {
            "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge",
            "code_challenge_method", "prompt", "max_age",
        }  # fmt: skip
        _must(len(asked) == len(pairs), "a parameter twice")
        _must(set(asked) == known, f"parameters: {sorted(set(asked) ^ known)}")
        _must(asked["response_type"] == "code" and asked["client_id"] == self.client_id, "client")
        _must(asked["redirect_uri"] == self.redirect_uri, "redirect_uri, character for character")
        scopes = asked["scope"].split(" ")
        _must("openid" in scopes and set(scopes) <= self.SCOPES, "scope")
        _must(len(asked["state"]) >= 32 and len(asked["nonce"]) >= 32, "state and nonce")
        _must(asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43, "PKCE")
        self.requests.append(asked)
        if not self.since or asked["prompt"] == "login":
            self.since = self.now()
        code = (string.ascii_letters * 2)[len(self._codes) :][:22]
        self._codes[code] = asked
        back = {"code": code, "state": asked["state"], **self.redirect}
        return f"{self.redirect_uri}?{urlencode({name: value for name, value in back.items() if value})}"

    def _token(self, form: dict[str, str], authorization: str) -> dict[str, Any]:
        _must(set(form) == {"grant_type", "code", "redirect_uri", "code_verifier"}, "parameters of the token request")
        usual = self.sign
        self.sign = usual or self._signed
        try:
            return super()._token(form, authorization)
        finally:
            self.sign = usual

    def _signed(self, claims: dict[str, Any]) -> str:
        told = {name: value for name, value in claims.items() if name not in ("acr", "amr", "at_hash")}
        told |= {"auth_time": self.since, "jti": f"j{self.exchanges}", **self.claims}
        return jwt.encode(
            {name: value for name, value in told.items() if value is not None},
            _rsa(),
            algorithm="RS256",
            headers={"kid": "g1"},
        )


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise Strict(what)


def _json(value: Any) -> bytes:
    return reply(json.dumps(value).encode(), "200 OK", "content-type: application/json")


def _form(headers: dict[str, str], body: bytes) -> dict[str, str]:
    _must(headers.get("content-type") == "application/x-www-form-urlencoded", "content-type")
    pairs = parse_qsl(body.decode(), keep_blank_values=True)
    _must(len(dict(pairs)) == len(pairs), "a parameter twice")
    return dict(pairs)


@contextlib.asynccontextmanager
async def standing_in(now: Callable[[], int], kind: type[StandIn] = StandIn, **more: Any) -> AsyncIterator[StandIn]:
    """A provider, while the block lasts."""
    async with serving() as site:
        made = kind(site, now, **more)
        site.answer = made.answer
        yield made
        await asyncio.sleep(0)
