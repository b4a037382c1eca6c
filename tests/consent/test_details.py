"""The authorization details type "data_use": it may narrow an agreement and never widen it. Holds stop everything."""

from __future__ import annotations

from typing import Any

import pytest

from consent import agreements, holds
from consent.decisions import Permit, Refusal
from consent.details import DataUseChecker
from consent.gate import judge
from identity.clients import Client, Clients
from identity.oauth.errors import InvalidAuthorizationDetails
from identity.registration import Registration
from tests.consent.bureau import STAFF, Bureau, proposal
from tests.support.catalogue import ANY

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def client_of(bureau: Bureau, member: str | None) -> Client:
    registration = Registration(
        name_ja="バスの時刻", name_en="Bus times", member_id=member, grant_types=["client_credentials"]
    )
    made, _ = await bureau.db.write(bureau.host.get(Clients).create, registration, actor=STAFF)
    return made


async def check(bureau: Bureau, client: Client, **detail: Any) -> dict[str, Any]:
    asked = {"type": "data_use", "agreement": bureau.agreement, **detail}
    return await bureau.db.read(DataUseChecker(bureau.sealer).check, client, asked)


@sqlite_only
async def test_the_agreement_alone_asks_for_all_of_it(bureau: Bureau) -> None:
    assert await check(bureau, await client_of(bureau, bureau.member)) == {
        "type": "data_use",
        "agreement": bureau.agreement,
        "purpose": "ImproveTransportMobility",
        "datatypes": ["energy_use", "household", "mobility"],
        "actions": ["read"],
        "duration": "P180D",
    }


@sqlite_only
async def test_a_request_may_ask_for_less(bureau: Bureau) -> None:
    found = await check(
        bureau,
        await client_of(bureau, bureau.member),
        purpose="ImproveTransportMobility",
        datatypes=["mobility"],
        actions=["read"],
        duration="P30D",
    )
    assert (found["datatypes"], found["duration"]) == (["mobility"], "P30D")


@sqlite_only
async def test_a_request_may_not_ask_for_more_or_for_something_else(bureau: Bureau) -> None:
    client = await client_of(bureau, bureau.member)
    wrong: list[dict[str, Any]] = [
        {"agreement": "agr_unknown"},
        {"agreement": 5},
        {"agreement": None},
        {"purpose": "DirectMarketing"},
        {"datatypes": ["mobility", "salary"]},
        {"datatypes": ["household"]},  # lacks the required one
        {"datatypes": ["mobility", "mobility"]},
        {"datatypes": []},
        {"datatypes": "mobility"},
        {"datatypes": [5]},
        {"actions": ["write"]},
        {"actions": ["read", "write"]},
        {"duration": "P181D"},
        {"duration": "for ever"},
        {"duration": 180},
        {"consent": "con_forged"},  # only we say which consent a grant rests on
        {"locations": ["https://elsewhere.example"]},
    ]
    for detail in wrong:
        with pytest.raises(InvalidAuthorizationDetails):
            await check(bureau, client, **detail)


@sqlite_only
async def test_only_the_agreements_own_approved_member_may_ask(bureau: Bureau) -> None:
    for member in (None, await bureau.add_member("Clinic")):
        with pytest.raises(InvalidAuthorizationDetails):
            await check(bureau, await client_of(bureau, member))


@sqlite_only
async def test_an_agreement_that_is_not_approved_cannot_be_asked_for(bureau: Bureau) -> None:
    client = await client_of(bureau, bureau.member)
    offered = await bureau.offer()
    with pytest.raises(InvalidAuthorizationDetails, match="not approved"):
        await check(bureau, client, agreement=offered.agreement_id)
    await bureau.db.write(agreements.withdraw, bureau.agreement, actor=STAFF, now=bureau.clock.ms())
    with pytest.raises(InvalidAuthorizationDetails, match="not approved"):
        await check(bureau, client)


@sqlite_only
async def test_a_revised_agreement_narrows_what_can_be_asked(bureau: Bureau) -> None:
    client = await client_of(bureau, bureau.member)
    narrower = await bureau.db.write(
        agreements.revise,
        bureau.agreement,
        proposal=proposal(categories=[{"category": "mobility", "required": True}]),
        sensitivities=ANY,
        actor=STAFF,
        now=bureau.clock.ms(),
    )
    assert "household" in (await check(bureau, client))["datatypes"]
    await bureau.approve(narrower.id)
    assert (await check(bureau, client))["datatypes"] == ["mobility"]


async def test_a_hold_stops_every_decision_until_it_is_released(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    client = await client_of(bureau, bureau.member)

    async def both() -> set[type]:
        inside = await bureau.db.write_core(
            judge, account_id=hanako, member_id=bureau.member, categories=["mobility"], now=bureau.clock.ms()
        )
        asked = await bureau.decisions.ask(ref.consent_id, recipient=bureau.member, categories=["mobility"])
        assert all(isinstance(each, Permit) or each.reason == "sharing_held" for each in (inside, asked))
        return {type(inside), type(asked)}

    assert await both() == {Permit}
    hold = {"actor": STAFF, "now": bureau.clock.ms(), "reason": "inc_1"}
    assert await bureau.db.write(holds.hold, bureau.member, **hold)
    assert not await bureau.db.write(holds.hold, bureau.member, **hold)
    assert await both() == {Refusal}
    assert await bureau.db.read(holds.is_held, bureau.member)
    assert await bureau.db.read(holds.standing_accounts, bureau.member) == (hanako,)
    with pytest.raises(InvalidAuthorizationDetails, match="stopped"):
        await check(bureau, client)
    assert await bureau.db.write(holds.release, bureau.member, **hold)
    assert not await bureau.db.write(holds.release, bureau.member, **hold)
    assert await both() == {Permit}
    assert [entry.action for entry in await bureau.audit("consent.sharing")] == [
        "consent.sharing.held",
        "consent.sharing.released",
    ]
