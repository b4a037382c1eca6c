"""`sekisho walk`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from portal.cli.common import Json, fail, one_line

FILE = "demo-credentials.json"


def walk(
    url: Annotated[str, typer.Option(help="The server's public origin.")] = "http://localhost:8080",
    credentials: Annotated[
        Path | None, typer.Option(help="The credentials file that `sekisho demo` wrote.", show_default=f"data/{FILE}")
    ] = None,
    as_json: Json = False,
) -> None:
    """Do the main walk against a running server, as a resident, a service, an auditor and an analyst would.

    Signs in with a demo resident's password and one-time code, agrees, fetches, sees the disclosure, checks the receipt
    and the ledger, withdraws, and looks whether the desk noticed a stolen token. Ends at the first broken promise with
    exit code 1.

    Example: sekisho demo, and from a second terminal: sekisho walk
    """
    with one_line():
        import httpx2

        from portal.walk.main import Credentials, Walk
        from portal.walk.report import BrokenPromise, Report

        path = credentials or Path("data") / FILE
        if not path.exists():
            fail(f"{path} does not exist; start `sekisho demo` first, or name its file with --credentials")
        try:
            known = Credentials.read(path)
        except (ValueError, KeyError) as error:
            fail(f"{path} is not a credentials file of `sekisho demo` ({error})")
        report = Report(quiet=as_json)
        broken = ""
        try:
            with Walk(url.rstrip("/"), known, report) as made:
                made.run()
        except BrokenPromise as promise:
            broken = str(promise)
        except httpx2.TransportError as error:
            fail(f"{url} does not answer ({error}); start it with `sekisho demo`")
        if as_json:
            print(
                json.dumps({"held": not broken, "broken": broken, "steps": report.steps}, ensure_ascii=False, indent=2)
            )
        elif broken:
            print(f"\n✗ Broken promise: {broken}", file=sys.stderr)
        if broken:
            raise typer.Exit(1)
        if not as_json:
            count = sum(len(step["proved"]) for step in report.steps)
            print(f"\nEvery promise held: {count} in {len(report.steps)} steps.")
