"""`sekisho ledger`: check a receipt, a checkpoint or the whole ledger from outside, offline where possible."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from portal.cli.common import Json, fail, one_line, show

app = typer.Typer(help="Check receipts and the ledger, with no trust in the server.", no_args_is_help=True)

Vkey = Annotated[str, typer.Option(help="The ledger's verifier key: the text, or a file that holds it.")]
Place = Annotated[str, typer.Option(help="The ledger: a URL prefix, or a directory of its tiles.")]
HERE_LEDGER = "http://localhost:8080/ledger"


def _vkey(given: str) -> str:
    """The key text, from a file if it names one."""
    path = Path(given)
    return path.read_text().strip() if "+" not in given or path.exists() else given


def _jwks(given: str) -> Any:
    """A key set from a file, or from an http(s) address."""
    from urllib.parse import urlsplit

    if urlsplit(given).scheme in ("http", "https"):
        import httpx2

        return httpx2.get(given, timeout=30).json()
    return json.loads(Path(given).read_text())


@app.command("verify-receipt")
def verify_receipt(
    receipt: Annotated[Path, typer.Argument(help="The receipt file, *.sekisho-receipt.json.")],
    vkey: Vkey,
    jwks: Annotated[str, typer.Option(help="The issuer's public keys: a JWKS file (or its address).")],
    as_json: Json = False,
) -> None:
    """Check a receipt, offline: nothing is asked of the server that issued it. Exit code 1 if it does not verify.

    Get the two keys once, from somewhere you trust:

      curl -o ledger.vkey http://localhost:8080/ledger/vkey

      curl -o jwks.json http://localhost:8080/oauth/jwks

    Example: sekisho ledger verify-receipt my.sekisho-receipt.json --vkey ledger.vkey --jwks jwks.json
    """
    with one_line():
        from consent import verify

        try:
            found = verify.verify_receipt(receipt.read_bytes(), vkey=_vkey(vkey), jwks=_jwks(jwks))
        except verify.NotVerified as error:
            result: dict[str, Any] = {"verified": False, "step": error.step, "detail": error.detail}
            if as_json:
                print(json.dumps(result, ensure_ascii=False, indent=2))
            else:
                _steps(verify.STEPS, failed=error.step)
            fail(str(error), code=1)
        except ValueError as error:
            fail(f"{error}")
        result = {"verified": True, **dict(found.summary)}
        if as_json:
            print(json.dumps(result, ensure_ascii=False, indent=2))
            return
        _steps(verify.STEPS)
        for name, value in found.summary:
            print(f"  {name:<11} {value}")


def _steps(steps: tuple[str, ...], *, failed: int | None = None) -> None:
    for number, words in enumerate(steps, 1):
        if failed is None or number < failed:
            print(f"✓ {number}. {words}")
        elif number == failed:
            print(f"✗ {number}. {words}")


@app.command()
def verify(vkey: Vkey, url: Place = HERE_LEDGER, as_json: Json = False) -> None:
    """Check the whole ledger byte for byte: signature, every entry, every tile, the root.

    Example: sekisho ledger verify --url http://localhost:8080/ledger --vkey ledger.vkey
    """
    with one_line():
        from consent.verify import verify_log
        from kit.tlog.errors import BadLog

        try:
            audit = verify_log(url, vkey=_vkey(vkey))
        except BadLog as error:
            fail(f"the ledger does not hold: {error}", code=1)
        size = audit.checkpoint.size
        show({"held": True, "size": size}, as_json, f"the ledger holds: {size} entries under its signed root")


@app.command()
def grown(
    older: Annotated[Path, typer.Argument(help="A checkpoint you kept from before.")],
    vkey: Vkey,
    url: Place = HERE_LEDGER,
    as_json: Json = False,
) -> None:
    """Check that the ledger still begins with what an older checkpoint covered: that it only ever grew.

    Example: sekisho ledger grown last-week.checkpoint --vkey ledger.vkey
    """
    with one_line():
        from consent.verify import verify_growth
        from kit.tlog.errors import BadLog

        try:
            newest = verify_growth(url, older.read_bytes(), vkey=_vkey(vkey))
        except BadLog as error:
            fail(f"the ledger was rewritten: {error}", code=1)
        show({"held": True, "size": newest.size}, as_json, f"the ledger only grew; it has {newest.size} entries now")
