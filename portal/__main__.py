"""The `sekisho` command."""

import typer

from portal.cli import admin as _admin
from portal.cli import demo as _demo
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
app.command()(_serve.jobs)
app.command()(_serve.migrate)
app.command()(_demo.demo)
app.command("demo-code")(_demo.demo_code)
app.command()(_walk.walk)
app.add_typer(_keys.app, name="keys")
app.add_typer(_ledger.app, name="ledger")
app.add_typer(_admin.app, name="admin")


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
