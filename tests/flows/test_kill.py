"""kill -9 while residents and services are in the middle of the main walk.

Walkers (tests.support.walker) walk what `sekisho walk` walks, over HTTP, in a loop: deposit, pushed request, consent
page, DPoP-bound tokens, fetch, history, receipt, refresh with rotation, a spent refresh token, withdrawal. What the
server acknowledges they write into a journal and sync it before they go on. At a moment nobody chose the server is
killed, always with requests in flight, and started again. Then each walker asks for what it is owed, and the journal is
compared with what the city says now, by its doors and in its tables:

* I1 nothing was disclosed after a withdrawal, and every disclosure stands on a consent that covered it;
* I2 every consent event has its ledger entry and every such entry its event;
* I3 every checkpoint ever served is a prefix of the present tree, whose signature an auditor's own code checks;
* I4 every answered fetch has its disclosure record;
* I7 a pushed request, a code and a refresh token whose answer was lost are used, or not, and never twice;
* I9 everything acknowledged is there: sessions, requests, codes, tokens, receipts, deposits, withdrawals.
"""

import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from portal.walk.auditor import entry_at, leaf_hash, leaf_hashes, open_note, root_of
from portal.walk.receipts import read_receipt
from portal.walk.report import Report
from tests.support.journal import Journal
from tests.support.server import CITY_ENVIRON, Served
from tests.support.service import credentials
from tests.support.walker import City, Walker

CLIENT = "minato-clinic"  # private_key_jwt and DPoP
WALKERS = 5
SHORTEST, LONGEST = 0.1, 0.9  # seconds between the first answers of a round and the kill
SAMPLE = 10  # of the older withdrawals, how many are tried again after each restart


@dataclass
class Crowd:
    """The server, those who walk, and what they know."""

    served: Served
    journal: Journal
    walkers: list[Walker] = field(default_factory=list)
    checked: int = 0  # lines of the journal that were compared already
    hashes: list[bytes] = field(default_factory=list)  # of the ledger's entries, at the last comparison

    @property
    def city(self) -> City:
        """What is known of the city."""
        return self.walkers[0].city

    def each(self, do: Callable[[Walker], object]) -> None:
        """Every walker, at the same time; the first error is raised when all are done."""
        with ThreadPoolExecutor(len(self.walkers)) as pool:
            for done in [pool.submit(do, walker) for walker in self.walkers]:
                done.result()


def watch_ledger(crowd: Crowd, dead: threading.Event) -> None:
    """An auditor keeps every checkpoint it is shown."""
    with httpx2.Client(base_url=crowd.served.url, timeout=20) as http, suppress(httpx2.TransportError):
        while not dead.wait(0.05):
            head = open_note(Report(quiet=True), http.get("/ledger/checkpoint").text, crowd.city.vkey)
            crowd.journal.note("checkpoint", size=head.size, root=head.root.hex())


def until_killed(crowd: Crowd, rng: random.Random) -> None:
    """One round: everybody walks, and in the middle of it the server dies."""
    before, dead = len(crowd.journal.lines), threading.Event()
    with ThreadPoolExecutor(len(crowd.walkers) + 1) as pool:
        tasks = [pool.submit(walker.walk_on, dead) for walker in crowd.walkers]
        tasks.append(pool.submit(watch_ledger, crowd, dead))
        ends = time.monotonic() + 20
        while len(crowd.journal.lines) < before + 5 and time.monotonic() < ends:
            time.sleep(0.01)
        time.sleep(rng.uniform(SHORTEST, LONGEST))
        crowd.served.kill()
        dead.set()
        for task in tasks:
            task.result()


def check(crowd: Crowd, rng: random.Random) -> None:
    """Compare the journal with the city as it is after the restart."""
    crowd.each(Walker.take_up)
    journal = crowd.journal
    database = sqlite3.connect(f"file:{crowd.served.data / 'sekisho.sqlite3'}?mode=ro", uri=True)
    try:
        check_tables(database, journal)
    finally:
        database.close()
    with httpx2.Client(base_url=crowd.served.url, timeout=20) as http:
        check_ledger(http, crowd)
    crowd.each(lambda walker: check_doors(walker, journal))
    check_withdrawals(crowd, rng)
    crowd.checked = len(journal.lines)


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


def check_doors(walker: Walker, journal: Journal) -> None:
    """I9 and I4 at the residents' own doors: what they were told is there is shown to them."""
    if not walker.signed_in:
        return
    mine = [line for line in journal.all("deposited") if line["account"] == walker.account_id]
    items = {one["id"] for one in pages(walker, "/api/bank/my/records", "records", "before", category="mobility")}
    assert {line["item"] for line in mine} <= items
    given = {line["consent"] for line in journal.all("given") if line["account"] == walker.account_id}
    withdrawn = {line["consent"] for line in journal.all("withdrawn")}
    states = {record["id"]: record["state"] for record in walker.records()}
    for consent in given:
        expected = "withdrawn" if consent in withdrawn else "given"
        assert states.get(consent) == expected, f"{consent} is shown as {states.get(consent)}"
    used = {one["id"]: one["consent"] for one in pages(walker, "/api/bank/my/disclosures", "disclosures", "offset")}
    for line in journal.all("fetched"):
        if line["consent"] in given:
            assert used.get(line["disclosure"]) == line["consent"], f"{line['disclosure']} is not in the history"


def pages(walker: Walker, path: str, name: str, cursor: str, **query: Any) -> Iterator[dict[str, Any]]:
    """All pages of a list of the resident's."""
    after: Any = None
    while True:
        asked = {"limit": 1000, **query, **({} if after is None else {cursor: after})}
        answer = walker.person.browser.http.get(walker.city.url + path, params=asked)
        assert answer.status_code == 200, f"{path} answered {answer.status_code}: {answer.text[:200]}"
        page = answer.json()
        yield from page[name]
        after = page["next"]
        if after is None:
            return


def check_withdrawals(crowd: Crowd, rng: random.Random) -> None:
    """I5 and I9: what a withdrawal or a reuse ended stays ended: all of this round, and some of long ago."""
    journal, walker = crowd.journal, crowd.walkers[0]
    ends = [line for line in journal.all("withdrawn") + journal.all("ended") if line["access"]]
    new = {line["access"] for kind in ("withdrawn", "ended") for line in journal.all(kind, since=crowd.checked)}
    old = [line for line in ends if line["access"] not in new]
    for line in [line for line in ends if line["access"] in new] + rng.sample(old, min(SAMPLE, len(old))):
        walker.gone(line["access"], line["refresh"])


def check_ledger(http: httpx2.Client, crowd: Crowd) -> None:
    """I3 and I9, with an auditor's code: the present tree hashes to its signed root, extends every earlier one, and has
    the entry of every receipt."""
    report, city = Report(quiet=True), crowd.city
    report.step("after the restart")
    head = open_note(report, http.get("/ledger/checkpoint").text, city.vkey)

    def tile(path: str) -> bytes:
        answer = http.get(path)
        assert answer.status_code == 200, f"{path} answered {answer.status_code}"
        return answer.content

    hashes = leaf_hashes(head.size, tile)
    assert root_of(hashes) == head.root
    assert hashes[: len(crowd.hashes)] == crowd.hashes
    crowd.hashes = hashes
    database = sqlite3.connect(f"file:{crowd.served.data / 'sekisho.sqlite3'}?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT entry FROM kit_log_leaf WHERE log = 'main' ORDER BY idx").fetchall()
    finally:
        database.close()
    # A job may have laid an entry since the checkpoint was asked for; it is looked at after the next restart.
    assert [leaf_hash(entry) for (entry,) in rows][: head.size] == hashes
    seen = {(line["size"], line["root"]) for line in crowd.journal.all("checkpoint", since=crowd.checked)}
    for line in crowd.journal.all("receipt", since=crowd.checked):
        receipt = read_receipt(report, line["text"], jwks=city.jwks, issuer=city.url, vkey=city.vkey)
        receipt.require_entry(report, entry_at(receipt.index, head.size, tile))
        seen.add((receipt.checkpoint.size, receipt.checkpoint.root.hex()))
    for size, root in sorted(seen):
        assert size <= head.size, f"a checkpoint of size {size} was served; the tree now has {head.size}"
        assert root_of(hashes[:size]).hex() == root, f"the tree of size {size} is not the one that was served"


@pytest.fixture
def crowd(city: Path, tmp_path: Path) -> Iterator[Crowd]:
    """A served copy of the fictional city, and some who can sign in."""
    data = tmp_path / "data"
    shutil.copytree(city, data)
    made = Crowd(Served(data, environ=CITY_ENVIRON), Journal(tmp_path / "journal"))
    yield made
    for walker in made.walkers:
        walker.close()
    made.served.kill()
    made.journal.close()


def rounds(crowd: Crowd, count: int, seed: int) -> None:
    """Start, walk, kill; so many times; check after each restart."""
    rng = random.Random(seed)
    crowd.served.start()
    known, public = credentials(crowd.served.data), City.at(crowd.served.url)
    people = list(known["residents"].values())[:WALKERS]
    crowd.walkers += [Walker(public, person, known["clients"][CLIENT], crowd.journal) for person in people]
    crowd.each(Walker.arrive)
    for walker in crowd.walkers:  # one service, one key
        walker.service.dpop = crowd.walkers[0].service.dpop
    for _ in range(count):
        until_killed(crowd, rng)
        crowd.served.start()
        check(crowd, rng)
    told = {what: len(crowd.journal.all(what)) for what in ("receipt", "rotated", "withdrawn")}
    assert min(told.values()) >= count // 2, f"the walkers hardly walked: {told}"
    assert crowd.journal.all("ended"), "no spent refresh token came back"
    assert crowd.served.stop() == 0


def test_twenty_kills_lose_nothing_that_was_acknowledged(crowd: Crowd) -> None:
    rounds(crowd, 20, seed=1)


@pytest.mark.long
def test_two_hundred_kills_lose_nothing_that_was_acknowledged(crowd: Crowd) -> None:
    rounds(crowd, 200, seed=2)
