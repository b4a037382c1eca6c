"""This city as a witness of other logs, from the wire: c2sp.org/tlog-witness.

Answers are checked by the specification's own words (tests.support.witness), not by the code under test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

import httpx2
import pytest

from kit.clock import FrozenClock
from kit.db import Database
from kit.tlog.addcheckpoint import request
from kit.tlog.merkle import EMPTY_ROOT
from kit.tlog.note import Checkpoint, sign_note
from tests.consent.bureau import Bureau, open_bureau
from tests.kit.tlog_support import TestKey, naive_consistency, naive_root
from tests.support.witness import check

KEY = TestKey("other.city.example/log")
ENTRIES = [b"%d" % n for n in range(40)]
ADDRESS = "/witness/add-checkpoint"


@pytest.fixture
async def witness(db: Database, clock: FrozenClock) -> AsyncIterator[Bureau]:
    async with open_bureau(db, clock, witness_logs=(KEY.vkey,)) as made:
        yield made


@pytest.fixture
async def web(witness: Bureau) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=witness.front)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8080") as made:
        yield made


def note(entries: list[bytes], key: TestKey = KEY, *, origin: str = KEY.name) -> bytes:
    return sign_note(Checkpoint(origin, len(entries), naive_root(entries)).text(), [key])


def body(old: int, entries: list[bytes]) -> bytes:
    proof = naive_consistency(old, entries) if 0 < old < len(entries) else []
    return request(old, proof, note(entries))


async def test_cosigns_what_only_grew_and_shows_the_latest(
    witness: Bureau, web: httpx2.AsyncClient, clock: FrozenClock
) -> None:
    vkey = (await web.get("/witness/vkey")).text.strip()
    shown = f"/witness/{sha256(KEY.name.encode()).hexdigest()}/checkpoint"
    assert (await web.get(shown)).status_code == 404  # never cosigned
    old = 0
    for size in (0, 1, 7, 8, 40):
        clock.advance(seconds=60)
        answer = await web.post(ADDRESS, content=body(old, ENTRIES[:size]))
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert check(vkey, note(ENTRIES[:size]), answer.content) == clock.ms() // 1000
        kept = await web.get(shown)
        assert kept.status_code == 200
        assert kept.content == note(ENTRIES[:size]) + answer.content  # the log's line and ours
        old = size
    entries = len(await witness.audit("consent.checkpoint.cosigned"))
    again = await web.post(ADDRESS, content=body(40, ENTRIES))  # the same tree once more is a fresh statement
    assert again.status_code == 200
    assert len(await witness.audit("consent.checkpoint.cosigned")) == entries  # but no news for the trail


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_one_network_asks_for_cosignatures_in_measure(web: httpx2.AsyncClient) -> None:
    answers = [await web.post(ADDRESS, content=b"old") for _ in range(301)]
    assert answers[0].status_code == 400
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_refusal_has_the_status_the_specification_gives(web: httpx2.AsyncClient) -> None:
    assert (await web.post(ADDRESS, content=body(0, ENTRIES[:10]))).status_code == 200
    stranger = TestKey(KEY.name, b"\x05" * 32)
    unknown = TestKey("unknown.example/log")
    forged = bytearray(note(ENTRIES[:11]))
    forged[-10] = ord("A") if forged[-10] != ord("A") else ord("B")
    fork = [b"another", *ENTRIES[1:12]]
    empty = sign_note(Checkpoint(KEY.name, 0, b"\x01" * 32).text(), [KEY])
    cases = [
        (b"", 400),
        (b"old 10\n" + note(ENTRIES[:11]), 400),
        (request(12, [], note(ENTRIES[:11])), 400),
        (request(10, [], note(ENTRIES[:11], unknown, origin=unknown.name)), 404),
        (request(10, [], note(ENTRIES[:11], stranger)), 403),
        (request(10, [], bytes(forged)), 403),
        (body(9, ENTRIES[:11]), 409),
        (body(0, ENTRIES[:11]), 409),
        (request(10, [], note(ENTRIES[:11])), 422),  # no proof
        (request(10, naive_consistency(10, fork), note(fork)), 422),
        (request(10, [], note(fork[:10])), 422),  # one size, two roots
        (request(10, [b"\x00" * 32], note(ENTRIES[:10])), 422),
        (request(0, [], empty), 409),
    ]
    for content, status in cases:
        answer = await web.post(ADDRESS, content=content)
        assert answer.status_code == status, (content, answer.text)
        if status == 409:
            assert answer.headers["content-type"] == "text/x.tlog.size"
            assert answer.content == b"10\n"
    assert (await web.post(ADDRESS, content=b"x" * 70_000)).status_code == 413
    assert (await web.get(ADDRESS)).status_code in (404, 405)
    assert (await web.post(ADDRESS, content=body(10, ENTRIES[:11]))).status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_empty_tree_has_one_root_and_needs_no_proof(web: httpx2.AsyncClient) -> None:
    wrong = sign_note(Checkpoint(KEY.name, 0, b"\x01" * 32).text(), [KEY])
    assert (await web.post(ADDRESS, content=request(0, [], wrong))).status_code == 422
    assert (await web.post(ADDRESS, content=request(0, [EMPTY_ROOT], note(ENTRIES[:3])))).status_code == 422
    assert (await web.post(ADDRESS, content=request(0, [], note(ENTRIES[:3])))).status_code == 200


async def test_of_eight_forks_at_once_exactly_one_is_cosigned(witness: Bureau, web: httpx2.AsyncClient) -> None:
    """Eight versions of history over one known tree: the old size is compared and replaced in one statement."""
    vkey = (await web.get("/witness/vkey")).text.strip()
    assert (await web.post(ADDRESS, content=body(0, ENTRIES[:4]))).status_code == 200
    base = ENTRIES[:4]
    for turn in range(3):
        size = 4 + turn
        forks = [[*base, b"version %d of %d" % (n, turn)] for n in range(8)]
        answers = await asyncio.gather(*(web.post(ADDRESS, content=body(size, fork)) for fork in forks))
        assert sorted(each.status_code for each in answers) == [200] + [409] * 7
        (won,) = [number for number, each in enumerate(answers) if each.status_code == 200]
        check(vkey, note(forks[won]), answers[won].content)
        assert all(each.content == b"%d\n" % (size + 1) for each in answers if each.status_code == 409)
        base = forks[won]


async def test_a_restart_remembers_what_was_cosigned(witness: Bureau, web: httpx2.AsyncClient) -> None:
    assert (await web.post(ADDRESS, content=body(0, ENTRIES[:4]))).status_code == 200
    from consent.witness import Witness
    from keys.ring import KeyRing

    ring = witness.host.get(KeyRing)
    later = Witness(witness.db, witness.clock, ring, name="localhost:8080/witness", vkeys=[KEY.vkey])
    await later.start()
    assert (await later.add(body(0, ENTRIES[:5]))).status == 409
    assert (await later.add(body(4, ENTRIES[:5]))).status == 200
    assert later.vkey == (await web.get("/witness/vkey")).text.strip()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_city_that_witnesses_nobody_says_so(db: Database, clock: FrozenClock) -> None:
    async with open_bureau(db, clock) as bureau:
        transport = httpx2.ASGITransport(app=bureau.front)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8080") as web:
            assert (await web.post(ADDRESS, content=body(0, ENTRIES[:4]))).status_code == 404
            assert (await web.get("/witness/vkey")).status_code == 200
            assert (await web.get("/witness/../ledger/checkpoint")).status_code in (200, 404)
