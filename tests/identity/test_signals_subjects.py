"""Shared Signals, from the wire: subjects a service takes out and puts back (OpenID SSF 1.0)."""

from typing import Any

import pytest
from sqlalchemy import text

from identity import accounts
from identity.tokens import Tokens
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.clock import DAY
from kit.db import Session
from kit.host import SYSTEM
from tests.support.relying_party import PROFILE, Party, advance
from tests.support.signals import deliver, follow, lock, write
from tests.support.signals import party as party  # a fixture
from tests.support.signals import settings as settings  # a fixture


@pytest.mark.parametrize("kind", ["iss_sub", "email", "complex"])
async def test_a_removed_subject_is_heard_of_no_more_until_it_is_added_again(party: Party, kind: str) -> None:
    """SSF sections 8.1.3.2 and 8.1.3.3; an address counts only where the resident lets the service read it."""
    host = party.building.host
    if kind == "email":
        await party.exchange(await party.code(scope="openid email"))
    sub = host.get(Tokens).subject(party.account_id, party.client.sector)
    person: dict[str, Any] = {"format": "iss_sub", "iss": party.issuer, "sub": sub}
    subject = {
        "iss_sub": person,
        "email": {"format": "email", "email": str(PROFILE.email).replace("example.jp", "EXAMPLE.jp")},
        "complex": {"format": "complex", "user": person},
    }[kind]
    receiver = await follow(party)
    body = {"stream_id": receiver.stream["stream_id"], "subject": subject}
    await receiver.call("POST", "/ssf/subjects/remove", status=204, json=body)
    await lock(party)
    await deliver(party)
    assert await receiver.poll() == []
    await receiver.call("POST", "/ssf/subjects/add", status=200, json={**body, "verified": False})
    await write(party, accounts.resume_account, party.account_id, actor=SYSTEM)
    await deliver(party)
    await receiver.poll()
    assert receiver.kinds() == ["account-enabled"]


async def test_naming_a_subject_tells_nothing_of_whether_it_is_anybody(party: Party) -> None:
    """SSF section 9.1: one answer, and by construction one way: nobody is looked up, and what is kept names nobody."""
    receiver, host = await follow(party), party.building.host
    sub = host.get(Tokens).subject(party.account_id, party.client.sector)
    answers = set()
    for subject in (
        {"format": "iss_sub", "iss": party.issuer, "sub": sub},
        {"format": "iss_sub", "iss": party.issuer, "sub": "nobody"},
        {"format": "email", "email": PROFILE.email},
        {"format": "email", "email": "nobody@example.jp"},
    ):
        body = {"stream_id": receiver.stream["stream_id"], "subject": subject}
        for path in ("add", "remove", "remove"):
            answer = await party.http.post(f"/ssf/subjects/{path}", json=body, headers=receiver.headers)
            answers.add((path, answer.status_code, answer.content))
    assert answers == {("add", 200, b""), ("remove", 204, b"")}

    def raw(session: Session) -> str:
        return str(session.connection().execute(text("SELECT * FROM identity_signal_left")).all())

    kept = await host.db.read(raw)
    assert sub not in kept
    assert "example.jp" not in kept


async def test_whoever_leaves_leaves_no_trace_at_the_streams_that_had_taken_them_out(party: Party) -> None:
    """By name, by address, in a session; a session alone, which leads to nobody, ends by itself. Others stay."""
    receiver, host = await follow(party), party.building.host
    assert party.session is not None
    sid = {"format": "opaque", "id": host.get(Tokens).session_name(party.session.id, party.client)}
    sub = host.get(Tokens).subject(party.account_id, party.client.sector)
    person = {"format": "iss_sub", "iss": party.issuer, "sub": sub}
    address = {"format": "email", "email": PROFILE.email}
    others = [{**person, "sub": "somebody else"}, {"format": "email", "email": "nobody@example.jp"}]
    in_session = [{"format": "complex", "user": who, "session": sid} for who in (person, address)]
    alone = {"format": "complex", "session": sid}
    for subject in (person, address, *in_session, alone, *others):
        body = {"stream_id": receiver.stream["stream_id"], "subject": subject}
        await receiver.call("POST", "/ssf/subjects/remove", status=204, json=body)

    def left(session: Session) -> list[bool]:
        rows = session.connection().execute(text("SELECT ends_at FROM identity_signal_left"))
        return sorted(row.ends_at is not None for row in rows)

    assert await host.db.read(left) == [False] * 4 + [True] * 3
    now, hasher = host.clock.ms(), host.get(TokenHasher)
    await write(party, accounts.close_account, host.get(Sealer), hasher, party.account_id, now=now, actor=SYSTEM)
    assert await host.db.read(left) == [False] * 3 + [True] * 2  # the address went with the account itself
    await deliver(party)
    assert await host.db.read(left) == [False, False, True]
    advance(party.building, 9 * DAY // 1000)
    (sweep,) = [job for job in host.jobs if job.name == "identity.oauth.sweep"]
    await sweep.run()
    assert await host.db.read(left) == [False, False]
