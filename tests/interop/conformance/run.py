"""Runs the suite's plans by its API and prints each module's result; plays the person where its own browser can't.

    python -m tests.interop.conformance.run --suite https://localhost:8443 --city /tmp/city [plan ...]

The suite's browser knows neither `crypto.subtle` (session management) nor one-time codes (two factors for verified
claims): there Chromium opens what the suite asks a person to open. Where a plan waits for it, a key is rotated in the
console, and a resident changes a password and signs out.
"""

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pyotp
from playwright.sync_api import Page

from tests.interop.conformance.plans import LOGIN, PASSWORD, PLANS, service
from tests.support.browsing import launched

_ENDED = ("FINISHED", "INTERRUPTED")
_GOOD = ("PASSED", "WARNING", "REVIEW", "SKIPPED")
_TRIGGER = "Please trigger these events"
_TOLD = ("FAILURE", "WARNING")


class Hands:
    """What people do: sign in and agree in a browser of their own, press a button in the console."""

    def __init__(self, page: Page, known: dict[str, Any]) -> None:
        self._page, self._known, self.issuer = page, known, str(known["issuer"])

    def open(self, url: str, login: str) -> None:
        """Go where the suite sends the person, and answer what is asked there."""
        page = self._page
        page.goto(url)
        for _ in range(8):
            if page.locator("#password").count():
                if page.locator("#login").count():
                    page.fill("#login", login)
                page.fill("#password", PASSWORD)
                page.click("#sign-in-submit")
            elif page.locator("#code").count():
                page.fill("#code", self._code(self._known["verified"]["totp_secret"]))
                page.click("#code-submit")
            elif page.locator("#agree").count():
                page.click("#agree")
            elif page.locator("#sign-out-submit").count():
                page.click("#sign-out-submit")
            else:
                return
            page.wait_for_load_state()

    def cause(self, service: str) -> None:
        """A resident uses a service, saves a password and signs out: of CAEP's events, those we know."""
        page, issuer = self._page, self.issuer
        self.open(service, LOGIN)
        page.goto(f"{issuer}/safety/password")
        page.fill("#password", PASSWORD)
        page.fill("#repeat", PASSWORD)
        page.click("#password-submit")
        page.goto(f"{issuer}/sign-out")
        page.click("#sign-out-submit")

    def rotate(self) -> None:
        """A new signing key, from the console."""
        issuer, staff = self.issuer, self._known["office"]
        with httpx2.Client(base_url=issuer, verify=False, headers={"origin": issuer}) as office:
            office.post("/sign-in", data={"login": staff["login"], "password": PASSWORD, "next": "/home"})
            office.post("/sign-in/code", data={"code": self._code(staff["totp_secret"])})
            done = office.post("/console/keys/rotate", data={"alg": "RS256"})
            assert done.status_code == 303, done.text

    @staticmethod
    def _code(secret: str) -> str:
        """A code works once: the next one, never the one somebody may have used just now."""
        time.sleep(30 - time.time() % 30 + 0.5)
        return pyotp.TOTP(secret).now()


class Suite:
    """The suite's API."""

    def __init__(self, url: str) -> None:
        self._http = httpx2.Client(base_url=url, verify=False, timeout=60)

    def run(self, plan: dict[str, Any], configuration: dict[str, Any], hands: Hands, only: str) -> Counter[str]:
        """All modules of a plan, one after another."""
        query = {"planName": plan["plan"], "variant": json.dumps(plan.get("variant", {}))}
        made = self._http.post("/api/plan", params=query, json=configuration)
        assert made.status_code == 201, made.text
        results: Counter[str] = Counter()
        plan = plan | {"service": service(hands.issuer, configuration)} if "ssf" in plan["plan"] else plan
        for module in made.json()["modules"]:
            if only in module["testModule"]:
                results[self._module(made.json()["id"], module, plan, hands)] += 1
        return results

    def _module(self, plan_id: str, module: dict[str, Any], plan: dict[str, Any], hands: Hands) -> str:
        name = module["testModule"]
        query = {"test": name, "plan": plan_id, "variant": json.dumps(module.get("variant") or {})}
        made = self._http.post("/api/runner", params=query)
        assert made.status_code == 201, made.text
        test = made.json()["id"]
        info = self._follow(test, name, plan, hands)
        print(f"{info.get('status', '?'):11} {info.get('result') or '-':8} {name}", flush=True)
        if info.get("status") not in _ENDED:
            self._http.delete(f"/api/runner/{test}")
        for entry in self._log(test):
            if entry.get("result") in _TOLD:
                print(f"    {entry['result']} {entry.get('src')}: {str(entry.get('msg'))[:200]}", flush=True)
        return str(info.get("result") or info.get("status"))

    def _log(self, test: str) -> list[dict[str, Any]]:
        said: list[dict[str, Any]] = self._http.get(f"/api/log/{test}").json()
        return said

    def _follow(self, test: str, name: str, plan: dict[str, Any], hands: Hands) -> dict[str, Any]:
        ends, started, opened = time.monotonic() + 180, False, set()
        caused = not name.endswith("caep-interop")
        while True:
            info: dict[str, Any] = self._http.get(f"/api/info/{test}").json()
            if info.get("status") in _ENDED or time.monotonic() > ends:
                return info
            if info.get("status") == "CONFIGURED" and not started:
                if name.endswith("rotate-keys"):
                    hands.rotate()
                self._http.post(f"/api/runner/{test}")
                started = True
            if not caused and any(_TRIGGER in str(entry.get("msg")) for entry in self._log(test)):
                caused = True
                hands.cause(plan["service"])
            if info.get("status") == "WAITING":
                asked = self._http.get(f"/api/runner/{test}").json().get("browser", {}).get("urls", [])
                for url in [one for one in asked if one not in opened]:
                    opened.add(url)
                    self._http.post(f"/api/runner/browser/{test}/visit", params={"url": url})
                    hands.open(url, plan.get("login", LOGIN))
            time.sleep(0.3)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--city", type=Path, required=True, help="what tests.interop.conformance.city wrote")
    parser.add_argument("--module", default="", help="only modules with this in their name")
    parser.add_argument("plans", nargs="*", help=f"some of: {' '.join(PLANS)}")
    asked = parser.parse_args()
    suite, failed = Suite(asked.suite), 0
    with launched() as chromium:
        for name in asked.plans or PLANS:
            plan = PLANS[name]
            page = chromium.new_context(ignore_https_errors=True, locale="en").new_page()
            hands = Hands(page, json.loads((asked.city / "hands.json").read_text("utf-8")))
            configuration = json.loads((asked.city / f"{plan['configuration']}.json").read_text("utf-8"))
            print(f"== {name}: {plan['plan']} {plan.get('variant', {})}", flush=True)
            results = suite.run(plan, configuration, hands, asked.module)
            print(f"== {name}: {dict(results)}", flush=True)
            failed += sum(
                results[result] for result in results if result not in ("PASSED", "WARNING", "REVIEW", "SKIPPED")
            )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
