"""The main walk, step by step: ask, sign in, agree, fetch, see, withdraw; and the desk notices.

Every `require` is a promise the city makes to a stranger; the first that does not hold ends the walk.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.oidc.discovery import OpenIDProviderMetadata

from portal.walk.auditor import Checkpoint, entries, entry_at, leaf_hash, leaf_hashes, open_note, root_of
from portal.walk.browser import Page, shown
from portal.walk.person import Person, answer_of
from portal.walk.receipts import read_receipt
from portal.walk.report import Report
from portal.walk.service import DATA_USE, Service
from portal.walk.tokens import verify_with_three


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
        self.http = httpx2.Client(timeout=30, headers={"User-Agent": "sekisho-walk-auditor"})
        self.me = Person(self.issuer, self.credentials.residents[self.resident], self.report)
        self.analyst = Person(self.issuer, self.credentials.staff["analyst"], self.report)
        self.registration = self.credentials.clients[self.client]
        self._service: Service | None = None

    def __enter__(self) -> "Walk":
        return self

    def __exit__(self, *_error: object) -> None:
        for one in (self.http, self.me, self.analyst, self._service):
            if one is not None:
                one.close()

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
        response = self.http.get(self.issuer + "/ledger/checkpoint")
        self.report.request(f"GET /ledger/checkpoint → {response.status_code}")
        return open_note(self.report, response.text, self.vkey())

    def vkey(self) -> str:
        """The ledger's key, as it is published."""
        return self.http.get(self.issuer + "/ledger/vkey").text

    def tile(self, path: str) -> bytes:
        """A tile of the ledger."""
        response = self.http.get(self.issuer + path)
        if response.status_code != 200:
            self.report.broken(f"GET {path} answered {response.status_code}")
        return response.content

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
        service = self._service = Service(self.issuer, self.registration, metadata, report)
        report.proved(f"the service authenticates by {service.auth_method}, with Authlib's client")
        asked = service.asking(scope="openid profile offline_access")
        pushed = service.push(asked.form)
        report.require(
            pushed.status_code == 201 and pushed.json()["request_uri"].startswith("urn:ietf:params:oauth:request_uri:"),
            "the request is pushed and known by a reference only (RFC 9126)",
            f"the pushed request was refused: {pushed.status_code} {pushed.text[:300]}",
        )
        stranger = service.push({**asked.form, "authorization_details": json.dumps([{"type": "unknown"}])})
        report.require(
            stranger.status_code == 400 and stranger.json()["error"] == "invalid_authorization_details",
            "an unknown kind of data use is refused (RFC 9396 section 5)",
            f"an unknown authorization detail was answered {stranger.status_code} {stranger.text[:200]}",
        )

        report.step("The resident signs in, with password and one-time code")
        page = self.me.browser.open(service.address(pushed.json()["request_uri"]))
        if not isinstance(page, Page):
            report.broken(f"the authorization endpoint sent us away unseen: {shown(page)}")
        after = self.me.sign_in(page)
        if not isinstance(after, Page) or after.form_with("category") is None:
            where = after.text[:300] if isinstance(after, Page) else after
            report.broken(f"after signing in there is no page that asks for consent: {where}")
        for consent in self.me.consents_to(self.registration["agreement"]):
            self.me.withdraw(consent)  # given by hand before (`sekisho demo-ask`): this walk begins at no consent
            again = self.me.browser.open(after.url)
            after = again if isinstance(again, Page) else after
        report.proved("no code and no data before the resident has been asked")

        report.step("The resident reads, leaves the optional part unticked, and agrees")
        form = after.form_with("category")
        assert form is not None
        boxes = [box for box in form.boxes if box[0] == "category"]
        optional = [value for _, value, ticked in boxes if not ticked]
        report.require(
            optional, f"optional categories come unticked: {', '.join(optional)}", "an optional category is ticked"
        )
        landed, answer = self.me.agree(after)
        report.require(
            landed.startswith(self.registration["redirect_uri"]) and answer.get("state") == asked.form["state"],
            "the browser comes back to the registered address with our state",
            f"came back to {shown(landed)} with {sorted(answer)}",
        )
        report.require(
            answer.get("iss") == self.issuer,
            "the answer names its issuer (RFC 9207)",
            "the answer does not name its issuer",
        )

        report.step("The service exchanges the code for tokens bound to its key")
        token = self._tokens(service.exchange(answer["code"], asked.verifier))
        report.require(
            token["token_type"] == "DPoP", "the access token is bound to a key (RFC 9449)", "the token is not bound"
        )
        audience = self.registration["client_id"]
        identity = verify_with_three(
            report, token["id_token"], jwks, issuer=self.issuer, audience=audience, what="ID token"
        )
        report.require(
            identity["nonce"] == asked.form["nonce"], "the ID token carries our nonce", "the ID token has another nonce"
        )
        report.require(
            len(identity.get("amr", [])) > 1 and identity.get("acr"),
            f"it says how the resident signed in: {identity['acr']}, {'+'.join(identity['amr'])}",
            "the ID token does not say how the resident signed in",
        )
        self._introspect(service, token["access_token"], active=True)
        granted = next(item for item in token["authorization_details"] if item["type"] == DATA_USE)
        consent = granted["consent"]
        report.require(
            not set(optional) & set(granted["datatypes"]),
            f"the grant covers what was agreed, no more: {', '.join(granted['datatypes'])}",
            "the grant covers a category the resident left unticked",
        )
        guess = service.exchange("x" + answer["code"][1:], asked.verifier)
        report.require(
            guess.status_code == 400 and guess.json()["error"] == "invalid_grant",
            "a wrong code is worth nothing", f"a wrong code was answered {guess.status_code}",
        )  # fmt: skip

        report.step("The service fetches what was agreed")
        fetched = service.fetch(token["access_token"])
        if fetched.status_code != 200:
            report.broken(f"the bank answered {fetched.status_code}: {fetched.text[:300]}")
        body = fetched.json()
        categories = {record["category"] for record in body["records"]}
        report.require(
            categories and categories <= set(granted["datatypes"]),
            f"{len(body['records'])} records came, all of agreed categories: {', '.join(sorted(categories))}",
            f"the bank gave {sorted(categories)} under a consent for {granted['datatypes']}",
        )
        beyond = service.fetch(token["access_token"], category=optional[0])
        report.require(
            beyond.status_code == 403,
            f"asked for {optional[0]} it refuses, and says why",
            f"asked for an unagreed category the bank answered {beyond.status_code}",
        )
        naked = self.http.get(service.bank_url, headers={"Authorization": f"Bearer {token['access_token']}"})
        report.request(f"GET /api/bank/records (stolen token, no proof) → {naked.status_code}")
        report.require(
            naked.status_code == 401, "a stolen token without its key is refused", "a stolen token was honoured"
        )
        replayed = service.fetch(token["access_token"], proof=service.last_proof)
        report.require(
            replayed.status_code == 401, "a replayed proof is refused", f"a replayed proof got {replayed.status_code}"
        )

        report.step("The resident sees who used what, under which consent")
        mine = [row for row in self.me.disclosures() if row["id"] == body["disclosure"] and row["consent"] == consent]
        report.require(
            mine, "the fetch stands in the history, with purpose and consent", "the fetch is not in the history"
        )
        page_who = self.me.browser.get("/who")
        report.require(page_who.status_code == 200, "and on the page a person reads", "the history page does not open")

        report.step("The receipt proves it to anybody, offline")
        receipt = self.me.receipt(consent)
        report.require(
            receipt.status_code == 200, "the receipt is there to take home", f"no receipt: {receipt.text[:200]}"
        )
        taken = read_receipt(report, receipt.text, jwks=jwks, issuer=self.issuer, vkey=self.vkey())
        head = taken.checkpoint
        taken.require_entry(report, entry_at(taken.index, head.size, self.tile))
        report.require(head.size > before.size, "the ledger grew by this consent", "the ledger did not grow")

        report.step("The service refreshes its token")
        renewed = service.refresh(token["refresh_token"])
        if renewed.status_code != 200:
            report.broken(f"refreshing was refused: {renewed.status_code} {renewed.text[:200]}")
        fresh = renewed.json()
        report.require(
            fresh["refresh_token"] != token["refresh_token"], "the refresh token rotates", "it did not rotate"
        )

        report.step("The resident withdraws")
        result = self.me.withdraw(consent)
        report.require(result.status == 200, "one link, one button, done", f"withdrawing answered {result.status}")
        stopped = service.fetch(fresh["access_token"])
        report.require(
            stopped.status_code in (401, 403),
            f"the very next fetch is refused ({stopped.status_code})",
            f"after withdrawal the bank still answered {stopped.status_code}",
        )
        self._introspect(service, fresh["access_token"], active=False)
        dead = service.refresh(fresh["refresh_token"])
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
        self._reuse(service)

    # -- pieces ---------------------------------------------------------------------------------------------------

    def _tokens(self, response: Any) -> dict[str, Any]:
        if response.status_code != 200:
            self.report.broken(f"the code was refused: {response.status_code} {response.text[:300]}")
        token: dict[str, Any] = response.json()
        return token

    def _introspect(self, service: Service, token: str, *, active: bool) -> None:
        said = service.is_active(token)
        self.report.require(
            said is active, f"introspection says active: {str(active).lower()}", f"introspection says active: {said}"
        )

    def _reuse(self, service: Service) -> None:
        """A second sign-in (no data asked), whose refresh token is used twice."""
        report = self.report
        asked = service.asking(scope="openid offline_access", data=False)
        page = self.me.browser.open(service.address(service.push(asked.form).json()["request_uri"]))
        answer = self.me.agree(page)[1] if isinstance(page, Page) else answer_of(page)
        if "code" not in answer:
            report.broken(f"the second sign-in came back with {answer}")
        first = self._tokens(service.exchange(answer["code"], asked.verifier))
        self._enter_desk()
        known = self._reuse_alerts()
        second = service.refresh(first["refresh_token"]).json()
        stolen = service.refresh(first["refresh_token"])
        report.require(
            stolen.status_code == 400 and stolen.json()["error"] == "invalid_grant",
            "the used refresh token is refused",
            f"a used refresh token was answered {stolen.status_code}",
        )
        family = service.refresh(second["refresh_token"])
        report.require(family.status_code == 400, "and its whole family with it", "the family survived the reuse")
        self._introspect(service, second["access_token"], active=False)
        self._desk(known)

    def _enter_desk(self) -> None:
        page = self.analyst.browser.open(self.issuer + "/sign-in?next=/desk")
        if isinstance(page, Page):
            self.analyst.sign_in(page)

    def _reuse_alerts(self) -> int:
        """How many reused refresh tokens the desk has heard of."""
        answer = self.analyst.browser.get("/api/cert/alerts", accept="application/json")
        if answer.status_code != 200:
            self.report.broken(f"the desk's alerts answered {answer.status_code}")
        return sum(int(row["count"]) for row in _rows(answer.json()) if "refresh" in row["kind"])

    def _desk(self, before: int) -> None:
        report = self.report
        for _ in range(40):
            if self._reuse_alerts() > before:
                report.proved("the desk has an alert about the reused refresh token")
                break
            time.sleep(0.25)
        else:
            report.broken("ten seconds later the desk has no alert about the reused refresh token")
        opened = self.analyst.browser.get("/desk").status_code == 200
        report.require(opened, "and the analyst sees it", "the desk page does not open")


def _rows(value: Any) -> list[dict[str, Any]]:
    """The list of a JSON answer, bare or under its one list-valued member."""
    if isinstance(value, list):
        return value
    for member in value.values():
        if isinstance(member, list):
            return member
    return []
