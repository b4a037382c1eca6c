"""People sign in by a certificate (identity/certificates/sign_in.py), from the wire, behind a proxy that ends TLS.

The listener is another origin; here it is told apart by its address, as a proxy would. Real TLS: tests/flows.
"""

import asyncio
import base64
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from cryptography import x509
from sqlmodel import select

from identity.attempts import LIFETIME
from identity.certificates.sign_in import BACK_PATH, SHOW_PATH
from identity.levels import AAL1, AAL2
from identity.sessions import BrowserSession, Sessions
from identity.settings import IdentitySettings
from identity.throttle import Throttles
from identity.upstream.models import UpstreamLink
from keys.pki.status import millis
from kit import audit
from kit.clock import FrozenClock, to_datetime
from kit.fetch import OutgoingSettings
from portal.app import Building, create_app
from portal.settings import Settings
from tests.portal.test_signin import PASSWORD, SESSION, add, post
from tests.support.certificates import Pair
from tests.support.pki import Maker, name
from tests.support.site import Site, reply, serving

pytestmark = pytest.mark.anyio
LISTENER = "https://mtls.city.example"
COOKIE = "sekisho-local-upstream"


@dataclass
class World:
    """A city, its card's authority, and one browser."""

    app: Building
    http: Any
    card: Maker
    soft: Maker
    site: Site
    clock: FrozenClock
    number: int = 0  # of the test: accounts and cards of its own
    entries: int = 0  # of the trail before it

    @property
    def login(self) -> str:
        return f"hana{self.number}"

    @property
    def name(self) -> str:
        return f"湊 花 {self.number}"

    def browser(self) -> Any:
        transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url=self.app.settings.issuer)

    def give(self, common: str = "", **more: Any) -> Pair:
        return self.card.give(common or self.name, crl=self.site.url("/card.crl"), **more)

    async def away(self, authority: str = "card", next: str = "/consents", http: Any = None) -> str:
        answer = await post(http or self.http, "/sign-in/certificate", authority=authority, next=next)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def show(self, url: str, pair: Pair | None, **more: str) -> Any:
        """The browser at the listener, which knows no cookie of ours."""
        assert url.startswith(LISTENER)
        headers = dict(more)
        if pair is not None:
            headers["client-cert"] = f":{base64.b64encode(pair.der).decode()}:"
        async with self.browser() as other:
            return await other.get(url.removeprefix(LISTENER), headers=headers)

    async def back(self, answer: Any, http: Any = None) -> Any:
        place = answer.headers["location"]
        assert place.startswith("http://localhost:8080" + BACK_PATH), place
        return await (http or self.http).get(place.removeprefix("http://localhost:8080"))

    async def go(self, pair: Pair | None, authority: str = "card", next: str = "/consents") -> Any:
        """There and back."""
        return await self.back(await self.show(await self.away(authority, next), pair))

    async def session(self) -> BrowserSession | None:
        return await self.app.host.get(Sessions).find(self.http.cookies.get(SESSION))

    async def inside(self, *, app_on: bool = False) -> str:
        account_id, _ = await add(self.app, self.login, app_on=app_on)
        await post(self.http, "/sign-in", login=self.login, password=PASSWORD, next="/safety")
        return account_id

    async def link(self, pair: Pair, authority: str = "card") -> Any:
        """From inside; then signed out."""
        answer = await post(self.http, "/safety/linked/certificate", authority=authority)
        return await self.back(await self.show(answer.headers["location"], pair))

    async def linked(self, pair: Pair, authority: str = "card", **more: Any) -> str:
        account_id = await self.inside(**more)
        answer = await self.link(pair, authority)
        assert answer.headers["location"] == "/safety/linked", answer.text
        await post(self.http, "/sign-out")
        return account_id

    async def trail(self, action: str) -> list[Any]:
        found = await self.app.host.db.read(lambda session: tuple(audit.entries(session, action=action, limit=1000)))
        return [one for one in found if one.seq > self.entries]

    async def rows(self) -> list[Any]:
        """Links made in this test."""
        now = self.clock.ms()
        found = await self.app.host.db.read(lambda session: session.exec(select(UpstreamLink)).all())
        return [one for one in found if one.linked_at > now - 30_000]


def code_in(answer: Any) -> str:
    found = re.search(r'data-code="([a-z-]+)"', answer.text)
    return found[1] if found else ""


@pytest.fixture(scope="module")
async def city(empty_city: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    tmp_path = tmp_path_factory.mktemp("cards")
    shutil.copytree(empty_city, tmp_path / "data")
    card, soft, office = Maker("Card"), Maker("Soft"), Maker("Office")
    for one, maker in (("card", card), ("soft", soft), ("office", office)):
        (tmp_path / f"{one}.pem").write_bytes(maker.pem)
    clock = FrozenClock(millis(card.now))
    async with serving() as site:
        site.answer = lambda _path: reply(card.crl())
        authorities = [
            {
                "id": "card", "uses": ["residents"], "anchors": tmp_path / "card.pem", "checking": ["crl"],
                "label_ja": "市民カード", "label_en": "City Card", "key": "smart-card", "pin": True, "acr": AAL2,
            },
            {
                "id": "soft", "uses": ["residents", "staff"], "anchors": tmp_path / "soft.pem", "checking": ["none"],
                "label_ja": "端末の証明書", "label_en": "Device", "subject": "serial-number",
            },
            {"id": "office", "uses": ["clients"], "anchors": tmp_path / "office.pem", "checking": ["none"]},
        ]  # fmt: skip
        identity = {"certificate_authorities": authorities, "mtls_url": LISTENER, "source_tries": 30}
        settings = Settings(
            data=tmp_path / "data", issuer="http://localhost:8080", jobs=False, trusted_proxies=("127.0.0.1",),
            client_certificate_header=True, identity=IdentitySettings.model_validate(identity),
            outgoing=OutgoingSettings(allow=("127.0.0.1",)),
        )  # fmt: skip
        async with create_app(settings, clock=clock).running(jobs=False) as app:
            yield World(app, None, card, soft, site, clock)


@pytest.fixture
async def w(city: World) -> AsyncIterator[World]:
    """The same city an hour later, another resident and an empty browser."""
    city.number += 1
    city.clock.advance(seconds=3700)
    city.card.now = city.soft.now = to_datetime(city.clock.ms())
    city.site.answer = lambda _path: reply(city.card.crl())
    newest = await city.app.host.db.read(lambda session: tuple(audit.entries(session, newest_first=True, limit=1)))
    city.entries = newest[0].seq if newest else 0
    async with city.browser() as city.http:
        yield city


# -- the page


async def test_the_button_is_there_when_configured_and_may_lead_to_the_listener(w: World) -> None:
    page = await w.http.get("/sign-in", headers={"accept-language": "ja"})
    assert 'id="certificate-card"' in page.text
    assert "市民カード" in page.text
    assert 'id="certificate-office"' not in page.text  # for services
    (policy,) = re.findall(r"form-action ([^;]+)", page.headers["content-security-policy"])
    assert LISTENER in policy.split(" ")


async def test_without_authorities_for_people_nothing_is_offered(client: Any) -> None:
    assert "certificate" not in (await client.get("/sign-in")).text
    assert (await post(client, "/sign-in/certificate", authority="card")).status_code == 404
    for query in ("", "?begun=x&authority=card"):
        answer = await client.get(SHOW_PATH + query)
        assert parse_qs(urlsplit(answer.headers["location"]).query) == {"problem": ["stale"]}


# -- in


async def test_a_linked_certificate_signs_in_with_what_is_known_of_it(w: World) -> None:
    """RFC 8176: `sc`, `pin`, `mfa` are what the authority's keys are; the level is the operator's to say."""
    pair = w.give()
    account_id = await w.linked(pair)
    answer = await w.go(pair)
    assert (answer.status_code, answer.headers["location"]) == (303, "/consents")
    session = await w.session()
    assert session is not None
    assert (session.account_id, session.acr, session.amr) == (account_id, AAL2, ("sc", "pin", "mfa"))
    (entry,) = [one for one in await w.trail("identity.signin.succeeded") if one.detail["method"] == "certificate"]
    assert entry.detail["upstream"] == "card"
    assert len(await w.trail("identity.certificate.linked")) == 1  # and its letter follows the trail


async def test_an_unlinked_one_opens_nothing_and_is_linked_after_a_sign_in_here(w: World) -> None:
    """By proof of both: its name is the resident's, and that counts for nothing."""
    pair = w.give()
    account_id, _ = await add(w.app, w.login, app_on=False)
    answer = await w.go(pair)
    assert answer.headers["location"] == "/sign-in/link"
    assert await w.session() is None
    assert "City Card" in (await w.http.get("/sign-in/link", headers={"accept-language": "en"})).text
    await post(w.http, "/sign-in", login=w.login, password=PASSWORD, next="/sign-in/link")
    await post(w.http, "/sign-in/link")
    (row,) = await w.rows()
    assert (row.account_id, row.upstream) == (account_id, "card")
    page = await w.http.get("/safety/linked", headers={"accept-language": "en"})
    assert "Certificate good until" in page.text


async def test_a_renewed_certificate_is_the_same_person_and_is_told(w: World) -> None:
    """A serial number is of one certificate; issuer and subject, byte for byte, outlive it."""
    first = w.give()
    account_id = await w.linked(first)
    await w.go(first)
    assert await w.trail("identity.certificate.renewed") == []
    await w.go(w.give())
    session = await w.session()
    assert session is not None
    assert session.account_id == account_id
    assert len(await w.trail("identity.certificate.renewed")) == 1


async def test_a_removed_certificate_lets_nobody_in_and_is_told_as_one(w: World) -> None:
    """RFC 5280 has no word for it: the city keeps the link, the authority the certificate."""
    pair = w.give()
    await w.linked(pair)
    await w.go(pair)
    (row,) = await w.rows()
    assert (await post(w.http, f"/safety/linked/{row.id}/remove")).status_code == 303
    (entry,) = await w.trail("identity.certificate.unlinked")
    assert entry.detail == {"authority": "card", "link": row.id}
    assert await w.trail("identity.upstream.unlinked") == []
    await post(w.http, "/sign-out")
    assert (await w.go(pair)).headers["location"] == "/sign-in/link"


async def test_another_name_or_another_issuer_is_somebody_else(w: World) -> None:
    await w.linked(w.give())
    for pair, authority in ((w.give(w.name + "子"), "card"), (w.soft.give(w.name, serial_name="1"), "soft")):
        assert (await w.go(pair, authority)).headers["location"] == "/sign-in/link"
    spelled = x509.Name(list(name(w.name))[::-1])
    assert (await w.go(w.give(subject=spelled))).headers["location"] == "/sign-in/link"


async def test_who_has_no_name_is_nobody(w: World) -> None:
    """RFC 5280 section 4.1.2.6: a subject may be empty. All who have none would be one person."""
    await w.inside()
    assert code_in(await w.link(w.give(subject=x509.Name([])))) == "refused"
    assert await w.rows() == []


async def test_a_serial_number_attribute_names_the_person_where_the_operator_says_so(w: World) -> None:
    await w.linked(w.soft.give("A", serial_name="0001"), "soft")
    assert (await w.go(w.soft.give("B", serial_name="0001"), "soft")).headers["location"] == "/consents"
    assert (await w.go(w.soft.give("A", serial_name="0002"), "soft")).headers["location"] == "/sign-in/link"
    assert code_in(await w.go(w.soft.give("A"), "soft")) == "refused"


async def test_staff_sign_in_where_the_authority_is_for_staff_and_residents_cards_are_not(w: World) -> None:
    pair = w.soft.give("Staff", serial_name="77")
    await add(w.app, w.login, app_on=False, kind="staff")
    await post(w.http, "/sign-in", login=w.login, password=PASSWORD)
    page = await w.http.get("/safety/linked")
    assert ('id="link-soft"' in page.text, 'id="link-card"' in page.text) == (True, False)
    assert (await w.link(pair, "soft")).headers["location"] == "/safety/linked"
    assert (await w.link(w.give())).headers["location"] == "/safety/linked?problem=not-for-you"
    await post(w.http, "/sign-out")
    assert (await w.go(pair, "soft", next="")).headers["location"] == "/desk"


# -- not in


async def test_who_is_revoked_expired_or_nobody_s_is_not_let_in(w: World) -> None:
    """One word for all that is wrong with a certificate; the trail has the reason."""
    pair = w.give()
    await w.linked(pair)
    gone = [pair.certificate]
    w.site.answer = lambda _path: reply(w.card.crl(*gone))
    w.clock.advance(seconds=3601)
    w.card.now = to_datetime(w.clock.ms())
    for shown, code in (
        (pair, "refused"), (w.give(days=-1), "expired"), (Maker("Card").give(), "refused"), (None, "no-certificate"),
        (w.give(signs=False), "refused"), (w.card.give(), "untold"), (w.soft.give("x", serial_name="1"), "refused"),
    ):  # fmt: skip
        answer = await w.go(shown)
        assert code_in(answer) == code
        assert await w.session() is None
    reasons = {one.detail["reason"] for one in await w.trail("identity.signin.failed")}
    assert {"revoked", "expired", "untrusted", "purpose", "untold"} <= reasons


async def test_one_factor_opens_no_account_that_asks_for_two(w: World) -> None:
    pair = w.soft.give("A", serial_name="0009")
    account_id, _ = await add(w.app, w.login, app_on=True)
    host = w.app.host
    from identity.certificates.sign_in import CertificateSignIn
    from kit.host import Actor

    links = host.get(CertificateSignIn)._entrance.links
    verdict: Any = await host.get(CertificateSignIn)._certificates.check(seen(pair), "soft")
    digest = links.digest("x509", verdict.subject)
    actor = Actor("resident", account_id)
    await host.db.write(links.link, account_id, "soft", digest, told={}, now=host.clock.ms(), actor=actor)
    assert code_in(await w.go(pair, "soft")) == "too-weak"
    assert await w.session() is None
    assert verdict.authority.level.acr == AAL1


def seen(pair: Pair) -> Any:
    from keys.certificates import from_der

    return from_der(pair.der)


async def test_a_certificate_signs_in_one_account_only(w: World) -> None:
    pair = w.give()
    await w.linked(pair)
    await add(w.app, f"jiro{w.number}", app_on=False)
    await post(w.http, "/sign-in", login=f"jiro{w.number}", password=PASSWORD)
    answer = await w.link(pair)
    assert answer.headers["location"] == "/safety/linked?problem=somebody-else"


# -- the way there and back


async def test_the_listener_reads_and_sets_no_cookie(w: World) -> None:
    """Cookies know no ports: whatever comes along must mean nothing there."""
    url = await w.away()
    answer = await w.show(url, w.give(), cookie=f"{SESSION}=x; {COOKIE}=y")
    assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_a_ticket_in_another_browser_is_worth_nothing(w: World) -> None:
    """Login CSRF: the attacker's own certificate, the victim's browser."""
    pair = w.give()
    await w.linked(pair)
    shown = await w.show(await w.away(), pair)
    async with w.browser() as victim:
        assert code_in(await w.back(shown, victim)) == "stale"
        await w.away(http=victim)  # even in the middle of a sign-in of its own
        assert code_in(await w.back(shown, victim)) == "stale"
        assert victim.cookies.get(SESSION) is None
    assert (await w.back(shown)).headers["location"] == "/consents"  # nothing was spent by that


async def test_who_sends_somebody_to_the_listener_gets_no_ticket(w: World) -> None:
    """The victim's card shown for the attacker's beginning: the ticket goes to the victim's browser, alone."""
    pair = w.give()
    await w.linked(pair)
    async with w.browser() as victim:
        shown = await w.show(await w.away(), pair)
        assert code_in(await w.back(shown, victim)) == "stale"
    assert "skc_" not in shown.headers["location"]


async def test_a_ticket_is_used_once_and_within_two_minutes(w: World) -> None:
    """I7."""
    pair = w.give()
    await w.linked(pair)
    shown = await w.show(await w.away(), pair)
    await w.back(shown)
    assert code_in(await w.back(shown)) == "stale"
    await post(w.http, "/sign-out")
    shown = await w.show(await w.away(), pair)
    w.clock.advance(seconds=LIFETIME["certificate-shown"] // 1000 + 1)
    assert code_in(await w.back(shown)) == "stale"


async def test_of_two_who_show_one_ticket_at_once_one_gets_in(w: World) -> None:
    """I7, under concurrency: the browser's double click, or somebody who copied all of it."""
    pair = w.give()
    await w.linked(pair)
    shown = await w.show(await w.away(), pair)
    answers = await asyncio.gather(*(w.back(shown) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [303, 400, 400, 400]


async def test_a_link_is_made_only_in_the_session_that_asked_for_it(w: World) -> None:
    pair = w.give()
    await w.inside()
    answer = await post(w.http, "/safety/linked/certificate", authority="card")
    shown = await w.show(answer.headers["location"], pair)
    await post(w.http, "/sign-out")
    assert code_in(await w.back(shown)) == "signed-out"
    assert await w.rows() == []


async def test_the_header_of_a_stranger_is_no_certificate(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9440: believed from the listed proxies only."""
    monkeypatch.setattr(w.app.front, "seen", None)  # as from any other address
    assert code_in(await w.go(w.give())) == "no-certificate"


async def test_what_is_written_into_the_way_back_is_only_a_known_word(w: World) -> None:
    for query in (
        "problem=%3Cscript%3E&authority=card",
        "problem=closed&authority=%22%3E",
        "authority=card",
        "ticket=x",
    ):
        answer = await w.http.get(f"{BACK_PATH}?{query}")
        assert code_in(answer) == "stale"
        assert "<script>" not in answer.text


async def test_showing_is_throttled_by_network(w: World) -> None:
    url = await w.away()
    pair = w.give(days=-1)
    throttles = w.app.host.get(Throttles)
    for _ in range(throttles.policy.source.burst + 1):
        answer = await w.show(url, pair, **{"x-forwarded-for": "198.51.100.7"})
    assert parse_qs(urlsplit(answer.headers["location"]).query)["problem"] == ["throttled"]


async def test_another_site_cannot_begin_a_sign_in(w: World) -> None:
    sent = {"origin": "https://evil.example"}
    answer = await w.http.post("/sign-in/certificate", data={"authority": "card"}, headers=sent)
    assert answer.status_code == 403
