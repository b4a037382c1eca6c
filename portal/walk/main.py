"""The main walk, step by step: ask, sign in, agree, fetch, see, withdraw; and the desk notices.

Every `require` is a promise the city makes to a stranger; the first that does not hold ends the walk.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pyotp
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc.jwk import ECKey

from portal.walk.auditor import Checkpoint, entries, leaf_hash, leaf_hashes, open_note, root_from_proof, root_of
from portal.walk.browser import Browser, Page, shown
from portal.walk.report import Report
from portal.walk.tokens import Dpop, b64url, verify_with_three

DATA_USE = "data_use"


@dataclass
class Credentials:
    """The file `sekisho demo` writes (0600): logins of demo people and keys of demo services."""

    residents: dict[str, dict[str, Any]]
    staff: dict[str, dict[str, Any]]
    clients: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> "Credentials":
        """Read the file; raises OSError or ValueError."""
        found = json.loads(path.read_text())
        return cls(residents=found["residents"], staff=found["staff"], clients=found["clients"])


@dataclass
class Walk:
    """One walk: a resident, a service, an auditor, an analyst."""

    url: str
    credentials: Credentials
    report: Report = field(default_factory=Report)
    resident: str = "hanako"
    client: str = "minato-clinic"

    def __post_init__(self) -> None:
        self.issuer = self.url.rstrip("/")
        self.http = httpx2.Client(timeout=30, headers={"User-Agent": "sekisho-walk-service"})
        self._open: list[httpx2.Client] = [self.http]
        self.dpop = Dpop()
        self.me = self.credentials.residents[self.resident]
        self.registration = self.credentials.clients[self.client]

    def __enter__(self) -> "Walk":
        return self

    def __exit__(self, *_error: object) -> None:
        for client in self._open:
            client.close()

    # -- small steps ----------------------------------------------------------------------------------------------

    def get_json(self, path: str, **headers: str) -> Any:
        """A JSON document of the city."""
        response = self.http.get(self.issuer + path, headers=headers)
        self.report.request(f"GET {path} → {response.status_code}")
        if response.status_code != 200:
            self.report.broken(f"GET {path} answered {response.status_code}: {response.text[:300]}")
        return response.json()

    def checkpoint(self) -> Checkpoint:
        """The ledger's present head, proved with its published key."""
        vkey = self.http.get(self.issuer + "/ledger/vkey").text
        response = self.http.get(self.issuer + "/ledger/checkpoint")
        self.report.request(f"GET /ledger/checkpoint → {response.status_code}")
        return open_note(self.report, response.text, vkey)

    def tile(self, path: str) -> bytes:
        """A tile of the ledger."""
        response = self.http.get(self.issuer + path)
        if response.status_code != 200:
            self.report.broken(f"GET {path} answered {response.status_code}")
        return response.content

    def sign_in(self, browser: Browser, page: Page, person: dict[str, Any]) -> Page | str:
        """Password, then a one-time code; waits for the next code if the last one was just used."""
        if page.form_with("password") is None:
            self.report.broken(f"no sign-in form at {shown(page.url)} ({page.status}): {page.text[:300]}")
        after = browser.fill(page, "password", {"login": person["login"], "password": person["password"]})
        totp = pyotp.TOTP(person["totp_secret"])
        for attempt in range(3):
            if not isinstance(after, Page) or after.form_with("code") is None:
                break
            last = _last_step.get(person["login"])
            while last is not None and int(time.time()) // 30 <= last:
                time.sleep(0.5)  # a code works once (RFC 6238 section 5.2): wait for the next
            _last_step[person["login"]] = int(time.time()) // 30
            after = browser.fill(after, "code", {"code": totp.now()})
            if attempt and isinstance(after, Page) and after.form_with("code"):
                time.sleep(1)
        if isinstance(after, Page) and (after.form_with("code") or after.form_with("password")):
            self.report.broken(f"{person['login']} could not sign in: {after.text[:300]}")
        return after

    # -- the walk -------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """All steps; raises BrokenPromise at the first that fails."""
        report = self.report
        report.step("The service finds its way by discovery alone")
        metadata = self.get_json("/.well-known/openid-configuration")
        OpenIDProviderMetadata(metadata).validate()
        report.proved("Authlib accepts the provider metadata")
        report.require(
            metadata["issuer"] == self.issuer, "the issuer is who we asked", "the metadata names another issuer"
        )
        jwks = self.get_json(urlsplit(metadata["jwks_uri"]).path)
        report.require(
            all("d" not in key for key in jwks["keys"]),
            "the key set holds public keys only",
            "a private key is published",
        )
        before = self.checkpoint()
        hashes_before = leaf_hashes(before.size, self.tile)
        report.require(
            root_of(hashes_before) == before.root,
            f"the ledger's {before.size} entries hash to its signed root",
            "the tiles do not hash to the signed root",
        )

        report.step("The service asks for data, through the back channel")
        service = self._oauth(metadata)
        verifier = secrets.token_urlsafe(48)
        state, nonce = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        detail = {"type": DATA_USE, "agreement": self.registration["agreement"], "actions": ["read"]}
        asked = {
            "response_type": "code", "client_id": self.registration["client_id"],
            "redirect_uri": self.registration["redirect_uri"], "scope": "openid profile offline_access",
            "state": state, "nonce": nonce, "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256", "prompt": "consent", "authorization_details": json.dumps([detail]),
        }  # fmt: skip
        pushed = self._push(service, metadata, asked)
        report.require(
            pushed.status_code == 201 and pushed.json()["request_uri"].startswith("urn:ietf:params:oauth:request_uri:"),
            "the request is pushed and known by a reference only (RFC 9126)",
            f"the pushed request was refused: {pushed.status_code} {pushed.text[:300]}",
        )
        stranger = self._push(service, metadata, {**asked, "authorization_details": json.dumps([{"type": "unknown"}])})
        report.require(
            stranger.status_code == 400 and stranger.json()["error"] == "invalid_authorization_details",
            "an unknown kind of data use is refused (RFC 9396 section 5)",
            f"an unknown authorization detail was answered {stranger.status_code} {stranger.text[:200]}",
        )
        query = urlencode({"client_id": self.registration["client_id"], "request_uri": pushed.json()["request_uri"]})

        report.step("The resident signs in, with password and one-time code")
        browser = Browser(self.issuer, report)
        self._open.append(browser.http)
        page = browser.open(f"{metadata['authorization_endpoint']}?{query}")
        if not isinstance(page, Page):
            report.broken(f"the authorization endpoint sent us away unseen: {shown(page)}")
        after = self.sign_in(browser, page, self.me)
        if not isinstance(after, Page) or after.form_with("category") is None:
            where = after.text[:300] if isinstance(after, Page) else after
            report.broken(f"after signing in there is no page that asks for consent: {where}")
        report.proved("no code and no data before the resident has been asked")

        report.step("The resident reads, leaves the optional part unticked, and agrees")
        form = after.form_with("category")
        assert form is not None
        boxes = [box for box in form.boxes if box[0] == "category"]
        optional = [value for _, value, ticked in boxes if not ticked]
        report.require(
            optional, f"optional categories come unticked: {', '.join(optional)}", "an optional category is ticked"
        )
        landed = browser.fill(after, "category", {}, button="agree")
        if isinstance(landed, Page):
            report.broken(f"agreeing did not lead back to the service: {shown(landed.url)} {landed.text[:300]}")
        answer = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
        report.require(
            landed.startswith(self.registration["redirect_uri"]) and answer.get("state") == state,
            "the browser comes back to the registered address with our state",
            f"came back to {shown(landed)} with {sorted(answer)}",
        )
        report.require(
            answer.get("iss") == self.issuer,
            "the answer names its issuer (RFC 9207)",
            "the answer does not name its issuer",
        )

        report.step("The service exchanges the code for tokens bound to its key")
        token = self._exchange(service, metadata, answer["code"], verifier)
        report.require(
            token["token_type"] == "DPoP", "the access token is bound to a key (RFC 9449)", "the token is not bound"
        )
        identity = verify_with_three(
            report,
            token["id_token"],
            jwks,
            issuer=self.issuer,
            audience=self.registration["client_id"],
            what="ID token",
        )
        report.require(identity["nonce"] == nonce, "the ID token carries our nonce", "the ID token has another nonce")
        report.require(
            len(identity.get("amr", [])) > 1 and identity.get("acr"),
            f"it says how the resident signed in: {identity['acr']}, {'+'.join(identity['amr'])}",
            "the ID token does not say how the resident signed in",
        )
        self._introspect(service, metadata, token["access_token"], active=True)
        granted = next(item for item in token["authorization_details"] if item["type"] == DATA_USE)
        consent = granted["consent"]
        report.require(
            not set(optional) & set(granted["datatypes"]),
            f"the grant covers what was agreed, no more: {', '.join(granted['datatypes'])}",
            "the grant covers a category the resident left unticked",
        )
        again = self._token_request(
            service, metadata, {"grant_type": "authorization_code", "code": "x" + answer["code"][1:],
                                "redirect_uri": self.registration["redirect_uri"], "code_verifier": verifier}
        )  # fmt: skip
        report.require(
            again.status_code == 400 and again.json()["error"] == "invalid_grant",
            "a wrong code is worth nothing", f"a wrong code was answered {again.status_code}",
        )  # fmt: skip

        report.step("The service fetches what was agreed")
        fetched = self._fetch(token["access_token"])
        if fetched.status_code != 200:
            report.broken(f"the bank answered {fetched.status_code}: {fetched.text[:300]}")
        body = fetched.json()
        categories = {record["category"] for record in body["records"]}
        report.require(
            categories and categories <= set(granted["datatypes"]),
            f"{len(body['records'])} records came, all of agreed categories: {', '.join(sorted(categories))}",
            f"the bank gave {sorted(categories)} under a consent for {granted['datatypes']}",
        )
        beyond = self._fetch(token["access_token"], category=optional[0])
        report.require(
            beyond.status_code == 403,
            f"asked for {optional[0]} it refuses, and says why",
            f"asked for an unagreed category the bank answered {beyond.status_code}",
        )
        naked = self.http.get(self._bank_url, headers={"Authorization": f"Bearer {token['access_token']}"})
        report.request(f"GET /api/bank/records (stolen token, no proof) → {naked.status_code}")
        report.require(
            naked.status_code == 401, "a stolen token without its key is refused", "a stolen token was honoured"
        )
        replayed = self._fetch(token["access_token"], proof=self._last_proof)
        report.require(
            replayed.status_code == 401, "a replayed proof is refused", f"a replayed proof got {replayed.status_code}"
        )

        report.step("The resident sees who used what, under which consent")
        seen = json.loads(browser.get("/api/bank/my/disclosures", accept="application/json").text)
        mine = [row for row in _rows(seen) if row.get("id") == body["disclosure"]]
        report.require(
            mine, "the fetch stands in the history, with purpose and consent", "the fetch is not in the history"
        )
        page_who = browser.get("/who")
        report.require(page_who.status_code == 200, "and on the page a person reads", "the history page does not open")

        report.step("The receipt proves it to anybody, offline")
        receipt = browser.get(f"/api/consent/records/{consent}/receipt", accept="application/json")
        report.require(
            receipt.status_code == 200, "the receipt is there to take home", f"no receipt: {receipt.text[:200]}"
        )
        head = self._receipt(receipt.text, jwks)
        report.require(head.size > before.size, "the ledger grew by this consent", "the ledger did not grow")

        report.step("The service refreshes its token")
        renewed = self._refresh(service, metadata, token["refresh_token"])
        if renewed.status_code != 200:
            report.broken(f"refreshing was refused: {renewed.status_code} {renewed.text[:200]}")
        fresh = renewed.json()
        report.require(
            fresh["refresh_token"] != token["refresh_token"], "the refresh token rotates", "it did not rotate"
        )

        report.step("The resident withdraws")
        result = self._withdraw(browser, consent)
        report.require(result.status == 200, "one link, one button, done", f"withdrawing answered {result.status}")
        stopped = self._fetch(fresh["access_token"])
        report.require(
            stopped.status_code in (401, 403),
            f"the very next fetch is refused ({stopped.status_code})",
            f"after withdrawal the bank still answered {stopped.status_code}",
        )
        self._introspect(service, metadata, fresh["access_token"], active=False)
        dead = self._refresh(service, metadata, fresh["refresh_token"])
        report.require(
            dead.status_code == 400 and dead.json()["error"] == "invalid_grant",
            "the refresh token is dead",
            f"after withdrawal a refresh was answered {dead.status_code}",
        )

        report.step("The ledger only ever grew")
        after_head = self.checkpoint()
        hashes = leaf_hashes(after_head.size, self.tile)
        report.require(
            root_of(hashes) == after_head.root and hashes[: before.size] == hashes_before,
            f"{after_head.size} entries hash to the new root, and the first {before.size} are the ones we saw before",
            "the ledger rewrote its history",
        )
        report.require(after_head.size > head.size, "the withdrawal is in it too", "the withdrawal has no entry")
        bundle_entries = entries(after_head.size, self.tile)
        report.require(
            [leaf_hash(entry) for entry in bundle_entries] == hashes
            and not any(consent.encode() in entry for entry in bundle_entries),
            "its entries name nobody and no consent",
            "an entry of the ledger identifies a consent",
        )

        report.step("A stolen refresh token is used: the family ends, and the desk notices")
        self._reuse(service, metadata, browser)

    # -- pieces ---------------------------------------------------------------------------------------------------

    @property
    def _bank_url(self) -> str:
        return self.issuer + "/api/bank/records"

    def _oauth(self, metadata: dict[str, Any]) -> OAuth2Client:
        method = self.registration["token_endpoint_auth_method"]
        if method == "private_key_jwt":
            client = OAuth2Client(
                self.registration["client_id"],
                ECKey.import_key(self.registration["private_jwk"]),
                token_endpoint_auth_method=PrivateKeyJWT(metadata["token_endpoint"], alg="ES256"),
                timeout=30,
            )
        else:
            client = OAuth2Client(
                self.registration["client_id"],
                self.registration["client_secret"],
                token_endpoint_auth_method=method,
                timeout=30,
            )
        self._open.append(client)
        self.report.proved(f"the service authenticates by {method}, with Authlib's client")
        return client

    def _push(self, service: OAuth2Client, metadata: dict[str, Any], asked: dict[str, str]) -> Any:
        url = metadata["pushed_authorization_request_endpoint"]
        response = service.request(
            "POST",
            url, data=asked, auth=service.client_auth(service.token_endpoint_auth_method), withhold_token=True,
            headers={"DPoP": self.dpop.proof("POST", url)},
        )  # fmt: skip
        self.report.request(f"POST {shown(url)} → {response.status_code}")
        return response

    def _token_request(self, service: OAuth2Client, metadata: dict[str, Any], form: dict[str, str]) -> Any:
        url = metadata["token_endpoint"]
        response = service.request(
            "POST",
            url, data=form, auth=service.client_auth(service.token_endpoint_auth_method), withhold_token=True,
            headers={"DPoP": self.dpop.proof("POST", url)},
        )  # fmt: skip
        self.report.request(f"POST {shown(url)} ({form['grant_type']}) → {response.status_code}")
        return response

    def _exchange(self, service: OAuth2Client, metadata: dict[str, Any], code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code", "code": code, "code_verifier": verifier,
            "redirect_uri": self.registration["redirect_uri"],
        }  # fmt: skip
        response = self._token_request(service, metadata, form)
        if response.status_code != 200:
            self.report.broken(f"the code was refused: {response.status_code} {response.text[:300]}")
        token: dict[str, Any] = response.json()
        return token

    def _refresh(self, service: OAuth2Client, metadata: dict[str, Any], refresh_token: str) -> Any:
        return self._token_request(service, metadata, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    def _introspect(self, service: OAuth2Client, metadata: dict[str, Any], token: str, *, active: bool) -> None:
        url = metadata["introspection_endpoint"]
        response = service.request(
            "POST",
            url,
            data={"token": token},
            auth=service.client_auth(service.token_endpoint_auth_method),
            withhold_token=True,
        )
        self.report.request(f"POST {shown(url)} → {response.status_code}")
        said = response.json().get("active")
        self.report.require(
            said is active, f"introspection says active: {str(active).lower()}", f"introspection says active: {said}"
        )

    def _fetch(self, token: str, *, category: str | None = None, proof: str | None = None) -> Any:
        self._last_proof = proof or self.dpop.proof("GET", self._bank_url, token=token)
        params = {"category": category} if category else None
        response = self.http.get(
            self._bank_url, params=params, headers={"Authorization": f"DPoP {token}", "DPoP": self._last_proof}
        )
        self.report.request(f"GET /api/bank/records → {response.status_code}")
        return response

    def _withdraw(self, browser: Browser, consent: str) -> Page:
        """Read the consent, follow its link to the page that tells the effect, press the button there."""
        page = browser.open(f"{self.issuer}/consents/{consent}")
        if not isinstance(page, Page) or f"/consents/{consent}/withdraw" not in page.html:
            self.report.broken("the consent's page has no link to take it back")
        confirm = browser.open(f"{self.issuer}/consents/{consent}/withdraw")
        if not isinstance(confirm, Page):
            self.report.broken("the page that takes a consent back is not ours")
        after = browser.fill(confirm, "withdraw", {}, button="withdraw")
        if not isinstance(after, Page):
            self.report.broken("withdrawing led away from the city")
        return after

    def _receipt(self, text: str, jwks: dict[str, Any]) -> Checkpoint:
        """Check a receipt with an auditor's own code: credential, disclosures, opening, inclusion, checkpoint."""
        report = self.report
        bundle = json.loads(text)
        parts = bundle["credential"].split("~")
        claims = _verify_sd_jwt(report, parts[0], jwks, self.issuer)
        disclosed = {b64url(hashlib.sha256(part.encode()).digest()) for part in parts[1:] if part}
        report.require(
            disclosed and disclosed == set(claims.get("_sd", [])),
            f"the receipt is an SD-JWT signed by the issuer; its {len(disclosed)} fields can be shown one by one",
            "the receipt carries a disclosure the issuer did not sign",
        )
        event = json.dumps(bundle["event"], ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
        opened = hmac.digest(_unb64url(bundle["salt"]), event, "sha256")
        report.require(
            b64url(opened) == claims["commitment"],
            "its event and salt open the commitment in the credential",
            "the event in the receipt is not the one committed to",
        )
        head, _, note = bundle["proof"].partition("\n\n")
        lines = head.splitlines()
        index = int(next(line for line in lines if line.startswith("index ")).removeprefix("index "))
        proof = [base64.b64decode(line) for line in lines[lines.index(f"index {index}") + 1 :]]
        checkpoint = open_note(report, note, self.http.get(self.issuer + "/ledger/vkey").text)
        leaf = next(
            (entry for entry in entries(checkpoint.size, self.tile) if entry.endswith(opened) and entry[0] == 1), None
        )
        report.require(
            leaf and root_from_proof(leaf_hash(leaf), index, checkpoint.size, proof) == checkpoint.root,
            f"the commitment is entry {index} of {checkpoint.size} under a signed checkpoint",
            "the inclusion proof of the receipt does not hold",
        )
        return checkpoint

    def _reuse(self, service: OAuth2Client, metadata: dict[str, Any], browser: Browser) -> None:
        """A second sign-in (no data asked), whose refresh token is used twice."""
        report = self.report
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        asked = {
            "response_type": "code", "client_id": self.registration["client_id"],
            "redirect_uri": self.registration["redirect_uri"], "scope": "openid offline_access", "state": state,
            "code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256",
            "prompt": "consent",
        }  # fmt: skip
        pushed = self._push(service, metadata, asked)
        query = urlencode({"client_id": asked["client_id"], "request_uri": pushed.json()["request_uri"]})
        page = browser.open(f"{metadata['authorization_endpoint']}?{query}")
        if isinstance(page, Page):
            page = browser.fill(page, "agree", {}, button="agree")
        if isinstance(page, Page):
            report.broken(f"the second sign-in did not come back: {page.text[:300]}")
        code = parse_qs(urlsplit(page).query)["code"][0]
        first = self._exchange(service, metadata, code, verifier)
        desk = self._enter_desk()
        known = self._reuse_alerts(desk)
        second = self._refresh(service, metadata, first["refresh_token"]).json()
        stolen = self._refresh(service, metadata, first["refresh_token"])
        report.require(
            stolen.status_code == 400 and stolen.json()["error"] == "invalid_grant",
            "the used refresh token is refused",
            f"a used refresh token was answered {stolen.status_code}",
        )
        family = self._refresh(service, metadata, second["refresh_token"])
        report.require(family.status_code == 400, "and its whole family with it", "the family survived the reuse")
        self._introspect(service, metadata, second["access_token"], active=False)
        self._desk(desk, known)

    def _enter_desk(self) -> Browser:
        browser = Browser(self.issuer, self.report)
        self._open.append(browser.http)
        page = browser.open(self.issuer + "/sign-in?next=/desk")
        if isinstance(page, Page):
            self.sign_in(browser, page, self.credentials.staff["analyst"])
        return browser

    def _reuse_alerts(self, desk: Browser) -> int:
        """How many reused refresh tokens the desk has heard of."""
        answer = desk.get("/api/cert/alerts", accept="application/json")
        if answer.status_code != 200:
            self.report.broken(f"the desk's alerts answered {answer.status_code}")
        return sum(int(row["count"]) for row in _rows(answer.json()) if "refresh" in row["kind"])

    def _desk(self, desk: Browser, before: int) -> None:
        report = self.report
        for _ in range(40):
            if self._reuse_alerts(desk) > before:
                report.proved("the desk has an alert about the reused refresh token")
                break
            time.sleep(0.25)
        else:
            report.broken("ten seconds later the desk has no alert about the reused refresh token")
        report.require(desk.get("/desk").status_code == 200, "and the analyst sees it", "the desk page does not open")


_last_step: dict[str, int] = {}


def _unb64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _rows(value: Any) -> list[dict[str, Any]]:
    """The list of a JSON answer, bare or under its one list-valued member."""
    if isinstance(value, list):
        return value
    for member in value.values():
        if isinstance(member, list):
            return member
    return []


def _verify_sd_jwt(report: Report, token: str, jwks: dict[str, Any], issuer: str) -> dict[str, Any]:
    import jwt

    header = jwt.get_unverified_header(token)
    key = next((item for item in jwks["keys"] if item.get("kid") == header.get("kid")), None)
    if key is None or header.get("typ") != "dc+sd-jwt":
        report.broken("the receipt is not an SD-JWT under a published key")
    claims: dict[str, Any] = jwt.decode(
        token, jwt.PyJWK(key).key, algorithms=[header["alg"]], issuer=issuer, options={"verify_aud": False}
    )
    return claims
