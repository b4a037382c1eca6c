"""A city with one resident and the clients a test asks for, and a relying party that speaks to it over HTTP."""

import base64
import hashlib
import json
import secrets
import warnings
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

import httpx2
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey

from identity import members
from identity.accounts import Profile, create_account
from identity.clients import Client, Clients, registration_of
from identity.interaction import Interactions
from identity.registration import Registration
from identity.sessions import BrowserSession, Sessions, session_cookie
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.clock import FrozenClock
from kit.db import Session
from kit.host import SYSTEM
from portal.app import Building

REDIRECT = "https://clinic.example/cb"
PROFILE = Profile(
    name="湊 花子",
    name_kana="ミナト ハナコ",
    birthdate="1988-04-02",
    email="hanako@example.jp",
    address="湊浜市潮見1-2-3",
)


def pkce() -> tuple[str, str]:
    """A verifier and its challenge."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def location(response: httpx2.Response) -> tuple[str, dict[str, str]]:
    """Where a redirect goes, and its query."""
    assert response.status_code == 303, response.text
    parts = urlsplit(response.headers["location"])
    base = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return base, {name: values[0] for name, values in parse_qs(parts.query).items()}


@dataclass
class Party:
    """One client of the city, and the resident's browser beside it."""

    building: Building
    http: httpx2.AsyncClient
    client: Client
    secret: str | None
    account_id: str = ""
    session: BrowserSession | None = None
    cookie: str = ""
    verifier: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return self.building.settings.issuer

    @property
    def basic(self) -> dict[str, str]:
        raw = f"{quote_plus(self.client.id)}:{quote_plus(self.secret or '')}"
        return {"authorization": "Basic " + base64.b64encode(raw.encode()).decode()}

    def request(self, **changes: str | None) -> dict[str, str]:
        """The parameters of a good authorization request, with changes; None leaves one out."""
        self.verifier, challenge = pkce()
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": REDIRECT,
            "scope": "openid profile",
            "state": "af0ifjsldkj",
            "nonce": "n-0S6_WzA2Mj",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    async def authorize(self, parameters: dict[str, str], *, signed_in: bool = True) -> httpx2.Response:
        """The resident's browser comes with the request."""
        headers = {"cookie": f"{session_cookie(self.issuer)}={self.cookie}"} if signed_in else {}
        return await self.http.get("/oauth/authorize", params=parameters, headers=headers)

    async def agree(
        self, response: httpx2.Response, *, details: list[dict[str, Any]] | None = None, consents: tuple[str, ...] = ()
    ) -> dict[str, str]:
        """What the page does when the resident agrees; returns the client's answer parameters."""
        base, _ = location(response)
        interaction_id = base.rsplit("/", 1)[1]
        interactions, session = self.building.host.get(Interactions), self.session
        assert session is not None

        def approve(db: Session) -> str:
            found = interactions.get(db, interaction_id)
            return interactions.approve(
                db,
                interaction_id,
                account_id=session.account_id,
                session_id=session.id,
                auth_at=session.auth_at,
                acr=session.acr,
                amr=session.amr,
                scopes=found.scopes,
                details=found.details if details is None else details,
                consent_ids=consents,
            )

        url = await self.building.host.db.write(approve)
        return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}

    async def code(self, **changes: str | None) -> str:
        """A fresh code; agrees on the page if there is one."""
        response = await self.authorize(self.request(**changes))
        base, answer = location(response)
        if "/interaction/" in base:
            answer = await self.agree(response)
        assert "code" in answer, answer
        return answer["code"]

    async def token(self, *, headers: dict[str, str] | None = None, **form: str | None) -> httpx2.Response:
        """POST /oauth/token."""
        data = {name: value for name, value in form.items() if value is not None}
        sent = dict(self.basic) if self.client.auth_method == "client_secret_basic" else {}
        if self.client.public:
            data.setdefault("client_id", self.client.id)
        return await self.http.post("/oauth/token", data=data, headers={**sent, **(headers or {})})

    async def exchange(self, code: str, *, headers: dict[str, str] | None = None, **changes: str | None) -> Any:
        """The code for tokens."""
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": self.verifier,
            **changes,
        }
        return await self.token(headers=headers, **form)

    async def refresh(self, token: str, *, headers: dict[str, str] | None = None, **changes: str | None) -> Any:
        """A refresh token for tokens."""
        return await self.token(headers=headers, grant_type="refresh_token", refresh_token=token, **changes)

    async def introspect(self, token: str) -> dict[str, Any]:
        """What the server says of a token."""
        answer = await self.http.post("/oauth/introspect", data={"token": token}, headers=self.basic)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said


async def join(building: Building, http: httpx2.AsyncClient, **registration: Any) -> Party:
    """A client of an approved member, and a resident who is signed in."""
    host = building.host
    now = host.clock.ms()

    def member(db: Session) -> str:
        applied = members.apply(db, name_ja="湊浜診療所", name_en="Minato-hama Clinic", actor=SYSTEM, now=now)
        return members.approve(db, applied.id, actor=SYSTEM, now=now).id

    fields: dict[str, Any] = {
        "name_ja": "診療所の予約",
        "name_en": "Clinic booking",
        "redirect_uris": [REDIRECT],
        "scope": "openid profile email address offline_access",
        "id_token_signed_response_alg": "ES256",
        "member_id": await host.db.write(member),
        **registration,
    }
    client, secret = await host.db.write(host.get(Clients).create, Registration(**fields), actor=SYSTEM)
    party = Party(building, http, client, secret)

    def resident(db: Session) -> str:
        return create_account(
            db,
            host.get(Sealer),
            host.get(TokenHasher),
            login=f"hanako{secrets.token_hex(4)}",
            profile=PROFILE,
            now=now,
        )

    party.account_id = await host.db.write(resident)
    await sign_in(party)
    return party


async def change(party: Party, **registration: Any) -> None:
    """The client's registration becomes another, as an operator or its own management would have it."""
    host = party.building.host

    def replace(db: Session) -> None:
        now = registration_of(db, party.client.id)
        host.get(Clients).replace(
            db, party.client.id, Registration.model_validate({**now.model_dump(), **registration}), actor=SYSTEM
        )

    await host.db.write(replace)


async def sign_in(party: Party, *, acr: str = "urn:sekisho:aal:2") -> None:
    """A new browser session for the resident."""
    sessions = party.building.host.get(Sessions)
    party.cookie, party.session = await party.building.host.db.write(
        sessions.begin, party.account_id, acr=acr, amr=("pwd", "otp", "mfa")
    )


def advance(building: Building, seconds: float) -> None:
    """Time passes."""
    clock = building.host.clock
    assert isinstance(clock, FrozenClock)
    clock.advance(seconds=seconds)


class Prover:
    """A key that a client proves possession of (RFC 9449)."""

    def __init__(self, kind: str = "ES256") -> None:
        self.alg = kind
        self.key: Any = ECKey.generate_key("P-256") if kind == "ES256" else OKPKey.generate_key("Ed25519")

    @property
    def jkt(self) -> str:
        return str(self.key.thumbprint())

    def proof(
        self, method: str, url: str, *, now_ms: int, token: str | None = None, header: Any = None, **claims: Any
    ) -> str:
        """A proof, with any claim or header member changed; None leaves one out."""
        body: dict[str, Any] = {"jti": secrets.token_hex(8), "htm": method, "htu": url, "iat": now_ms // 1000}
        if token is not None:
            digest = hashlib.sha256(token.encode()).digest()
            body["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        body |= claims
        head = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.key.as_dict(private=False), **(header or {})}
        payload = json.dumps({name: value for name, value in body.items() if value is not None})
        return sign(head, payload, self.key)


def assertion(key: Any, *, alg: str, now_ms: int, **claims: Any) -> str:
    """A client assertion (RFC 7523), with any claim changed; None leaves one out."""
    now = now_ms // 1000
    body = {"iat": now, "exp": now + 60, "jti": secrets.token_hex(8), **claims}
    payload = json.dumps({name: value for name, value in body.items() if value is not None})
    return sign({"alg": alg, "kid": key.kid}, payload, key)


def sign(header: dict[str, Any], payload: str, key: Any) -> str:
    """A compact JWS; joserfc warns of the name EdDSA since RFC 9864 prefers Ed25519, but clients still say EdDSA."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(jws.serialize_compact(header, payload, key, algorithms=[header["alg"]]))
