"""`sekisho walk` and `sekisho demo-ask`: the demo's services, by a script and for a person at a browser."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portal.cli.common import Json, fail, one_line

if TYPE_CHECKING:
    from portal.walk.main import Credentials

FILE = "demo-credentials.json"


Url = Annotated[str, typer.Option(help="The server's public origin.")]
File = Annotated[
    Path | None, typer.Option(help="The credentials file that `sekisho demo` wrote.", show_default=f"data/{FILE}")
]
HERE = "http://localhost:8080"


def _known(credentials: Path | None) -> "Credentials":
    """What `sekisho demo` wrote down, or one line that says what is wrong."""
    from portal.walk.main import Credentials

    path = credentials or Path("data") / FILE
    if not path.exists():
        fail(f"{path} does not exist; start `sekisho demo` first, or name its file with --credentials")
    try:
        return Credentials.read(path)
    except (ValueError, KeyError) as error:
        fail(f"{path} is not a credentials file of `sekisho demo` ({error})")


def walk(url: Url = HERE, credentials: File = None, as_json: Json = False) -> None:
    """Do the main walk against a running server, as a resident, a service, an auditor and an analyst would.

    Signs in with a demo resident's password and one-time code, agrees, fetches, sees the disclosure, checks the receipt
    and the ledger, withdraws, and looks whether the desk noticed a stolen token. Ends at the first broken promise with
    exit code 1.

    Example: sekisho demo, and from a second terminal: sekisho walk
    """
    with one_line():
        import httpx2

        from portal.walk.main import Walk
        from portal.walk.report import BrokenPromise, Report

        known = _known(credentials)
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


def demo_ask(
    service: Annotated[str, typer.Argument(help="A demo service.")] = "minato-clinic",
    url: Url = HERE,
    credentials: File = None,
) -> None:
    """Be asked yourself: play a service of the demo, for you at your browser.

    Prints the service's address. Open it, sign in as a demo resident, read the question, agree or don't. The service
    then shows what it got; take the consent back, and let it fetch again. Ends with Ctrl-C.

    Example: sekisho demo, and from a second terminal: sekisho demo-ask
    """
    with one_line():
        import httpx2

        from portal.walk.asking import Asking, listen
        from portal.walk.report import Report
        from portal.walk.service import Service

        known = _known(credentials).clients
        usable = sorted(name for name, one in known.items() if one.get("redirect_uri") and one.get("agreement"))
        if service not in usable:
            fail(f"there is no demo service {service}; these are: {', '.join(usable)}")
        city = url.rstrip("/")
        try:
            metadata = httpx2.get(city + "/.well-known/openid-configuration").json()
            kinds = httpx2.get(city + "/api/bank/categories").json()["categories"]
        except (httpx2.TransportError, ValueError) as error:
            fail(f"{url} does not answer ({error}); start it with `sekisho demo`")
        report = Report()
        names = {one["id"]: one["label"] for one in kinds}
        asking = Asking(Service(city, known[service], metadata, report), city, names)
        try:
            server = listen(asking)
        except OSError as error:
            fail(f"{asking.address} can't be served here ({error.strerror}); end what uses its port")
        report.step(f"{known[service]['name']} asks whoever opens  {asking.address}  (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            server.server_close()
            asking.service.close()
