"""A tour of every page of a served city, each opened by the person it is for, the way that person comes to it.

A walk brings a browser window from page to page and yields the name of each sight; whoever walks it looks at the window
then (with axe, with a camera). `page_routes` asks the application itself which pages there are, so that a page no walk
opens is found out.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter
from fastapi.routing import APIRoute
from playwright.sync_api import Browser, Page

from keys.root import create_file
from kit.clock import SystemClock
from portal.app import PAGES, create_app
from portal.pages import resident
from portal.settings import Settings
from tests.support.authenticator_app import code_at
from tests.support.server import Served
from tests.support.signer import Signer
from tests.support.visitor import authorize_address, sign_in

PASSWORD = "correct horse battery staple"
# What is fetched and not looked at.
NOT_PAGES = frozenset(
    {
        "/consents/{consent_id}/receipt.json", "/console/audit.jsonl", "/leave/export", "/openapi/{name}.json",
        "/receipts/{token}/file", "/who/export", "/console/keys/upstreams/{upstream_id}.json",
    }
)  # fmt: skip

Walk = Callable[["Tour", Page], Iterator[str]]


# -- which pages there are


def page_routes(data: Path) -> frozenset[str]:
    """The paths of all pages of the application, as its routers say them; `data` is an empty directory."""
    create_file(data / "root.key")
    host = create_app(Settings(data=data, issuer="http://localhost:8080", jobs=False)).host
    paths: set[str] = set()
    areas: list[Any] = [area for area in PAGES if area is not resident]
    for area in (*areas, *resident.AREAS):
        paths |= {route.path for route in _routes(area.router(host)) if "GET" in route.methods}
    return frozenset(paths) - NOT_PAGES


def _routes(router: APIRouter) -> list[APIRoute]:
    found = [route for route in router.routes if isinstance(route, APIRoute)]
    assert len(found) == len(router.routes), "a router within a router would hide its pages from this tour"
    return found


def route_of(url: str, routes: frozenset[str]) -> str | None:
    """The page an address belongs to. A fixed path wins over one with a name in it."""
    path = urlsplit(url).path
    for route in sorted(routes, key=lambda each: each.count("{")):
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", route), path):
            return route
    return None


# -- the people


class Tour:
    """A city, a browser, and the people who have signed in once."""

    def __init__(self, served: Served, browser: Browser) -> None:
        self.served = served
        self.browser = browser
        self._states: dict[str, Any] = {}
        self._library = ""
        self._number = 0

    @property
    def url(self) -> str:
        """Where the city is."""
        return self.served.url

    def state(self, who: str) -> Any:
        """The cookies of somebody of the city."""
        if who not in self._states:
            group, back = ("residents", "/home") if who == "hanako" else ("staff", f"/{_FRONT.get(who, 'desk')}")
            context = self.browser.new_context()
            sign_in(context.new_page(), self.served, who, group=group, back=back)
            self._states[who] = context.storage_state()
            context.close()
        return self._states[who]

    @contextmanager
    def window(self, who: str, lang: str, **options: Any) -> Iterator[Page]:
        """A window of somebody's browser ("" for nobody's), in a language."""
        state = self.state(who) if who else None
        context = self.browser.new_context(
            storage_state=state, timezone_id="Asia/Tokyo", locale={"ja": "ja-JP", "en": "en-GB"}[lang], **options
        )
        context.add_cookies([{"name": "sekisho-lang", "value": lang, "url": self.url}])
        try:
            yield context.new_page()
        finally:
            context.close()

    def newcomer(self) -> str:
        """A login name nobody has yet."""
        self._number += 1
        return f"newcomer-{self._number}"

    def library(self) -> str:
        """The id of a client that belongs to no member and so has no agreement; an operator registers it once."""
        if not self._library:
            with self.window("operator", "ja") as page:
                page.goto(f"{self.url}/console/clients/new")
                page.fill("#name_ja", "湊浜市立図書館の予約")
                page.fill("#name_en", "Minato-hama Library Reservations")
                page.fill("#redirect_uris", LIBRARY)
                page.select_option("#method", "none")
                page.fill("#scope", "openid profile email address offline_access")
                page.check("#device")
                page.click("#create")
                page.wait_for_url(re.compile(r"/console/clients/[^/]+$"))
                self._library = page.url.rpartition("/")[2]
        return self._library


_FRONT = {"operator": "console", "clerk": "counter", "counter": "console", "reviewer": "console/agreements"}
LIBRARY = "https://library.minatohama.example/callback"


def _show(tour: Tour, page: Page, *paths: str) -> Iterator[str]:
    """Open pages one after the other."""
    for path in paths:
        page.goto(tour.url + path)
        yield re.sub(r"[^a-z0-9]+", "-", path).strip("-") or "landing"


def _link(tour: Tour, page: Page, path: str, selector: str) -> str:
    """Where a link on a page leads."""
    page.goto(tour.url + path)
    found = page.get_attribute(selector, "href")
    assert found, f"no {selector} on {path}"
    return found


# -- the walks


def stranger(tour: Tour, page: Page) -> Iterator[str]:
    """Somebody who looks around and mistypes."""
    yield from _show(tour, page, "/sign-in/link", "/sign-in/from/nobody?state=x", "/sign-in/certificate/back")
    yield from _show(tour, page, "/", "/ledger", "/docs", "/no-such-page", "/sign-in?next=/safety", "/sign-up")
    page.click("#sign-up-submit")
    yield "sign-up-wrong"
    page.goto(f"{tour.url}/sign-in")
    page.fill("#login", "nobody")
    page.fill("#password", "wrong")
    page.click("#sign-in-submit")
    yield "sign-in-refused"
    page.goto(f"{tour.url}/sign-in/recover")
    yield "recover"
    page.fill("#login", "nobody")
    page.fill("#code", "00000-00000")
    page.click("#recover-submit")
    page.wait_for_url("**/sign-in/recover/letter")
    yield "recover-letter"
    page.goto(f"{tour.url}/docs/keys")
    page.wait_for_selector("#api .opblock", timeout=20_000)
    yield "docs-keys"


def newcomer(tour: Tour, page: Page) -> Iterator[str]:
    """Registers with a password and the app; owns nothing yet; signs out, comes back, leaves for good."""
    login = tour.newcomer()
    _fill_person(tour, page, login)
    yield "sign-up-key"
    page.fill("#password", PASSWORD)
    page.fill("#repeat", PASSWORD)
    page.click("#password-submit")
    page.wait_for_url("**/safety/app?**")
    yield "safety-app-first"
    page.click("summary")
    secret = (page.text_content("#secret") or "").replace(" ", "")
    page.fill("#code", "000000")
    page.click("#code-submit")
    yield "safety-app-wrong"
    page.fill("#code", code_at(secret, SystemClock().ms()))
    page.click("#code-submit")
    page.wait_for_url("**/safety/codes?**")
    yield "safety-codes-first"
    page.click("#codes-submit")
    yield "safety-codes-shown"
    codes = page.locator("#codes li").all_text_contents()
    yield from (f"empty-{name}" for name in _show(tour, page, "/home", "/data", "/who", "/consents", "/leave"))
    yield from _show(tour, page, "/safety", "/safety/password", "/safety/app", "/safety/codes", "/sign-in?again=1")
    yield from _show(tour, page, "/safety/profile", "/not-me", "/safety/linked", "/safety/email")
    page.fill("#email", f"{login}@mail.example")
    page.click("#send")
    page.wait_for_selector("#code-form")
    yield "safety-email-code"
    page.fill("#code", "00000-00000")
    page.click("#confirm")
    yield "safety-email-wrong"
    page.goto(f"{tour.url}/sign-out")
    yield "sign-out"
    page.click("#sign-out-submit")
    page.goto(f"{tour.url}/sign-in?next=/leave/erase")
    page.fill("#login", login)
    page.fill("#password", PASSWORD)
    page.click("#sign-in-submit")
    page.wait_for_url("**/sign-in/code")
    yield "sign-in-code"
    page.click("#to-recovery")
    yield "sign-in-recovery"
    page.fill("#code", codes[0])
    page.click("#code-submit")
    page.wait_for_url("**/leave/erase")
    yield "leave-erase"
    page.fill("#confirm", "?")
    page.click("#erase")
    yield "leave-erase-wrong"
    page.fill("#confirm", "消す" if page.get_attribute("html", "lang") == "ja" else "erase")
    page.click("#erase")
    page.wait_for_selector("main:not(:has(#confirm))")
    yield "erased"


def holder(tour: Tour, page: Page) -> Iterator[str]:
    """Registers with a passkey; the virtual authenticator is Chromium's (CDP domain WebAuthn)."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    _fill_person(tour, page, tour.newcomer())
    page.click("#passkey-create")
    page.wait_for_url("**/safety")
    yield "safety-with-passkey"
    yield from _show(tour, page, _link(tour, page, "/safety", "#passkeys li a"))
    page.goto(f"{tour.url}/safety/passkeys/new")
    yield "safety-passkeys-new"


def _fill_person(tour: Tour, page: Page, login: str) -> None:
    page.goto(f"{tour.url}/sign-up?next=/safety")
    page.fill("#name", "磯部 さくら")
    page.fill("#name_kana", "いそべ さくら")
    page.fill("#birthdate", "昭和26年4月2日")
    page.fill("#login", login)
    page.click("#sign-up-submit")
    page.wait_for_url("**/sign-up/key")


def asked(tour: Tour, page: Page) -> Iterator[str]:
    """A resident whom services ask: for data, and for no more than who it is."""
    page.goto(authorize_address(tour.served, client="minato-clinic"))
    page.wait_for_selector("#agree")
    yield "interaction-data"
    page.route("**/callback?*", lambda route: route.fulfill(body="back at the service"))
    page.click("#later")
    page.wait_for_url("**/callback?*")
    yield from _show(tour, page, "/consents", _link(tour, page, "/consents", "#waiting .card-name"))
    page.click("#later")
    page.wait_for_url("**/consents")
    scope = "openid profile email address offline_access"
    page.goto(authorize_address(tour.served, client_id=tour.library(), redirect_uri=LIBRARY, scope=scope))
    page.wait_for_selector("#agree")
    yield "interaction-profile"
    page.goto(authorize_address(tour.served, client_id=tour.library(), redirect_uri=LIBRARY))
    page.wait_for_selector("#agree")
    yield "interaction-openid"
    page.click("#later")
    page.wait_for_selector("#questions")
    yield "home-with-a-question"
    form = {"client_id": tour.library(), "scope": "openid profile"}
    device = page.request.post(f"{tour.url}/oauth/device_authorization", form=form).json()
    yield from _show(tour, page, "/device")
    page.fill("#user_code", "BBBB-BBBB")
    page.click("#code-submit")
    yield "device-wrong"
    page.goto(device["verification_uri_complete"])
    yield "device-filled"
    page.click("#code-submit")
    page.wait_for_selector("#asked-elsewhere")
    yield "device-question"
    page.click("#refuse")
    page.wait_for_selector("#done")
    yield "device-refused"


def at_home(tour: Tour, page: Page) -> Iterator[str]:
    """A resident with data, consents and a history."""
    yield from _show(
        tour, page, "/home", "/data", "/data/health_checkup", "/data/mobility", "/data/disaster_support",
        "/data/disaster_support/add", "/data/health_checkup/add", "/who", "/who?span=year", "/consents",
        "/consents?by=category", "/consents?by=end", "/consents/history", "/leave",
    )  # fmt: skip
    page.goto(f"{tour.url}/data/disaster_support/add")
    page.fill("#updated", "9999-01-01")
    page.click("#save")
    yield "record-wrong"
    page.goto(f"{tour.url}/data/disaster_support/add")
    page.fill("#updated", "2026-11-01")
    page.select_option("#walking", "cane")
    page.check("#reasons-elderly")
    page.click("#save")
    yield "record-added"
    page.goto(tour.url + _link(tour, page, "/data/disaster_support", "main a[href$='/correct']"))
    yield "record-correct"
    page.goto(tour.url + _link(tour, page, "/data/disaster_support", "main a[href$='/delete']"))
    yield "record-delete"
    page.goto(tour.url + _link(tour, page, "/consents?by=category", "#active .group-head a"))
    yield "consents-stop"
    page.goto(f"{tour.url}/consents/instructions")
    yield "instructions"
    page.check("#answer-agree")
    page.fill("#until", "2027-06-30")
    page.click("#state")
    yield "instructions-wrong"
    page.click("#purposes-research summary")
    page.check("#purpose-ScientificResearch")
    page.check("#category-mobility")
    page.click("#state")
    page.wait_for_selector("#active")
    yield "instructions-stated"
    consent = _link(tour, page, "/consents", "#active .card-name")
    for part in ("", "/withdraw", "/renew", "/versions", "/receipt"):
        page.goto(tour.url + consent + part)
        yield f"consent{part.replace('/', '-')}"
    page.click("#show")
    page.wait_for_selector("#fingerprint")
    yield "receipt-shown"
    page.goto((page.text_content("#address") or "").strip())
    yield "receipt-seen"


def guardian(tour: Tour, page: Page) -> Iterator[str]:
    """A mother who gives a mandate, looks after her child's consents and goes back."""
    yield from _show(tour, page, "/mandates")
    page.check("#actions-see")
    page.fill("#until", "2027-12-31")
    page.click("#give")
    page.wait_for_selector("#code")
    yield "mandate-code"
    page.goto(f"{tour.url}/mandates")
    page.locator("[id^='act-']").first.click()
    page.wait_for_selector("#acting")
    yield "acting"
    page.goto(f"{tour.url}/safety")
    yield "acting-closed"
    page.click("#acting-back")
    page.wait_for_url("**/mandates")
    yield "mandates-back"


def lead(tour: Tour, page: Page) -> Iterator[str]:
    """The lead of the CERT."""
    yield from _show(
        tour, page, "/desk", "/desk/alerts", "/desk/alerts?state=in_incident", "/desk/alerts/new",
        "/desk/incidents/new", "/desk/no-such-page",
    )  # fmt: skip
    page.goto(f"{tour.url}/desk")
    opened = page.eval_on_selector_all("tr.incident-row a[data-open]", "all => all.map(a => a.getAttribute('href'))")
    incident, closed = opened[0], opened[-1]
    for part in ("", "/edit", "/close"):
        page.goto(tour.url + incident + part)
        yield f"incident{part.replace('/', '-')}"
    page.goto(tour.url + closed)
    yield "incident-closed"
    query = urlencode({"action": "suspend_client", "target": "energy-coop"})
    page.goto(f"{tour.url}{incident}/contain?{query}")
    yield "incident-contain"


def operator(tour: Tour, page: Page) -> Iterator[str]:
    """An operator of the city."""
    yield from _show(
        tour, page, "/console", "/console/members", "/console/members/new", "/console/clients", "/console/clients/new",
        "/console/request", "/console/registration-tokens",
        "/console/agreements", "/console/streams", "/console/keys", "/console/keys/rotate?alg=EdDSA", "/console/audit",
        "/console/audit?action=nothing",
    )  # fmt: skip
    member = _link(tour, page, "/console/members", "main a[href^='/console/members/mem_']")
    yield from (f"member{i}" for i, _ in enumerate(_show(tour, page, member, f"{member}/suspend")))
    client = "/console/clients/minato-clinic"
    further = (f"{client}/{one}" for one in ("policy", "assurance", "suspend", "secret", "keys"))
    yield from (f"client{i}" for i, _ in enumerate(_show(tour, page, client, *further)))
    page.goto(f"{tour.url}/console/clients/energy-coop/secret")
    page.click("main form button")
    yield "client-secret-shown"
    page.goto(f"{tour.url}{client}/keys")
    page.fill("#jwks", json.dumps(Signer().jwks))
    page.click("#look")
    page.wait_for_selector("#coming")
    yield "client-keys-change"
    yield from _federation(tour, page)
    agreement = _link(tour, page, "/console/agreements", "#agreements a")
    page.goto(tour.url + agreement)
    yield "agreement-approved"
    yield from _show(
        tour, page, "/console/agreements/new", f"{agreement}/revise", f"{agreement}/end", f"{agreement}/campaign"
    )
    page.goto(f"{tour.url}{agreement}/revise")
    page.fill("#retention", "365")
    page.click("#preview")
    page.wait_for_selector("#offer")
    yield "agreement-preview"
    page.click("#edit")
    page.fill("#contact", "")
    page.click("#preview")
    yield "agreement-wrong"


def _federation(tour: Tour, page: Page) -> Iterator[str]:
    """What the city says of others; the demo's city takes part in no federation, so nobody hears it."""
    place = "/console/federation"
    yield from _show(tour, page, place, f"{place}/vouch", f"{place}/mark", f"{place}/explain")
    entity = "https://clinic.minatohama.example"
    page.fill("#entity_id", entity)
    page.click("#ask")
    page.wait_for_selector("#verdict")
    yield "federation-refused"
    page.goto(f"{tour.url}{place}/vouch")
    page.fill("#entity_id", entity)
    page.click("#look")
    yield "federation-vouch-wrong"
    page.fill("#jwks", json.dumps(Signer().jwks))
    page.click("#look")
    page.wait_for_selector("#entity-keys")
    yield "federation-vouch-look"
    page.click("#confirm")
    page.wait_for_url(re.compile(r"/console/federation/subordinates/[^/]+$"))
    below = page.url.removeprefix(tour.url)
    page.click("#give-mark")
    page.fill("#kind", "https://pref.example/marks/audited")
    page.click("#give")
    yield from _show(tour, page, below, f"{below}/suspend")
    page.goto(tour.url + below)
    page.click("#revoke-1")
    yield "federation-revoke"
    page.goto(tour.url + below)
    if page.query_selector("#end"):  # so that the same walk in another language begins as this one
        page.click("#end")
        page.click("#confirm")


def helped(tour: Tour, page: Page) -> Iterator[str]:
    """Two operators give a resident who lost every way in a new one; the resident uses it in another window."""
    login = tour.newcomer()
    page.goto(f"{tour.url}/console/residents")
    yield "residents"
    lang = page.get_attribute("html", "lang") or ""
    with tour.window("", lang) as theirs:
        _fill_person(tour, theirs, login)
        theirs.fill("#password", PASSWORD)
        theirs.fill("#repeat", PASSWORD)
        theirs.click("#password-submit")
        theirs.wait_for_url("**/safety/app?**")
    page.fill("#who", "nobody-at-all")
    page.click("#find")
    yield "residents-unknown"
    page.fill("#who", login)
    page.click("#find")
    page.wait_for_selector("#account-id")
    yield "resident"
    account = page.url
    page.goto(f"{account}/guardians")
    yield "guardians"
    page.goto(account)
    page.click("#lock")
    yield "resident-lock-wrong"
    page.click("#reset")
    page.click("#open")
    yield "reset-wrong"
    page.check("#reason-lost")
    page.check("#evidence-passport")
    page.click("#open")
    page.wait_for_selector("#second")
    yield "reset-open"
    place = page.url
    with tour.window("counter", lang) as second:
        second.goto(place)
        second.check("#confirmed")
        second.click("#approve")
        code = second.text_content("#code") or ""
    page.goto(place)
    yield "reset-approved"
    page.goto(f"{tour.url}/sign-in/reset")
    yield "sign-in-reset"
    page.fill("#login", login)
    page.fill("#code", "wrong")
    page.click("#code-submit")
    yield "sign-in-reset-refused"
    page.fill("#code", code)
    page.click("#code-submit")
    page.wait_for_url("**/sign-in/reset/new")
    yield "sign-in-reset-new"


def clerk(tour: Tour, page: Page) -> Iterator[str]:
    """A clerk and a resident at the counter, a colleague beside them; the resident's phone is another window."""
    page.goto(f"{tour.url}/counter")
    page.fill("#code", "0000-0000")
    page.click("#begin")
    yield "counter-missed"
    lang = page.get_attribute("html", "lang") or ""
    with tour.window("hanako", lang) as phone:
        phone.goto(f"{tour.url}/safety/verified")
        phone.click("#make-code")
        code = phone.text_content("#visit-code") or ""
    page.fill("#code", code)
    page.click("#begin")
    page.wait_for_selector("#write-down")
    yield "visit"
    page.click("#write-down")
    yield "visit-errors"
    for box in ("compared-name", "compared-birthdate", "face", "chip-1"):
        page.check(f"#{box}")
    page.select_option("#document-1", "individual-number-card")
    visit = page.url
    page.click("#write-down")
    page.wait_for_selector("#waiting")
    yield "counter-waiting"
    with tour.window("counter", lang) as second:
        second.goto(visit)
        second.click("#end")
        second.wait_for_selector("#notice-counter-over")


def verified(tour: Tour, page: Page) -> Iterator[str]:
    """The resident reads who verified them, and makes a code."""
    page.goto(f"{tour.url}/safety/verified")
    yield "verified"
    page.click("#make-code")
    page.wait_for_selector("#visit-code")
    yield "verified-code"


def reviewer(tour: Tour, page: Page) -> Iterator[str]:
    """A member of the data ethics board, before an offer that waits."""
    page.goto(f"{tour.url}/console/agreements")
    yield "agreements-reviewer"
    page.goto(tour.url + _link(tour, page, "/console/agreements", "#pending a"))
    page.wait_for_selector("#approve")
    yield "agreement-waiting"


# Who walks, as whom.
WALKS: tuple[tuple[str, Walk], ...] = (
    ("", stranger),
    ("", newcomer),
    ("", holder),
    ("hanako", asked),
    ("hanako", at_home),
    ("hanako", guardian),
    ("lead", lead),
    ("operator", operator),
    ("operator", helped),
    ("reviewer", reviewer),
    ("clerk", clerk),
    ("hanako", verified),
)
