"""Our ledger before witnesses: asked on an interval, shown under the same text, never waited for.

c2sp.org/tlog-witness "add-checkpoint" (the client's half), tlog-policy. The witness is a program in Go with Go's own
transparency-log packages.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Connection, create_engine

from consent.trust import Trust
from consent.verify import NotVerified, verify_receipt
from consent.witnessing import Witnesses
from kit.audit import AuditTrail, audit_table
from kit.clock import FrozenClock
from kit.db import Database, metadata, open_database
from kit.encoding import canonical
from kit.fetch import Fetcher
from kit.tlog.log import Logs, append
from kit.tlog.policy import BadPolicy, Policy, parse_policy
from tests.consent.bureau import open_bureau
from tests.kit.tlog_support import TestKey
from tests.support.peers import needs
from tests.support.witness import Stand, check, go_witness

KEY = TestKey("city.example/ledger")


def policy_text(*witnesses: tuple[str, str], needed: str = "all") -> str:
    lines = [f"log {KEY.vkey}"]
    lines += [f"witness w{number} {vkey} {url}" for number, (vkey, url) in enumerate(witnesses)]
    lines += [f"group g {needed} {' '.join(f'w{number}' for number in range(len(witnesses)))}", "quorum g"]
    return "\n".join(lines) + "\n"


async def ledger(db: Database, clock: FrozenClock, policy: str, *, timeout: float = 5.0) -> tuple[Logs, Witnesses]:
    """A log and its witnesses over a started database."""
    AuditTrail(db, clock)
    logs = Logs(db)
    logs.add("main", KEY.name, KEY)
    await logs.start()
    return logs, Witnesses(db, logs, parse_policy(policy.encode()), fetcher=Fetcher(), timeout=timeout)


def add(connection: Connection, entries: list[bytes]) -> None:
    for entry in entries:
        append(connection, entry)


async def grow(db: Database, logs: Logs, *entries: bytes) -> None:
    await db.write_core(add, list(entries))
    await logs.sequence()


@asynccontextmanager
async def another(tmp_path: Path, clock: FrozenClock, policy: str) -> AsyncIterator[tuple[Database, Logs, Witnesses]]:
    """The same log, as a database that went another way would have it."""
    url = f"sqlite:///{tmp_path / 'another.db'}"
    engine = create_engine(url)
    metadata.create_all(engine)
    engine.dispose()
    database = open_database(url)
    await database.start()
    logs, witnesses = await ledger(database, clock, policy)
    yield database, logs, witnesses
    await database.stop()


async def disputes(db: Database) -> int:
    def count(connection: Connection) -> int:
        rows = connection.execute(audit_table.select().where(audit_table.c.action == "consent.ledger.disputed"))
        return len(rows.all())

    return await db.read_core(count)


@needs("go")
async def test_a_witness_of_other_make_cosigns_five_growth_steps_and_refuses_a_fork(
    db: Database, clock: FrozenClock, tmp_path: Path
) -> None:
    with go_witness("w.example/one", KEY.vkey) as (vkey, url):
        text = policy_text((vkey, url))
        logs, witnesses = await ledger(db, clock, text)
        assert await witnesses.gather() == 1  # the empty log
        trust = Trust.of(policy=text.encode())
        for step, count in enumerate((1, 1, 254, 1, 300)):
            await grow(db, logs, *(b"%d %d" % (step, n) for n in range(count)))
            published = await logs.published()
            assert await witnesses.note(published) == published.note  # published at once, without it
            assert trust.quorum(published.note).met is False
            assert await witnesses.gather() == 1
            note = await witnesses.note(await logs.published())
            assert note.startswith(published.note)  # the same text and our own line first
            assert abs(check(vkey, note, note[len(published.note) :]) - time.time()) < 60
            assert trust.quorum(note).met is True
            assert await witnesses.gather() == 0  # nothing new
        assert [(w.size, w.trouble, w.disputes) for w in await witnesses.standing()] == [(557, None, False)]
        async with another(tmp_path, clock, text) as (other, forked, asking):
            await grow(other, forked, b"0 0", *(b"another %d" % n for n in range(700)))
            assert await asking.gather() == 0
            (told,) = await asking.standing()
            assert (told.trouble, told.disputes) == ("it answers with status 422", True)
            assert await asking.gather() == 0
            assert await disputes(other) == 1
        await grow(db, logs, b"honest")
        assert await witnesses.gather() == 1
    assert await disputes(db) == 0


@needs("go")
async def test_a_ledger_that_went_back_is_in_dispute_with_its_witness(
    db: Database, clock: FrozenClock, tmp_path: Path
) -> None:
    """A restored backup that lost entries must not go on as if nothing had been."""
    with go_witness("w.example/one", KEY.vkey) as (vkey, url):
        text = policy_text((vkey, url))
        logs, witnesses = await ledger(db, clock, text)
        await grow(db, logs, b"a", b"b", b"c")
        assert await witnesses.gather() == 1
        async with another(tmp_path, clock, text) as (other, shorter, asking):
            await grow(other, shorter, b"a")
            assert await asking.gather() == 0
            assert "3 entries of ours, we have 1" in str([each.trouble for each in await asking.standing()])
            assert await disputes(other) == 1


@needs("go")
async def test_a_second_asker_learns_the_size_and_goes_on(db: Database, clock: FrozenClock, tmp_path: Path) -> None:
    """409 with text/x.tlog.size: our table may be behind the witness's memory."""
    with go_witness("w.example/one", KEY.vkey) as (vkey, url):
        text = policy_text((vkey, url))
        logs, witnesses = await ledger(db, clock, text)
        await grow(db, logs, b"a", b"b", b"c")
        assert await witnesses.gather() == 1
        async with another(tmp_path, clock, text) as (other, same, asking):
            await grow(other, same, b"a", b"b", b"c", b"d")
            assert await asking.gather() == 1
        await grow(db, logs, b"d", b"e")
        assert await witnesses.gather() == 1


@needs("go")
async def test_a_witness_that_does_not_know_us_is_told_of_and_is_no_dispute(db: Database, clock: FrozenClock) -> None:
    with go_witness("w.example/one", TestKey("other.example/log").vkey) as (vkey, url):
        _, witnesses = await ledger(db, clock, policy_text((vkey, url)))
        assert await witnesses.gather() == 0
        assert [each.trouble for each in await witnesses.standing()] == ["it answers with status 404"]
    with go_witness("w.example/one", TestKey(KEY.name, b"\x05" * 32).vkey) as (vkey, url):
        _, witnesses = await ledger(db, clock, policy_text((vkey, url)))
        assert await witnesses.gather() == 0
        assert [each.trouble for each in await witnesses.standing()] == ["it answers with status 403"]
    assert await disputes(db) == 0


# -- witnesses that misbehave -----------------------------------------------------------------------------------------

STAND = Stand("rude.example/w", b"\x08" * 32)
OTHER = Stand("rude.example/w", b"\x09" * 32)
Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


def plain(status: int, body: bytes, *headers: tuple[str, str]) -> Answer:
    def answer(request: BaseHTTPRequestHandler, _note: bytes) -> None:
        request.send_response(status)
        for name, value in headers:
            request.send_header(name, value)
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def cosigned_by(stand: Stand, *, forget: int = 0) -> Answer:
    def answer(request: BaseHTTPRequestHandler, note: bytes) -> None:
        plain(200, stand.cosign(note, 1_800_000_000)[forget:])(request, note)

    return answer


def endless(request: BaseHTTPRequestHandler, _note: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(100_000):
            request.wfile.write(b"\xe2\x80\x94 a AAAA\n" * 100)


def silent(_request: BaseHTTPRequestHandler, _note: bytes) -> None:
    time.sleep(2)


def dripping(request: BaseHTTPRequestHandler, _note: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(40):
            request.wfile.write(b"-")
            request.wfile.flush()
            time.sleep(0.05)


@contextlib.contextmanager
def rude(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """An HTTP server that answers every POST in its own way; the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            body = self.rfile.read(int(self.headers["content-length"]))
            answer(self, body.partition(b"\n\n")[2])

        def do_GET(self) -> None:
            asked.append(self.path)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/prefix/", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "answer",
    [
        plain(500, b""),
        plain(200, b""),
        plain(200, b"thank you\n"),
        plain(200, b"\xff\xfe"),
        cosigned_by(OTHER),  # the name it should have, another key
        cosigned_by(STAND, forget=1),
        plain(409, b"1\n"),  # without its content type
        plain(409, b"many\n", ("content-type", "text/x.tlog.size")),
        plain(409, b"1\n", ("content-type", "text/x.tlog.size")),  # again and again
        plain(302, b"", ("location", "/prefix/elsewhere")),
        endless,
        silent,
        dripping,
    ],
    ids=[
        "an error", "nothing", "words", "no text", "another key", "half a line", "409 bare", "409 garbled",
        "409 for ever", "a redirect", "an endless answer", "silence", "drops",
    ],
)  # fmt: skip
async def test_a_witness_that_misbehaves_costs_a_bounded_time_and_changes_nothing(
    db: Database, clock: FrozenClock, answer: Answer
) -> None:
    with rude(answer) as (url, asked):
        logs, witnesses = await ledger(db, clock, policy_text((STAND.vkey, url)), timeout=0.3)
        await grow(db, logs, b"a", b"b")
        began = time.monotonic()
        gathering = asyncio.create_task(witnesses.gather())
        await asyncio.sleep(0)
        await grow(db, logs, b"while it is asked")  # an append never waits for a witness
        assert time.monotonic() - began < 0.3
        assert await gathering == 0
        assert time.monotonic() - began < 1.9
        published = await logs.published()
        assert await witnesses.note(published) == published.note
        (standing,) = await witnesses.standing()
        assert standing.trouble
        assert set(asked) == {"/prefix/add-checkpoint"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_good_witness_counts_beside_a_bad_one(db: Database, clock: FrozenClock) -> None:
    with rude(silent) as (bad, _), rude(cosigned_by(STAND)) as (good, _):
        both = (OTHER.vkey, bad), (STAND.vkey, good)
        logs, witnesses = await ledger(db, clock, policy_text(*both, needed="any"), timeout=0.2)
        await grow(db, logs, b"a")
        assert await witnesses.gather() == 1
        assert witnesses.quorum(await witnesses.note(await logs.published())).met is True
        _, stricter = await ledger(db, clock, policy_text(*both), timeout=0.2)
        assert stricter.quorum(await witnesses.note(await logs.published())).met is False


def test_a_witness_has_a_web_address() -> None:
    policy = parse_policy(policy_text((STAND.vkey, "file:///etc/passwd")).encode())
    with pytest.raises(BadPolicy, match="http"):
        Witnesses(None, None, policy, fetcher=Fetcher(), timeout=1)  # type: ignore[arg-type]


def test_the_policy_that_is_shown_says_the_same_and_tells_no_address() -> None:
    """c2sp.org/tlog-policy: the address of a witness is optional."""
    text = policy_text((STAND.vkey, "https://inner.lan/x"), (OTHER.vkey, "https://inner.lan/y"), needed="1")
    text = text.replace("quorum g", "group h all g\nquorum h")
    policy = parse_policy(text.encode())
    shown = policy.shown(KEY.vkey)
    assert b"inner" not in shown
    again = parse_policy(shown)
    assert [(each.name, each.vkey, each.url) for each in again.witnesses] == [
        ("w0", STAND.vkey, None),
        ("w1", OTHER.vkey, None),
    ]
    assert (again.groups, again.quorum, again.logs[0].vkey) == (policy.groups, policy.quorum, KEY.vkey)
    assert parse_policy(Policy((), (), {}, "none").shown(KEY.vkey)).met(()) is True


# -- receipts ---------------------------------------------------------------------------------------------------------


async def test_a_receipt_states_the_quorum_and_rests_on_the_newest_tree_that_has_it(
    db: Database, clock: FrozenClock, tmp_path: Path
) -> None:
    with rude(cosigned_by(STAND)) as (url, _):
        path = tmp_path / "policy"
        path.write_text(f"witness one {STAND.vkey} {url}\nquorum one\n")
        async with open_bureau(db, clock, witness_policy=path) as bureau:
            witnesses = bureau.host.get(Witnesses)
            hanako = await bureau.resident()
            ref = await bureau.give(hanako)
            await bureau.lay()
            trust = Trust.of(bureau.vkey, path.read_bytes())

            async def receipt() -> bytes:
                return (await bureau.receipts.make(ref.consent_id, account_id=hanako)).content

            early = verify_receipt(await receipt(), jwks=bureau.jwks, trust=trust)
            assert (early.quorum.met, early.claims["witnesses"]["quorum"]) == (False, False)
            assert await witnesses.gather() == 1
            size = (await bureau.logs.published()).size
            await bureau.give(await bureau.resident("taro"))
            await bureau.lay()
            assert (await bureau.logs.published()).size > size
            content = await receipt()
            late = verify_receipt(content, jwks=bureau.jwks, trust=trust)
            assert (late.quorum.met, late.checkpoint.size) == (True, size)
            assert late.claims["witnesses"] == {"quorum": True, "cosigned": ["rude.example/w"], "of": 1}
            assert "quorum: 1 of 1" in dict(late.summary)["witnesses"]
            assert verify_receipt(content, jwks=bureau.jwks, vkey=bureau.vkey).quorum.met is None
            # A cosignature is outside of what the issuer signed: taken away, it is missed all the same.
            bare = orjson.loads(content)
            bare["proof"] = bare["proof"][: bare["proof"].rindex("— rude.example/w")]
            with pytest.raises(NotVerified, match=r"step 7 .* rude.example/w"):
                verify_receipt(canonical(bare), jwks=bureau.jwks, vkey=bureau.vkey)
            wrong = orjson.loads(content)
            wrong["proof"] = wrong["proof"][:-8] + ("A" if wrong["proof"][-8] != "A" else "B") + wrong["proof"][-7:]
            with pytest.raises(NotVerified, match="step 7"):
                verify_receipt(canonical(wrong), jwks=bureau.jwks, trust=trust)
