"""The console's forms for agreements over HTTP: what is typed is kept, what is previewed is what is read, and what is
offered goes the board's way."""

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from consent import agreements, records
from identity import members
from kit.host import SYSTEM
from portal import proposal_forms
from tests.portal.test_console import a_member, follow, follow_notice
from tests.support.desk import Colleague, colleague
from tests.support.household import settle

if TYPE_CHECKING:
    from portal.app import Building

pytestmark = pytest.mark.anyio

NEW = "/console/agreements/new"
FORM = {
    "purpose": "ImproveTransportMobility", "lawful_basis": "Consent", "use-mobility": "required",
    "sensitivity-mobility": "2", "use-household": "optional", "sensitivity-household": "3", "retention": "90",
    "duration": "P180D", "jurisdiction": "JP", "contact": "data@bus.example", "ja_title": "バスを増やす",
    "ja_short": "便数を決めます。", "ja_full": "乗り降りの記録を\r\n受け取ります。", "ja_benefit": "バスが増えます。",
    "ja_if_refused": "何も変わりません。", "ja_forbidden": "ほかに渡すこと。", "en_title": "More <b>buses</b>",
    "en_short": "We plan.", "en_full": "Rides of 90 days.", "en_benefit": "More buses.",
    "en_if_refused": "Nothing changes.", "en_forbidden": "Passing it on.",
}  # fmt: skip


@pytest.fixture
async def operator(app: "Building", client: Any) -> Colleague:
    return await colleague(app, client, "operator")


async def approved(app: "Building", operator: Colleague) -> str:
    member_id = await a_member(operator)
    await app.host.db.write(members.approve, member_id, actor=SYSTEM, now=app.host.clock.ms())
    return member_id


def carried(page: str) -> dict[str, str]:
    """The fields a preview carries along, as a browser would send them again."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    found += re.findall(r'<textarea name="([^"]+)" hidden[^>]*>\n(.*?)</textarea>', page, re.S)
    return {name: unescape(value).replace("\n", "\r\n") for name, value in found}


def in_errors(page: str) -> list[str]:
    return re.findall(r'href="#([\w-]+)"', page.partition('id="errors"')[2].partition("</div>")[0])


async def test_an_agreement_is_proposed_previewed_in_both_languages_and_approved_by_somebody_else(
    app: "Building", client: Any, operator: Colleague
) -> None:
    member_id = await approved(app, operator)
    sent = FORM | {"member": member_id, "step": "preview"}
    assert 'name="use-mobility"' in (await operator.get(f"{NEW}?member={member_id}")).text
    page = (await operator.post(NEW, sent)).text
    for words in ("湊浜交通が", "便数を決めます。", "May Minatohama Transit see your", "More &lt;b&gt;buses"):
        assert words in page, words
    assert "<b>buses" not in page
    assert 'id="judgement"' not in page
    assert (await app.host.db.read(agreements.list_all)) == ()  # a preview is nothing yet
    again = (await operator.post(NEW, carried(page) | {"step": "edit"})).text
    assert re.search(r'<option value="3" selected>3 of 3</option></select></td></tr>', again)
    assert "乗り降りの記録を\n受け取ります。" in again
    done = await operator.post(NEW, carried(page) | {"step": "offer"})
    place = done.headers["location"].partition("?")[0]
    made = await app.host.db.read(agreements.current, place.rpartition("/")[2])
    assert (made.retention, made.notice("ja").full) == ("P90D", "乗り降りの記録を\n受け取ります。")
    assert {use.category: (use.required, use.sensitivity) for use in made.categories} == {
        "mobility": (True, 2),
        "household": (False, 3),
    }
    sent = {"revision": made.id, "number": "1", "decision": "approve"}
    assert await follow_notice(await operator.post(f"{place}/decide", sent)) == "console.same-eyes"
    reviewer = await colleague(app, client, "ethics")
    assert (await reviewer.post(f"{place}/decide", sent)).status_code == 303
    assert (await app.host.db.read(agreements.current, made.agreement_id)).status == "approved"


WRONG = [
    ({"member": "mem_nobody"}, "member"),
    ({"purpose": "WorldDomination"}, "purpose"),
    ({"use-mobility": "", "use-household": ""}, "categories"),
    ({"sensitivity-mobility": "1"}, "sensitivity-mobility"),
    ({"retention": "soon"}, "retention"),
    ({"duration": "P99Y"}, "duration"),
    ({"jurisdiction": "jp"}, "jurisdiction"),
    ({"contact": ""}, "contact"),
    ({"ja_benefit": " "}, "ja_benefit"),
    ({"en_title": "x" * 201}, "en_title"),
]


async def test_a_mistake_is_told_beside_its_field_and_what_was_typed_is_kept(
    app: "Building", operator: Colleague
) -> None:
    member_id = await approved(app, operator)
    for wrong, field in WRONG:
        page = await operator.post(NEW, FORM | {"member": member_id, "step": "offer"} | wrong)
        assert page.status_code == 422, field
        assert field in in_errors(page.text)
        assert "data@bus.example" in page.text or field == "contact"
    assert await app.host.db.read(agreements.list_all) == ()


async def test_a_revision_begins_with_what_is_in_force_and_its_preview_says_how_it_is_judged(
    app: "Building", client: Any, operator: Colleague
) -> None:
    home = await settle(app, client)
    place = f"/console/agreements/{home.agreement_id}/revise"
    former = await app.host.db.read(agreements.current, home.agreement_id)
    assert 'value="P30D"' in (await operator.get(place)).text
    values = proposal_forms.values_of(former)
    page = (await operator.post(place, values | {"retention": "10", "change": "non-material"})).text
    assert "told and not asked" in page
    page = (await operator.post(place, values | {"retention": "10"})).text
    assert "You say that it is material" in page
    page = (await operator.post(place, values | {"retention": "365"})).text
    assert "material by itself" in page
    assert "<ins>1 year</ins>" in page
    for step in ("preview", "offer"):  # what weighs is not declared away
        refused = await operator.post(place, values | {"retention": "365", "change": "non-material", "step": step})
        assert (refused.status_code, in_errors(refused.text)) == (422, ["change"])
    page = await follow(await operator.post(place, values | {"retention": "365", "step": "offer"}), operator)
    assert 'id="own"' in page.text
    made = (await app.host.db.read(agreements.revisions, home.agreement_id))[-1]
    assert (made.number, made.predecessor, made.status) == (2, former.hash, "offered")


async def test_ending_an_agreement_says_before_what_happens_and_happens(
    app: "Building", client: Any, operator: Colleague
) -> None:
    home = await settle(app, client)
    consent_id = await home.give()
    place = f"/console/agreements/{home.agreement_id}"
    shown = (await operator.get(f"{place}/end")).text
    assert "has 3 days to confirm" in shown
    assert 'id="no-reach"' in shown, "one person is nobody's number"
    assert "The agreement is over" in (await follow(await operator.post(f"{place}/end"), operator)).text
    view = await app.host.db.read(records.get, consent_id, account_id=home.party.account_id, now=app.host.clock.ms())
    assert view.state == "given"  # its event follows; nothing is decided under it meanwhile
    assert (await app.host.db.read(agreements.get, home.agreement_id)).status == "withdrawn"
    for path in ("end", "revise"):
        assert await follow_notice(await operator.get(f"{place}/{path}")) == "proposals.over"
    assert await follow_notice(await operator.post(f"{place}/end")) == "proposals.over"
    assert await follow_notice(await operator.post(f"{place}/revise", FORM | {"step": "offer"})) == "proposals.over"
    assert 'id="to-end"' not in (await operator.get(place)).text


async def test_only_operators_propose_and_end(app: "Building", client: Any, operator: Colleague) -> None:
    home = await settle(app, client)
    place = f"/console/agreements/{home.agreement_id}"
    reviewer = await colleague(app, client, "ethics")
    for path in (NEW, f"{place}/revise", f"{place}/end"):
        assert (await reviewer.get(path)).status_code == 404
        assert (await reviewer.post(path, FORM)).status_code == 404
    assert 'id="to-revise"' not in (await reviewer.get(place)).text
