"""What the ledger's commands share: where trust comes from, and how a check that failed is said. Loads no server."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portal.cli.common import fail, show

if TYPE_CHECKING:
    from consent.trust import Trust

Vkey = Annotated[str | None, typer.Option(help="The ledger's verifier key: the text, or a file that holds it.")]
Place = Annotated[str, typer.Option(help="The ledger: a URL prefix, or a directory of its tiles.")]
Policy = Annotated[
    Path | None, typer.Option(help="A witness policy file (c2sp.org/tlog-policy); its log line replaces --vkey.")
]
Origin = Annotated[str | None, typer.Option(help="The log's origin, where it is not the key's name.")]
Strict = Annotated[bool, typer.Option("--quorum", help="Fail unless the policy's witnesses cosigned.")]
HERE_LEDGER = "http://localhost:8080/ledger"


def key_text(given: str | None) -> str | None:
    """The key text, from a file if it names one."""
    if given is None:
        return None
    path = Path(given)
    return path.read_text().strip() if "+" not in given or path.exists() else given


def trust_of(vkey: str | None, policy: Path | None, origin: str | None = None) -> "Trust":
    """The keys to believe; ends with one line if nothing names a log."""
    from consent.trust import Trust

    if vkey is None and policy is None:
        fail("give --vkey (the ledger's verifier key) or --policy (a file with a log line)")
    return Trust.of(key_text(vkey), None if policy is None else policy.read_bytes(), origin=origin)


@contextlib.contextmanager
def checking(as_json: bool, *, wrong: str) -> Iterator[None]:
    """A check that fails ends with exit code 1, one line, and the name of the check; no answer at all with code 2."""
    from kit.tlog.errors import BadLog

    try:
        yield
    except BadLog as bad:
        if as_json:
            show({"held": False, "check": bad.check, "detail": str(bad)}, True, "")
        fail(f"{wrong} ({bad.check}): {bad}", code=1)
    except OSError as error:
        fail(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))
    except ValueError as error:
        fail(str(error))
