"""Somebody of the city at a (scripted) browser: signs in, agrees, looks, takes the receipt home, withdraws."""

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pyotp

from portal.walk.browser import Browser, Page, shown
from portal.walk.report import Report, ToldToWait

_STEP = 30  # seconds a one-time code stands (RFC 6238 section 5.2)
_last_step: dict[str, int] = {}


class Person:
    """One login of the credentials file, with a browser of their own."""

    def __init__(self, issuer: str, known: dict[str, Any], report: Report) -> None:
        self.issuer = issuer
        self.known = known
        self.report = report
        self.browser = Browser(issuer, report)

    def close(self) -> None:
        """Close the browser."""
        self.browser.http.close()

    def forget(self) -> None:
        """A new browser: whoever was signed in here is not any more."""
        self.close()
        self.browser = Browser(self.issuer, self.report)

    def has_a_code(self) -> bool:
        """Whether the next one-time code is to be had at once: each works only once."""
        return int(time.time()) // _STEP > _last_step.get(self.known["login"], 0)

    def sign_in(self, page: Page) -> Page | str:
        """Password, then a one-time code; waits for the next code if the last one was just used."""
        login = self.known["login"]
        if page.form_with("password") is None:
            self.report.broken(f"no sign-in form at {shown(page.url)} ({page.status}): {page.text[:300]}")
        after = self.browser.fill(page, "password", {"login": login, "password": self.known["password"]})
        totp = pyotp.TOTP(self.known["totp_secret"])
        for attempt in range(3):
            if not isinstance(after, Page) or after.form_with("code") is None:
                break
            while not self.has_a_code():
                time.sleep(0.5)  # a code works once (RFC 6238 section 5.2): wait for the next
            _last_step[login] = int(time.time()) // _STEP
            after = self.browser.fill(after, "code", {"code": totp.now()})
            if attempt and isinstance(after, Page) and after.form_with("code"):
                time.sleep(1)
        if isinstance(after, Page) and (after.form_with("code") or after.form_with("password")):
            if after.status == 429:
                raise ToldToWait(f"{login} must wait: {after.text[:300]}")
            self.report.broken(f"{login} could not sign in: {after.text[:300]}")
        return after

    def agree(self, page: Page) -> tuple[str, dict[str, str]]:
        """Agree to what is asked, optional parts as they come; the address the browser is sent to, and its answer."""
        landed = self.browser.fill(page, "agree", {}, button="agree")
        if isinstance(landed, Page):
            self.report.broken(f"agreeing did not lead back to the service: {shown(landed.url)} {landed.text[:300]}")
        return landed, answer_of(landed)

    def disclosures(self) -> list[dict[str, Any]]:
        """Who used what: the newest first."""
        rows: list[dict[str, Any]] = self.browser.get(
            "/api/bank/my/disclosures", accept="application/json"
        ).json()["disclosures"]  # fmt: skip
        return rows

    def consents_to(self, agreement: str) -> list[str]:
        """Their consents to an agreement that stand."""
        rows: list[dict[str, Any]] = self.browser.get("/api/consent/records", accept="application/json").json()[
            "records"
        ]
        return [row["id"] for row in rows if row["agreement"] == agreement and row["state"] == "given"]

    def receipt(self, consent: str) -> httpx2.Response:
        """The receipt of a consent, to take home."""
        return self.browser.get(f"/api/consent/records/{consent}/receipt", accept="application/json")

    def withdraw(self, consent: str) -> Page:
        """Read the consent, follow its link to the page that tells the effect, press the button there."""
        page = self.browser.open(f"{self.issuer}/consents/{consent}")
        if not isinstance(page, Page) or f"/consents/{consent}/withdraw" not in page.html:
            self.report.broken("the consent's page has no link to take it back")
        confirm = self.browser.open(f"{self.issuer}/consents/{consent}/withdraw")
        if not isinstance(confirm, Page):
            self.report.broken("the page that takes a consent back is not ours")
        after = self.browser.fill(confirm, "withdraw", {}, button="withdraw")
        if not isinstance(after, Page):
            self.report.broken("withdrawing led away from the city")
        return after


def answer_of(address: str) -> dict[str, str]:
    """What the city tells the service by way of the browser: code, state, iss, or an error."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
