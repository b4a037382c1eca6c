"""A stable code beside every error, in both languages. (Ids of controls: test_i18n, on every sample.)"""

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from portal import i18n, mistakes
from tests.portal.test_signin import PASSWORD, add, post
from tests.support.controls import Controls
from tests.support.desk import Colleague, colleague
from tests.support.household import settle
from tests.support.source import ROOT

if TYPE_CHECKING:
    from portal.app import Building

pytestmark = pytest.mark.anyio

LANGUAGES = ("ja", "en")


def test_a_sentence_has_its_code_in_whatever_language_it_is_said() -> None:
    for lang in LANGUAGES:
        with i18n.speaking(i18n.language(lang)):
            for sentence, code in mistakes.CODES.items():
                said = i18n._(sentence)
                filled = re.sub(r"%\(\w+\)[sd]", "7", said)
                assert mistakes.code_of(filled) == code, (lang, sentence)
            assert mistakes.code_of("A sentence nobody wrote down.") == mistakes.OTHER
    ours = {entry.msgid for path in i18n.catalogue_files("ja") for entry in i18n.read_po(path.read_text("utf-8"))}
    assert set(mistakes.CODES) - ours == set(), "a sentence that no page says any more"


def _written(tree: ast.AST) -> Iterator[str]:
    """The sentences of a module that stand beside a field: `errors[…] = _("…")`, and tables of what is wrong."""
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)):
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        table = isinstance(target, ast.Name) and target.id.strip("_") in ("WRONG", "TAKEN", "TIME")
        field = isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) and target.value.id == "errors"
        for call in ast.walk(node) if table or field else ():
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("_", "N_"):
                yield ast.literal_eval(call.args[0])


def test_no_sentence_beside_a_field_is_without_a_code() -> None:
    found = {
        sentence
        for path in [*(ROOT / "portal" / "pages").glob("*.py"), *(ROOT / "portal").glob("*_forms.py")]
        for sentence in _written(ast.parse(path.read_text("utf-8")))
    }
    assert len(found) > 20
    assert found - set(mistakes.CODES) == set()


async def wrong(person: Colleague, path: str, form: dict[str, Any] | None = None) -> dict[str, str]:
    """The errors of a form sent as it must not be, by the id of their places: the same codes in both languages."""
    said = []
    for person.lang in LANGUAGES:
        answer = await person.post(path, form or {"other": "1"})
        assert answer.status_code in (200, 422), (path, answer.status_code)
        said.append(Controls(answer.text).errors)
    assert said[0] == said[1], path
    assert said[0], path
    assert mistakes.OTHER not in said[0].values(), (path, said[0])
    return said[0]


async def test_a_wrong_form_says_what_is_wrong_by_field_and_code(app: "Building", client: Any) -> None:
    operator, analyst = await colleague(app, client, "operator"), await colleague(app, client, "analyst")
    assert await wrong(operator, "/console/members/new", {"site": "ftp"}) == {
        "name_ja-error": "length", "name_en-error": "length", "site-error": "address",
    }  # fmt: skip
    await wrong(operator, "/console/clients/new", {"redirect_uris": "http://bus.example/cb", "scope": 'a"b'})
    assert set((await wrong(operator, "/console/agreements/new", {"change": "x"})).values()) >= {"choice", "blank"}
    assert await wrong(operator, "/console/registration-tokens", {"uses": "x", "days": "0", "scope": " "}) == {
        "uses-error": "number", "days-error": "number", "scope-error": "blank",
    }  # fmt: skip
    await wrong(analyst, "/desk/alerts/new", {"seen_at": "tomorrow"})
    await wrong(analyst, "/desk/incidents/new", {"aware_at": "x"})
    home = await settle(app, client)
    place = f"/console/residents/{home.party.account_id}"
    assert await wrong(operator, f"{place}/lock") == {"lock_reason-error": "choice"}
    assert await wrong(operator, f"{place}/reset") == {"reason-error": "choice", "evidence-error": "too-few"}
    assert (await wrong(operator, f"/console/clients/{home.party.client.id}/policy", {"may_act": "x"})) == {
        "may_act-error": "unknown"
    }
    resident = Colleague(app, client, home.party.account_id, home.party.cookie)
    assert (await wrong(resident, "/data/health_checkup/add", {"weight": "much", "date": "x"}))[
        "weight-error"
    ] == "number"
    assert await wrong(resident, "/leave/erase") == {"confirm-error": "not-confirmed"}
    assert "name-error" in await wrong(resident, "/safety/profile", {"name": "\u200b", "name_kana": "x"})


async def test_an_error_page_says_the_problem_s_own_code(app: "Building", client: Any) -> None:
    """The same word as the JSON API's `type`, whatever the reader's language."""
    await add(app, app_on=False)
    await post(client, "/sign-in", login="hana", password=PASSWORD)
    for path, code in (("/nothing-here", "not-found"), ("/interaction/int_x", "unknown-interaction")):
        for lang in LANGUAGES:
            page = await client.get(path, headers={"accept": "text/html", "accept-language": lang})
            assert page.status_code == 404
            assert f'<h1 data-code="{code}">' in page.text, path
    refused = await client.get("/oauth/authorize?client_id=nobody", headers={"accept": "text/html"})
    assert '<h1 data-code="invalid_' in refused.text
