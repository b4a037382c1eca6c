"""Deposits by source services and by residents, from the wire (infobank/services.py, routes.py, items.py)."""

import json
from pathlib import Path
from typing import Any

import pytest

from identity import members
from infobank import store, vault
from kit import audit
from kit.host import SYSTEM
from tests.support.bank import CHECKUP, JOURNEY, Bank

DEPOSIT = ("openid", "bank:deposit")


async def _kept(bank: Bank, account_id: str) -> int:
    counts = await bank.db.read(store.counts, account_id)
    return sum(count for count, _latest, _arrived in counts.values())


async def test_a_source_deposits_and_the_resident_reads_it(bank: Bank) -> None:
    token = await bank.token(bank.hana, None, scopes=DEPOSIT)
    answer = await bank.send(token, {"records": [{"category": "health_checkup", "data": CHECKUP}]})
    assert answer.status_code == 201, answer.text
    (taken,) = answer.json()["deposited"]
    assert taken["recorded_at"] == "2026-10-01T15:00:00Z"
    headers = await bank.sign_in(bank.hana)
    mine = (await bank.http.get(f"/api/bank/my/records/{taken['id']}", headers=headers)).json()
    assert mine["data"] == CHECKUP
    assert mine["source"] == "mem_clinic"
    trail = await bank.db.read(audit.entries, action="infobank.item")
    assert trail[-1].actor_id == "clinic"
    assert "118" not in str(trail[-1].detail)


async def test_only_with_the_scope(bank: Bank) -> None:
    answer = await bank.send(await bank.token(bank.hana, None), {"records": []})
    assert answer.status_code == 403
    assert 'scope="bank:deposit"' in answer.headers["www-authenticate"]


async def test_only_what_its_member_is_a_registered_source_of(bank: Bank) -> None:
    token = await bank.token(bank.hana, None, scopes=DEPOSIT)
    body = {"records": [{"category": "health_checkup", "data": CHECKUP}, {"category": "mobility", "data": JOURNEY}]}
    answer = await bank.send(token, body)
    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/infobank/not-a-source"
    assert answer.json()["errors"][0]["pointer"] == "/records/1/category"
    assert await _kept(bank, bank.hana) == 0, "all or none"


async def test_a_suspended_member_deposits_nothing(bank: Bank) -> None:
    token = await bank.token(bank.hana, None, scopes=DEPOSIT)
    await bank.db.write(members.suspend, "mem_clinic", actor=SYSTEM, now=bank.now)
    answer = await bank.send(token, {"records": [{"category": "health_checkup", "data": CHECKUP}]})
    assert answer.status_code == 401


async def test_a_token_that_speaks_for_nobody_deposits_nothing(bank: Bank) -> None:
    token = await bank.token(None, None, scopes=DEPOSIT)
    answer = await bank.send(token, {"records": [{"category": "health_checkup", "data": CHECKUP}]})
    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/infobank/no-resident"


BAD: list[tuple[Any, int, str]] = [
    ({"records": [{"category": "health_checkup", "data": {**CHECKUP, "systolic": "high"}}]}, 422,
     "/records/0/data/systolic"),
    ({"records": [{"category": "health_checkup", "data": CHECKUP}, {"category": "health_checkup", "data": {}}]}, 422,
     "/records/1/data/date"),
    ({"records": [{"category": "horoscope", "data": {}}]}, 422, "/records/0/category"),
    ({"records": [{"category": "health_checkup"}]}, 422, "/records/0/data"),
    ({"records": [{"category": "health_checkup", "data": CHECKUP, "owner": "x"}]}, 422, "/records/0/owner"),
    ({"records": [], "more": 1}, 422, "/more"),
    ({"records": []}, 422, "/records"),
    ({"records": {"0": 1}}, 422, "/records"),
    ([1], 422, "/0"),
    ("x", 422, ""),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "pointer"), BAD)
async def test_a_bad_deposit_names_the_place_and_keeps_nothing(
    bank: Bank, body: Any, status: int, pointer: str
) -> None:
    for answer in (
        await bank.send(await bank.token(bank.hana, None, scopes=DEPOSIT), json.dumps(body).encode()),
        await bank.http.post("/api/bank/my/records", json=body, headers=await bank.sign_in(bank.hana)),
    ):
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await _kept(bank, bank.hana) == 0


async def test_malformed_json_is_400_other_types_415_and_too_much_413(bank: Bank) -> None:
    token = await bank.token(bank.hana, None, scopes=DEPOSIT)
    headers = await bank.sign_in(bank.hana)
    big = {"records": [{"category": "health_checkup", "data": {**CHECKUP, "note": "x" * 20_000}}]}
    many = {"records": [{"category": "health_checkup", "data": {"date": "2026-01-01"}}] * 501}

    async def mine(content: bytes, kind: str = "application/json") -> int:
        answer = await bank.http.post(
            "/api/bank/my/records", content=content, headers={**headers, "content-type": kind}
        )
        return int(answer.status_code)

    assert (await bank.send(token, b"{")).status_code == await mine(b"{") == 400
    assert (await bank.send(token, b'{"a": NaN}')).status_code == await mine(b'{"a": NaN}') == 400
    assert (await bank.send(token, b"{}", **{"content-type": "text/plain"})).status_code == 415
    assert await mine(b"{}", "text/plain") == 415
    assert (await bank.send(token, big)).status_code == await mine(json.dumps(big).encode()) == 413
    assert (await bank.send(token, many)).status_code == await mine(json.dumps(many).encode()) == 413
    assert (await bank.send(token, b" " * 300_000)).status_code == 413
    assert await mine(b" " * 1_100_000) == 413
    assert await _kept(bank, bank.hana) == 0


async def test_residents_add_correct_and_delete_their_own(bank: Bank) -> None:
    headers = await bank.sign_in(bank.hana)
    added = await bank.http.post(
        "/api/bank/my/records", json={"category": "energy_use", "data": {"month_end": "2026-10-31"}}, headers=headers
    )
    assert added.status_code == 201, added.text
    item = added.json()["deposited"][0]["id"]
    path = f"/api/bank/my/records/{item}"
    better = {"data": {"month_end": "2026-09-30", "electricity": 200}}
    assert (await bank.http.put(path, json=better, headers=headers)).status_code == 204
    assert (await bank.http.get(path, headers=headers)).json()["data"] == better["data"]
    assert (await bank.http.put(path, json={"data": {"electricity": -1}}, headers=headers)).status_code == 422
    assert (await bank.http.put(path, json={"data": {}, "x": 1}, headers=headers)).status_code == 422
    assert (await bank.http.delete(path, headers=headers)).status_code == 204
    assert (await bank.http.get(path, headers=headers)).status_code == 404
    assert (await bank.http.delete(path, headers=headers)).status_code == 404


async def test_ones_own_space_has_an_end_and_deleting_makes_room(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may sign up: without an end to it a stranger fills the disk."""
    one = len(json.dumps(JOURNEY, separators=(",", ":"), ensure_ascii=False).encode())
    monkeypatch.setattr(vault, "OWN_SPACE", 2 * one)
    headers = await bank.sign_in(bank.hana)

    async def add() -> Any:
        body = {"records": [{"category": "mobility", "data": JOURNEY}]}
        return await bank.http.post("/api/bank/my/records", json=body, headers=headers)

    first = await add()
    assert [first.status_code, (await add()).status_code, (await add()).status_code] == [201, 201, 413]
    item = first.json()["deposited"][0]["id"]
    assert (await bank.http.delete(f"/api/bank/my/records/{item}", headers=headers)).status_code == 204
    assert (await add()).status_code == 201


async def test_what_a_source_recorded_is_deleted_but_not_rewritten(bank: Bank) -> None:
    (item,) = await bank.put(bank.hana, "health_checkup", CHECKUP, source="mem_clinic")
    headers = await bank.sign_in(bank.hana)
    path = f"/api/bank/my/records/{item}"
    assert (await bank.http.put(path, json={"data": CHECKUP}, headers=headers)).status_code == 404
    assert (await bank.http.delete(path, headers=headers)).status_code == 204


async def test_another_residents_record_is_as_unknown_as_none(bank: Bank) -> None:
    (item,) = await bank.put(bank.taro, "health_checkup", CHECKUP)
    headers = await bank.sign_in(bank.hana)
    for method, kwargs in (("GET", {}), ("DELETE", {}), ("PUT", {"json": {"data": CHECKUP}})):
        theirs = await bank.http.request(method, f"/api/bank/my/records/{item}", headers=headers, **kwargs)
        nobodys = await bank.http.request(method, "/api/bank/my/records/itm_none", headers=headers, **kwargs)
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.content == nobodys.content
    assert await _kept(bank, bank.taro) == 1


async def test_without_a_session_the_residents_api_is_closed(bank: Bank) -> None:
    for path in ("", "/records?category=mobility", "/disclosures", "/export", "/records/itm_x"):
        assert (await bank.http.get(f"/api/bank/my{path}")).status_code == 401


async def test_the_overview_and_the_list_page(bank: Bank) -> None:
    await bank.put(bank.hana, "mobility", *({**JOURNEY, "minutes": minutes} for minutes in range(5)))
    headers = await bank.sign_in(bank.hana)
    overview = (await bank.http.get("/api/bank/my", headers=headers)).json()
    assert {one["category"]: one["records"] for one in overview["categories"]}["mobility"] == 5
    first = (await bank.http.get("/api/bank/my/records?category=mobility&limit=3", headers=headers)).json()
    rest = (
        await bank.http.get(f"/api/bank/my/records?category=mobility&before={first['next']}", headers=headers)
    ).json()
    assert len(first["records"]) == 3
    assert len(rest["records"]) == 2
    assert rest["next"] is None
    assert (await bank.http.get("/api/bank/my/records?category=x", headers=headers)).status_code == 422
    assert (await bank.http.get("/api/bank/my/records?category=mobility&before=x", headers=headers)).status_code == 422


async def test_categories_are_public_and_carry_their_schemas(bank: Bank) -> None:
    answer = await bank.http.get("/api/bank/categories")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=3600"
    categories = {one["id"]: one for one in answer.json()["categories"]}
    assert categories["health_checkup"]["schema"]["properties"]["systolic"]["maximum"] == 300


async def test_the_database_file_holds_no_word_of_a_record(bank: Bank) -> None:
    """I6: at rest everything personal is sealed; the write-ahead log counts as at rest."""
    token = await bank.token(bank.hana, None, scopes=DEPOSIT)
    data = {**CHECKUP, "note": "ひみつの所見 canary-7731"}
    assert (await bank.send(token, {"records": [{"category": "health_checkup", "data": data}]})).status_code == 201
    bad = {"records": [{"category": "health_checkup", "data": {**data, "judgement": "canary-7731"}}]}
    assert (await bank.send(token, bad)).status_code == 422
    folder: Path = bank.app.settings.data
    files = [path for path in folder.iterdir() if path.name.startswith("sekisho.sqlite3")]
    assert files
    for path in files:
        content = path.read_bytes()
        for word in ("canary-7731", "ひみつの所見", "みなと診療所", "systolic"):
            assert word.encode() not in content, (path.name, word)
            assert json.dumps(word)[1:-1].encode() not in content
