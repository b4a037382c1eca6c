"""A resident and a service who walk the main walk again and again, and take it up where a dead server left it.

The steps are those of `sekisho walk` (portal.walk): a pushed request with authorization details, private_key_jwt, DPoP,
the consent page, tokens, refresh with rotation, a spent refresh token, fetch, history, receipt, withdrawal. Before an
answer is waited for the walker remembers what it tries; what it is told goes into the journal before it goes on. After
a restart `take_up` asks the city for everything it owes: what was acknowledged holds, what was not is whole or absent.
"""

import random
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx2

from portal.walk.browser import Page
from portal.walk.person import Person
from portal.walk.receipts import read_receipt
from portal.walk.report import Report, ToldToWait
from portal.walk.service import DATA_USE, Asked, Service
from portal.walk.tokens import verify_with_three
from tests.support.journal import Journal

RIDE = {"boarded_at": "2026-11-20T08:12:00+09:00", "mode": "bus", "origin": "港町一丁目"}


@dataclass
class City:
    """What everybody may know of the city, fetched once while it stood."""

    url: str
    metadata: dict[str, Any]
    jwks: dict[str, Any]
    vkey: str

    @classmethod
    def at(cls, url: str) -> "City":
        """Ask its public doors."""
        metadata = httpx2.get(f"{url}/.well-known/openid-configuration").json()
        jwks = httpx2.get(metadata["jwks_uri"]).json()
        return cls(url, metadata, jwks, httpx2.get(f"{url}/ledger/vkey").text)


@dataclass
class OneWalk:
    """What one walk has been told so far."""

    asked: Asked | None = None
    address: str = ""
    code: str = ""
    consent: str = ""
    access: str = ""
    refresh: str = ""
    spent: str = ""
    fetched: int = 0
    receipt: bool = False
    ended: bool = False  # the family of tokens, by the reuse of a spent one
    withdrawn: bool = False


class Walker:
    """One resident with one service; lives longer than the server."""

    def __init__(self, city: City, known: dict[str, Any], registration: dict[str, Any], journal: Journal) -> None:
        self.city = city
        self.journal = journal
        self.report = Report(quiet=True)
        self.report.step("walking")
        self.person = Person(city.url, known, self.report)
        self.service = Service(city.url, registration, city.metadata, self.report)
        self.account_id: str = known["account_id"]
        self.rng = random.Random(known["login"])
        self.signed_in = False
        self.walk = OneWalk()
        self.trying = ""

    def close(self) -> None:
        """Hang up."""
        self.person.close()
        self.service.close()

    def walk_on(self, dead: threading.Event) -> None:
        """Step after step until the server is gone."""
        try:
            while not dead.is_set():
                self.step()
                self.trying = ""
                if self.rng.random() < 0.1:
                    dead.wait(self.rng.uniform(0, 0.2))  # killed now, what it was told last must stand
        except httpx2.TransportError:
            if not dead.wait(5):
                raise

    def step(self) -> None:
        """The next step of the walk."""
        walk = self.walk
        if not self.signed_in:
            self._sign_in()
        elif not walk.asked:
            self._deposit()
            self._ask()
        elif not walk.code:
            self._agree()
        elif not walk.access:
            self._exchange()
        elif walk.fetched < 1 and not walk.ended:
            self._fetch()
        elif not walk.receipt:
            self._take_receipt()
        elif not walk.spent:
            self._refresh()
        elif walk.fetched < 2 and not walk.ended:
            self._fetch()
        elif not walk.ended and self.rng.random() < 0.3:
            self._reuse()
        else:
            self._withdraw()
            self._begin()

    def _begin(self) -> None:
        self.walk, self.trying = OneWalk(), ""
        self.report.steps[:] = []
        self.report.step("walking")
        if self.person.has_a_code() and self.rng.random() < 0.15:
            self.person.forget()  # sign in anew
            self.signed_in = False

    # -- the steps ------------------------------------------------------------------------------------------------

    def _sign_in(self) -> None:
        if not self.person.has_a_code():
            time.sleep(0.05)  # the last one may have been used when the server died: wait for the next
            return
        self.trying = "sign in"
        page = self.person.browser.open(f"{self.city.url}/sign-in")
        assert isinstance(page, Page)
        try:
            self.person.sign_in(page)
        except ToldToWait:  # a try is paid before it is checked; a server that died had no time to give it back
            time.sleep(0.5)
            return
        self.signed_in = True
        self.journal.note("signed in", account=self.account_id)

    def _deposit(self) -> None:
        self.trying = "deposit"
        answer = self._api("POST", "/api/bank/my/records", {"records": [{"category": "mobility", "data": RIDE}]})
        self._expect(answer, 201, "depositing")
        for one in answer.json()["deposited"]:
            self.journal.note("deposited", item=one["id"], account=self.account_id)

    def _ask(self) -> None:
        self.trying = "ask"
        asked = self.service.asking(scope="openid profile offline_access")
        pushed = self.service.push(asked.form)
        self._expect(pushed, 201, "pushing a request")
        self.walk.asked, self.walk.address = asked, self.service.address(pushed.json()["request_uri"])
        self.journal.note("asked", address=self.walk.address)

    def _agree(self) -> None:
        page = self._consent_page()
        if page is None:
            self.report.broken(f"a pushed request was acknowledged, yet its page does not open: {self.walk.address}")
        self.trying = "agree"
        _, answer = self.person.agree(page)
        assert self.walk.asked is not None
        self.report.require(
            answer.get("code") and answer.get("state") == self.walk.asked.form["state"],
            "a code",
            f"came back: {answer}",
        )
        self.walk.code = answer["code"]
        self.journal.note("agreed", account=self.account_id)

    def _exchange(self) -> None:
        self.trying = "exchange"
        assert self.walk.asked is not None
        answer = self.service.exchange(self.walk.code, self.walk.asked.verifier)
        self._expect(answer, 200, "a code that was acknowledged")
        token = answer.json()
        self._hold(token)
        granted = next(one for one in token["authorization_details"] if one["type"] == DATA_USE)
        self.walk.consent = granted["consent"]
        self.journal.note("given", consent=self.walk.consent, account=self.account_id)
        verify_with_three(
            self.report, token["id_token"], self.city.jwks, issuer=self.city.url,
            audience=self.service.registration["client_id"], what="ID token",
        )  # fmt: skip

    def _fetch(self) -> None:
        self.trying = "fetch"
        answer = self.service.fetch(self.walk.access)
        self._expect(answer, 200, "a fetch under a standing consent")
        used = answer.json()["disclosure"]
        self.walk.fetched += 1
        self.journal.note("fetched", disclosure=used, consent=self.walk.consent)
        seen = {row["id"]: row["consent"] for row in self.person.disclosures()}
        self.report.require(seen.get(used) == self.walk.consent, "seen", f"{used} is not in the resident's history")

    def _take_receipt(self) -> None:
        self.trying = "receipt"
        answer = self.person.receipt(self.walk.consent)
        self._expect(answer, 200, "the receipt")
        self.walk.receipt = True
        self.journal.note("receipt", consent=self.walk.consent, text=answer.text)
        read_receipt(
            self.report, answer.text, jwks=self.city.jwks, issuer=self.city.url, vkey=self.city.vkey
        )  # its place in the ledger is looked up after the restart

    def _refresh(self) -> None:
        self.trying = "refresh"
        answer = self.service.refresh(self.walk.refresh)
        self._expect(answer, 200, "a refresh token that was acknowledged")
        self.walk.spent = self.walk.refresh
        self._hold(answer.json())
        self.journal.note("rotated", consent=self.walk.consent)

    def _reuse(self) -> None:
        """A spent refresh token comes back: RFC 9700 section 4.14.2."""
        self.trying = "reuse"
        self._refused(self.walk.spent, "a spent refresh token")
        self.walk.ended = True
        self.journal.note("ended", access=self.walk.access, refresh=self.walk.refresh)
        self.gone(self.walk.access, self.walk.refresh)

    def _withdraw(self) -> None:
        self.trying = "withdraw"
        walk = self.walk
        self.journal.note("withdrawing", consent=walk.consent)
        self._expect_page(self.person.withdraw(walk.consent))
        walk.withdrawn = True
        self.journal.note("withdrawn", consent=walk.consent, access=walk.access, refresh=walk.refresh)
        if walk.access:
            self.gone(walk.access, walk.refresh)

    # -- after a restart ------------------------------------------------------------------------------------------

    def take_up(self) -> None:
        """Ask for what the city owes. What was tried and not answered has happened whole, or not at all."""
        walk, trying, self.trying = self.walk, self.trying, ""
        if trying == "sign in":
            self.person.forget()
            self.signed_in = False
        if not self.signed_in:
            return  # nothing can be seen from here until the next sign-in
        states = {record["id"]: record["state"] for record in self.records()}
        standing = [name for name, state in states.items() if state == "given"]
        if walk.consent:
            self._take_up_tokens(trying, states[walk.consent])
        elif (walk.code or trying == "agree") and standing:
            # Agreed, whether or not we were told; the code may be lost, or spent on an answer that is lost.
            (walk.consent,) = standing
            if not walk.code:
                again = self._consent_page()
                self.report.require(again is None, "used", "a request that was agreed to can be agreed to again (I7)")
                self._withdraw()
                self._begin()
                return
            assert walk.asked is not None
            answer = self.service.exchange(walk.code, walk.asked.verifier)
            if trying == "exchange" and _error(answer) == "invalid_grant":
                self._withdraw()
                self._begin()
                return
            self._expect(answer, 200, "after the restart, a code that was acknowledged")
            self._hold(answer.json())
            self.journal.note("given", consent=walk.consent, account=self.account_id)
        elif walk.code:
            self.report.broken(f"an acknowledged agreement is gone: {sorted(states.values())}")

    def _take_up_tokens(self, trying: str, state: str) -> None:
        walk = self.walk
        if trying == "withdraw" and state == "withdrawn":
            walk.withdrawn = True
            self.journal.note("withdrawn", consent=walk.consent, access=walk.access, refresh=walk.refresh)
            self.gone(walk.access, walk.refresh)
            self._begin()
            return
        self.report.require(state == "given", "stands", f"{walk.consent} was acknowledged and is {state}")
        if trying == "reuse":
            self._refused(walk.spent, "a spent refresh token")
            walk.ended = True
        if walk.ended:
            self.gone(walk.access, walk.refresh)
            return
        if trying == "refresh":
            answer = self.service.refresh(walk.refresh)
            if _error(answer) == "invalid_grant":
                # It had rotated; nobody holds its successor, so what we hold is a spent token and the family ends.
                walk.spent, walk.ended = walk.refresh, True
                self.journal.note("ended", access=walk.access, refresh=walk.refresh)
                self.gone(walk.access, walk.refresh)
                return
        else:
            active = self.service.is_active(walk.access)
            self.report.require(
                active is True, "active", f"an acknowledged access token is said to be active: {active}"
            )
            answer = self.service.refresh(walk.refresh)
        self._expect(answer, 200, "after the restart, a refresh token that was acknowledged")
        walk.spent = walk.refresh
        self._hold(answer.json())
        self.journal.note("rotated", consent=walk.consent)

    # -- small questions ------------------------------------------------------------------------------------------

    def arrive(self) -> None:
        """Sign in, and withdraw what the city's history left standing, so that every walk begins alike."""
        while not self.signed_in:
            self._sign_in()
        for record in self.records():
            if record["state"] == "given":
                self.person.withdraw(record["id"])

    def records(self) -> list[dict[str, Any]]:
        """The resident's consents to this service's agreement, as the resident is shown them."""
        answer = self._api("GET", "/api/consent/records")
        self._expect(answer, 200, "the resident's consents")
        agreement = self.service.registration["agreement"]
        return [record for record in answer.json()["records"] if record["agreement"] == agreement]

    def gone(self, access: str, refresh: str) -> None:
        """These tokens are worth nothing (any more)."""
        fetched = self.service.fetch(access)
        self.report.require(
            fetched.status_code in (401, 403), "refused", f"a dead token fetched: {fetched.status_code}"
        )
        self.report.require(self.service.is_active(access) is False, "inactive", "a dead token is said to be active")
        self._refused(refresh, "a dead refresh token")

    def _refused(self, refresh: str, what: str) -> None:
        answer = self.service.refresh(refresh)
        self.report.require(
            answer.status_code == 400 and _error(answer) == "invalid_grant",
            "refused", f"{what} was answered {answer.status_code} {answer.text[:200]}",
        )  # fmt: skip

    def _consent_page(self) -> Page | None:
        page = self.person.browser.open(self.walk.address)
        return page if isinstance(page, Page) and page.form_with("agree") is not None else None

    def _hold(self, token: dict[str, Any]) -> None:
        self.walk.access, self.walk.refresh = token["access_token"], token["refresh_token"]

    def _api(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        headers = {"accept": "application/json", "origin": self.city.url}
        return self.person.browser.http.request(method, self.city.url + path, json=body, headers=headers)

    def _expect(self, answer: httpx2.Response, status: int, what: str) -> None:
        if answer.status_code != status:
            self.report.broken(f"{what} was answered {answer.status_code}: {answer.text[:300]}")

    def _expect_page(self, page: Page) -> None:
        if page.status != 200:
            self.report.broken(f"withdrawing answered {page.status}: {page.text[:300]}")


def _error(answer: httpx2.Response) -> str:
    return str(answer.json().get("error"))
