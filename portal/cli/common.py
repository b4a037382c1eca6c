"""What the commands share: settings from options and environment, errors in one line with the cure, JSON output."""

import contextlib
import gc
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from portal.app import Building
    from portal.settings import Settings

T = TypeVar("T")

Data = Annotated[Path, typer.Option("--data", help="Directory of this city's data.", envvar="SEKISHO_DATA")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
HERE = Path("data")


def fail(message: str, *, code: int = 2) -> NoReturn:
    """End with one line on standard error that says what to do."""
    print(f"sekisho: {message}", file=sys.stderr)
    raise typer.Exit(code)


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """Turn the errors a person can mend into one line; anything else is a bug and keeps its traceback."""
    try:
        yield
    except Exception as error:
        found = _mendable(error)
        if found is None:
            raise
        message, code = found
        fail(message, code=code)


def _mendable(error: Exception) -> tuple[str, int] | None:
    """What to tell and the exit code. Loads what knows the error only now: most commands need neither."""
    from keys.errors import RootKeyError
    from kit.problems import Problem

    if isinstance(error, RootKeyError):
        return str(error), 3
    if isinstance(error, Problem):
        return error.detail or error.title, 2
    if isinstance(error, OSError):
        return f"{error.filename or ''}: {error.strerror or error}".lstrip(": "), 2
    if "portal.server" in sys.modules:
        from portal.server import DataInUse

        if isinstance(error, DataInUse):
            return str(error), 2
    if "pydantic" in sys.modules:
        from pydantic import ValidationError

        if isinstance(error, ValidationError):
            first = error.errors()[0]
            words = first["msg"].removeprefix("Value error, ")
            place = "SEKISHO_" + "__".join(str(part) for part in first["loc"]).upper()
            if first["type"] == "extra_forbidden":
                return f"there is no setting {place}; README.md lists them all", 2
            if first["type"] in ("tuple_type", "dict_type", "model_type", "dataclass_type"):
                words = "this is not the JSON it takes (README.md lists what each takes)"
            return (f"setting {place}: {words}" if first["loc"] else f"settings: {words}"), 2
    if "sqlalchemy" in sys.modules:
        from sqlalchemy.exc import OperationalError

        # Only that it could not be reached: what went wrong inside a database is a bug, or says more than a line can.
        if isinstance(error, OperationalError) and "connection failed" in str(error.orig):
            return f"the database does not answer: {str(error.orig).splitlines()[0]}", 2
    return None


@contextlib.contextmanager
def quick_start() -> Iterator[Callable[[], None]]:
    """Without the cycle collector until the doors are open; call what it gives then.

    A start makes a great many things and throws nearly none away, so looking for cycles meanwhile finds nothing. What
    has been made by then lives as long as the process and is never walked through again.
    """

    def opened() -> None:
        gc.freeze()
        gc.enable()

    gc.disable()
    _lean_framework()
    try:
        yield opened
    finally:
        gc.enable()


def _lean_framework() -> None:
    """Load FastAPI without what a running server has no use for: a tenth of a start."""
    # FastAPI asks of every type whether it is one of pydantic's first version, and loads that to ask. Nothing of ours
    # is; where it can't be loaded the answer is no.
    sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]
    # Pydantic looks through every installed distribution for plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from pydantic import BaseModel, ConfigDict

    # The models of an OpenAPI document are for the one who reads /docs, and are built then.
    BaseModel.model_config = ConfigDict(defer_build=True)
    import fastapi.openapi.models  # noqa: F401

    BaseModel.model_config = ConfigDict()


def load_settings(data: Path, **overrides: Any) -> "Settings":
    """Settings from the environment, with these options on top."""
    from portal.settings import Settings, unknown

    if names := unknown(os.environ):  # a setting misspelt is a protection not in force
        fail(f"there is no setting {', '.join(names)}; README.md lists them all")
    os.umask(0o077)  # whatever we write in a data directory is for its owner
    given = {name: value for name, value in overrides.items() if value is not None}
    return Settings(data=data, **given)


def prepare(settings: "Settings", *, create: bool) -> None:
    """A data directory, a root key and a schema that fit this release; raises typer.Exit with the cure otherwise.

    With `create`, what is missing is made: an empty embedded database and a fresh root key.
    """
    from portal import migrations

    if settings.database_url is None:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = migrations.revision(settings.url)
    if found == migrations.HEAD:
        return
    if found is not None and found > migrations.HEAD:
        fail(f"the database is at revision {found}, newer than this release ({migrations.HEAD}); install that one")
    if found is None and not create:
        fail("the database is empty; run `sekisho migrate` first")
    if found is not None and settings.database_url is not None:
        fail(f"the database is at revision {found}; run `sekisho migrate` to bring it to {migrations.HEAD}")
    migrations.upgrade(settings.url)


def make_root_key(file: Path) -> None:
    """Write a fresh root key; in a directory that exists, for who may enter it is not ours to decide."""
    from keys.root import create_file

    if not file.parent.is_dir():
        fail(f"the directory {file.parent} does not exist; make it first (mkdir -p {file.parent})")
    try:
        create_file(file)
    except FileExistsError:
        fail(f"{file} exists already; a root key is never replaced. Name another file.")


def can_listen(host: str, port: int) -> bool:
    """Asked before anything is loaded or made, so that the answer is one sentence and comes at once."""
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        return False
    for family, kind, protocol, _, address in places:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError:
                return False
    return True


def prepare_root_key(settings: "Settings") -> bool:
    """Make a root key file for a data directory that has none yet; returns whether it did."""
    part = settings.keys_part()
    if part.root_key is not None or part.root_passphrase is not None or part.root_key_file is None:
        return False
    if part.root_key_file.exists() or (settings.data / "sekisho.sqlite3").exists() or settings.database_url:
        return False
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    make_root_key(part.root_key_file)
    return True


@contextlib.asynccontextmanager
async def offline(settings: "Settings") -> AsyncIterator["Building"]:
    """The building with its doors shut: for commands on a directory nobody serves."""
    from portal.app import create_app
    from portal.server import exclusive

    lock = exclusive(settings.data) if settings.database_url is None else contextlib.nullcontext()
    with lock:
        building = create_app(settings)
        async with building.running(jobs=False):
            yield building


def with_building(data: Path, work: Callable[["Building"], Awaitable[T]]) -> T:
    """Run `work` on the composed building, offline, with errors in one line."""
    import asyncio

    async def go() -> T:
        settings = load_settings(data)
        prepare(settings, create=False)
        async with offline(settings) as building:
            return await work(building)

    with one_line(), quick_start():
        return asyncio.run(go())
    raise AssertionError("unreachable")


def show(value: Any, as_json: bool, text: str) -> None:
    """Print a result for a program or for a person."""
    print(json.dumps(value, ensure_ascii=False, indent=2) if as_json else text)
