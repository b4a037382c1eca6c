"""Cosignatures of a receipt, checked in a real browser against receipts made here; the keys come by route."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page
from sqlalchemy import Connection

from consent.ledger import commitment
from consent.status import StatusLists
from consent.verify import NotVerified, verify_receipt
from consent.witnessing import Witnesses
from keys import sdjwt
from keys.ring import KeyRing
from kit.clock import FrozenClock, SystemClock
from kit.db import open_database
from kit.encoding import b64url, b64url_decode, canonical
from kit.tlog import cosigned
from kit.tlog.cosignature import Cosignature
from kit.tlog.log import MAIN
from tests.consent.bureau import open_bureau
from tests.support.peers import needs
from tests.support.server import Served
from tests.support.witness import Stand

pytestmark = needs("chromium")

ONE, TWO, THREE = (Stand(f"w.example/{name}", bytes([number]) * 32) for number, name in enumerate("abc", 1))


@dataclass(frozen=True)
class Made:
    """Receipts of a city whose ledger two of three witnesses must have seen."""

    jwks: dict[str, Any]
    vkey: str
    policy: str
    early: bytes
    late: bytes
    ended: str
    lying: bytes
    named: str


def _reissued(content: bytes, sign: Callable[..., str], **changed: Any) -> bytes:
    """The receipt with a credential by the same issuer that says something else than the event."""
    bundle = json.loads(content)
    parts = bundle["credential"].split("~")
    body = parts[0].split(".")[1]
    shown = json.loads(b64url_decode(body))
    fields = dict(json.loads(b64url_decode(part))[1:] for part in parts[1:-1])
    kept = {name: value for name, value in shown.items() if not name.startswith("_sd")}
    salts = iter(range(100))
    bundle["credential"] = sdjwt.issue(
        {**kept, **fields, **changed}, list(fields), sign=sign, vct=kept.pop("vct"),
        salts=lambda _name: b64url(next(salts).to_bytes(16)),
    )  # fmt: skip
    return canonical(bundle)


async def _make(folder: Path) -> Made:
    from tests.conftest import make_tables

    url = f"sqlite:///{folder / 'bureau.db'}"
    make_tables(url)
    database, clock = open_database(url), FrozenClock(SystemClock().ms())
    await database.start()
    policy = folder / "policy"
    lines = [f"witness {name} {stand.vkey}" for name, stand in (("a", ONE), ("b", TWO), ("c", THREE))]
    policy.write_text("\n".join([*lines, "group few 2 a b c", "quorum few", ""]))
    async with open_bureau(database, clock, witness_policy=policy) as bureau:
        hanako = await bureau.resident()
        ref = await bureau.give(hanako)
        early = (await bureau.receipts.make(ref.consent_id, account_id=hanako)).content
        published = await bureau.logs.published()

        def sign(connection: Connection) -> None:
            for stand in (ONE, THREE):
                line = stand.cosign(published.note, 1_800_000_000).decode()
                made = Cosignature(stand.name, stand.key_id, 1_800_000_000, line)
                cosigned.store(connection, MAIN, published.size, stand.vkey, made)

        await database.write_core(sign)
        late = (await bureau.receipts.make(ref.consent_id, account_id=hanako)).content
        await bureau.withdraw(hanako, ref.consent_id)
        ended, _ = await bureau.host.get(StatusLists).token(1)
        shown = bureau.host.get(Witnesses).shown(bureau.vkey).decode()
        lying = _reissued(late, bureau.host.get(KeyRing).sign_jwt, retention_period="P3650D")
        bundle = json.loads(late)
        named = b64url(commitment(b64url_decode(bundle["salt"]), bundle["event"]))
        made = Made(bureau.jwks, bureau.vkey, shown, early, late, ended.decode(), lying, named)
    await database.stop()
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Made in a thread: the browser's own event loop runs in this one."""
    folder = tmp_path_factory.mktemp("bureau")
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _make(folder)).result()


def _check(
    page: Page, server: Served, made: Made, content: bytes, *, policy: str = "", named: str = ""
) -> tuple[str, str]:
    """How the whole ended, and the class of the last step."""
    page.route("**/oauth/jwks", lambda route: route.fulfill(json=made.jwks))
    page.route("**/ledger/vkey", lambda route: route.fulfill(body=made.vkey + "\n"))
    page.route("**/ledger/policy", lambda route: route.fulfill(body=policy or made.policy))
    page.goto(f"{server.url}/ledger{named and '#' + named}")
    receipt = {"name": "r.json", "mimeType": "application/json", "buffer": content}
    page.set_input_files("#receipt-file", receipt)  # type: ignore[arg-type]  # a FilePayload by its members
    page.wait_for_selector("#verdict[data-outcome]")
    outcome = page.get_attribute("#verdict", "data-outcome")
    return str(outcome), str(page.get_attribute("#step-witnesses", "class"))


def _changed(content: bytes, change: Callable[[str], str]) -> bytes:
    bundle = json.loads(content)
    bundle["proof"] = change(bundle["proof"])
    return canonical(bundle)


def _flipped(proof: str, name: str) -> str:
    """Another byte within the signature of a line."""
    at = proof.index(f"— {name} ") + len(name) + 40
    return proof[:at] + ("A" if proof[at] != "A" else "B") + proof[at + 1 :]


def test_a_receipt_with_the_quorum_it_states_lights_every_step(page: Page, server: Served, made: Made) -> None:
    assert _check(page, server, made, made.late) == ("good", "step step-good")
    assert page.locator(".step-good").count() == 6


def test_a_credential_that_says_something_else_than_the_event_is_wrong_though_the_issuer_signed_it(
    page: Page, server: Served, made: Made
) -> None:
    """Step 6 of the check (consent.verify), field by field."""
    with pytest.raises(NotVerified) as failed:
        verify_receipt(made.lying, jwks=made.jwks, vkey=made.vkey)
    assert failed.value.step == 6
    assert _check(page, server, made, made.lying)[0] == "bad"
    assert page.locator(".step-bad").get_attribute("id") == "step-envelope"


def test_scanned_from_paper_only_the_file_of_that_very_receipt_passes(page: Page, server: Served, made: Made) -> None:
    assert _check(page, server, made, made.late, named=made.named)[0] == "good"
    page.goto("about:blank")
    assert _check(page, server, made, made.late, named="A" * 43)[0] == "bad"


def test_a_receipt_from_before_the_quorum_is_genuine_and_says_so(page: Page, server: Served, made: Made) -> None:
    assert _check(page, server, made, made.early) == ("good", "step step-left")
    assert "まだ人数が足りません" in page.inner_text("#step-witnesses")


def test_a_changed_cosignature_is_wrong(page: Page, server: Served, made: Made) -> None:
    content = _changed(made.late, lambda proof: _flipped(proof, ONE.name))
    assert _check(page, server, made, content) == ("bad", "step step-bad")


def test_a_cosignature_that_was_taken_away_is_missed(page: Page, server: Served, made: Made) -> None:
    """Cosignatures are outside of what the issuer signed; their names are inside."""

    def without(proof: str) -> str:
        return "".join(line for line in proof.splitlines(keepends=True) if ONE.name not in line)

    assert _check(page, server, made, _changed(made.late, without)) == ("bad", "step step-bad")


def test_witnesses_nobody_knows_any_more_are_no_quorum_and_no_fault(page: Page, server: Served, made: Made) -> None:
    kept = "\n".join(line for line in made.policy.splitlines() if "witness a " not in line)
    policy = kept.replace("group few 2 a b c", "group few 2 b c") + "\n"
    assert _check(page, server, made, made.late, policy=policy) == ("good", "step step-left")
    assert "ここでは確かめられません" in page.inner_text("#step-witnesses")


def test_a_receipt_whose_consent_was_taken_back_is_genuine_and_holds_no_more(
    page: Page, server: Served, made: Made
) -> None:
    """Token Status List, section 8.3; a list that is another's or was changed says nothing."""
    assert _check(page, server, made, made.late)[0] == "good"
    head, body, signature = made.ended.split(".")
    answers = {"invalid": made.ended, "unknown": f"{head}.{body}.{'A' * len(signature)}"}
    now = [""]
    page.route("**/status-lists/1", lambda route: route.fulfill(body=answers[now[0]]))
    for now[0] in answers:
        page.evaluate("delete document.getElementById('still-said').dataset.outcome")
        page.click("#ask-status")
        page.wait_for_selector("#still-said[data-outcome]")
        assert page.get_attribute("#still-said", "data-outcome") == now[0]
