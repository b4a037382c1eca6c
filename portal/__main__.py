"""The `sekisho` command."""

import typer

from portal.cli import admin as _admin
from portal.cli import demo as _demo
from portal.cli import federation as _federation
from portal.cli import keys as _keys
from portal.cli import ledger as _ledger
from portal.cli import serve as _serve
from portal.cli import walk as _walk

app = typer.Typer(
    name="sekisho",
    help="The security layer of a smart city: sign-in, consent, personal data, incidents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(_serve.serve)
app.command(short_help="Run the periodic jobs alone (PostgreSQL only).")(_serve.jobs)
app.command(short_help="Bring the database to this release's schema; safe to run again.")(_serve.migrate)
app.command(short_help="Serve the fictional city of Minato-hama.")(_demo.demo)
app.command("demo-code", short_help="Print the one-time code of a demo person.")(_demo.demo_code)
app.command(short_help="Do the main walk against a running demo.")(_walk.walk)
app.command("demo-ask", short_help="Be asked yourself, at your own browser, by a service of the demo.")(_walk.demo_ask)
app.add_typer(_keys.app, name="keys")
app.add_typer(_ledger.app, name="ledger")
app.add_typer(_admin.app, name="admin")
app.add_typer(_federation.app, name="federation")


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
