"""Certificates of services (RFC 8705) whose authorities are asked whether they still stand by them: lists, responders,
a register, from the wire. The city stands behind a proxy that ends TLS; tests/flows/test_certificates.py has real TLS.
"""

import asyncio
import base64
import datetime
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError
from sqlmodel import Session, select

from identity.certificates import check
from identity.certificates.check import Certificates
from identity.certificates.models import CertificateList
from identity.certificates.newest import REMEMBERED, is_newest
from identity.certificates.settings import AuthoritySettings
from identity.certificates.status import CertificateStatus
from identity.oauth.housekeeping import sweep
from identity.settings import IdentitySettings
from keys.certificates import from_der
from keys.pki import crl
from keys.pki.status import Status, millis
from kit.clock import MINUTE, SECOND, FrozenClock
from kit.fetch import OutgoingSettings
from portal.app import Building, create_app
from portal.settings import Settings
from tests.identity.test_oauth_client_auth import MACHINE
from tests.support.certificates import Pair, self_signed
from tests.support.pki import OCSP_SIGNING, Maker, OpenSSL, Register, registering, unknown_critical
from tests.support.relying_party import Party, join
from tests.support.server import free_port
from tests.support.site import Site, reply, serving

pytestmark = pytest.mark.anyio
NAME = "CN=meter,O=Minato-hama,C=JP"
NAMES = ("crl", "ocsp", "register", "soft", "none", "both", "people", "grace")


@dataclass
class World:
    """A city that knows several authorities, and the places they are asked at."""

    app: Building
    http: httpx2.AsyncClient
    clock: FrozenClock
    site: Site
    register: Register
    openssl: OpenSSL
    party: Party
    makers: dict[str, Maker]
    pages: dict[str, Callable[[], Any]] = field(default_factory=dict)

    def fetched(self, path: str) -> int:
        return sum(f" {path} ".encode() in one for one in self.site.asked)

    def publish(self, path: str, made: Callable[[], Any]) -> str:
        """What the site answers at a path, made anew each time."""
        self.pages[path] = made
        return self.site.url(path)

    async def ask(self, pair: Pair, path: str = "/oauth/token", **form: str) -> Any:
        data = {"grant_type": "client_credentials", "client_id": self.party.client.id, **form}
        return await self.http.post(path, data=data, headers=seen(pair))

    async def error(self, pair: Pair) -> str:
        answer = await self.ask(pair)
        return "" if answer.status_code == 200 else str(answer.json()["error"])

    def why(self, pair: Pair) -> str:
        """The verdict's own word, which no client hears."""
        kept = self.app.host.get(Certificates)._kept[(seen_as(pair).x5t, "clients")].verdict
        return getattr(kept, "reason", "good")


def seen(pair: Pair) -> dict[str, str]:
    return {"client-cert": f":{base64.b64encode(pair.der).decode()}:"}


def seen_as(pair: Pair) -> Any:
    return from_der(pair.der)


@pytest.fixture(scope="module")
async def world(empty_city: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    place = tmp_path_factory.mktemp("certificates")
    shutil.copytree(empty_city, place / "data")
    makers = {one: Maker(f"Authority {one}") for one in NAMES}
    for one, maker in makers.items():
        (place / f"{one}.pem").write_bytes(maker.pem)
    clock, port = FrozenClock(millis(makers["crl"].now)), free_port()

    def authority(name: str, **more: Any) -> dict[str, Any]:
        return {"id": name, "uses": ["clients"], "anchors": place / f"{name}.pem", **more}

    async with serving() as site, registering(lambda: datetime.datetime.now(datetime.UTC)) as register:
        authorities = [
            authority("crl", checking=["crl"], fresh_seconds=600, crl_limit=100_000),
            authority("ocsp", checking=["ocsp"], ocsp_url=f"http://127.0.0.1:{port}", fresh_seconds=600),
            authority(
                "register", checking=["adapter"],
                adapter={"url": register.site.url("/status"), "secret": register.secret, "identifies": True},
            ),
            authority("soft", checking=["crl"], soft_fail=True),
            authority("none", checking=["none"]),
            authority("both", checking=["ocsp", "crl"]),
            authority("grace", checking=["crl"], fresh_seconds=60, grace_seconds=300),
            authority("people", checking=["none"], uses=["residents"], label_ja="カード", label_en="Card"),
        ]  # fmt: skip
        settings = Settings(
            data=place / "data", issuer="http://localhost:8080", jobs=False, trusted_proxies=("127.0.0.1",),
            client_certificate_header=True,
            identity=IdentitySettings.model_validate({"certificate_authorities": authorities}),
            outgoing=OutgoingSettings(allow=("127.0.0.1",), seconds=0.5),
        )  # fmt: skip
        async with create_app(settings, clock=clock).running(jobs=False) as app:
            transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url=settings.issuer) as http:
                party = await join(
                    app, http, **MACHINE, token_endpoint_auth_method="tls_client_auth", tls_client_auth_subject_dn=NAME,
                    tls_client_certificate_bound_access_tokens=True,
                )  # fmt: skip
                openssl = OpenSSL(makers["ocsp"], place / "openssl")
                made = World(app, http, clock, site, register, openssl, party, makers)

                def answer(path: str) -> Any:
                    return made.pages[path]() if path in made.pages else reply(b"", "404 Not Found")

                site.answer = answer
                yield made


def listed(w: World, path: str, made: Callable[[], bytes], maker: str = "crl", **more: Any) -> Pair:
    """A meter's certificate whose list is at a path of its own."""
    address = w.publish(path, lambda: reply(made(), "200 OK", "content-type: application/pkix-crl"))
    return w.makers[maker].give("meter", crl=address, **more)


# -- what is sent along


def along(*sent: Maker) -> str:
    return ", ".join(f":{base64.b64encode(one.certificate.public_bytes(Encoding.DER)).decode()}:" for one in sent)


async def test_an_authority_between_that_came_along_makes_the_path(world: World) -> None:
    """RFC 9440 section 2.3 (a list, in one line or several), RFC 5280 section 6.1: for who had no path without it."""
    upper = Maker("Upper", world.makers["none"])
    lower = Maker("Lower", upper)
    pair = lower.give("meter")
    assert await world.error(pair) == "invalid_client"
    assert world.why(pair) == "untrusted"
    data = {"grant_type": "client_credentials", "client_id": world.party.client.id}

    async def told(*lines: str, shown: Pair = pair) -> str:
        headers = [*seen(shown).items(), *(("client-cert-chain", line) for line in lines)]
        answer = await world.http.post("/oauth/token", data=data, headers=headers)
        return "" if answer.status_code == 200 else str(answer.json()["error"])

    whole = along(lower, upper)
    stranger = Maker("Stranger")
    for lines in (
        (along(lower),),  # half a path
        (along(stranger),),
        (whole + ", :!!:",),  # RFC 8941 section 4.2: what does not parse is ignored as a whole
        (f"{whole};a=1, x",),
        (along(*[lower, upper] * 4),),  # longer than any path
        ("",),
    ):
        assert await told(*lines) == "invalid_client", lines
    smuggled = Maker("Upper", stranger).give("meter")  # its name alone is like one of ours
    assert await told(whole, along(stranger), shown=smuggled) == "invalid_client"
    assert await told(whole) == ""
    assert await told() == ""  # the verdict is the certificate's
    other = lower.give("meter")
    assert await told(along(lower), along(upper), shown=other) == ""


async def test_a_revoked_one_asks_nobody_again_by_sending_others_along(world: World) -> None:
    """What came along counts for who had no path: else each new list of authorities would be a new question."""
    gone: list[Pair] = []
    pair = listed(world, "/along.crl", lambda: world.makers["crl"].crl(*(one.certificate for one in gone)))
    gone.append(pair)
    assert await world.error(pair) == "invalid_client"
    asked = world.fetched("/along.crl")
    for _ in range(3):
        headers = {**seen(pair), "client-cert-chain": along(Maker("Any"))}
        data = {"grant_type": "client_credentials", "client_id": world.party.client.id}
        assert (await world.http.post("/oauth/token", data=data, headers=headers)).status_code == 401
    assert world.why(pair) == "revoked"
    assert world.fetched("/along.crl") == asked


# -- lists


async def test_a_certificate_in_good_standing_is_the_client_and_a_revoked_one_is_not(world: World) -> None:
    """RFC 8705 section 2.1, RFC 5280 section 6.3: by lists of both makes."""
    maker = world.makers["crl"]
    gone: list[Pair] = []
    good = listed(world, "/a.crl", lambda: maker.crl(*(one.certificate for one in gone)))
    gone.append(maker.give("meter", crl=world.site.url("/a.crl")))
    assert await world.error(good) == ""
    assert await world.error(gone[0]) == "invalid_client"
    assert world.why(gone[0]) == "revoked"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m["people"].give("meter"), "untrusted"),  # good for people, and for nobody's services
        (lambda m: Maker("Strange").give("meter"), "untrusted"),
        (lambda m: m["crl"].give("meter", days=-1), "expired"),
        (lambda m: m["crl"].give("meter", signs=False), "purpose"),
        (lambda m: m["crl"].give("meter", eku=(OCSP_SIGNING,)), "purpose"),
        (lambda m: m["crl"].give("meter", extra=[unknown_critical()]), "untrusted"),
        (lambda m: m["crl"].give("meter"), "untold"),  # it names no list, and the settings neither
    ],
)
async def test_a_name_under_no_good_path_names_nobody(world: World, change: Any, reason: str) -> None:
    pair = change(world.makers)
    assert await world.error(pair) == "invalid_client"
    assert world.why(pair) == reason


async def test_all_refusals_are_one_answer(world: World) -> None:
    """Revoked, expired, unknown: whoever holds a stolen key learns nothing of why it is no good any more."""
    maker = world.makers["crl"]
    gone: list[Any] = []
    pair = listed(world, "/one.crl", lambda: maker.crl(*gone))
    gone.append(pair.certificate)
    bodies = [
        (await world.ask(one)).text
        for one in (pair, Maker("Strange").give("meter"), maker.give("meter", days=-1), maker.give("meter"))
    ]
    assert len(set(bodies)) == 1


@pytest.mark.parametrize(
    "made",
    [
        lambda w: reply(Maker("Strange").crl()),
        lambda w: reply(w.makers["crl"].crl(made=-3, ends=-1)),
        lambda w: reply(w.makers["crl"].crl()[:-9]),
        lambda w: reply(b"<html>sign in to the wireless network</html>"),
        lambda w: reply(b"", "500 Internal Server Error"),
        lambda w: reply(w.makers["crl"].crl(count=9000)),  # larger than the operator allows
        lambda w: reply(b"", "302 Found", "location: /bad-loop"),
        lambda w: reply(b"", "302 Found", "location: http://127.0.0.3:9/other.crl"),
        lambda w: asyncio.sleep(3, reply(w.makers["crl"].crl())),
    ],
    ids=["another", "old", "cut", "portal", "broken", "huge", "loop", "away", "slow"],
)
async def test_a_list_that_cannot_be_had_or_believed_lets_nobody_in(world: World, made: Any, request: Any) -> None:
    """Hard by default: an attacker who can keep the list from us must not bring a revoked certificate back."""
    address = world.publish(f"/bad-{request.node.callspec.id}", lambda: made(world))
    pair = world.makers["crl"].give("meter", crl=address)
    assert await world.error(pair) == "invalid_client"
    assert world.why(pair) == "untold"


async def test_a_list_is_asked_for_once_however_many_wait_and_again_when_it_is_old(world: World) -> None:
    """Single flight, and no network while fresh: the token path is as fast as without."""
    maker = world.makers["crl"]
    gone: list[Any] = []
    pairs = [listed(world, "/once.crl", lambda: maker.crl(*gone)) for _ in range(3)]
    answers = await asyncio.gather(*(world.ask(pair) for pair in pairs for _ in range(5)))
    assert {one.status_code for one in answers} == {200}
    assert world.fetched("/once.crl") == 1
    world.clock.advance(seconds=300)
    assert await world.error(pairs[0]) == ""
    assert world.fetched("/once.crl") == 1
    gone.append(pairs[0].certificate)
    world.clock.advance(seconds=200)  # the last fifth: one asks anew while everybody is still answered at once
    assert await world.error(pairs[0]) == ""
    await settle(world)
    assert world.fetched("/once.crl") == 2
    assert await world.error(pairs[0]) == "invalid_client"


async def settle(world: World) -> None:
    tasks = world.app.host.get(Certificates)._tasks
    while tasks:
        await asyncio.gather(*tasks)


def part(w: World, path: str) -> tuple[x509.ExtensionType, bool]:
    """Marks a list as the one of one distribution point (RFC 5280 section 5.2.5): a series of its own."""
    address = [x509.UniformResourceIdentifier(w.site.url(path))]
    return x509.IssuingDistributionPoint(address, None, False, False, None, False, False), True


def restarted(w: World) -> None:
    """What a process has in its memory is gone, as after a restart and in another process."""
    w.app.host.get(CertificateStatus)._lists.clear()
    w.app.host.get(Certificates)._kept.clear()


async def test_an_older_list_shown_again_brings_no_revoked_certificate_back(world: World) -> None:
    """RFC 5280 section 5.2.3: newer lists have later times. Lists come over plain http, and who holds a stolen key and
    a place on the way shows the one from before, whose nextUpdate has not come."""
    maker, scope = world.makers["crl"], [part(world, "/rolled.crl")]
    lists: list[bytes] = []
    pair = listed(world, "/rolled.crl", lambda: lists[-1])
    lists.append(maker.crl(made=-2, ends=20, extra=scope))
    assert await world.error(pair) == ""
    lists.append(maker.crl(pair.certificate, made=-1, ends=20, extra=scope))
    world.clock.advance(seconds=601)
    assert await world.error(pair) == "invalid_client"
    lists.append(lists[0])
    for _ in range(2):
        world.clock.advance(seconds=601)
        assert await world.error(pair) == "invalid_client"
        assert world.why(pair) == "revoked"
    assert world.fetched("/rolled.crl") == 4


@pytest.mark.parametrize("number", [7, 8])
async def test_an_older_list_is_refused_at_another_address_and_after_a_restart(world: World, number: int) -> None:
    """RFC 5280 section 5.2.3: of one issuer and scope by time, and in one second by number; anywhere. The attack:
    the old list at the second address that the certificate names, or to the process that has not seen the newer one."""
    maker, here = world.makers["crl"], f"/twice-{number}.crl"
    scope, lists = part(world, here), dict[str, bytes]()
    there = world.publish(f"/mirror-{number}.crl", lambda: reply(lists["there"]))
    two = [x509.DistributionPoint([x509.UniformResourceIdentifier(one)], None, None, None)
           for one in (world.publish(here, lambda: reply(lists["here"])), there)]  # fmt: skip
    pair = maker.give("meter", extra=[(x509.CRLDistributionPoints(two), False)])
    lists["here"] = maker.crl(made=-1.0 if number == 8 else -2, ends=20, extra=[scope])
    assert await world.error(pair) == ""
    old = lists["here"]
    lists["here"] = maker.crl(pair.certificate, made=-1, ends=20, extra=[scope], number=number)
    restarted(world)
    assert (await world.error(pair), world.why(pair)) == ("invalid_client", "revoked")
    lists["here"], lists["there"] = b"", old
    restarted(world)
    assert (await world.error(pair), world.why(pair)) == ("invalid_client", "untold")
    lists["here"] = old
    restarted(world)
    assert (await world.error(pair), world.why(pair)) == ("invalid_client", "untold")
    lists["here"] = maker.crl(made=-0.5, ends=20, extra=[scope], number=1)  # its authority begins to count anew
    restarted(world)
    assert await world.error(pair) == ""


async def test_the_newest_list_is_remembered_past_its_end_and_then_swept(world: World) -> None:
    db = world.app.host.db

    def rows(session: Session) -> dict[str, int]:
        return {row.id: row.expires_at for row in session.exec(select(CertificateList))}

    found = crl.read(world.makers["none"].crl(), world.makers["none"].certificate, now=world.clock.ms())
    assert await db.write(is_newest, found)
    ends = (await db.read(rows))[found.series]
    assert ends == found.ends_at + REMEMBERED
    await db.write(sweep, "identity_certificate_list", "id", ends)
    assert found.series in await db.read(rows)
    before = await db.read(rows)
    await db.write(sweep, "identity_certificate_list", "id", ends + 1)
    assert found.series not in await db.read(rows)
    assert len(before) <= 20  # a row for each authority and distribution point, not for each list


async def test_what_a_token_was_bound_to_ends_it_when_the_status_is_next_learned(world: World) -> None:
    """RFC 8705 section 3: at our own doors and in introspection, by the next list; new tokens stop as well."""
    maker = world.makers["crl"]
    gone: list[Any] = []
    pair = listed(world, "/bound.crl", lambda: maker.crl(*gone))
    token = (await world.ask(pair)).json()["access_token"]
    other = listed(world, "/bound.crl", lambda: maker.crl(*gone))

    async def use() -> tuple[int, bool]:
        headers = {"authorization": f"Bearer {token}", **seen(pair)}
        fetch = await world.http.get("/api/bank/records?category=mobility", headers=headers)
        said = (await world.ask(other, "/oauth/introspect", token=token)).json()
        return fetch.status_code, said["active"]

    assert await use() == (403, True)  # known, but no resident's token
    gone.append(pair.certificate)
    world.clock.advance(seconds=250)
    assert await use() == (403, True)
    kept = world.app.host.get(Certificates)._kept
    for one in kept.values():
        one.until = 0  # as after fresh_seconds, which are longer than the token lives
    world.app.host.get(CertificateStatus)._lists.clear()
    assert await use() == (401, False)


async def test_a_bound_token_is_refused_like_a_sign_in_while_nobody_can_be_asked(world: World) -> None:
    """RFC 8705 section 3, RFC 5280 section 6.3.3 (UNDETERMINED). The attack: who has a revoked certificate keeps the
    lists from us and goes on with the token it was given before. One policy at the token endpoint and at every door."""
    maker = world.makers["crl"]
    lists = [maker.crl()]
    pair = listed(world, "/silent.crl", lambda: lists[0])
    other = world.makers["none"].give("meter")
    token = (await world.ask(pair)).json()["access_token"]

    async def use() -> tuple[int, bool]:
        headers = {"authorization": f"Bearer {token}", **seen(pair)}
        fetch = await world.http.get("/api/bank/records?category=mobility", headers=headers)
        return fetch.status_code, (await world.ask(other, "/oauth/introspect", token=token)).json()["active"]

    assert await use() == (403, True)
    lists[0] = b""
    restarted(world)
    assert await world.error(pair) == "invalid_client"
    assert await use() == (401, False)
    lists[0] = maker.crl()
    world.clock.advance(seconds=11)
    assert await use() == (403, True)


async def test_what_was_good_stays_so_for_the_grace_the_operator_gave_and_no_longer(world: World) -> None:
    """A list out of reach for an hour stops no meter where `grace_seconds` says so; a revoked one it never lets in."""
    maker = world.makers["grace"]
    gone: list[Any] = []
    pair, new = (listed(world, "/grace.crl", lambda: maker.crl(*gone, made=-3, ends=20), "grace") for _ in range(2))
    gone.append(maker.give("meter", crl=world.site.url("/grace.crl")).certificate)
    assert await world.error(pair) == ""
    served = world.pages.pop("/grace.crl")
    for seconds, error in ((61, ""), (200, ""), (101, "invalid_client")):  # learned for 60 seconds, and 300 of grace
        world.clock.advance(seconds=seconds)
        world.app.host.get(CertificateStatus)._lists.clear()
        assert await world.error(pair) == error, seconds
    gone.append(new.certificate)
    world.pages["/grace.crl"] = served
    world.clock.advance(seconds=11)
    assert (await world.error(pair), await world.error(new)) == ("", "invalid_client")
    del world.pages["/grace.crl"]
    world.clock.advance(seconds=61)
    world.app.host.get(CertificateStatus)._lists.clear()
    assert await world.error(new) == "invalid_client"


async def test_certificates_of_nobody_push_no_good_one_out_of_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody makes ten thousand certificates: this city forgets none it knows for them, and asks nobody anew."""
    monkeypatch.setattr(check, "_MOST", 3)
    maker = world.makers["grace"]
    pair = listed(world, "/push.crl", lambda: maker.crl(made=-3, ends=20), "grace")
    kept = world.app.host.get(Certificates)._kept
    kept.clear()
    assert await world.error(pair) == ""
    for number in range(4):
        assert await world.error(self_signed(f"nobody {number}")) == "invalid_client"
        assert len(kept) <= 3
    del world.pages["/push.crl"]
    world.app.host.get(CertificateStatus)._lists.clear()
    assert await world.error(pair) == ""


async def test_soft_failure_lets_in_what_cannot_be_asked_about_but_never_what_is_revoked(world: World) -> None:
    maker = world.makers["soft"]
    assert await world.error(maker.give("meter", crl=world.site.url("/nowhere"))) == ""
    gone: list[Any] = []
    pair = listed(world, "/soft.crl", lambda: maker.crl(*gone), "soft")
    gone.append(pair.certificate)
    assert await world.error(pair) == "invalid_client"


async def test_addresses_in_certificates_reach_nothing_but_what_the_operator_listed(world: World) -> None:
    """SSRF: an authority, or whoever fools one, writes these addresses; the guarded way out is the only one."""
    async with serving() as inside:
        port = inside.port
        for address in (f"http://localhost:{port}/a.crl", f"http://[::1]:{port}/a.crl", f"file:///etc/passwd#{port}",
                        f"http://127.0.0.2:{port}/a.crl", f"ldap://127.0.0.1:{port}/cn=a"):  # fmt: skip
            pair = world.makers["crl"].give("meter", crl=address)
            assert await world.error(pair) == "invalid_client"
        assert inside.asked == []


async def test_without_any_checking_a_certificate_of_the_authority_is_enough(world: World) -> None:
    """`none` is said in so many words, and told at the start."""
    assert await world.error(world.makers["none"].give("meter")) == ""


async def test_a_big_list_is_read_beside_the_answers(world: World) -> None:
    maker = world.makers["crl"]
    pair = listed(world, "/big.crl", lambda: maker.crl(count=3000))
    assert await world.error(pair) == ""


# -- responders


async def test_a_real_responder_is_believed_about_good_revoked_and_unknown(world: World) -> None:
    """RFC 6960 with `openssl ocsp`: by the issuer itself, by one it made, and never by another."""
    maker, tool = world.makers["ocsp"], world.openssl
    port = int(world.app.settings.identity.certificate_authorities[1].ocsp_url.rpartition(":")[2])
    good, gone, strange = maker.give("meter"), maker.give("meter"), maker.give("meter")
    tool.note(good=[good.certificate], revoked=[gone.certificate])
    async with tool.responding(port, maker.responder()):
        assert await world.error(good) == ""
        assert await world.error(gone) == "invalid_client"
        assert await world.error(strange) == "invalid_client"
        assert (world.why(gone), world.why(strange)) == ("revoked", "unknown")
    late = maker.give("meter")
    tool.note(good=[late.certificate])
    assert await world.error(late) == "invalid_client"  # nobody answers
    world.clock.advance(seconds=11)
    async with tool.responding(port, world.makers["crl"].responder()):
        assert await world.error(late) == "invalid_client"
        assert world.why(late) == "untold"
    world.clock.advance(seconds=11)
    async with tool.responding(port, Pair(maker.certificate, maker.key)):
        assert await world.error(late) == ""


async def test_the_second_way_is_asked_where_the_first_does_not_tell(world: World) -> None:
    maker = world.makers["both"]
    gone: list[Any] = []
    pair = listed(world, "/both.crl", lambda: maker.crl(*gone), "both")
    dead = maker.give("meter", ocsp=world.site.url("/nobody"), crl=world.site.url("/both.crl"))
    gone.append(dead.certificate)
    assert await world.error(pair) == ""
    assert await world.error(dead) == "invalid_client"
    assert world.why(dead) == "revoked"


# -- a register behind an adapter (JPKI)


async def test_a_register_is_asked_and_its_answer_must_be_to_this_question(world: World) -> None:
    maker, register = world.makers["register"], world.register
    person = {"status": "good", "identifier": "jpki-0001"}

    def of(pair: Pair, **said: Any) -> Pair:
        register.people[str(seen_as(pair).x5t)] = {**person, **said}
        return pair

    assert await world.error(of(maker.give("meter"))) == ""
    assert await world.error(of(maker.give("meter"), status="revoked")) == "invalid_client"
    assert await world.error(maker.give("meter")) == "invalid_client"
    past = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=2)).isoformat()
    for wrong in (
        {"nonce": "x" * 43}, {"thumbprint": "x" * 43}, {"next_update": past}, {"next_update": "tomorrow"},
        {"this_update": "2999-01-01T00:00:00Z"}, {"status": "fine"}, {"identifier": ""}, {"status": 1},
        {"attributes": []}, {"identifier": "x" * 300},
    ):  # fmt: skip
        register.answer = dict(wrong)
        pair = of(maker.give("meter"))
        assert await world.error(pair) == "invalid_client", wrong
        assert world.why(pair) == "untold", wrong
    register.answer = {}


async def test_a_city_puts_in_an_adapter_of_its_own(world: World) -> None:
    class Own:
        async def ask(self, leaf: Any, issuer: Any, *, now: int) -> Status:
            return Status("good", now + MINUTE, "own-1")

    adapters = world.app.host.get(CertificateStatus).adapters
    before = adapters["register"]
    adapters["register"] = Own()
    try:
        assert await world.error(world.makers["register"].give("meter")) == ""
    finally:
        adapters["register"] = before


# -- settings


async def test_a_card_of_residents_passes_for_no_service_though_the_listener_trusts_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its authority must stand in `--mtls-ca`, or the browser could not show it; that makes it nobody's client."""
    found = world.app.host.get(Certificates)
    monkeypatch.setattr(found, "_authorities", tuple(one for one in found._authorities if one.id == "people"))
    monkeypatch.setattr(found, "_kept", type(found._kept)())
    trusting = world.app.front.seen
    assert trusting is not None

    def handshake(scope: Any) -> Any:
        seen = trusting(scope)
        tls = seen.get("extensions", {}).get("tls")
        return {**seen, "extensions": {"tls": {**tls, "trusted": True}}} if tls else seen

    monkeypatch.setattr(world.app.front, "seen", handshake)
    assert await world.error(world.makers["people"].give("meter")) == "invalid_client"


def test_settings_that_would_promise_too_much_are_refused(tmp_path: Path) -> None:
    """At the start, in one line, and not to the first resident."""
    (tmp_path / "ca.pem").write_bytes(Maker("A").pem)
    good: dict[str, Any] = {"id": "a", "uses": ["clients"], "anchors": tmp_path / "ca.pem", "checking": ["crl"]}
    AuthoritySettings.model_validate(good)
    for wrong in (
        {"anchors": tmp_path / "none.pem"}, {"uses": []}, {"uses": ["residents"]}, {"checking": []},
        {"checking": ["none", "crl"]}, {"checking": ["adapter"]}, {"acr": "urn:sekisho:aal:2"},
        {"acr": "urn:sekisho:aal:3", "pin": True}, {"acr": "urn:other"}, {"subject": "adapter"},
        {"crl_url": "ldap://x"}, {"policies": ["1.2.x"]}, {"id": "clients"},
        {"checking": ["adapter"], "adapter": {"url": "https://x.example"}, "subject": "adapter"},
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            AuthoritySettings.model_validate({**good, **wrong})
    with pytest.raises(ValidationError, match="same id"):
        IdentitySettings.model_validate({"certificate_authorities": [good, good]})


def test_a_failure_is_not_asked_again_at_once() -> None:
    from identity.certificates import check, status

    assert check._FAILED_FOR == status.PAUSE == 10 * SECOND
