"""`sekisho demo`: the fictional city of Minato-hama, ready to be looked at."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from portal.cli.common import (
    HERE,
    Data,
    can_listen,
    fail,
    load_settings,
    one_line,
    prepare,
    prepare_root_key,
    quick_start,
)
from portal.cli.walk import FILE

_WELCOME = """
  Minato-hama 湊浜市 is open:  {url}

  Sign in as              password                          one-time code: {program} demo-code LOGIN{more}
{people}

  Try     be hanako: what did they see? who used it? take it home
          be asked, from a second terminal:   {program} demo-ask{walk}
          let a script do it all, and check:  {program} walk{walk}
          be analyst: the walk's stolen token is on the desk
  APIs    {url}/docs
  File    {file} holds all of the above (only you can read it)
  Stop    Ctrl-C; the data stays in {data}
"""

ACKNOWLEDGE_EVERY = 30

_ROLES = {
    "operator": "city office",
    "analyst": "incident desk",
    "lead": "may contain",
    "ethics": "ethics board",
    "clerk": "counter",
}


def write_private(path: Path, text: str) -> None:
    """Write a file only its owner may read, whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


async def seed_city(building: Any, path: Path) -> None:
    """Make the city's people, members, data and history through the real domain functions, once."""
    from portal.city.seed import seed

    def keep(credentials: Any) -> None:
        write_private(path, json.dumps(credentials.document(), ensure_ascii=False, indent=2) + "\n")

    await seed(building.host, now_ms=building.host.clock.ms(), keep=keep)


def services_answer(building: Any, known: dict[str, Any]) -> Any:
    """Let the demo's services confirm what residents take back, as a job that knocks at the city's own doors; the job.

    Without them a demo that is left running would raise an alert for each withdrawal after three days.
    """
    made: list[Any] = []

    async def answer() -> int:
        if not made:
            import httpx2

            from kit.clock import SECOND
            from kit.logs import log
            from portal.walk.acknowledging import Acknowledger

            def trouble(client: str, why: str) -> None:
                log.warning("demo service", client=client, trouble=why)

            # Every request goes through front table, door and guards; only the socket is left out.
            http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=building, raise_app_exceptions=False))
            clock = building.host.clock
            made.append(
                Acknowledger(
                    http, known, issuer=building.settings.issuer, now=lambda: clock.ms() // SECOND, trouble=trouble
                )
            )
        return int(await made[0].run())

    building.host.job("demo.acknowledge", ACKNOWLEDGE_EVERY, answer)
    return answer


def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on, on localhost.")] = 8080,
    data: Data = HERE,
    seed_only: Annotated[bool, typer.Option("--seed-only", help="Make the city, then end.")] = False,
) -> None:
    """Serve the fictional city of Minato-hama on http://localhost:8080, making it on the first start.

    Everything is generated on this machine: keys, passwords, people. A second start keeps the data.

    Example: sekisho demo --port 8080 --data ./data
    """
    with one_line():
        if not seed_only and not can_listen("127.0.0.1", port):
            fail(f"port {port} is in use; choose another with --port")
        url = f"http://localhost:{port}"
        settings = load_settings(data, issuer=url)
    with one_line(), quick_start() as opened:
        import asyncio
        import gc

        from kit.logs import configure
        from portal.app import create_app
        from portal.server import configs, exclusive, run

        configure(json=False)
        file = settings.data / FILE
        with exclusive(settings.data):
            prepare_root_key(settings)
            prepare(settings, create=True)
            made = settings.data / "demo-made"
            if not made.exists():  # a start that was cut short begins again
                print("sekisho: making the city (once, a few seconds)", file=sys.stderr)

                async def make() -> None:
                    async with create_app(settings).running(jobs=False) as building:
                        await seed_city(building, file)

                asyncio.run(make())
                gc.collect()
                made.touch()
            if seed_only:
                print(f"made {file}")
                return
            building = create_app(settings)
            known = json.loads(file.read_text())
            services_answer(building, known)

            def greet() -> None:
                opened()
                here = "" if data == HERE else f" --data {data}"
                walk = ("" if port == 8080 else f" --url {url}") + (f" --credentials {file}" if here else "")
                print(
                    _WELCOME.format(
                        url=url,
                        program=_program(),
                        people=_people(known),
                        file=file,
                        walk=walk,
                        data=settings.data,
                        more=here,
                    ),
                    flush=True,
                )

            run(building, configs(building, host="localhost", port=port), on_open=greet)


def _program() -> str:
    """How this program is called from here: what a reader can type into a second terminal."""
    started = Path(sys.argv[0])
    if started.name != "sekisho":
        return f"{_short(sys.executable)} -m portal"
    found = Path(shutil.which("sekisho") or "")
    # An environment that is activated here is not in the second terminal; there the path works, as in README.
    everywhere = found.is_file() and found.samefile(started) and not (found.parent.parent / "pyvenv.cfg").exists()
    return "sekisho" if everywhere else _short(sys.argv[0])


def _short(path: str) -> str:
    """A path as short as it can be said in this directory."""
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path


def _people(known: dict[str, Any]) -> str:
    """One line for each person who can sign in."""
    lines = []
    for person in (*known["residents"].values(), *known["staff"].values()):
        who = ", ".join(_ROLES.get(role, role) for role in person["roles"]) or person["name"]
        lines.append(f"    {person['login']:<21} {person['password']:<33} {who}")
    return "\n".join(lines)


def demo_code(
    login: Annotated[str, typer.Argument(help="Login of a demo person, for example hanako.")], data: Data = HERE
) -> None:
    """Print the one-time code of a demo person, as their authenticator app would show it.

    Example: sekisho demo-code hanako
    """
    with one_line():
        import pyotp

        file = data / FILE
        if not file.exists():
            fail(f"{file} does not exist; start `sekisho demo` first")
        known = json.loads(file.read_text())
        for person in (*known["residents"].values(), *known["staff"].values()):
            if person["login"] == login and person.get("totp_secret"):
                print(pyotp.TOTP(person["totp_secret"]).now())
                return
        fail(f"there is nobody with the login {login} in {file}")
