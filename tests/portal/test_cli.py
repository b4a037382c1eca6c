"""The command line: help with examples, errors in one line with the cure, JSON where it may be parsed."""

import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from joserfc.jwk import ECKey
from pydantic import ValidationError

from portal.__main__ import app
from portal.cli.demo import _program
from portal.settings import Settings
from tests.support.command import sekisho


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty data directory."""
    made = tmp_path_factory.mktemp("cli") / "data"
    done = sekisho("migrate", "--data", str(made), fresh=True)
    assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize("command", ["serve", "demo", "walk", "migrate", "keys rotate", "admin create-operator"])
def test_help_has_an_example(command: str) -> None:
    done = sekisho(*command.split(), "--help", fresh=command == "serve")
    assert done.returncode == 0
    assert "Example" in done.stdout


def test_what_the_demo_prints_works_in_a_second_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment activated in the first is not there; README writes the path, too."""
    for place in ("city/.venv", "usual"):
        (tmp_path / place / "bin").mkdir(parents=True)
        (tmp_path / place / "bin/sekisho").touch(mode=0o755)
    (tmp_path / "city/.venv/pyvenv.cfg").touch()
    monkeypatch.chdir(tmp_path / "city")
    for place, word in (("city/.venv", ".venv/bin/sekisho"), ("usual", "sekisho")):
        monkeypatch.setenv("PATH", str(tmp_path / place / "bin"))
        monkeypatch.setattr("sys.argv", [str(tmp_path / place / "bin/sekisho"), "demo"])
        assert _program() == word


def test_every_command_says_what_it_does_with_an_example() -> None:
    def leaves(name: str, command: Any) -> Iterator[tuple[str, str]]:
        for sub, below in getattr(command, "commands", {}).items():
            yield from leaves(f"{name} {sub}", below)
        if not getattr(command, "commands", None):
            yield name, command.help or ""

    found = dict(leaves("sekisho", typer.main.get_command(app)))
    assert len(found) > 12
    assert not [name for name, text in found.items() if "Example" not in text]


def test_several_workers_serve_no_second_port(data: Path) -> None:
    """It would be left out in silence."""
    done = sekisho(
        "serve", "--data", str(data), "--workers", "2", "--mtls-port", "8443", "--tls-cert", "c.pem", "--tls-key",
        "k.pem",
        "--issuer", "https://id.city.example", env={"SEKISHO_DATABASE_URL": "postgresql://nobody@localhost:1/none"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "--mtls-port" in done.stderr


def test_migrate_makes_a_root_key_that_only_its_owner_can_read(data: Path) -> None:
    assert stat.S_IMODE((data / "root.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_migrate_may_be_run_again(data: Path) -> None:
    assert sekisho("migrate", "--data", str(data)).returncode == 0


def test_keys_are_listed_as_json_without_material(data: Path) -> None:
    done = sekisho("keys", "list", "--data", str(data), "--json")
    keys = json.loads(done.stdout)
    assert {"active", "next"} <= {key["state"] for key in keys if key["purpose"] == "signing"}
    assert all(set(key) & {"sealed_private", "wrapped", "d", "k"} == set() for key in keys)


def test_keys_are_rotated_by_command(data: Path) -> None:
    done = sekisho("keys", "rotate", "--alg", "EdDSA", "--data", str(data), "--json")
    assert [one["alg"] for one in json.loads(done.stdout)] == ["EdDSA"]
    done = sekisho("keys", "rotate", "--alg", "EdDSA", "--data", str(data))
    assert done.returncode == 2  # the new next key is not known everywhere yet
    assert done.stderr.count("\n") == 1
    done = sekisho("keys", "rotate-kek", "--data", str(data), "--json")
    assert json.loads(done.stdout)["rewrapped"] >= 1
    assert sekisho("admin", "verify-audit", "--data", str(data)).returncode == 0


def test_a_lost_root_key_is_told_in_one_line_with_the_cure(data: Path, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.key"
    assert sekisho("keys", "list", "--data", str(data)).returncode == 0
    done = sekisho("keys", "list", "--data", str(data), env={"SEKISHO_ROOT_KEY_FILE": str(missing)})
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "backup" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_root_key_is_told_in_one_line(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    assert sekisho("keys", "new-root", str(other)).returncode == 0
    done = sekisho("keys", "list", "--data", str(data), env={"SEKISHO_ROOT_KEY_FILE": str(other)})
    assert done.returncode == 3
    assert "not the one this data was sealed with" in done.stderr


def test_a_root_key_is_never_overwritten(tmp_path: Path) -> None:
    key = tmp_path / "root.key"
    assert sekisho("keys", "new-root", str(key)).returncode == 0
    before = key.read_text()
    assert sekisho("keys", "new-root", str(key)).returncode == 2
    assert key.read_text() == before


def test_a_wrong_issuer_is_refused_with_an_example(data: Path) -> None:
    done = sekisho("serve", "--data", str(data), "--issuer", "http://id.city.example")
    assert done.returncode == 2
    assert "https" in done.stderr
    assert "Traceback" not in done.stderr


def test_mistakes_of_the_first_hour_are_one_line_with_the_cure(data: Path, tmp_path: Path) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    port = str(taken.getsockname()[1])
    nowhere = tmp_path / "etc" / "root.key"
    unreachable = {"SEKISHO_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}
    mistakes: list[tuple[tuple[str, ...], dict[str, str], str]] = [
        (("keys", "new-root", str(nowhere)), {}, f"mkdir -p {nowhere.parent}"),
        (("serve", "--data", str(data), "--issuer", "https://id.city.example", "--port", port), {}, "in use"),
        (("keys", "list", "--data", str(data)), {"SEKISHO_IDENTITY__CODE_SECOND": "30"}, "no setting SEKISHO_IDENTITY"),
        (("keys", "list", "--data", str(data)), {"SEKISHO_TRUSTED_PROXY": "::1"}, "no setting SEKISHO_TRUSTED"),
        (("keys", "list", "--data", str(data)), {"SEKISHO_DATABASE_URL": "mysql://x"}, "postgresql://"),
        (("keys", "list", "--data", str(data)), unreachable, "does not answer"),
        (("keys", "list", "--data", str(data)), {"SEKISHO_TRUSTED_PROXIES": '["::1"'}, "PROXIES: this is not"),
        (("admin", "create-member", "--data", str(data), "--name-ja", "甲", "--name-en", "A", "--source", "blood"), {},
         "no kind of data blood"),
    ]  # fmt: skip
    with taken:
        for arguments, environment, cure in mistakes:
            done = sekisho(*arguments, env=environment)
            assert (done.returncode, done.stderr.count("\n")) == (2, 1), (arguments, done.stderr)
            assert cure in done.stderr


def test_a_list_of_words_is_set_with_commas_or_in_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for written in ("10.0.0.1,10.0.0.2", "10.0.0.1, 10.0.0.2", '["10.0.0.1", "10.0.0.2"]'):
        monkeypatch.setenv("SEKISHO_TRUSTED_PROXIES", written)
        monkeypatch.setenv("SEKISHO_OUTGOING__ALLOW", written)
        settings = Settings(data=tmp_path)
        assert settings.trusted_proxies == settings.outgoing.allow == ("10.0.0.1", "10.0.0.2")
    monkeypatch.setenv("SEKISHO_IDENTITY__UPSTREAMS", "digital-auth-app")
    with pytest.raises(ValidationError, match="upstreams"):
        Settings(data=tmp_path)


def test_a_port_does_not_overrule_the_issuer_of_the_environment(data: Path) -> None:
    """An operator who names the origin once must not serve as http://localhost because the proxy's port is another."""
    wrong = sekisho("serve", "--data", str(data), "--port", "8081", env={"SEKISHO_ISSUER": "http://id.city.example"})
    assert (wrong.returncode, "the issuer must be https" in wrong.stderr) == (2, True)


def test_several_workers_ask_for_postgresql(data: Path) -> None:
    done = sekisho("serve", "--data", str(data), "--workers", "2")
    assert done.returncode == 2
    assert "PostgreSQL" in done.stderr


def test_staff_members_and_clients_are_created_and_the_audit_chain_holds(data: Path) -> None:
    done = sekisho(
        "admin", "create-operator", "keiko", "--name", "保田 恵子", "--password-stdin", "--data", str(data), "--json",
        stdin="correct horse battery staple\n",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["roles"] == ["operator"]
    roles = ("--role", "clerk", "--role", "lead")
    done = sekisho("admin", "set-roles", "keiko", *roles, "--data", str(data), "--json")
    assert json.loads(done.stdout)["roles"] == ["clerk", "lead"]
    done = sekisho("admin", "rename", "keiko", "保田　恵子", "--data", str(data), "--json")
    assert json.loads(done.stdout)["name"] == "保田 恵子"
    assert sekisho("admin", "rename", "keiko", "\u3164", "--data", str(data)).returncode == 2
    done = sekisho("admin", "set-roles", "hanako", "--role", "lead", "--data", str(data))
    assert done.returncode == 2
    assert "No member of staff signs in as hanako" in done.stderr
    done = sekisho(
        "admin",
        "create-member",
        "--name-ja",
        "診療所",
        "--name-en",
        "Clinic",
        "--approve",
        "--data",
        str(data),
        "--json",
    )
    member = json.loads(done.stdout)
    assert member["status"] == "approved"
    done = sekisho(
        "admin", "create-client", "--name-ja", "受付", "--name-en", "Desk", "--member", member["member"],
        "--redirect-uri", "https://clinic.example/callback", "--data", str(data), "--json",
    )  # fmt: skip
    assert json.loads(done.stdout)["client_secret"].startswith("sec_")
    jwks = data.parent / "jwks.json"
    jwks.write_text(json.dumps({"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}), "utf-8")
    done = sekisho(
        "admin", "create-client", "--name-ja", "受付", "--name-en", "Desk", "--jwks", str(jwks), "--dpop",
        "--profile", "fapi2-security", "--redirect-uri", "https://desk.example/cb", "--data", str(data), "--json",
    )  # fmt: skip
    made = json.loads(done.stdout)
    assert made["client_secret"] is None
    done = sekisho("admin", "set-profile", made["client_id"], "fapi2-message-signing", "--data", str(data))
    assert "keeps to fapi2-message-signing" in done.stdout
    done = sekisho("admin", "verify-audit", "--data", str(data), "--json")
    assert json.loads(done.stdout)["held"]


def test_a_guessable_password_is_refused(data: Path) -> None:
    done = sekisho(
        "admin",
        "create-operator",
        "kenji",
        "--name",
        "Kenji",
        "--password-stdin",
        "--data",
        str(data),
        stdin="password1234\n",
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_the_walk_without_a_server_says_how_to_start_one(tmp_path: Path) -> None:
    done = sekisho("walk", "--credentials", str(tmp_path / "none.json"))
    assert done.returncode == 2
    assert "sekisho demo" in done.stderr


def test_consents_of_another_system_are_taken_in_whole_or_not_at_all(data: Path, tmp_path: Path) -> None:
    """`sekisho admin import-consents`: pointers to what is wrong; the same file twice is one."""
    import asyncio
    import shutil

    from typer.testing import CliRunner

    from identity.accounts import Profile, create_account
    from keys.envelope import Sealer
    from keys.hashing import TokenHasher
    from kit.host import SYSTEM
    from portal.cli.common import load_settings, offline
    from tests.consent.test_imports import kantara

    city = tmp_path / "data"
    shutil.copytree(data, city)

    async def add() -> None:
        async with offline(load_settings(city)) as building:
            host = building.host
            await host.db.write(
                create_account, host.get(Sealer), host.get(TokenHasher), login="hanako", now=host.clock.ms(),
                kind="resident", profile=Profile(name="湊 花子", login="hanako"), password_hash=None, actor=SYSTEM,
            )  # fmt: skip

    asyncio.run(add())
    file = tmp_path / "old.json"
    file.write_text(json.dumps(kantara(consentTimestamp="now")))
    given = ["admin", "import-consents", str(file), "--source", "The former portal", "--data", str(city)]
    run = CliRunner().invoke
    wrong = run(app, [*given, "--resident", "hanako"])
    assert wrong.exit_code == 2
    assert "nothing was taken in: /consentTimestamp" in wrong.stderr
    file.write_text(json.dumps(kantara()))
    assert "no resident has this login name" in run(app, [*given, "--resident", "taro"]).stderr
    for new in (True, False):
        done = run(app, [*given, "--resident", "hanako", "--json"])
        assert done.exit_code == 0, done.stderr
        (made,) = json.loads(done.stdout)
        assert (made["new"], made["authority"], made["state"]) == (new, "operator", "evidence")


def test_the_public_half_of_a_key_file_is_printed_to_be_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 7523 section 3: the other side must know it before the first assertion."""
    from typer.testing import CliRunner

    key = ECKey.generate_key("P-256")
    (tmp_path / "app.pem").write_bytes(key.as_pem(private=True))
    monkeypatch.delenv("SEKISHO_IDENTITY__UPSTREAMS", raising=False)
    nothing = CliRunner().invoke(app, ["keys", "upstreams", "--data", str(tmp_path)])
    assert (nothing.exit_code, "SEKISHO_IDENTITY__UPSTREAMS" in nothing.output) == (2, True)
    named = [{"id": "app", "profile": "digital-auth-app", "client_id": "RP1", "key_file": str(tmp_path / "app.pem")}]
    monkeypatch.setenv("SEKISHO_IDENTITY__UPSTREAMS", json.dumps(named))
    done = CliRunner().invoke(app, ["keys", "upstreams", "--data", str(tmp_path)])
    assert done.exit_code == 0, done.output
    (told,) = json.loads(done.stdout)["app"]["keys"]
    assert told == key.as_dict(private=False) | {"kid": key.thumbprint(), "alg": "ES256", "use": "sig"}
