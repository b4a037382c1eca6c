"""POST /consent/decisions: one question or many, three answers, each no with its reason."""

from typing import Any

import httpx2
import pytest

from consent import holds
from identity import members
from tests.consent.bureau import STAFF, Bureau, service, token

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def ask(web: httpx2.AsyncClient, auth: dict[str, str], body: Any, status: int = 200) -> Any:
    answer = await web.post("/consent/decisions", json=body, headers=auth)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_permit_deny_and_not_applicable_are_told_apart_xacml_section_7(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    auth = await token(bureau, web, member=bureau.member)
    about = {"consent": ref.consent_id, "categories": ["mobility"]}

    yes = await ask(web, auth, about)
    assert (yes["decision"], yes["reason"], yes["categories"]) == ("permit", "covered", ["mobility"])
    assert yes["revision"] == bureau.revision
    assert yes["recipient"] == bureau.member
    no = await ask(web, auth, about | {"categories": ["mobility", "household"]})
    assert (no["decision"], no["reason"], no["missing"]) == ("deny", "category_not_covered", ["household"])
    none = await ask(web, auth, about | {"consent": "con_nobodys"})
    assert (none["decision"], none["reason"]) == ("not_applicable", "no_consent")
    await bureau.withdraw(hanako, ref.consent_id)
    over = await ask(web, auth, about)
    assert (over["decision"], over["reason"]) == ("deny", "consent_withdrawn")
    assert "until" not in over


async def test_up_to_200_questions_are_answered_in_order_as_of_one_moment(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    refs = [await bureau.give(await bureau.resident(f"resident{n}")) for n in range(3)]
    auth = await token(bureau, web, member=bureau.member)
    asked = [{"consent": ref.consent_id, "categories": ["mobility"]} for ref in refs]
    asked.insert(1, {"consent": refs[0].consent_id, "categories": ["household"]})
    asked += [{"consent": "con_nobodys", "categories": ["mobility"]}] * 196
    found = await ask(web, auth, {"decisions": asked})
    assert [each["decision"] for each in found["decisions"][:5]] == [
        "permit", "deny", "permit", "permit", "not_applicable",
    ]  # fmt: skip
    assert [each["consent"] for each in found["decisions"]] == [each["consent"] for each in asked]
    assert found["as_of"].endswith("Z")
    refused = await ask(web, auth, {"decisions": [*asked, asked[0]]}, 422)
    assert refused["errors"][0]["pointer"] == "/decisions"


async def test_a_hold_and_a_suspended_member_are_reasons_of_their_own(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    ref = await bureau.give(await bureau.resident())
    holder = await token(bureau, web, member=await bureau.add_member("Source"), scope="consent.check")
    about = {"consent": ref.consent_id, "categories": ["mobility"], "recipient": bureau.member}
    now = bureau.clock.ms()
    await bureau.db.write(holds.hold, bureau.member, actor=STAFF, now=now)
    assert (await ask(web, holder, about))["reason"] == "sharing_held"
    await bureau.db.write(holds.release, bureau.member, actor=STAFF, now=now)
    assert (await ask(web, holder, about))["decision"] == "permit"
    await bureau.db.write(members.suspend, bureau.member, actor=STAFF, now=now)
    assert (await ask(web, holder, about))["reason"] == "member_suspended"


async def test_one_question_for_another_recipient_among_many_needs_the_scope(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    """Nothing of the others is answered: which of them is a consent would be an oracle."""
    ref = await bureau.give(await bureau.resident())
    other = await service(bureau, web, member=await bureau.add_member("Clinic"))
    about = {"consent": ref.consent_id, "categories": ["mobility"]}
    assert (await ask(web, other.headers, about))["decision"] == "not_applicable"
    refused = await ask(web, other.headers, {"decisions": [about, about | {"recipient": bureau.member}]}, 403)
    assert "decisions" not in refused


WRONG: list[tuple[Any, str]] = [
    ({"decisions": []}, "/decisions"),
    ({"decisions": {}}, "/decisions"),
    ({"decisions": [5]}, "/decisions/0"),
    ({"decisions": [{"consent": "con_1", "categories": ["a"]}, {"consent": "con_1"}]}, "/decisions/1/categories"),
    ({"decisions": [{"consent": "con_1", "categories": ["a"], "x/y": 1}]}, "/decisions/0/x/y"),
    ({"decisions": [{"consent": "con_1", "categories": ["a"]}], "consent": "con_1"}, "/consent"),
    ({"consent": "con_1", "categories": ["a"], "recipient": 5}, "/recipient"),
]


async def test_a_bad_question_is_named_by_its_pointer(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    auth = await token(bureau, web, member=bureau.member)
    for body, pointer in WRONG:
        assert (await ask(web, auth, body, 422))["errors"][0]["pointer"] == pointer
