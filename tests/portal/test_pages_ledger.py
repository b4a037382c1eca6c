"""The public page of the ledger: how it grew, who watches over it, what others need to check it."""

import re
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Connection

from consent.trust import Trust
from consent.witnessing import Standing
from kit.clock import DAY, FrozenClock, from_iso
from kit.tlog import cosigned
from kit.tlog.cosignature import Cosignature
from kit.tlog.log import MAIN, Logs
from kit.tlog.policy import parse_policy
from kit.tlog.reading import Published
from portal.app import Building, create_app
from portal.i18n import language, speaking
from portal.pages.ledger import POINTS, chart, midnight, moments, witness_line
from tests.support.household import Household, settle
from tests.support.witness import Stand

STAND = Stand("w.example/one", b"\x07" * 32)
QUIET = Stand("w.example/two", b"\x08" * 32)
NOW = from_iso("2026-11-22T03:00:00Z")


@pytest.mark.parametrize("days", [0, 1, 2, 10, 11, 12, 40, 100, 500, 1500, 4000])
def test_the_chart_has_a_point_at_beginnings_of_days_and_never_too_many(days: int) -> None:
    """Days, not hours: the ledger's own public entries carry their time, so a day tells nothing that they don't."""
    at = moments(NOW - days * DAY, NOW)
    assert len(at) <= POINTS
    assert at == tuple(sorted(set(at)))
    assert at[0] == midnight(NOW - days * DAY)
    assert all(each == midnight(each) for each in at)
    assert days < 4 or len(at) >= 4


def test_a_ledger_that_began_today_has_a_line_already() -> None:
    with speaking(language("ja")):
        made = chart(((midnight(NOW), 0),), 12, NOW)
        assert chart((), 0, NOW) is None
    assert made is not None
    assert [point.value for point in made.points] == ["0", "12"]


@pytest.mark.parametrize(
    ("standing", "state"),
    [
        (Standing("w", 10, 5, None), "current"),
        (Standing("w", 8, 5, None), "behind"),
        (Standing("w", 8, 5, "it does not answer"), "quiet"),
        (Standing("w", None, None, "it does not answer"), "waiting"),
        (Standing("w", 10, 5, "it answers with status 422", disputes=True), "disputes"),
    ],
)
def test_a_witness_is_told_in_words_and_a_dispute_is_never_hidden(standing: Standing, state: str) -> None:
    with speaking(language("en")):
        line = witness_line(standing, Published(10, b"", b""))
    assert line.state == state
    assert "status" not in line.words


async def test_the_page_shows_growth_as_a_picture_with_its_table(app: Building, client: httpx2.AsyncClient) -> None:
    home: Household = await settle(app, client)
    await home.give()
    app.host.clock.advance(seconds=time.time() - app.host.clock.ms() / 1000)  # type: ignore[attr-defined]
    page = (await home.get("/ledger", lang="en", signed_in=False)).text
    size = (await app.host.get(Logs).published()).size
    assert re.search(rf'id="size">It has {size} lines\.', page)
    figure = page[page.index('<figure class="chart" id="growth"') :]
    assert "<svg" in figure
    assert f'<td>Now</td><td class="num">{size}</td>' in figure
    assert 'id="witnesses"' not in page, "nobody watches over this one"
    assert (await client.get("/ledger/policy")).text.endswith("\nquorum none\n")


async def test_an_empty_ledger_has_its_page(app: Building, client: httpx2.AsyncClient) -> None:
    page = (await client.get("/ledger", headers={"accept-language": "en"})).text
    assert "It has 0 lines." in page
    assert 'id="growth"' not in page


async def test_the_page_names_the_witnesses_and_how_far_they_are(
    settings: Any, clock: FrozenClock, tmp_path: Path
) -> None:
    path = tmp_path / "policy"
    path.write_text(
        f"witness one {STAND.vkey} http://one.lan/\nwitness two {QUIET.vkey} http://two.lan/\n"
        "group both all one two\nquorum both\n"
    )
    consent = settings.consent.model_copy(update={"witness_policy": path})
    settings = settings.model_copy(update={"consent": consent})
    async with create_app(settings, clock=clock).running(jobs=False) as app:
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=settings.issuer) as http:
            home = await settle(app, http)
            await home.give()
            published = await app.host.get(Logs).published()
            seconds = clock.ms() // 1000
            line = STAND.cosign(published.note, seconds).decode()
            made = Cosignature(STAND.name, STAND.key_id, seconds, line)

            def keep(connection: Connection) -> bool:
                return cosigned.store(connection, MAIN, published.size, STAND.vkey, made)

            await app.host.db.write_core(keep)
            page = (await http.get("/ledger", headers={"accept-language": "en"})).text
            policy = (await http.get("/ledger/policy")).content
            note = (await http.get("/ledger/checkpoint")).content
    told = page[page.index('id="witnesses"') : page.index('id="check"')]
    assert told.index(STAND.name) < told.index("It has seen every line.") < told.index(QUIET.name)
    assert told.index(QUIET.name) < told.index("It has not signed yet.")
    assert "do not have enough signatures" in told
    assert "one.lan" not in page
    assert parse_policy(policy).quorum == "both"
    assert Trust.of(policy=policy).quorum(note).met is False
