"""Two revisions of an agreement: what differs, and nothing else."""

from typing import Any

import pytest

from consent import agreements
from consent.compare import compare, sentences
from consent.revisions import Revision
from tests.consent.bureau import STAFF, Bureau, proposal
from tests.support.catalogue import ANY

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def revised(bureau: Bureau, **changed: Any) -> tuple[Revision, Revision]:
    old = await bureau.db.read(agreements.get_revision, bureau.revision)
    new = await bureau.db.write(
        agreements.revise,
        bureau.agreement,
        proposal=proposal(**changed),
        sensitivities=ANY,
        actor=STAFF,
        now=bureau.clock.ms(),
    )
    return old, new


@sqlite_only
async def test_the_same_text_differs_in_nothing(bureau: Bureau) -> None:
    old, new = await revised(bureau)
    assert compare(old, new, "ja") == ()


@sqlite_only
async def test_what_may_happen_with_the_data_comes_first_and_is_told_apart(bureau: Bureau) -> None:
    old, new = await revised(
        bureau,
        retention="P365D",
        contact="privacy@bus.example",
        categories=[
            {"category": "mobility", "required": True, "sensitivity": 1},
            {"category": "household", "required": True, "sensitivity": 1},
            {"category": "health_checkup", "required": False, "sensitivity": 3},
        ],
    )
    found = compare(old, new, "ja")
    assert [(each.field, each.before, each.after, each.about_data) for each in found] == [
        ("retention", ("P90D",), ("P365D",), True),
        ("category", ("household", "optional"), ("household", "required"), True),
        ("category", ("energy_use", "optional"), (), True),
        ("category", (), ("health_checkup", "optional"), True),
        ("contact", ("data@bus.example",), ("privacy@bus.example",), False),
    ]


@sqlite_only
async def test_of_a_long_text_only_the_sentence_that_changed_is_shown(bureau: Bureau) -> None:
    words = {lang: notice.document() for lang, notice in (await revised(bureau))[0].text.items()}
    for each in words.values():
        each.pop("lang")
    words["en"]["full"] = "The bus operator receives your trips of the last 30 days, without your name."
    words["ja"]["forbidden"] += "広告にも使えません。"
    old, new = await revised(bureau, text=words)
    (english,) = compare(old, new, "en")
    assert (english.field, english.about_data) == ("full", False)
    assert "90 days" in english.before[0]
    assert "30 days" in english.after[0]
    (japanese,) = compare(old, new, "ja")
    assert (japanese.field, japanese.before, japanese.after) == ("forbidden", (), ("広告にも使えません。",))
    assert japanese.about_data, "what a recipient may not do is a limit, not a wording"


def test_sentences_end_where_they_end() -> None:
    assert sentences("見ます。いつでも取り消せます。\n以上") == ("見ます。", "いつでも取り消せます。", "以上")
    assert sentences("Version 1.2 is used. Ask us! \n\nThank you") == ("Version 1.2 is used.", "Ask us!", "Thank you")
    assert sentences("") == ()


@sqlite_only
async def test_residents_see_versions_that_were_offered_to_them_and_no_drafts(bureau: Bureau) -> None:
    _, second = await revised(bureau, retention="P30D")
    assert [each.number for each in await bureau.db.read(agreements.published, bureau.agreement)] == [1]
    await bureau.approve(second.id)
    _, third = await revised(bureau, retention="P60D")
    await bureau.db.write(agreements.send_back, third.id, actor=STAFF, now=bureau.clock.ms())
    await bureau.db.write(agreements.withdraw, bureau.agreement, actor=STAFF, now=bureau.clock.ms())
    found = await bureau.db.read(agreements.published, bureau.agreement)
    assert [(each.number, each.status) for each in found] == [(1, "withdrawn"), (2, "withdrawn")]
