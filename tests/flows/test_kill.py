"""kill -9 while residents and services are in the middle of it.

Walkers loop over what the city must never lose: a deposit, a consent, a fetch, a withdrawal, all over HTTP. What the
server acknowledges they write into a journal and sync it before they go on. At a moment nobody chose the server is
killed, always with requests in flight, and started again. Then the journal is compared with what the city says now, by
its doors and in its tables:

* I1 nothing was disclosed after a withdrawal, and every disclosure stands on a consent that covered it;
* I2 every consent event has its ledger entry and every such entry its event;
* I3 every checkpoint ever served is a prefix of the present tree, whose signature an auditor's own code checks;
* I4 every answered fetch has its disclosure record;
* I9 everything acknowledged is there.
"""

import asyncio
import json
import os
import random
import shutil
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from portal.walk.auditor import Checkpoint, leaf_hash, leaf_hashes, open_note, root_of
from portal.walk.report import Report
from tests.support.server import CITY_ENVIRON, Nursery, Served
from tests.support.service import Resident, Service, consent_of, credentials
from tests.support.sessions import signed_in

CLIENT = "minatohama-transit"
WALKERS = 5
SHORTEST, LONGEST = 0.15, 0.6  # seconds between the first answer of a round and the kill


class Journal:
    """What was acknowledged, one JSON line each, on the disk before the walker goes on."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+", encoding="utf-8")
        self.lines: list[dict[str, Any]] = []

    def note(self, what: str, **facts: Any) -> None:
        """Write and sync."""
        line = {"what": what, **facts}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.lines.append(line)

    def close(self) -> None:
        """No more to note."""
        self._file.close()

    def all(self, what: str) -> list[dict[str, Any]]:
        """The lines of a kind, in order."""
        return [line for line in self.lines if line["what"] == what]


@dataclass
class City:
    """The server, its people, and what they know."""

    served: Served
    journal: Journal
    residents: list[tuple[str, str, str]]  # login, account id, session token
    registration: dict[str, Any]
    vkey: str = ""
    broken: list[str] = field(default_factory=list)


async def one_walk(city: City, resident: Resident, service: Service) -> None:
    """Deposit, agree, fetch, withdraw; then the very next fetch must be refused."""
    journal = city.journal
    content = {"boarded_at": "2026-11-20T08:12:00+09:00", "mode": "bus", "origin": "港町一丁目"}
    deposited = await resident.api("POST", "/api/bank/my/records", json=_deposit(content))
    if deposited.status_code == 201:
        for one in deposited.json()["deposited"]:
            journal.note("deposited", item=one["id"], account=resident.account_id)
    else:
        city.broken.append(f"depositing answered {deposited.status_code}: {deposited.text[:300]}")
    address, verifier = await service.ask()
    location = await resident.agree(address)
    token = await service.exchange(location, verifier)
    consent, access = consent_of(token), token["access_token"]
    journal.note("given", consent=consent, account=resident.account_id)
    for _ in range(2):
        fetched = await service.fetch(access)
        if fetched.status_code != 200:
            city.broken.append(f"a fetch under a standing consent answered {fetched.status_code}: {fetched.text[:300]}")
            return
        journal.note("fetched", disclosure=fetched.json()["disclosure"], consent=consent)
    journal.note("withdrawing", consent=consent)
    withdrawn = await resident.api("POST", f"/api/consent/records/{consent}/withdraw")
    if withdrawn.status_code != 200:
        city.broken.append(f"withdrawing answered {withdrawn.status_code}: {withdrawn.text[:300]}")
        return
    journal.note("withdrawn", consent=consent, access=access)
    after = await service.fetch(access)
    if after.status_code not in (401, 403):
        city.broken.append(f"after the withdrawal of {consent} a fetch was answered {after.status_code}")


def _deposit(content: dict[str, Any]) -> dict[str, Any]:
    return {"records": [{"category": "mobility", "data": content}]}


async def walk_on(city: City, number: int) -> None:
    """Walk after walk, until the server is gone."""
    login, account_id, session = city.residents[number]
    resident = Resident.with_session(city.served.url, login, account_id, session)
    service = Service(city.served.url, city.registration)
    try:
        await settle(city, resident)
        while True:
            await one_walk(city, resident, service)
    except httpx2.TransportError:
        return  # killed
    finally:
        await resident.http.aclose()
        await service.http.aclose()


async def settle(city: City, resident: Resident) -> None:
    """A consent may stand whose acknowledgement the kill cut off; withdraw it, so that the walks start alike."""
    found = await resident.api("GET", "/api/consent/records")
    for record in found.json()["records"]:
        if record["agreement"] == city.registration["agreement"] and record["state"] == "given":
            city.journal.note("withdrawing", consent=record["id"])
            done = await resident.api("POST", f"/api/consent/records/{record['id']}/withdraw")
            if done.status_code == 200:
                city.journal.note("withdrawn", consent=record["id"], access=None)


async def watch_ledger(city: City) -> None:
    """An auditor keeps every checkpoint it is shown."""
    async with httpx2.AsyncClient(base_url=city.served.url, timeout=20) as http:
        with suppress(httpx2.TransportError):
            while True:
                note = (await http.get("/ledger/checkpoint")).text
                head = open_note(Report(quiet=True), note, city.vkey)
                city.journal.note("checkpoint", size=head.size, root=head.root.hex())
                await asyncio.sleep(0.05)


async def until_killed(city: City, rng: random.Random) -> None:
    """One round: everybody walks, and in the middle of it the server dies."""
    before = len(city.journal.lines)
    tasks = [asyncio.create_task(walk_on(city, number)) for number in range(len(city.residents))]
    tasks.append(asyncio.create_task(watch_ledger(city)))
    ends = time.monotonic() + 20
    while len(city.journal.all("given")) == 0 or len(city.journal.lines) < before + 3:
        await asyncio.sleep(0.01)
        if time.monotonic() > ends or all(task.done() for task in tasks):
            break
    await asyncio.sleep(rng.uniform(SHORTEST, LONGEST))
    await asyncio.to_thread(city.served.kill)
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            city.broken.append(f"a walker failed: {outcome!r}")


def check(city: City) -> None:
    """Compare the journal with the city as it is after the restart."""
    journal = city.journal
    assert not city.broken, city.broken
    database = sqlite3.connect(f"file:{city.served.data / 'sekisho.sqlite3'}?mode=ro", uri=True)
    try:
        check_tables(database, journal)
    finally:
        database.close()
    with httpx2.Client(base_url=city.served.url, timeout=20) as http:
        check_ledger(http, city)
        check_doors(http, city)
        for line in journal.all("withdrawn")[-WALKERS:]:
            if line["access"]:
                answer = http.get("/api/bank/records", headers={"authorization": f"Bearer {line['access']}"})
                assert answer.status_code in (401, 403), f"{line['consent']} was withdrawn, yet {answer.status_code}"


def check_tables(database: sqlite3.Connection, journal: Journal) -> None:
    """I9, I4, I1 and I2 in the tables themselves."""
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    items = {row[0] for row in database.execute("SELECT id FROM infobank_item")}
    lost = [line for line in journal.all("deposited") if line["item"] not in items]
    assert not lost, f"acknowledged deposits are gone: {lost}"

    disclosures = dict(database.execute("SELECT id, consent_id FROM infobank_disclosure"))
    lost = [line for line in journal.all("fetched") if disclosures.get(line["disclosure"]) != line["consent"]]
    assert not lost, f"answered fetches without their disclosure record: {lost}"

    states = dict(database.execute("SELECT id, state FROM consent_record"))
    withdrawn = {line["consent"] for line in journal.all("withdrawn")}
    trying = {line["consent"] for line in journal.all("withdrawing")}
    lost = [consent for consent in withdrawn if states.get(consent) != "withdrawn"]
    assert not lost, f"acknowledged withdrawals are gone: {lost}"
    given = {line["consent"] for line in journal.all("given")}
    lost = [consent for consent in given - trying if states.get(consent) != "given"]
    assert not lost, f"acknowledged consents are gone: {lost}"
    assert given <= set(states)

    late = database.execute(
        "SELECT d.id FROM infobank_disclosure d JOIN consent_record r ON r.id = d.consent_id"
        " WHERE r.state <> 'given' AND d.at > r.changed_at"
    ).fetchall()
    assert not late, f"disclosures after the end of their consent: {late}"

    (events,) = database.execute("SELECT count(*) FROM consent_event").fetchone()
    (entries,) = database.execute(
        "SELECT count(*) FROM kit_log_leaf WHERE log = 'main' AND substr(entry, 1, 2) = x'0101'"
    ).fetchone()
    assert events == entries, f"{events} consent events, {entries} entries of such in the ledger"


def check_doors(http: httpx2.Client, city: City) -> None:
    """I9 and I4 at the residents' own doors: what they were told is there is shown to them."""
    account_of = {line["consent"]: line["account"] for line in city.journal.all("given")}
    withdrawn = {line["consent"] for line in city.journal.all("withdrawn")}
    trying = {line["consent"] for line in city.journal.all("withdrawing")}
    for _, account_id, token in city.residents:
        ask = _Doors(http, token)
        items = {one["id"] for one in ask.pages("/api/bank/my/records", "records", "before", category="mobility")}
        assert {line["item"] for line in city.journal.all("deposited") if line["account"] == account_id} <= items
        states = {one["id"]: one["state"] for one in ask.get("/api/consent/records")["records"]}
        for consent in (each for each, owner in account_of.items() if owner == account_id):
            allowed = (
                {"withdrawn"} if consent in withdrawn else {"given", "withdrawn"} if consent in trying else {"given"}
            )
            assert states.get(consent) in allowed, f"{consent} is shown as {states.get(consent)}"
        used = {one["id"]: one["consent"] for one in ask.pages("/api/bank/my/disclosures", "disclosures", "offset")}
        for line in city.journal.all("fetched"):
            if account_of.get(line["consent"]) == account_id:
                assert used.get(line["disclosure"]) == line["consent"], f"{line['disclosure']} is not in the history"


@dataclass
class _Doors:
    """What a resident's browser reads from the APIs."""

    http: httpx2.Client
    token: str

    def get(self, path: str, **query: Any) -> Any:
        answer = self.http.get(path, params=query, headers={"cookie": f"sekisho-local={self.token}"})
        assert answer.status_code == 200, f"{path} answered {answer.status_code}: {answer.text[:200]}"
        return answer.json()

    def pages(self, path: str, name: str, cursor: str, **query: Any) -> list[dict[str, Any]]:
        """All pages of a list."""
        found: list[dict[str, Any]] = []
        after: Any = None
        while True:
            page = self.get(path, limit=1000, **query, **({} if after is None else {cursor: after}))
            found += page[name]
            after = page["next"]
            if after is None:
                return found


def check_ledger(http: httpx2.Client, city: City) -> None:
    """I3, with an auditor's code: the present tree hashes to its signed root and extends every earlier one."""
    head: Checkpoint = open_note(Report(quiet=True), http.get("/ledger/checkpoint").text, city.vkey)

    def tile(path: str) -> bytes:
        answer = http.get(path)
        assert answer.status_code == 200, f"{path} answered {answer.status_code}"
        return answer.content

    hashes = leaf_hashes(head.size, tile)
    assert root_of(hashes) == head.root
    database = sqlite3.connect(f"file:{city.served.data / 'sekisho.sqlite3'}?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT entry FROM kit_log_leaf WHERE log = 'main' ORDER BY idx").fetchall()
    finally:
        database.close()
    assert [leaf_hash(entry) for (entry,) in rows] == hashes
    seen = {(line["size"], line["root"]) for line in city.journal.all("checkpoint")}
    for size, root in sorted(seen):
        assert size <= head.size, f"a checkpoint of size {size} was served; the tree now has {head.size}"
        assert root_of(hashes[:size]).hex() == root, f"the tree of size {size} is not the one that was served"


@pytest.fixture
def walked_city(city: Path, tmp_path: Path) -> Any:
    """A served copy of the fictional city, with some residents signed in."""
    data = tmp_path / "data"
    shutil.copytree(city, data)
    known = credentials(data)
    nursery = Nursery()
    served = Served(data, environ=CITY_ENVIRON, nursery=nursery)
    people = list(known["residents"].values())[:WALKERS]
    tokens = signed_in(data, [person["account_id"] for person in people], issuer=served.url)
    residents = [(person["login"], person["account_id"], token) for person, token in zip(people, tokens, strict=True)]
    made = City(served, Journal(tmp_path / "journal"), residents, known["clients"][CLIENT])
    yield made
    served.kill()
    nursery.close()
    made.journal.close()


def rounds(city: City, count: int, seed: int) -> None:
    """Start, walk, kill; so many times; check after each restart."""
    rng = random.Random(seed)
    city.served.start()
    city.vkey = httpx2.get(f"{city.served.url}/ledger/vkey").text
    for _ in range(count):
        asyncio.run(until_killed(city, rng))
        city.served.start()
        check(city)
    assert len(city.journal.all("withdrawn")) >= count // 4, "the walkers hardly walked"
    assert city.served.stop() == 0


def test_twenty_kills_lose_nothing_that_was_acknowledged(walked_city: City) -> None:
    rounds(walked_city, 20, seed=1)


@pytest.mark.long
def test_two_hundred_kills_lose_nothing_that_was_acknowledged(walked_city: City) -> None:
    rounds(walked_city, 200, seed=2)
