"""Agreeing anew, on the resident's pages: only the difference is shown; the answer is for what was read."""

import re
from typing import Any

import httpx2
import pytest

from consent import agreements, campaigns, records
from consent.campaign_rules import Plan
from keys.envelope import Sealer
from kit.clock import DAY
from kit.host import SYSTEM
from portal.app import Building
from tests.support.catalogue import ANY
from tests.support.household import Household, proposal, settle
from tests.support.relying_party import advance, sign_in


async def _offer(home: Household, **changed: Any) -> str:
    host = home.building.host

    def revise(session: Any) -> str:
        now = host.clock.ms()
        made = agreements.revise(
            session, home.agreement_id, proposal=proposal(**changed), sensitivities=ANY, actor=SYSTEM, now=now
        )
        return agreements.approve(session, made.id, actor=SYSTEM, now=now, sealer=None).id

    made: str = await host.db.write(revise)
    now, sealer = host.clock.ms(), host.get(Sealer)
    await host.db.bulk(records.tell_people, sealer, now=now, before=14 * DAY)
    if changed.get("change", "material") == "material":
        plan = Plan(begins_at=now, deadline_at=now + 30 * DAY, per_hour=6000, reminders=0)
        await host.db.write(campaigns.start, home.agreement_id, plan, actor=SYSTEM, now=now)
        await campaigns.run(host.db, sealer, host.clock)
    return made


def _fields(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))


@pytest.mark.parametrize(
    ("lang", "asked", "shown"),
    [
        ("ja", "もう一度おたずねしています", ("<del>30日</del>", "<ins>90日</ins>")),
        ("en", "You are asked again", ("<del>30 days</del>", "<ins>90 days</ins>")),
    ],
)
async def test_a_material_change_asks_again_with_the_difference_alone(
    app: Building, client: httpx2.AsyncClient, lang: str, asked: str, shown: tuple[str, str]
) -> None:
    home = await settle(app, client)
    consent_id = await home.give()
    path = f"/consents/{consent_id}/renew"
    newer = await _offer(home, retention="P90D")
    assert asked in (await home.get("/home", lang=lang)).text
    page = (await home.get(path, lang=lang)).text
    found = page.partition('id="differences"')[2].partition("</dl>")[0]
    assert all(words in found for words in shown)
    assert found.count("<dt>") == 1
    later = await home.post(path, _fields(page) | {"answer": "later"}, lang=lang)
    assert later.status_code == 303
    stale = await home.post(path, {"answer": "agree", "shown_in": lang, "revision": "rev_other"}, lang=lang)
    assert stale.status_code == 404
    done = await home.post(path, _fields(page) | {"answer": "agree"}, lang=lang)
    assert (done.status_code, done.headers["location"]) == (303, f"/consents/{consent_id}")
    view = await app.host.db.read(records.get, consent_id, account_id=home.party.account_id, now=app.host.clock.ms())
    assert view.revision_id == newer
    assert asked not in (await home.get("/home", lang=lang)).text


async def test_other_words_are_told_and_not_asked(app: Building, client: httpx2.AsyncClient) -> None:
    home = await settle(app, client)
    await home.give()
    await _offer(home, contact="privacy@clinic.example", change="non-material")
    page = (await home.get("/home", lang="en")).text
    assert "What it means is the same." in page
    assert "You are asked again" not in page


async def test_the_page_offers_to_go_on_in_the_last_month_and_the_answer_counts_for_what_was_read(
    app: Building, client: httpx2.AsyncClient
) -> None:
    home = await settle(app, client)
    consent_id = await home.give()
    assert 'id="to-renew"' not in (await home.get(f"/consents/{consent_id}")).text
    advance(app, 170 * DAY / 1000)
    await sign_in(home.party)
    assert 'id="to-renew"' in (await home.get(f"/consents/{consent_id}")).text
    page = (await home.get(f"/consents/{consent_id}/renew", lang="en")).text
    assert "Nothing is different" in page
    await _offer(home, retention="P90D")  # while the page is being read
    stale = await home.post(f"/consents/{consent_id}/renew", _fields(page) | {"answer": "agree"}, lang="en")
    assert stale.status_code == 409
    nothing = await home.post(f"/consents/{consent_id}/renew", _fields(page) | {"answer": "maybe"})
    assert nothing.status_code == 400
