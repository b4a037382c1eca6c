"""Identity assurance by a certificate and its register (identity/assurance/electronic.py), from the wire, and what
services are told of it: OpenID Connect for Identity Assurance 1.0 with its Schema Definition, section 5.4.4.

The register is the stand-in of tests/support/pki.py, strict about what it is asked.
"""

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from identity import accounts
from identity.assurance.verifications import Verifications
from identity.certificates.settings import AuthoritySettings
from identity.levels import AAL1, AAL2
from identity.settings import IdentitySettings
from keys.envelope import Sealer
from keys.pki.status import millis
from kit import audit
from kit.clock import FrozenClock, to_datetime
from kit.fetch import OutgoingSettings
from kit.host import Actor
from portal.app import create_app
from portal.settings import Settings
from tests.identity.abroad import World as Abroad
from tests.identity.abroad import key_file
from tests.identity.test_certificate_sign_in import LISTENER, World
from tests.portal.test_signin import SESSION, post
from tests.support.certificates import Pair
from tests.support.counter import ONE, TWO, verify
from tests.support.ida import check_answer
from tests.support.pki import Maker, Register, policies, registering
from tests.support.relying_party import PROFILE, Party, join, sign_in
from tests.support.site import serving
from tests.support.upstream import standing_in

pytestmark = pytest.mark.anyio
FRAMEWORK = "urn:sekisho:trust-framework:electronic"
RECORD = "urn:sekisho:record:basic-resident-register"
SIGNS, LOW = "1.2.392.200000.1", "1.2.392.200000.2"
SAID = {"name": "湊　花子", "birthdate": "1988-04-02", "address": "湊浜市潮見1-2-3", "gender": "female"}


class City(World):
    """The same with a register behind the card."""

    register: Register
    party: Party
    shown: list[Pair]

    def known(self, pair: Pair, who: str = "", **attributes: str) -> Pair:
        """What the register says of a certificate."""
        said = {**SAID, **attributes}
        self.register.people[thumb(pair)] = {
            "status": "good", "identifier": who or f"person-{self.number}",
            "attributes": {name: value for name, value in said.items() if value},
        }  # fmt: skip
        return pair

    async def level(self) -> int:
        return int(await self.app.host.db.read(self.app.host.get(Verifications).level, self.party.account_id))

    async def history(self) -> list[Any]:
        return list(await self.app.host.db.read(self.app.host.get(Verifications).history, self.party.account_id))

    async def as_resident(self, acr: str = AAL2) -> None:
        await sign_in(self.party, acr=acr)
        self.http.cookies.clear()
        self.http.cookies.set(SESSION, self.party.cookie)


def thumb(pair: Pair) -> str:
    from keys.certificates import from_der

    found = from_der(pair.der)
    assert found is not None
    return found.x5t


@pytest.fixture(scope="module")
async def city(empty_city: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[City]:
    place = tmp_path_factory.mktemp("registers")
    shutil.copytree(empty_city, place / "data")
    makers = {one: Maker(one) for one in ("card", "policy", "plain")}
    for one, maker in makers.items():
        (place / f"{one}.pem").write_bytes(maker.pem)
    clock = FrozenClock(millis(makers["card"].now))
    async with registering(lambda: to_datetime(clock.ms())) as register, serving() as site:

        def authority(name: str, **more: Any) -> dict[str, Any]:
            return {
                "id": name, "uses": ["residents"], "anchors": place / f"{name}.pem", "checking": ["adapter"],
                "label_ja": "市民カード", "label_en": "City Card", "key": "smart-card", "pin": True, "acr": AAL2,
                "adapter": {"url": register.site.url("/status"), "secret": register.secret, "identifies": True},
                "subject": "adapter", **more,
            }  # fmt: skip

        authorities = [
            authority("card", ial=2, record=RECORD), authority("policy", ial_policies={SIGNS: 2, LOW: 1}),
            authority("plain"),
        ]  # fmt: skip
        identity = {"certificate_authorities": authorities, "mtls_url": LISTENER, "source_tries": 30}
        settings = Settings(
            data=place / "data", issuer="http://localhost:8080", jobs=False, trusted_proxies=("127.0.0.1",),
            client_certificate_header=True, identity=IdentitySettings.model_validate(identity),
            outgoing=OutgoingSettings(allow=("127.0.0.1",)),
        )  # fmt: skip
        async with create_app(settings, clock=clock).running(jobs=False) as app:
            made = City(app, None, makers["card"], makers["policy"], site, clock)
            made.register = register
            yield made


@pytest.fixture
async def w(city: City) -> AsyncIterator[City]:
    """The same city an hour later, another resident, signed in by two factors."""
    city.number += 1
    city.clock.advance(seconds=3700)
    city.card.now = city.soft.now = to_datetime(city.clock.ms())
    newest = await city.app.host.db.read(lambda session: tuple(audit.entries(session, newest_first=True, limit=1)))
    city.entries = newest[0].seq if newest else 0
    async with city.browser() as city.http:
        city.party = await join(city.app, city.http, scope="openid profile address", verified_claims="evidence")
        await city.as_resident()
        yield city


async def told(w: Any, *asked: dict[str, Any]) -> Any:
    """The value of verified_claims at userinfo, valid by the Schema Definition."""
    wanted = json.dumps({"userinfo": {"verified_claims": list(asked) if len(asked) > 1 else asked[0]}})
    tokens = (await w.party.exchange(await w.party.code(scope="openid", claims=wanted))).json()
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    said = (await w.http.get("/oauth/userinfo", headers=headers)).json()
    return check_answer(said["verified_claims"]) if "verified_claims" in said else None


def asking(*evidence: dict[str, Any], **claims: Any) -> dict[str, Any]:
    verification: dict[str, Any] = {"trust_framework": None, "assurance_level": None, "time": None}
    if evidence:
        verification["evidence"] = list(evidence)
    return {"verification": verification, "claims": claims or {"name": None}}


async def test_a_linked_card_whose_register_says_the_same_verifies_its_holder(w: City) -> None:
    """By proof of both, with history; the claims are the profile's own, as at the counter."""
    assert await w.level() == 0
    await w.link(w.known(w.give()))
    assert await w.level() == 2
    (row,) = await w.history()
    assert (row.status, row.ial, row.opened_by, row.documents) == ("standing", 2, "card", ())
    assert row.claims["name"] == "湊 花子"
    assert row.claims["address"] == {"formatted": "湊浜市潮見1-2-3"}
    assert "gender" not in row.claims  # the profile says none: nothing to compare
    (entry,) = await w.trail("identity.assurance.changed")
    assert entry.detail == {"from": 0, "to": 2, "reason": "verified"}
    page = (await w.http.get("/safety/verified", headers={"accept-language": "en"})).text
    assert 'data-ial="2"' in page
    assert "The register behind your certificate says the same of you" in page
    assert "at the counter then" not in page, "nobody was"
    assert "You did not link that yourself?" in page
    assert 'id="renamed"' not in page
    assert "湊　花子" not in str([one.detail for one in await w.trail("identity.verification.electronic")])


async def test_a_service_is_told_by_which_record_and_which_signature(w: City) -> None:
    """Schema Definition section 5.4.4: electronic_record with its source, electronic_signature with what it must have;
    each where it was asked for."""
    pair = w.known(w.give())
    await w.link(pair)
    record = {"type": {"value": "electronic_record"}, "record": {"type": None, "source": {"name": None}},
              "check_details": [{"check_method": None}]}  # fmt: skip
    said = await told(w, asking(record, name=None, birthdate=None, address=None))
    assert said["verification"]["trust_framework"] == FRAMEWORK
    assert said["verification"]["assurance_level"] == "urn:sekisho:ial:2"
    assert said["verification"]["evidence"] == [
        {
            "type": "electronic_record",
            "record": {"type": RECORD, "source": {"name": "市民カード"}},
            "check_details": [{"check_method": "vcrypt"}],
        }
    ]
    assert said["claims"].keys() == {"name", "birthdate", "address"}
    signature = {"type": {"value": "electronic_signature"}, "created_at": {"max_age": 60}}
    (shown,) = (await told(w, asking(signature)))["verification"]["evidence"]
    assert shown["issuer"] == pair.certificate.issuer.rfc4514_string()
    assert shown["serial_number"] == f"{pair.certificate.serial_number:x}"
    assert shown["signature_type"] == "urn:sekisho:signature:tls-client-certificate"
    both = await told(w, asking(record), asking(signature, birthdate=None))
    assert [one["verification"]["evidence"][0]["type"] for one in both] == ["electronic_record", "electronic_signature"]
    for unmet in (
        {"type": {"value": "document"}}, {"type": {"value": "vouch"}},
        {"type": {"value": "electronic_record"}, "record": {"type": {"value": "population_register"}}},
        {"type": {"value": "electronic_signature"}, "issuer": {"value": "CN=Somebody"}},
    ):  # fmt: skip
        assert await told(w, asking(unmet)) is None, unmet


async def test_the_resident_reads_that_a_register_spoke_and_no_clerk(w: City) -> None:
    """What is shown is what is told: by whom it was verified, and that a signature names the certificate's number."""
    await w.link(w.known(w.give()))
    wanted = {"userinfo": {"verified_claims": asking({"type": {"value": "electronic_signature"}})}}
    page = await w.party.authorize(w.party.request(scope="openid", claims=json.dumps(wanted)))
    headers = {"accept-language": "en"}
    shown = (await w.http.get(page.headers["location"], headers=headers)).text
    section = shown.split('id="verified"')[1].split("</section>")[0]
    assert "a register says the same of you" in section
    assert "The certificate, by its key" in section
    assert "with their numbers" in section
    assert "clerk" not in section


async def test_the_metadata_say_what_this_city_can_tell(w: City, client: Any) -> None:
    """OpenID Connect for Identity Assurance section 8: evidence only where something gives it."""
    said = (await w.http.get("/.well-known/openid-configuration")).json()
    assert said["evidence_supported"] == ["document", "electronic_record", "electronic_signature"]
    assert said["electronic_records_supported"] == [RECORD, "urn:sekisho:record:register"]
    assert said["trust_frameworks_supported"] == ["urn:sekisho:trust-framework:counter", FRAMEWORK]
    other = (await client.get("/.well-known/openid-configuration")).json()  # a city without such an authority
    assert (other["evidence_supported"], "electronic_records_supported" in other) == (["document"], False)


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({"name": "湊 華子"}, ["name"]),
        ({"birthdate": "1988-04-03"}, ["birthdate"]),
        ({"name": "別府 太郎", "birthdate": "1950-01-01"}, ["name", "birthdate"]),
    ],
)
async def test_another_name_or_birthday_verifies_nobody_and_is_said(
    w: City, changed: dict[str, str], fields: list[str]
) -> None:
    """A link proves that somebody holds both, not that they are one person: as at the counter, nothing is corrected."""
    await w.link(w.known(w.give(), **changed))
    assert len(await w.rows()) == 1
    assert (await w.level(), await w.history()) == (0, [])
    (entry,) = await w.trail("identity.verification.differs")
    assert entry.detail == {"fields": fields, "way": "card"}
    assert "A register says another name" in (await w.http.get("/safety", headers={"accept-language": "en"})).text


async def test_what_the_register_does_not_tell_verifies_nobody(w: City) -> None:
    await w.link(w.known(w.give(), birthdate=""))
    assert await w.level() == 0
    assert await w.trail("identity.verification.differs") == []


async def test_an_address_that_differs_is_left_out_and_the_rest_counts(w: City) -> None:
    await w.link(w.known(w.give(), address="湊浜市灯台通3-14"))
    assert await w.level() == 2
    (row,) = await w.history()
    assert "address" not in row.claims


async def test_a_sign_in_of_one_factor_links_and_verifies_nobody(w: City) -> None:
    """Whoever guessed a password must not be this person, verified, by a certificate of their own."""
    await w.as_resident(AAL1)
    w.shown = [w.known(w.give())]
    await w.link(w.shown[0])
    assert (len(await w.rows()), await w.level()) == (1, 0)
    w.http.cookies.clear()
    await w.go(w.shown[0])  # a sign-in of level 2 by the card itself, which vouches for itself alone
    session = await w.session()
    assert session is not None
    assert (session.acr, await w.level()) == (AAL2, 0)
    await w.as_resident()
    page = (await w.http.get("/safety/linked")).text
    assert 'value="card"' in page  # linked, and offered again: a second proof of both may count
    await w.link(w.shown[0])
    assert await w.level() == 2


async def test_the_level_is_the_operators_to_say_by_authority_and_policy(w: City) -> None:
    """RFC 5280 section 4.2.1.4: a policy that the whole path has; an authority nothing is said of raises nobody."""
    for oids, level in (((), 0), (("1.2.3",), 0), ((LOW,), 1), ((SIGNS, LOW), 2)):
        pair = w.soft.give(extra=[(policies(*oids), False)] if oids else [])
        await w.link(w.known(pair), "policy")
        assert await w.level() == level, oids


async def test_a_sign_in_by_a_renewed_card_verifies_anew_and_the_same_one_writes_nothing(w: City) -> None:
    first = w.known(w.give(days=3))
    await w.link(first)
    for _ in range(2):
        await post(w.http, "/sign-out")
        await w.go(first)
    assert [one.status for one in await w.history()] == ["standing"]
    await post(w.http, "/sign-out")
    await w.go(w.known(w.give(days=10)))
    rows = await w.history()
    assert [(one.status, one.reason) for one in rows] == [("standing", None), ("ended", "superseded")]
    assert rows[0].expires_at > rows[1].expires_at  # no longer than the certificate
    assert [one.detail["to"] for one in await w.trail("identity.assurance.changed")] == [2]


@pytest.mark.parametrize(("reason", "again"), [("fraud", 0), ("mistake", 0), ("asked", 2)])
async def test_what_was_ended_no_sign_in_brings_back(w: City, reason: str, again: int) -> None:
    """A clerk's word stands against a card that was misused; the resident's own until they link it anew."""
    pair = w.known(w.give())
    await w.link(pair)
    actor = Actor("resident", w.party.account_id)
    visits = w.app.host.get(Verifications)
    await w.app.host.db.write(visits.end, w.party.account_id, reason=reason, actor=actor)
    await w.as_resident()
    await post(w.http, "/sign-out")
    await w.go(pair)
    assert await w.level() == 0
    await w.as_resident()
    await w.link(pair)
    assert await w.level() == again


@pytest.mark.parametrize("by", ["card", "counter"])
async def test_what_a_clerk_ended_for_fraud_the_same_person_brings_back_by_no_other_way(w: City, by: str) -> None:
    """Closes: lowered for fraud, and raised again a minute later by another authority's word for the same card."""
    if by == "card":
        await w.link(w.known(w.give()))
    else:
        await verify(w.app, w.http, w.party.account_id, ONE, by="aso")
    visits = w.app.host.get(Verifications)
    actor = Actor("operator", w.party.account_id)
    await w.app.host.db.write(visits.end, w.party.account_id, reason="fraud", actor=actor)
    await w.as_resident()
    pair = w.known(w.soft.give(extra=[(policies(SIGNS), False)]))
    await w.link(pair, "policy")
    assert await w.level() == 0
    w.clock.advance(seconds=1)
    await verify(w.app, w.http, w.party.account_id, ONE, by=f"baba-{by}")  # a clerk has seen the person since
    await w.as_resident()
    await w.link(pair, "policy")
    assert await w.level() == 2


async def test_a_birthday_that_nobody_knows_is_not_the_same_birthday(w: City) -> None:
    """Empty here and empty at the register is nothing that was compared."""
    now, sealer = w.clock.ms(), w.app.host.get(Sealer)
    actor, changed = Actor("resident", w.party.account_id), replace(PROFILE, birthdate="")
    await w.app.host.db.write(accounts.change_profile, sealer, w.party.account_id, changed, now=now, actor=actor)
    pair = w.known(w.give())
    w.register.people[thumb(pair)]["attributes"]["birthdate"] = ""
    await w.link(pair)
    assert (await w.level(), await w.history()) == (0, [])


@pytest.mark.parametrize(
    ("name", "family", "given", "kept"),
    [("湊　花子", "湊", "花子", True), ("湊　花子", "湊花", "子", False), ("湊花子", "湊", "花子", False)],
)
async def test_a_name_parted_otherwise_than_the_register_parts_it_is_verified_as_a_whole(
    w: City, name: str, family: str, given: str, kept: bool
) -> None:
    """Closes: another family's name, told as verified, out of the characters of one's own."""
    now, sealer = w.clock.ms(), w.app.host.get(Sealer)
    actor, changed = Actor("resident", w.party.account_id), replace(PROFILE, family_name=family, given_name=given)
    await w.app.host.db.write(accounts.change_profile, sealer, w.party.account_id, changed, now=now, actor=actor)
    await w.link(w.known(w.give(), name=name))
    said = (await told(w, asking(name=None, family_name=None, given_name=None)))["claims"]
    assert said == {"name": "湊 花子"} | ({"family_name": family, "given_name": given} if kept else {})


async def test_a_clerks_word_of_the_same_level_is_the_one_that_is_told(w: City) -> None:
    """And the lower of two levels ends nothing: both are history."""
    await w.link(w.known(w.give()))
    await verify(w.app, w.http, w.party.account_id, ONE)
    assert (await told(w, asking()))["verification"]["trust_framework"] == FRAMEWORK
    await verify(w.app, w.http, w.party.account_id, TWO, by="kai")
    assert (await told(w, asking()))["verification"]["trust_framework"] == "urn:sekisho:trust-framework:counter"
    assert await w.level() == 2


async def test_a_name_changed_afterwards_is_not_the_one_that_was_verified(w: City) -> None:
    await w.link(w.known(w.give()))
    now = w.clock.ms()
    actor, changed = Actor("resident", w.party.account_id), replace(PROFILE, name="別府 花子")
    sealer = w.app.host.get(Sealer)
    await w.app.host.db.write(accounts.change_profile, sealer, w.party.account_id, changed, now=now, actor=actor)
    assert (await told(w, asking()))["claims"] == {"name": "湊 花子"}
    page = (await w.http.get("/safety/verified", headers={"accept-language": "en"})).text
    renamed = page.split('id="renamed"')[1].split("<section")[0]
    assert "your profile now says “別府 花子”" in renamed
    assert "verified details go on being told “湊 花子”" in renamed


@pytest.mark.parametrize(
    "more",
    [
        {"ial": 3}, {"ial": 2, "acr": AAL1, "pin": False}, {"ial": 2, "uses": ["staff"]},
        {"ial_policies": {SIGNS: 2}, "checking": ["none"], "adapter": None, "subject": "names"},
        {"ial_policies": {"x": 1}},
    ],
)  # fmt: skip
def test_a_level_needs_a_register_a_pin_and_residents_and_is_never_the_counters_highest(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    (tmp_path / "ca.pem").write_bytes(Maker("CA").pem)
    good = {
        "id": "card", "uses": ["residents"], "anchors": tmp_path / "ca.pem", "checking": ["adapter"],
        "adapter": {"url": "https://register.example/status", "identifies": True}, "subject": "adapter",
        "label_ja": "カード", "label_en": "Card", "key": "smart-card", "pin": True, "acr": AAL2,
    }  # fmt: skip
    AuthoritySettings.model_validate({**good, "ial": 2})
    with pytest.raises(ValidationError):
        AuthoritySettings.model_validate({**good, **more})


async def test_an_upstream_verifies_when_it_is_linked_and_by_a_sign_in_of_level_2_there(
    settings: Any, clock: Any, tmp_path: Path
) -> None:
    """デジタル認証アプリ tells its four attributes when a link is made, and writes a birthday as 19510402."""
    path, public = key_file(tmp_path)
    async with standing_in(lambda: clock.ms() // 1000, client_key=public) as there:
        app = {
            "id": "app", "profile": "digital-auth-app", "issuer": there.issuer, "client_id": there.client_id,
            "key_file": path, "ial": 2,
        }  # fmt: skip
        identity = IdentitySettings.model_validate({"upstreams": [app], "source_tries": 100})
        outgoing = OutgoingSettings(allow=("127.0.0.1",))
        whole = settings.model_copy(update={"identity": identity, "outgoing": outgoing})
        async with create_app(whole, clock=clock).running(jobs=False) as building:
            made = Abroad(building, None, there)
            async with made.browser() as made.http:
                said = (await made.http.get("/.well-known/openid-configuration")).json()
                assert said["evidence_supported"] == ["document", "electronic_record"]
                party = await join(building, made.http, scope="openid profile", verified_claims="evidence")
                made.http.cookies.set(SESSION, party.cookie)
                there.userinfo = {"name": PROFILE.name, "birthdate": PROFILE.birthdate.replace("-", "")}
                answer = await post(made.http, "/safety/linked/new", upstream="app")
                await made.back(await there.visit(answer.headers["location"]))
                assert len(await made.rows()) == 1
                (row,) = await building.host.db.read(building.host.get(Verifications).history, party.account_id)
                assert (row.status, row.ial, row.opened_by) == ("standing", 2, "app")
                assert (row.claims["name"], row.claims["birthdate"]) == (PROFILE.name, PROFILE.birthdate)
                city = SimpleNamespace(party=party, http=made.http)
                record = {"type": {"value": "electronic_record"}, "record": {"type": None}}
                (shown,) = (await told(city, asking(record)))["verification"]["evidence"]
                assert shown == {"type": "electronic_record", "record": {"type": "urn:sekisho:record:upstream"}}
                checked = {"type": {"value": "electronic_record"}, "check_details": [{"check_method": None}]}
                assert await told(city, asking(checked)) is None  # how it was checked, nobody here knows
