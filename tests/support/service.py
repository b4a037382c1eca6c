"""A service and a resident at the city's doors, as asynchronous HTTP clients, for tests that need many of both.

The resident's browser is a cookie and the forms of the pages; the service is OAuth as the RFCs say. Both know nothing
of the packages. (`sekisho walk` is the strict version of the same story; this one is quick.)
"""

import base64
import hashlib
import json
import re
import secrets
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from identity.sessions import session_cookie

FORM = {"content-type": "application/x-www-form-urlencoded"}


def credentials(data: Path) -> dict[str, Any]:
    """The file `sekisho demo` wrote."""
    known: dict[str, Any] = json.loads((data / "demo-credentials.json").read_text())
    return known


@dataclass
class Resident:
    """Somebody signed in, by their session cookie."""

    login: str
    account_id: str
    http: httpx2.AsyncClient

    @classmethod
    def with_session(cls, url: str, login: str, account_id: str, token: str) -> "Resident":
        """A browser that holds this session."""
        http = httpx2.AsyncClient(
            base_url=url,
            timeout=20,
            headers={"origin": url, "accept": "text/html"},
            cookies={session_cookie(url): token},
        )
        return cls(login, account_id, http)

    async def api(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """The JSON API."""
        headers = {"accept": "application/json"}
        return await self.http.request(method, path, headers=headers, **more)

    async def agree(self, address: str, *, optional: bool = False) -> str:
        """Open an authorization address, agree to the required part (or all), return where the browser is sent."""
        response = await self.http.get(address)
        for _ in range(8):
            if response.status_code not in (302, 303):
                break
            target = response.headers["location"]
            if not target.startswith(("/", str(self.http.base_url))):
                return target
            response = await self.http.get(target)
        response.raise_for_status()
        form = _Form(response.text, "agree")
        fields = [*form.fields, *(form.boxes if optional else [])]
        if form.button and form.button[0]:
            fields.append(form.button)
        body = urlencode(fields).encode()
        done = await self.http.post(form.action or response.url.path, content=body, headers=FORM)
        if done.status_code != 303:
            raise RuntimeError(f"agreeing answered {done.status_code}: {done.text[:500]}")
        return str(done.headers["location"])


class _Form(HTMLParser):
    """The form of a page that has a button of this id, filled as it comes."""

    def __init__(self, html: str, button_id: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: list[tuple[str, str]] = []
        self.boxes: list[tuple[str, str]] = []
        self.button: tuple[str, str] | None = None
        self._button_id = button_id
        self._forms: list[tuple[str, list[tuple[str, str]], list[tuple[str, str]]]] = []
        self.feed(html)
        if self.button is None:
            text = re.sub(r"<[^>]+>|\s+", " ", html)
            raise RuntimeError(f"no button {button_id!r} on the page: {text[:800]}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._forms.append((have.get("action", ""), [], []))
        elif self._forms and tag == "input" and have.get("name"):
            _, fields, boxes = self._forms[-1]
            pair = (have["name"], have.get("value", "on"))
            if have.get("type") in ("checkbox", "radio"):
                if "checked" not in have:
                    boxes.append(pair)
                elif "disabled" not in have:
                    fields.append(pair)
            elif have.get("type") not in ("submit", "button", "file"):
                fields.append(pair)
        elif self._forms and tag == "button" and have.get("id") == self._button_id:
            self.button = (have.get("name", ""), have.get("value", ""))
            self.action, self.fields, self.boxes = self._forms[-1]


@dataclass
class Service:
    """A registered client with a secret."""

    url: str
    registration: dict[str, Any]
    http: httpx2.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx2.AsyncClient(base_url=self.url, timeout=20)

    @property
    def client_id(self) -> str:
        """Its name at the city."""
        return str(self.registration["client_id"])

    async def _post(self, path: str, form: dict[str, str]) -> httpx2.Response:
        secret = self.registration["client_secret"]
        headers = dict(FORM)
        if self.registration["token_endpoint_auth_method"] == "client_secret_post":
            form = form | {"client_id": self.client_id, "client_secret": secret}
        else:
            pair = f"{self.client_id}:{secret}".encode()
            headers["authorization"] = "Basic " + base64.b64encode(pair).decode()
        return await self.http.post(path, content=urlencode(form).encode(), headers=headers)

    async def own_token(self, scope: str = "") -> str:
        """Client credentials."""
        response = await self._post(
            "/oauth/token", {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        )
        response.raise_for_status()
        return str(response.json()["access_token"])

    async def ask(self, *, scope: str = "openid offline_access", **more: str) -> tuple[str, str]:
        """Push an authorization request for its agreement; returns the address for the browser and the verifier."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        detail = {"type": "data_use", "agreement": self.registration["agreement"], "actions": ["read"]}
        asked = {
            "client_id": self.client_id, "response_type": "code", "redirect_uri": self.registration["redirect_uri"],
            "scope": scope, "code_challenge": challenge, "code_challenge_method": "S256", "state": "s",
            "authorization_details": json.dumps([detail]), **more,
        }  # fmt: skip
        response = await self._post("/oauth/par", asked)
        if response.status_code != 201:
            raise RuntimeError(f"pushing answered {response.status_code}: {response.text[:300]}")
        query = urlencode({"client_id": self.client_id, "request_uri": response.json()["request_uri"]})
        return f"/oauth/authorize?{query}", verifier

    async def exchange(self, location: str, verifier: str) -> dict[str, Any]:
        """The code of a redirect for tokens."""
        code = parse_qs(urlsplit(location).query)["code"][0]
        form = {
            "grant_type": "authorization_code", "code": code, "code_verifier": verifier,
            "redirect_uri": self.registration["redirect_uri"],
        }  # fmt: skip
        response = await self._post("/oauth/token", form)
        if response.status_code != 200:
            raise RuntimeError(f"the code was answered {response.status_code}: {response.text[:300]}")
        token: dict[str, Any] = response.json()
        return token

    async def fetch(self, access_token: str) -> httpx2.Response:
        """Read records under the token's consent."""
        return await self.http.get("/api/bank/records", headers={"authorization": f"Bearer {access_token}"})


def consent_of(token: dict[str, Any]) -> str:
    """The consent that a token stands on."""
    return next(str(one["consent"]) for one in token["authorization_details"] if one["type"] == "data_use")
