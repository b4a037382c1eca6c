"""Linking an identity that was proved elsewhere to an account here, and taking the link away, from the wire."""

import asyncio
import re
from urllib.parse import urlsplit

import pytest
from sqlmodel import Session, col, select, update

from identity.accounts import close_account
from identity.models_account import Account
from identity.sessions import RECENT
from identity.upstream.links import Links
from identity.upstream.models import UpstreamLink
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.audit import AuditTrail
from kit.clock import FrozenClock
from kit.db import Database
from kit.host import Actor
from tests.identity.abroad import World
from tests.identity.abroad import w as w  # a fixture
from tests.portal.test_signin import PASSWORD, add, code_of, post
from tests.support.upstream import PERSON

pytestmark = pytest.mark.anyio


async def test_an_unlinked_identity_opens_no_account_and_is_linked_by_one_sign_in_here(w: World) -> None:
    account_id, _ = await add(w.app, app_on=False)
    answer = await w.go()
    assert answer.headers["location"] == "/sign-in/link"
    assert await w.session() is None
    page = await w.http.get("/sign-in/link")
    assert code_of(page) == "sign-in"
    assert await w.rows() == []
    await post(w.http, "/sign-in", login="hana", password=PASSWORD, next="/sign-in/link")
    page = await w.http.get("/sign-in/link")
    assert code_of(page) == "confirm"
    assert await w.rows() == []  # nothing happens before the person says so
    answer = await post(w.http, "/sign-in/link")
    assert answer.headers["location"] == "/safety/linked"
    (row,) = await w.rows()
    assert (row.account_id, row.told) == (account_id, None)
    assert code_of(await w.http.get("/sign-in/link")) == "expired"
    assert len(await w.rows()) == 1
    await post(w.http, "/sign-out")
    assert (await w.go()).headers["location"] == "/consents"


async def test_linking_after_a_sign_in_needs_a_fresh_one(w: World) -> None:
    await w.inside()
    w.app.host.clock.advance(ms=RECENT + 1)  # type: ignore[attr-defined]
    await w.go()
    assert code_of(await w.http.get("/sign-in/link")) == "sign-in"
    answer = await post(w.http, "/sign-in/link")
    assert answer.headers["location"] == "/sign-in/link"
    assert await w.rows() == []


async def test_the_same_name_and_address_link_nothing(w: World) -> None:
    """Only proof of both does: the provider may say whatever it wants about the person."""
    await w.inside()
    await post(w.http, "/sign-out")
    w.there.claims = {
        "email": "hana@mail.example",
        "email_verified": True,
        "name": "湊 花",
        "preferred_username": "hana",
    }
    assert (await w.go()).headers["location"] == "/sign-in/link"
    assert await w.session() is None


async def test_linking_from_inside_keeps_the_attributes_sealed_and_shows_them_to_their_owner(w: World) -> None:
    await w.inside()
    answer = await post(w.http, "/safety/linked/new", upstream="app")
    await w.back(await w.there.visit(answer.headers["location"]))
    assert w.there.requests[-1]["scope"] == "openid name address birthdate gender"
    page = await w.http.get("/safety/linked")
    assert PERSON["address"] in page.text
    assert PERSON["birthdate"] not in page.text  # 19510402 is for programs
    assert re.search("2 April 1951|1951年4月2日", page.text)
    assert re.search("<dd>(female|女性)</dd>", page.text)  # "2", as the register has it
    assert "not@asked.example" not in page.text
    (entry,) = await w.trail("identity.upstream.linked")
    assert set(entry.detail) == {"upstream", "link"}
    assert 'id="to-linked"' in (await w.http.get("/safety")).text


async def test_userinfo_of_another_subject_links_nothing(w: World) -> None:
    """Core section 5.3.4: token substitution."""
    await w.inside()
    w.there.userinfo = {"sub": "somebody-else"}
    answer = await post(w.http, "/safety/linked/new", upstream="app")
    answer = await w.back(await w.there.visit(answer.headers["location"]))
    assert code_of(answer) == "broken"
    assert await w.rows() == []


async def test_linking_from_inside_asks_for_a_fresh_sign_in(w: World) -> None:
    await w.inside()
    w.app.host.clock.advance(ms=RECENT + 1)  # type: ignore[attr-defined]
    answer = await post(w.http, "/safety/linked/new", upstream="app")
    assert urlsplit(answer.headers["location"]).path == "/sign-in"


async def test_a_link_goes_to_the_session_that_asked_for_it_or_to_nobody(w: World) -> None:
    """Session fixation at linking: whoever is signed in when the answer comes is not asked about, but compared."""
    await w.inside()
    answer = await post(w.http, "/safety/linked/new", upstream="app")
    place = await w.there.visit(answer.headers["location"])
    await add(w.app, "taro", app_on=False)
    await post(w.http, "/sign-in", login="taro", password=PASSWORD)
    assert code_of(await w.back(place)) == "signed-out"
    assert await w.rows() == []


async def test_one_subject_opens_one_account(w: World) -> None:
    await w.linked()
    await add(w.app, "taro", app_on=False)
    await post(w.http, "/sign-in", login="taro", password=PASSWORD)
    answer = await post(w.http, "/safety/linked/new", upstream="app")
    answer = await w.back(await w.there.visit(answer.headers["location"]))
    assert code_of(await w.http.get(answer.headers["location"])) == "somebody-else"
    assert len(await w.rows()) == 1


async def test_an_upstream_that_changes_the_sub_opens_nothing_and_replaces_nothing(w: World) -> None:
    account_id = await w.linked()
    w.there.subject = "pairwise-another"
    assert (await w.go()).headers["location"] == "/sign-in/link"
    await post(w.http, "/sign-in", login="hana", password=PASSWORD)
    answer = await post(w.http, "/sign-in/link")
    assert code_of(await w.http.get(answer.headers["location"])) == "another-here"
    (row,) = await w.rows()
    assert row.account_id == account_id


# -- unlinking


async def link_id(w: World) -> str:
    return str((await w.rows())[0].id)


async def test_a_removed_link_lets_nobody_in(w: World) -> None:
    await w.linked()
    await w.go()
    answer = await post(w.http, f"/safety/linked/{await link_id(w)}/remove")
    assert answer.headers["location"] == "/safety/linked"
    assert len(await w.trail("identity.upstream.unlinked")) == 1
    await post(w.http, "/sign-out")
    assert (await w.go()).headers["location"] == "/sign-in/link"


async def test_the_last_way_in_is_not_removed(w: World) -> None:
    account_id = await w.linked()
    await w.go()

    def forget_password(session: Session) -> None:
        session.execute(update(Account).where(col(Account.id) == account_id).values(password=None))

    await w.app.host.db.write(forget_password)
    answer = await post(w.http, f"/safety/linked/{await link_id(w)}/remove")
    assert (answer.status_code, code_of(answer)) == (409, "last-way-in")
    assert len(await w.rows()) == 1


async def test_somebody_elses_link_is_not_found(w: World) -> None:
    await w.linked()
    await add(w.app, "taro", app_on=False)
    await post(w.http, "/sign-in", login="taro", password=PASSWORD)
    assert (await post(w.http, f"/safety/linked/{await link_id(w)}/remove")).status_code == 404
    assert len(await w.rows()) == 1


async def test_removing_asks_for_a_fresh_sign_in(w: World) -> None:
    await w.linked()
    await w.go()
    w.app.host.clock.advance(ms=RECENT + 1)  # type: ignore[attr-defined]
    answer = await post(w.http, f"/safety/linked/{await link_id(w)}/remove")
    assert urlsplit(answer.headers["location"]).path == "/sign-in"
    assert len(await w.rows()) == 1


async def test_leaving_forgets_the_link(w: World) -> None:
    account_id = await w.linked()
    sealer = w.app.host.get(Sealer)
    await w.app.host.db.write(
        close_account,
        sealer,
        w.app.host.get(TokenHasher),
        account_id,
        now=w.app.host.clock.ms(),
        actor=Actor("resident", account_id),
    )
    assert await w.rows() == []


async def test_two_who_link_one_subject_at_once_are_one_who_does(db: Database, clock: FrozenClock) -> None:
    links = Links(None, TokenHasher(b"x" * 32))  # type: ignore[arg-type]  # without attributes nothing is sealed

    def people(session: Session) -> None:
        for name in ("acc_a", "acc_b"):
            session.add(Account(id=name, kind="resident", roles=[], profile=b"", created_at=0))

    AuditTrail(db, clock)
    await db.write(people)
    digest = links.digest("https://idp.example", "s")
    outcomes = await asyncio.gather(
        *(
            db.write(links.link, name, "app", digest, told={}, now=clock.ms(), actor=Actor("resident", name))
            for name in ("acc_a", "acc_b")
        )
    )
    assert sorted(outcomes) == ["linked", "somebody-else"]
    rows = await db.read(lambda session: [row.account_id for row in session.exec(select(UpstreamLink))])
    assert len(rows) == 1
