"""Minato-hama is built through the house's own functions, once, whole, and nobody can guess its keys."""

import json
from typing import Any

import pytest

from cert import response
from cert.desk import Desk
from cert.incidents import State
from consent import agreements, records
from consent.receipts import Receipts
from consent.revisions import Revision
from identity import accounts, clients, members
from identity.credentials import CodeNeeded, Credentials
from identity.sign_ins import Browser, SignedIn
from infobank import disclosures, store, views
from infobank.catalogue import Catalogue
from keys.envelope import Sealer
from kit import audit
from kit.db import Session
from portal.app import Building
from portal.city import credentials as city_credentials
from portal.city import people, proposals
from portal.city.seed import AGREEMENT_ID, MEMBER_ID, seed
from tests.support.authenticator_app import code_at


@pytest.fixture
async def written(app: Building) -> dict[str, Any]:
    """The credentials file of a fresh city."""
    kept: list[city_credentials.Credentials] = []
    made = await seed(app.host, now_ms=app.host.clock.ms(), keep=kept.append)
    assert made is not None
    assert kept[-1] == made
    document: dict[str, Any] = json.loads(json.dumps(made.document()))
    return document


async def test_a_second_call_changes_nothing(app: Building, written: dict[str, Any]) -> None:
    def count(session: Session) -> int:
        return len(audit.entries(session, limit=10_000))

    before = await app.host.db.read(count)
    assert await seed(app.host, now_ms=app.host.clock.ms()) is None
    assert await app.host.db.read(count) == before


async def test_two_cities_share_no_password_secret_or_key(written: dict[str, Any]) -> None:
    people_of = [*written["residents"].values(), *written["staff"].values()]
    passwords = [one["password"] for one in people_of]
    secrets = [one["totp_secret"] for one in people_of]
    assert len(set(passwords)) == len(set(secrets)) == len(people_of) == 13
    assert all(len(password) >= 24 for password in passwords)
    assert "sora" not in written["residents"], "a child of six does not sign in"
    assert city_credentials.new_password() != city_credentials.new_password()


async def test_everybody_can_sign_in_with_password_and_code(app: Building, written: dict[str, Any]) -> None:
    door = app.host.get(Credentials)
    for login in ("hanako", "analyst"):
        one = (written["residents"] | written["staff"])[login]
        browser = Browser(source="127.0.0.1", user_agent="test")
        first = await door.sign_in(one["login"], one["password"], browser)
        assert isinstance(first, CodeNeeded)
        code = code_at(one["totp_secret"], app.host.clock.ms())
        second = await door.sign_in_code(first.token, code, browser, kind="totp")
        assert isinstance(second, SignedIn)


async def test_the_walks_client_can_be_used_as_written(app: Building, written: dict[str, Any]) -> None:
    clinic = written["clients"]["minato-clinic"]
    assert clinic["redirect_uri"] == "http://localhost:9401/callback"
    assert clinic["token_endpoint_auth_method"] == "private_key_jwt"
    assert clinic["agreement"] == AGREEMENT_ID["checkup-letter"]

    def look(session: Session) -> tuple[clients.Client, Revision]:
        return clients.get(session, "minato-clinic"), agreements.current(session, clinic["agreement"])

    client, revision = await app.host.db.read(look)
    assert client.may_use_data
    assert clinic["redirect_uri"] in client.redirect_uris
    assert client.jwks is not None
    (registered,) = client.jwks["keys"]
    assert "d" not in registered
    assert {name: clinic["private_jwk"][name] for name in registered} == registered
    assert revision.status == "approved"
    assert revision.required == {"health_checkup"}
    for other in ("minatohama-transit", "welfare-office", "energy-coop"):
        assert written["clients"][other]["client_secret"].startswith("sec_")


async def test_three_agreements_stand_and_one_offer_waits(app: Building, written: dict[str, Any]) -> None:
    def look(session: Session) -> tuple[list[str], int]:
        found = [agreements.current(session, AGREEMENT_ID[one.key]).status for one in proposals.PROPOSALS]
        return found, len(agreements.pending(session))

    assert await app.host.db.read(look) == (["approved", "approved", "approved", "offered"], 1)
    found = await app.host.db.read(members.list_all)
    assert {member.id for member in found} == set(MEMBER_ID.values())
    assert all(member.status == "approved" for member in found)


async def test_the_past_is_there_with_receipts_and_records(app: Building, written: dict[str, Any]) -> None:
    host = app.host
    hanako = written["residents"]["hanako"]["account_id"]
    given = await host.db.read(records.list_for, hanako, now=host.clock.ms())
    assert sorted(one.state for one in given) == ["given", "given"]
    for one in given:
        receipt = await host.get(Receipts).make(one.id, account_id=hanako)
        assert json.loads(receipt.content)["event"]["record"] == one.id
    history = await host.db.read(disclosures.history, hanako)
    assert len(history) == sum(1 for one in proposals.DISCLOSED if one[0] == "hanako")
    assert all(line.records > 0 for line in history)
    assert [line.at for line in history] == sorted((line.at for line in history), reverse=True)
    for line in history:
        consent = next(one for one in given if one.id == line.consent_id)
        assert consent.created_at < line.at < consent.until_at
        assert set(line.categories) <= set(consent.categories)
    assert any(line.withheld for line in history), "somebody asked for too much once"
    cards = [
        card
        for area in await host.db.read(views.areas, host.get(Sealer), host.get(Catalogue), hanako)
        for card in area.cards
    ]
    assert all(card.count > 0 for card in cards)


async def test_a_few_hundred_records_for_eight_residents(app: Building, written: dict[str, Any]) -> None:
    def look(session: Session) -> list[int]:
        found = accounts.list_accounts(session, kind="resident")
        return [sum(count for count, _l, _a in store.counts(session, one.id).values()) for one in found]

    counts = await app.host.db.read(look)
    assert len(counts) == 8
    assert all(count > 0 for count in counts)
    assert 200 <= sum(counts) <= 600


async def test_one_incident_is_closed_and_one_is_open(app: Building, written: dict[str, Any]) -> None:
    seals = app.host.get(Desk).seals
    found = await app.host.db.read(response.board, seals, states=tuple(State))
    assert len(found) == 2
    assert {str(one.state) for one in found} == {"closed", "triage"}
    open_one = next(one for one in found if str(one.state) == "triage")
    assert open_one.open_tasks == 3
    assert any(asset.ref == "minatohama-transit" for asset in open_one.assets)


async def test_the_database_names_nobody(app: Building, written: dict[str, Any]) -> None:
    """I6: names, addresses, passwords and secrets are sealed at rest."""
    words = [one.name for one in people.RESIDENTS] + [one.kana for one in people.RESIDENTS] + ["コーポしおかぜ"]
    words += [one["password"] for one in written["residents"].values()]
    words += [one["totp_secret"] for one in written["staff"].values()]
    words += [one["client_secret"] for one in written["clients"].values() if one["client_secret"]]
    for path in app.settings.data.iterdir():
        if path.name.startswith("sekisho.sqlite3"):
            content = path.read_bytes()
            for word in words:
                assert word.encode() not in content, (path.name, word)
