"""The main walk (walks 1 to 4, and the start of 7), from outside, against the real command and a real database file."""

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from identity.sessions import session_cookie
from portal.walk.asking import Asking, listen
from portal.walk.browser import Page
from portal.walk.main import Credentials
from portal.walk.person import Person
from portal.walk.report import Report
from portal.walk.service import Service
from tests.support.server import Served
from tests.support.sessions import signed_in
from tests.support.source import ROOT


def walk(server: Served, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `sekisho walk` against a server."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("SEKISHO_")}
    return subprocess.run(
        [sys.executable, "-m", "portal", "walk", "--url", server.url,
         "--credentials", str(server.data / "demo-credentials.json"), *options],
        cwd=ROOT, env=inherited, capture_output=True, text=True, timeout=180,
    )  # fmt: skip


def test_the_walk_keeps_every_promise_twice_in_a_row(server: Served) -> None:
    """Twice: what the first walk leaves behind (a used code, a spent family) must not stand in the second's way."""
    for _ in range(2):
        done = walk(server, "--json")
        told = json.loads(done.stdout or "{}")
        assert done.returncode == 0, told.get("broken") or done.stderr
        assert told["held"]
        proved = " ".join(sentence for step in told["steps"] for sentence in step["proved"])
        for library in ("Authlib", "PyJWT", "python-jose"):
            assert library in proved


def test_the_walk_ends_with_exit_code_1_at_a_broken_promise(server: Served, tmp_path: Path) -> None:
    """A walk that cannot fail proves nothing: with another agreement's name it must."""
    known = json.loads((server.data / "demo-credentials.json").read_text())
    known["clients"]["minato-clinic"]["agreement"] = known["clients"]["minatohama-transit"]["agreement"]
    wrong = tmp_path / "credentials.json"
    wrong.write_text(json.dumps(known))
    done = walk(server, "--credentials", str(wrong))
    assert done.returncode == 1
    assert "Broken promise" in done.stderr


def sekisho(*args: str) -> subprocess.CompletedProcess[str]:
    """Another command, as a stranger to the server would give it."""
    command = [sys.executable, "-m", "portal", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_only_their_owner_reads_the_credentials_and_the_root_key(city: Path) -> None:
    for name in ("demo-credentials.json", "root.key"):
        assert stat.S_IMODE((city / name).stat().st_mode) == 0o600


def test_the_ledger_holds_after_the_walk_and_only_grew(server: Served, tmp_path: Path) -> None:
    vkey, older = tmp_path / "ledger.vkey", tmp_path / "older.checkpoint"
    vkey.write_text(httpx2.get(f"{server.url}/ledger/vkey").text)
    older.write_text(httpx2.get(f"{server.url}/ledger/checkpoint").text)
    for command in (["verify"], ["consistency", str(older)]):
        done = sekisho("ledger", *command, "--url", f"{server.url}/ledger", "--vkey", str(vkey))
        assert done.returncode == 0, done.stderr
    assert "entries" in done.stdout


def test_a_receipt_is_verified_offline_by_the_command(server: Served, tmp_path: Path) -> None:
    """The two keys are fetched once; then the server is gone."""
    person = json.loads((server.data / "demo-credentials.json").read_text())["residents"]["hanako"]
    server.stop()
    (token,) = signed_in(server.data, [person["account_id"]], issuer=server.url)
    server.start()
    kept = {name: tmp_path / name for name in ("ledger.vkey", "jwks.json", "mine.sekisho-receipt.json", "changed.json")}
    with httpx2.Client(base_url=server.url, cookies={session_cookie(server.url): token}) as http:
        kept["ledger.vkey"].write_text(http.get("/ledger/vkey").text)
        kept["jwks.json"].write_text(http.get("/oauth/jwks").text)
        consent = http.get("/api/consent/records").json()["records"][0]["id"]
        content = http.get(f"/api/consent/records/{consent}/receipt").content
    kept["mine.sekisho-receipt.json"].write_bytes(content)
    kept["changed.json"].write_bytes(content + b" ")
    keys = ["--vkey", str(kept["ledger.vkey"]), "--jwks", str(kept["jwks.json"])]
    online = ["ledger", "verify-receipt", str(kept["mine.sekisho-receipt.json"]), *keys, "--online", "--json"]
    done = sekisho(*online)
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "valid"), done.stderr
    server.stop()
    done = sekisho(*online)  # genuine, but nobody says whether something replaced it
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    done = sekisho("ledger", "verify-receipt", str(kept["mine.sekisho-receipt.json"]), *keys, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verified"]
    done = sekisho("ledger", "verify-receipt", str(kept["changed.json"]), *keys)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    server.start()


# -- a service for a person to be asked by (`sekisho demo-ask`)


@pytest.fixture(scope="module")
def known(server: Served) -> Credentials:
    """What the demo wrote down."""
    return Credentials.read(server.data / "demo-credentials.json")


@pytest.fixture
def asking(server: Served, known: Credentials) -> Iterator[Asking]:
    """The clinic, at no port yet."""
    report = Report(quiet=True)
    report.step("asking")
    metadata = httpx2.get(f"{server.url}/.well-known/openid-configuration").json()
    names = {"health_checkup": {"en": "Health check-up results"}}
    service = Service(server.url, known.clients["minato-clinic"], metadata, report)
    yield Asking(service, server.url, names)
    service.close()


@pytest.fixture(scope="module")
def megumi(server: Served, known: Credentials) -> Iterator[Person]:
    """A resident of the demo at a browser of her own, who never agreed to the clinic's question."""
    report = Report(quiet=True)
    report.step("megumi")
    person = Person(server.url, known.residents["megumi"], report)
    yield person
    person.close()


def question(asking: Asking, person: Person) -> Page:
    """The question, as the person reads it, signed in."""
    status, address, _ = asking.answer("/", "en")
    assert status == 303
    page = person.browser.open(address)
    assert isinstance(page, Page)
    if page.form_with("password") is not None:
        signed_in = person.sign_in(page)
        assert isinstance(signed_in, Page)
        return signed_in
    return page


def test_who_agrees_sees_what_came_and_after_a_withdrawal_that_nothing_comes(asking: Asking, megumi: Person) -> None:
    landed, _answer = megumi.agree(question(asking, megumi))
    assert asking.answer(landed, "en") == (303, "/again", "")
    got = asking.answer("/again", "en")[2]
    assert "Health check-up results" in got
    assert "records came" in got
    (consent,) = megumi.consents_to("agr_checkup_letter")
    megumi.withdraw(consent)
    assert "We get nothing any more" in asking.answer("/again", "en")[2]


def test_an_answer_counts_once_and_only_with_our_state_and_from_the_city(asking: Asking, megumi: Person) -> None:
    landed, _answer = megumi.agree(question(asking, megumi))
    for wrong in (landed.replace("state=", "state=x"), "/callback?code=x", landed.partition("&state=")[0]):
        assert asking.answer(wrong, "ja")[0] == 400, wrong
    assert asking.answer("/again", "ja")[0] == 404
    assert asking.answer(landed, "ja")[0] == 303
    assert asking.answer(landed, "ja")[0] == 400
    other = replace(asking, city="http://elsewhere.example", token={})
    landed, _answer = megumi.agree(question(other, megumi))
    assert other.answer(landed, "ja")[0] == 400


def test_it_is_served_on_this_machine_and_says_why_it_can_not_ask(asking: Asking) -> None:
    asking.service.registration = {**asking.service.registration, "redirect_uri": "http://localhost:0/callback"}
    server = listen(asking)
    assert server.server_address[0] == "127.0.0.1"
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    answer = httpx2.get(f"http://127.0.0.1:{server.server_address[1]}/", headers={"Accept-Language": "en"})
    thread.join()
    server.server_close()
    assert (answer.status_code, "ask you" in answer.text) == (502, True)  # an address that is not registered
    assert asking.service.registration["name_en"] in answer.text
    assert asking.service.registration["name"] in asking.answer("/nowhere", "ja")[2]
    assert 'rel="icon" href="data:,"' in answer.text, "or the browser asks for an icon that is not there"
