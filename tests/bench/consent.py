"""What the consent ledger does in a second, by itself; it prints and judges nothing.

    python -m tests.bench.consent [--seconds 3] [--consents 10000,1000000] [--users 200] [--folder DIR] [case …]

Cases: `integrate` (durable appends at 64 writers in process and over HTTP, and the time from asking to a signed
checkpoint that covers the entry: least, mean, most), `events` (consents really given and withdrawn, each durable,
ledgered, audited, its receipt's place taken), `decisions` (in process from the checked cache and past it, and over HTTP
one by one and 100 at once, among so many consents). Ten million: `--consents 10000000 --folder /dev/shm`.

The server runs on core 0, the load on core 1; in process everything shares core 1. Absolute figures of a busy machine
say little about another day.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import Connection

from consent import agreements, records
from consent.decisions import Permit
from consent.gate import Decisions, judge
from consent.proposal import Proposal
from identity import members
from identity.accounts import Profile, create_account
from identity.clients import Clients
from identity.registration import Registration
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from keys.root import create_file
from kit.clock import DAY
from kit.db import Session, Tx
from kit.host import SYSTEM, Actor
from kit.ids import new_id
from kit.tlog.log import Leaf, Logs, append
from portal import migrations
from portal.app import Building, create_app
from portal.settings import Settings
from tests.bench.load import Connection as Wire
from tests.bench.load import basic
from tests.consent.bureau import proposal
from tests.support.catalogue import ANY
from tests.support.server import Served, free_port

WRITERS = 64
CHUNK = 20_000
ENVIRON = {
    "SEKISHO_CONSENT__LEDGER_ADD_FOR_TESTS": "true",
    "SEKISHO_CONSENT__LOG_ORIGIN": "bench.example/ledger",
    "SEKISHO_IDENTITY__ACCESS_TOKEN_SECONDS": "3600",
}
Once = Callable[[int], Awaitable[Any]]


@dataclass
class City:
    """A data directory with one member, its agreement and its client; a consent's id by its number."""

    data: Path
    issuer: str
    port: int
    member: str = ""
    revision: str = ""
    agreement: str = ""
    client: str = ""
    secret: str = ""

    def building(self) -> Building:
        settings = Settings(data=self.data, issuer=self.issuer, jobs=False)
        consent = settings.consent.model_copy(update={"log_origin": ENVIRON["SEKISHO_CONSENT__LOG_ORIGIN"]})
        return create_app(settings.model_copy(update={"consent": consent}))

    @contextmanager
    def served(self) -> Iterator[Served]:
        """The real command on core 0."""
        made = Served(self.data, port=self.port, environ=ENVIRON).start(prefix=("taskset", "-c", "0"))
        try:
            yield made
        finally:
            made.stop()


def consent_id(number: int) -> str:
    """Consents for decisions have ids by number, so that the load knows them all."""
    return f"con_{number:026d}"


def account_id(number: int) -> str:
    """And so have the residents behind them, who need no more than an id to be decided about."""
    return f"acc_{number:026d}"


# -- measuring --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timed:
    """A rate, and the seconds of each operation."""

    rate: float
    took: list[float]

    def line(self, name: str) -> str:
        """A line of the report."""
        ms = sorted(each * 1000 for each in self.took)
        p99 = ms[min(len(ms) - 1, int(len(ms) * 0.99))]
        mean = sum(ms) / len(ms)
        return f"{name:<72} {self.rate:>10,.0f}/s   {ms[0]:8.2f} {mean:8.2f} {ms[-1]:9.2f} {p99:9.2f}"


HEAD = f"{'':<72} {'rate':>12}   {'min ms':>8} {'avg ms':>8} {'max ms':>9} {'p99 ms':>9}"


async def measure(once: Once, *, workers: int, seconds: float, times: int = 1) -> Timed:
    """So many workers, each doing it again and again; `times` operations are in each."""
    took: list[float] = []
    ends = time.perf_counter() + seconds

    async def work(number: int) -> None:
        while time.perf_counter() < ends:
            began = time.perf_counter()
            await once(number)
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(once(number) for number in range(workers)))  # warm
    began = time.perf_counter()
    ends = began + seconds
    await asyncio.gather(*(work(number) for number in range(workers)))
    return Timed(len(took) * times / (time.perf_counter() - began), took)


async def connections(url: str, count: int) -> list[Wire]:
    """Open keep-alive connections, one for each worker."""
    made = [Wire(url.replace("localhost", "127.0.0.1")) for _ in range(count)]
    for each in made:
        await each.open()
    return made


# -- the city ---------------------------------------------------------------------------------------------------------


async def found(folder: Path) -> City:
    """Keys, schema, member, agreement and client."""
    data = folder / "data"
    data.mkdir()
    port = free_port()
    city = City(data, f"http://localhost:{port}", port)
    create_file(data / "root.key")
    migrations.upgrade(f"sqlite:///{data / 'sekisho.sqlite3'}")
    async with city.building().running(jobs=False) as building:
        host = building.host

        def plant(session: Session) -> None:
            now = host.clock.ms()
            member = members.apply(session, name_ja="計測", name_en="Bench", actor=SYSTEM, now=now)
            members.approve(session, member.id, actor=SYSTEM, now=now)
            offered = agreements.propose(
                session, member_id=member.id, proposal=_proposal(), sensitivities=ANY, actor=SYSTEM, now=now
            )
            agreements.approve(session, offered.id, actor=SYSTEM, now=now, sealer=None)
            registration = Registration(
                name_ja="計測", name_en="Bench", member_id=member.id, grant_types=["client_credentials"],
            )  # fmt: skip
            client, secret = host.get(Clients).create(session, registration, actor=SYSTEM)
            city.member, city.revision, city.agreement = member.id, offered.id, offered.agreement_id
            city.client, city.secret = client.id, secret or ""

        await host.db.write(plant)
    return city


def _proposal() -> Proposal:
    return proposal(categories=[{"category": "mobility", "required": True}])


def fill(city: City, count: int) -> str:
    """So many standing consents, as rows: what a decision reads. Adds to those that are there; says how large it is.

    The rows are made where they go, and their indexes afterwards, each sorted once: else ten million take an hour.
    """
    import sqlite3

    now, began = round(time.time() * 1000), time.perf_counter()
    path = city.data / "sekisho.sqlite3"
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous=OFF", "cache_size=-1000000", "temp_store=MEMORY"):
        database.execute(f"PRAGMA {pragma}")
    there = database.execute("SELECT count(*) FROM consent_record WHERE id < 'con_0001'").fetchone()[0]
    named = (
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'consent_record' AND sql IS NOT NULL"
    )
    indexes = database.execute(named).fetchall() if count - there > CHUNK else []
    for name, _sql in indexes:
        database.execute(f"DROP INDEX {name}")
    for first in range(there, count, 50 * CHUNK):
        database.execute(
            "INSERT INTO consent_record (id, account_id, member_id, agreement_id, revision_id, state, purpose, "
            "categories, until_at, events, created_at, changed_at) "
            "WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :last) "
            "SELECT printf('con_%026d', i), printf('acc_%026d', i), :member, :agreement, :revision, 'given', "
            "'ImproveTransportMobility', 'mobility', :until, 1, :now, :now FROM n",
            {
                "first": first, "last": min(count, first + 50 * CHUNK), "member": city.member,
                "agreement": city.agreement, "revision": city.revision, "until": now + 90 * DAY, "now": now,
            },
        )  # fmt: skip
    for _name, sql in indexes:
        database.execute(sql)
    database.execute("ANALYZE")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return f"{path.stat().st_size / 1e9:.2f} GB, filled in {time.perf_counter() - began:.0f} s"


# -- the cases --------------------------------------------------------------------------------------------------------


async def integrate(city: City, options: argparse.Namespace) -> None:
    """Durable appends, until a signed checkpoint covers the entry."""
    entry = os.urandom(34)

    def write(tx: Tx) -> Leaf:
        return append(tx, entry)

    async with city.building().running(jobs=False) as building:
        logs, database = building.host.get(Logs), building.host.db

        async def once(_: int) -> None:
            index = await logs.integrated(await database.append(write))
            assert index is not None
            assert index < (await logs.published()).size

        timed = await measure(once, workers=WRITERS, seconds=options.seconds)
        print(timed.line(f"append to integrated, {WRITERS} writers, in process"))
    with city.served() as served:
        wires = await connections(served.url, WRITERS)
        headers = {"content-type": "application/octet-stream"}

        async def post(number: int) -> None:
            status, _, _ = await wires[number].request("POST", "/ledger/add", headers, entry)
            assert status == 200

        timed = await measure(post, workers=WRITERS, seconds=options.seconds)
        print(timed.line(f"append to integrated, {WRITERS} writers, over HTTP"))


async def events(city: City, options: argparse.Namespace) -> None:
    """Consents given and withdrawn through the calls that residents' pages make."""
    async with city.building().running(jobs=False) as building:
        host = building.host
        sealer, hasher, database = host.get(Sealer), host.get(TokenHasher), host.db

        def enrol(session: Session, number: int) -> str:
            profile = Profile(name=f"Bench {number}")
            return create_account(
                session, sealer, hasher, login=f"bench-{new_id('b')}", profile=profile, now=host.clock.ms()
            )

        accounts = [await database.write(enrol, number) for number in range(max(options.users, WRITERS))]
        free = list(accounts)

        async def once(_: int) -> None:
            account = free.pop(random.randrange(len(free)))
            actor = Actor("resident", account)
            given = await database.write(
                records.give, sealer, account_id=account, revision_id=city.revision, categories=["mobility"],
                notice_lang="ja", actor=actor, now=host.clock.ms(),
            )  # fmt: skip
            await database.write(
                records.withdraw, sealer, consent_id=given.consent_id, account_id=account, actor=actor,
                now=host.clock.ms(),
            )  # fmt: skip
            free.append(account)

        timed = await measure(once, workers=min(WRITERS, len(accounts)), seconds=options.seconds, times=2)
        print(timed.line(f"consent events: given, then withdrawn, {WRITERS} at once (latency of both)"))


async def decisions(city: City, options: argparse.Namespace) -> None:
    """May I, right now? Among so many consents, each time about another one at random."""
    for count in options.consents:
        name = f"{count:,} consents"
        print(f"{name}: {fill(city, count)}")
        await _in_process(city, name, count, options)
        with city.served() as served:
            await _over_http(city, served, name, count, options)


async def _in_process(city: City, name: str, count: int, options: argparse.Namespace) -> None:
    pick = random.Random(count)
    async with city.building().running(jobs=False) as building:
        database, asked, clock = building.host.db, building.host.get(Decisions), building.host.clock

        async def ask(_: int) -> None:
            found = await asked.ask(consent_id(pick.randrange(count)), recipient=city.member, categories=["mobility"])
            assert isinstance(found, Permit)

        timed = await measure(ask, workers=1, seconds=options.seconds)
        print(timed.line(f"decisions, {name}, in process, checked cache"))

        def look(connection: Connection) -> None:
            for _ in range(100):
                number = pick.randrange(count)
                found = judge(
                    connection, account_id=account_id(number), member_id=city.member, categories=["mobility"],
                    consent_id=consent_id(number), now=clock.ms(),
                )  # fmt: skip
                assert isinstance(found, Permit)

        async def inside(_: int) -> None:
            await database.write_core(look)

        timed = await measure(inside, workers=1, seconds=options.seconds, times=100)
        print(timed.line(f"decisions, {name}, inside a write (100 in one)"))


async def _over_http(city: City, served: Served, name: str, count: int, options: argparse.Namespace) -> None:
    with httpx2.Client(base_url=served.url) as http:
        answer = http.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            headers={"authorization": basic(city.client, city.secret)},
        )
        token = answer.raise_for_status().json()["access_token"]
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    wires = await connections(served.url, 32)
    pick = random.Random(count)

    def question() -> dict[str, Any]:
        return {"consent": consent_id(pick.randrange(count)), "categories": ["mobility"]}

    async def single(number: int) -> None:
        body = json.dumps(question()).encode()
        status, _, said = await wires[number].request("POST", "/consent/decisions", headers, body)
        assert status == 200, said
        assert b"permit" in said

    async def bulk(number: int) -> None:
        body = json.dumps({"decisions": [question() for _ in range(100)]}).encode()
        status, _, said = await wires[number].request("POST", "/consent/decisions", headers, body)
        assert status == 200, said
        assert said.count(b'"permit"') == 100

    timed = await measure(single, workers=32, seconds=options.seconds)
    print(timed.line(f"decisions, {name}, over HTTP, one by one, 32 connections"))
    timed = await measure(bulk, workers=4, seconds=options.seconds, times=100)
    print(timed.line(f"decisions, {name}, over HTTP, 100 at once"))


CASES = {"integrate": integrate, "events": events, "decisions": decisions}


async def _run(options: argparse.Namespace) -> None:
    folder = Path(tempfile.mkdtemp(prefix="sekisho-bench-", dir=options.folder))
    try:
        city = await found(folder)
        print(HEAD)
        for name in options.cases or CASES:
            await CASES[name](city, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], metavar="case")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--folder", type=Path, default=None, help="where the data goes: ten million take about 6 GB")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument(
        "--consents", type=lambda text: [int(each) for each in text.split(",")], default=[10_000, 1_000_000]
    )
    os.sched_setaffinity(0, {1})
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
