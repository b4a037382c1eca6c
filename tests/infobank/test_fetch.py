"""Fetching under consent, from the wire (infobank/services.py, access.py). Invariants I1, I4, I5."""

import asyncio
from typing import Any

import pytest

from consent import agreements, holds
from identity import accounts, grants, members
from identity.clients import Clients
from identity.registration import Registration
from identity.subjects import pairwise
from infobank import access, disclosures
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import DAY
from kit.host import SYSTEM
from tests.support.bank import CHECKUP, JOURNEY, Bank


async def _history(bank: Bank, account_id: str) -> tuple[disclosures.Disclosure, ...]:
    found: tuple[disclosures.Disclosure, ...] = await bank.db.read(disclosures.history, account_id)
    return found


async def test_answers_what_is_covered_and_records_it_before(bank: Bank) -> None:
    ids = await bank.put(bank.hana, "health_checkup", CHECKUP, {**CHECKUP, "date": "2025-10-03"}, source="mem_clinic")
    consent = await bank.agree(bank.hana, "health_checkup")
    answer = await bank.fetch(await bank.token(bank.hana, consent, "health_checkup"))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [one["id"] for one in body["records"]] == ids
    assert body["records"][0] == {
        "id": ids[0], "category": "health_checkup", "recorded_at": "2026-10-01T15:00:00Z", "source": "mem_clinic",
        "data": CHECKUP,
    }  # fmt: skip
    assert body["consent"] == consent
    assert body["withheld"] == []
    assert body["next"] == {}
    assert answer.headers["cache-control"] == "no-store"
    (line,) = await _history(bank, bank.hana)
    assert (line.id, line.member_id, line.client_id, line.consent_id) == (
        body["disclosure"], "mem_clinic", "clinic", consent,
    )  # fmt: skip
    assert line.counts == (("health_checkup", 2),)
    assert line.item_ids == tuple(ids)
    assert line.purpose == "ImproveHealthcare"
    assert await _history(bank, bank.taro) == ()


async def test_the_subject_is_the_residents_name_for_this_client_and_no_other(bank: Bank) -> None:
    await bank.put(bank.hana, "health_checkup", CHECKUP)
    consent = await bank.agree(bank.hana, "health_checkup")
    body = (await bank.fetch(await bank.token(bank.hana, consent, "health_checkup"))).json()
    hasher = bank.app.host.get(TokenHasher)
    assert body["subject"] == pairwise(hasher, bank.hana, "clinic.example")
    assert bank.hana not in str(body)


async def test_filters_to_covered_categories_and_says_so(bank: Bank) -> None:
    await bank.put(bank.hana, "health_checkup", CHECKUP)
    await bank.put(bank.hana, "mobility", JOURNEY)
    consent = await bank.agree(bank.hana, "health_checkup")
    token = await bank.token(bank.hana, consent, "health_checkup", "mobility")
    body = (await bank.fetch(token, category=["health_checkup", "mobility", "household", "horoscope"])).json()
    assert {one["category"] for one in body["records"]} == {"health_checkup"}
    assert body["withheld"] == [
        {"category": "household", "reason": "not_in_token"},
        {"category": "horoscope", "reason": "unknown_category"},
        {"category": "mobility", "reason": "category_not_covered"},
    ]
    (line,) = await _history(bank, bank.hana)
    assert line.withheld[-1] == ("mobility", "category_not_covered")


async def test_a_narrow_token_gets_no_more_than_it_names(bank: Bank) -> None:
    await bank.put(bank.hana, "mobility", JOURNEY)
    consent = await bank.agree(bank.hana, "health_checkup", "mobility")
    token = await bank.token(bank.hana, consent, "health_checkup")
    assert (await bank.fetch(token)).json()["records"] == []
    refused = await bank.fetch(token, category="mobility")
    assert refused.status_code == 403
    assert refused.json()["reason"] == "not_in_token"


async def test_a_consent_with_nothing_in_the_vault_answers_an_empty_list_and_is_recorded(bank: Bank) -> None:
    consent = await bank.agree(bank.hana, "health_checkup")
    body = (await bank.fetch(await bank.token(bank.hana, consent, "health_checkup"))).json()
    assert body["records"] == []
    (line,) = await _history(bank, bank.hana)
    assert line.counts == (("health_checkup", 0),)


async def test_nothing_covered_is_403_with_the_reason_and_leaves_a_trace(bank: Bank) -> None:
    await bank.put(bank.hana, "health_checkup", CHECKUP)
    consent = await bank.agree(bank.hana, "health_checkup")
    token = await bank.token(bank.hana, consent, "mobility")
    answer = await bank.fetch(token)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == "/problems/infobank/no-consent"
    assert body["reason"] == "category_not_covered"
    assert body["withheld"] == [{"category": "mobility", "reason": "category_not_covered"}]
    assert await _history(bank, bank.hana) == ()
    trail = await bank.db.read(audit.entries, action="infobank.disclosure")
    assert [(entry.action, entry.outcome) for entry in trail] == [("infobank.disclosure.refused", "refused")]


async def _suspend_member(bank: Bank, _consent: str) -> None:
    await bank.db.write(members.suspend, "mem_clinic", actor=SYSTEM, now=bank.now)


async def _suspend_client(bank: Bank, _consent: str) -> None:
    await bank.db.write(bank.app.host.get(Clients).suspend, "clinic", actor=SYSTEM)


async def _withdraw(bank: Bank, consent: str) -> None:
    await bank.withdraw(bank.hana, consent)


async def _revoke(bank: Bank, _consent: str) -> None:
    await bank.db.write(grants.revoke_for_account, bank.hana, actor=SYSTEM, now=bank.now)


async def _hold(bank: Bank, _consent: str) -> None:
    await bank.db.write(holds.hold, "mem_clinic", actor=SYSTEM, now=bank.now)


async def _suspend_resident(bank: Bank, _consent: str) -> None:
    await bank.db.write(accounts.suspend_account, bank.hana, actor=SYSTEM)


async def _withdraw_agreement(bank: Bank, _consent: str) -> None:
    await bank.db.write(agreements.withdraw, "agr_one", actor=SYSTEM, now=bank.now)


ENDS = [_suspend_member, _suspend_client, _suspend_resident, _withdraw, _revoke, _hold, _withdraw_agreement]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__.strip("_"))
async def test_what_ends_it_ends_it_before_the_call_returns(bank: Bank, end: Any) -> None:
    """I5: not one answer after the call that ended it came back."""
    await bank.put(bank.hana, "health_checkup", CHECKUP)
    consent = await bank.agree(bank.hana, "health_checkup")
    token = await bank.token(bank.hana, consent, "health_checkup")
    assert (await bank.fetch(token)).status_code == 200
    await end(bank, consent)
    answer = await bank.fetch(token)
    assert answer.status_code in (401, 403), answer.text
    assert len(await _history(bank, bank.hana)) == 1


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__.strip("_"))
async def test_what_ends_between_the_door_and_the_write_ends_it_too(bank: Bank, end: Any) -> None:
    """The token was good at the door; the write asks again."""
    from identity.bearer import AccessTokens

    await bank.put(bank.hana, "health_checkup", CHECKUP)
    consent = await bank.agree(bank.hana, "health_checkup")
    token = await bank.token(bank.hana, consent, "health_checkup")
    caller = await bank.app.host.get(AccessTokens).find(token)
    assert caller is not None
    ask = access.Ask(("health_checkup",))
    target = access.choose(caller.details, ask, frozenset(bank.catalogue.ids))
    await end(bank, consent)
    outcome = await bank.db.write_core(access.provide, bank.sealer, access=caller, target=target, ask=ask, now=bank.now)
    assert isinstance(outcome, access.Refused)
    assert await _history(bank, bank.hana) == ()


async def test_an_expired_consent_covers_nothing_though_no_event_says_so_yet(bank: Bank, clock: Any) -> None:
    await bank.put(bank.hana, "health_checkup", CHECKUP)
    consent = await bank.agree(bank.hana, "health_checkup")
    clock.advance(ms=180 * DAY)
    answer = await bank.fetch(await bank.token(bank.hana, consent, "health_checkup"))
    assert answer.status_code == 403
    assert answer.json()["reason"] == "consent_expired"


async def test_a_consent_of_somebody_else_covers_nothing(bank: Bank) -> None:
    await bank.put(bank.taro, "health_checkup", CHECKUP)
    consent = await bank.agree(bank.hana, "health_checkup")
    answer = await bank.fetch(await bank.token(bank.taro, consent, "health_checkup"))
    assert answer.status_code == 403
    assert answer.json()["reason"] == "no_consent"


async def test_a_consent_for_one_member_covers_no_other(bank: Bank) -> None:
    await bank.put(bank.hana, "health_checkup", CHECKUP)
    consent = await bank.agree(bank.hana, "health_checkup")
    token = await bank.token(bank.hana, consent, "health_checkup", client=bank.bus)
    answer = await bank.fetch(token)
    assert answer.status_code == 403
    assert answer.json()["reason"] == "no_consent"


async def test_another_purpose_is_not_covered(bank: Bank) -> None:
    consent = await bank.agree(bank.hana, "health_checkup")
    token = await bank.token(bank.hana, consent, "health_checkup", purpose="PersonalisedAdvertising")
    assert (await bank.fetch(token)).json()["reason"] == "purpose_not_covered"


async def test_without_a_token_it_is_401_with_a_challenge(bank: Bank) -> None:
    answer = await bank.http.get("/api/bank/records")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_that_speaks_for_nobody_gets_nothing(bank: Bank) -> None:
    answer = await bank.fetch(await bank.token(None, None))
    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/infobank/no-resident"


async def test_a_client_of_no_member_reads_that_it_belongs_to_none(bank: Bank) -> None:
    """No mistake of the token, and nothing the resident could grant: an operator registers it under a member."""
    said = Registration(name_ja="迷子", name_en="Stray", redirect_uris=["https://stray.example/cb"])
    stray, _ = await bank.db.write(bank.app.host.get(Clients).create, said, actor=SYSTEM)
    answer = await bank.fetch(await bank.token(bank.hana, None, client=stray))
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/infobank/no-member")


async def test_pages_follow_each_other_without_gap_or_overlap(bank: Bank) -> None:
    ids = await bank.put(
        bank.hana, "health_checkup", *({**CHECKUP, "date": f"2020-01-{day:02}"} for day in range(1, 8))
    )
    ids += await bank.put(bank.hana, "health_checkup", *({**CHECKUP, "date": "2019-06-01"} for _ in range(4)))
    consent = await bank.agree(bank.hana, "health_checkup")
    token = await bank.token(bank.hana, consent, "health_checkup")
    seen, before = [], None
    for _page in range(10):
        query: dict[str, Any] = {"category": "health_checkup", "limit": 3}
        if before:
            query["before"] = before
        body = (await bank.fetch(token, **query)).json()
        seen += [one["id"] for one in body["records"]]
        before = body["next"].get("health_checkup")
        if before is None:
            break
    assert sorted(seen) == sorted(ids)
    assert len(seen) == len(set(seen)) == 11
    history = await _history(bank, bank.hana)
    assert sum(line.records for line in history) == 11, "every page is a disclosure of its own"


async def test_a_time_window_gives_no_more_than_it_says(bank: Bank) -> None:
    await bank.put(bank.hana, "health_checkup", *({**CHECKUP, "date": f"202{year}-10-02"} for year in range(6)))
    consent = await bank.agree(bank.hana, "health_checkup")
    token = await bank.token(bank.hana, consent, "health_checkup")
    body = (await bank.fetch(token, since="2022-01-01T00:00:00Z", until="2024-01-01T00:00:00+09:00")).json()
    assert [one["data"]["date"] for one in body["records"]] == ["2023-10-02", "2022-10-02"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=0", 422),
        ("limit=1001", 422),
        ("limit=١", 422),
        ("limit=1&limit=2", 400),
        ("since=yesterday", 422),
        ("since=2026-01-01", 422),
        ("before=abc&category=mobility", 422),
        ("before=1.itm_x", 422),
        ("colour=red", 422),
        ("category", 400),
        ("consent=con_nobody", 422),
    ],
)
async def test_a_query_it_does_not_understand_is_refused(bank: Bank, query: str, status: int) -> None:
    consent = await bank.agree(bank.hana, "health_checkup")
    token = await bank.token(bank.hana, consent, "health_checkup")
    answer = await bank.http.get(f"/api/bank/records?{query}", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == status, answer.text
    assert await _history(bank, bank.hana) == ()


async def test_a_token_with_several_consents_must_name_one(bank: Bank) -> None:
    await bank.put(bank.hana, "health_checkup", CHECKUP)
    consent = await bank.agree(bank.hana, "health_checkup")
    other = {"type": "data_use", "agreement": "agr_two", "datatypes": ["energy_use"], "consent": "con_other"}
    token = await bank.token(bank.hana, consent, "health_checkup", more=(other,))
    assert (await bank.fetch(token)).status_code == 422
    assert (await bank.fetch(token, category="health_checkup")).status_code == 200
    assert (await bank.fetch(token, consent=consent)).status_code == 200
    assert (await bank.fetch(token, consent="con_other")).json()["reason"] == "no_consent"


@pytest.mark.parametrize("rounds", [12])
async def test_withdrawal_races_fetches_and_wins(bank: Bank, rounds: int) -> None:
    """Fetches that are answered after the withdrawal returned get nothing; every answer has its record."""
    await bank.put(bank.hana, "health_checkup", CHECKUP)
    for _round in range(rounds):
        consent = await bank.agree(bank.hana, "health_checkup")
        token = await bank.token(bank.hana, consent, "health_checkup")
        returned = asyncio.Event()
        broken: list[str] = []
        given: list[str] = []

        async def fetcher(token: str, returned: asyncio.Event, given: list[str], broken: list[str]) -> None:
            for _try in range(6):
                late = returned.is_set()
                answer = await bank.fetch(token)
                if answer.status_code == 200:
                    given.append(answer.json()["disclosure"])
                    if late:
                        broken.append("a fetch begun after the withdrawal returned was answered")

        async def withdrawer(consent: str, returned: asyncio.Event) -> None:
            await asyncio.sleep(0)
            await bank.withdraw(bank.hana, consent)
            returned.set()

        await asyncio.gather(
            *(fetcher(token, returned, given, broken) for _ in range(4)), withdrawer(consent, returned)
        )
        assert not broken
        recorded = {line.id for line in await _history(bank, bank.hana) if line.consent_id == consent}
        assert set(given) <= recorded
