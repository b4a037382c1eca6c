"""`sekisho federation …`, each command run to its end on a directory that nobody serves."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from keys.jose import peek
from tests.support.command import sekisho
from tests.support.federation import Party

ENTITY = "https://clinic.example"
MARK = "https://pref.example/marks/audited"
ANCHOR = Party("https://anchor.example")
ON = {
    "SEKISHO_IDENTITY__FEDERATION": json.dumps(
        {"on": True, "subordinates": True, "trust_anchors": [{"entity_id": ANCHOR.entity_id, "jwks": ANCHOR.jwks}]}
    )
}


@pytest.fixture(scope="module")
def data(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("federation-cli") / "data"
    shutil.copytree(city, place)
    return place


def run(data: Path, *words: Path | str, env: dict[str, str] = ON) -> Any:
    return sekisho("federation", *words, "--data", data, env=env)


def told(data: Path, *words: Path | str) -> Any:
    done = run(data, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_out_of_a_federation_there_are_no_keys_and_a_sentence_says_what_to_set(data: Path) -> None:
    done = run(data, "keys", env={})
    assert done.returncode == 2
    assert "SEKISHO_IDENTITY__FEDERATION" in done.stderr


def test_keys_are_printed_and_a_compromised_one_is_gone_at_once(data: Path) -> None:
    before = [key["kid"] for key in told(data, "keys")["keys"]]
    assert len(before) == 2
    soon = run(data, "rotate")
    assert soon.returncode != 0  # superiors have not heard of the next one yet
    assert told(data, "rotate", "--compromised")["active"] == before[1]
    assert before[0] not in [key["kid"] for key in told(data, "keys")["keys"]]


def test_an_entity_is_vouched_for_listed_suspended_and_ended(data: Path, tmp_path: Path) -> None:
    jwks, said = tmp_path / "clinic.jwks", tmp_path / "said.json"
    jwks.write_text(json.dumps(Party(ENTITY).jwks))
    said.write_text('{"constraints": {"max_path_length": 0}}')
    vouch = ("vouch", ENTITY, "--jwks", jwks, "--kind", "openid_relying_party", "--said", said)
    assert told(data, *vouch) == {"entity_id": ENTITY}
    assert run(data, "suspend", ENTITY, "--reason", "left").returncode == 0
    assert "suspended" in run(data, *vouch).stderr
    assert run(data, "resume", ENTITY).returncode == 0
    assert f"active    {ENTITY}  openid_relying_party" in run(data, "list").stdout
    assert run(data, "end", ENTITY, "--reason", "key-compromised").returncode == 0
    (found,) = told(data, "list")["subordinates"]
    assert (found["status"], found["said"]) == ("ended", {"constraints": {"max_path_length": 0}})


def test_a_mark_is_given_and_taken_back_and_leave_is_written(data: Path) -> None:
    mark = told(data, "mark", ENTITY, "--kind", MARK, "--days", "30")["mark"]
    assert run(data, "take-back", mark, "--reason", "mistake").returncode == 0
    (found,) = [one for one in told(data, "list")["marks"] if one["id"] == mark]
    assert found["revoked_at"] is not None
    assert "no trust mark" in run(data, "take-back", mark).stderr.lower()
    leave = told(data, "delegate", "https://auditor.example", "--kind", MARK)["delegation"]
    header, claims = peek(leave)
    assert header["typ"] == "trust-mark-delegation+jwt"
    assert (claims["sub"], claims["trust_mark_type"]) == ("https://auditor.example", MARK)


def test_why_an_entity_is_refused_is_told_with_the_steps_and_the_exit_code(data: Path) -> None:
    done = run(data, "explain", "https://nobody.invalid", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["trusted"], found["word"]) == (False, "unreachable")
    assert [step["word"] for step in found["steps"]] == ["unreachable"]
    assert "hint" not in found
    inside = run(data, "explain", "https://192.168.0.1")
    assert inside.returncode == 1
    assert "SEKISHO_OUTGOING__ALLOW" in inside.stdout
