"""`sekisho ledger`: check receipts, checkpoints and whole logs from outside, without a server or a database."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from portal.cli.common import Json, fail, show
from portal.cli.ledger_common import (
    HERE_LEDGER,
    Origin,
    Place,
    Policy,
    Strict,
    Vkey,
    checking,
    trust_of,
)
from portal.cli.ledger_monitor import monitor

app = typer.Typer(help="Check receipts and the ledger, with no trust in the server.", no_args_is_help=True)
app.command()(monitor)


def _jwks(given: str) -> Any:
    """A key set from a file, or from an http(s) address."""
    from urllib.parse import urlsplit

    if urlsplit(given).scheme in ("http", "https"):
        import httpx2

        return httpx2.get(given, timeout=30).json()
    return json.loads(Path(given).read_text())


@app.command("verify-receipt", short_help="Check a receipt, offline.")
def verify_receipt(
    receipt: Annotated[Path, typer.Argument(help="The receipt file, *.sekisho-receipt.json.")],
    jwks: Annotated[str, typer.Option(help="The issuer's public keys: a JWKS file (or its address).")],
    vkey: Vkey = None,
    policy: Policy = None,
    quorum: Strict = False,
    online: Annotated[
        bool, typer.Option("--online", help="Then ask the issuer's status list whether it still holds.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check a receipt, offline: nothing is asked of the server that issued it. Exit code 1 if it does not verify.

    Get the two keys once, from somewhere you trust:

      curl -o ledger.vkey http://localhost:8080/ledger/vkey

      curl -o jwks.json http://localhost:8080/oauth/jwks

    With a witness policy it also says which witnesses cosigned the ledger the receipt is in. With --online the whole
    list of statuses is fetched, so that nobody learns which receipt was looked for; exit code 3 if something later (a
    change, a withdrawal, an end) replaced what this receipt says, 2 if the list says nothing that can be believed.

    Example: sekisho ledger verify-receipt my.sekisho-receipt.json --vkey ledger.vkey --jwks jwks.json
    """
    with checking(as_json, wrong="the receipt does not verify"):
        from consent import verify

        trust = trust_of(vkey, policy)
        try:
            found = verify.verify_receipt(receipt.read_bytes(), jwks=_jwks(jwks), trust=trust)
        except verify.NotVerified as error:
            result: dict[str, Any] = {"verified": False, "step": error.step, "detail": error.detail}
            if as_json:
                print(json.dumps(result, ensure_ascii=False, indent=2))
            else:
                _steps(verify.STEPS, failed=error.step)
            fail(str(error), code=1)
        if quorum:
            trust.require_quorum(found.note)
        status = _status(found.claims, _jwks(jwks)) if online else None
        result = {"verified": True, **dict(found.summary), **found.quorum.document()}
        if status is not None:
            result["status"] = status
        if as_json:
            print(json.dumps(result, ensure_ascii=False, indent=2))
        else:
            _steps(verify.STEPS)
            for name, value in (*found.summary, *((("status", _STATUS[status]),) if status else ())):
                print(f"  {name:<11} {value}")
        if status == "invalid":
            raise typer.Exit(3)


_STATUS = {
    "valid": "nothing has replaced it",
    "invalid": "genuine, but something later has replaced it",
    "none": "an older receipt: it names no status list",
}


def _status(claims: Any, jwks: Any) -> str:
    """What the issuer's status list says of it; ends with exit code 2 where it can't be believed."""
    import httpx2

    from consent import status_list
    from kit.clock import SECOND, SystemClock

    try:
        wanted = status_list.reference(claims)
        if wanted is None:
            return "none"
        answer = httpx2.get(wanted.uri, headers={"accept": status_list.MEDIA_TYPE}, timeout=30).raise_for_status()
        return status_list.check(wanted, answer.text.strip(), jwks=jwks, now=SystemClock().ms() // SECOND)
    except (status_list.BadStatus, httpx2.HTTPError) as bad:
        fail(f"the receipt is genuine; its status is not known: {bad}", code=2)


def _steps(steps: tuple[str, ...], *, failed: int | None = None) -> None:
    for number, words in enumerate(steps, 1):
        if failed is None or number < failed:
            print(f"✓ {number}. {words}")
        elif number == failed:
            print(f"✗ {number}. {words}")


@app.command(short_help="Check the whole ledger byte for byte.")
def verify(
    vkey: Vkey = None,
    url: Place = HERE_LEDGER,
    policy: Policy = None,
    quorum: Strict = False,
    origin: Origin = None,
    as_json: Json = False,
) -> None:
    """Check the whole ledger byte for byte: signature, every entry, every tile, the root. Exit code 1 if it fails.

    With a witness policy it says which witnesses cosigned, and whether they are a quorum.

    Example: sekisho ledger verify --url http://localhost:8080/ledger --vkey ledger.vkey
    """
    with checking(as_json, wrong="the ledger does not hold"):
        from consent.verify import verify_log

        trust = trust_of(vkey, policy, origin)
        audit = verify_log(url, trust)
        stated = trust.require_quorum(audit.note) if quorum else trust.quorum(audit.note)
        size = audit.checkpoint.size
        result = {
            "held": True,
            "origin": audit.checkpoint.origin,
            "size": size,
            "root": audit.checkpoint.root.hex(),
            "tiles": audit.tiles,
            "bundles": audit.bundles,
            **stated.document(),
        }
        words = f"the ledger holds: {size} entries under its signed root"
        show(result, as_json, words if stated.met is None else f"{words}; {stated}")


@app.command(short_help="Make the inclusion proof of an entry.")
def prove(
    index: Annotated[int, typer.Argument(min=0, help="The entry's place in the ledger, from 0.")],
    vkey: Vkey = None,
    url: Place = HERE_LEDGER,
    policy: Policy = None,
    origin: Origin = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the proof to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Make the inclusion proof of an entry (c2sp.org/tlog-proof): a file that verifies offline.

    Example: sekisho ledger prove 42 --vkey ledger.vkey -o entry-42.tlog-proof
    """
    with checking(as_json, wrong="no proof"):
        from consent.verify import prove as make

        proof = make(url, index, trust_of(vkey, policy, origin))
        if out is not None:
            out.write_text(proof, encoding="utf-8")
        show({"held": True, "index": index, "proof": proof}, as_json, f"wrote {out}" if out else proof.rstrip("\n"))


@app.command(short_help="Check that a ledger still begins with an older checkpoint.")
def consistency(
    older: Annotated[Path, typer.Argument(help="A checkpoint you kept from before.")],
    newer: Annotated[Path | None, typer.Argument(help="A later one; the ledger's newest if none is given.")] = None,
    vkey: Vkey = None,
    url: Place = HERE_LEDGER,
    policy: Policy = None,
    origin: Origin = None,
    as_json: Json = False,
) -> None:
    """Check that the ledger still begins with what an older checkpoint covered: that it only ever grew.

    Example: sekisho ledger consistency last-week.checkpoint --vkey ledger.vkey
    """
    with checking(as_json, wrong="the ledger was rewritten"):
        from consent.verify import verify_growth
        from kit.tlog.note import b64

        later = None if newer is None else newer.read_bytes()
        grown = verify_growth(url, older.read_bytes(), trust_of(vkey, policy, origin), newer=later)
        result = {
            "held": True,
            "older": grown.older.size,
            "size": grown.newer.size,
            "proof": [b64(each) for each in grown.proof],
        }
        show(result, as_json, f"the ledger only grew, from {grown.older.size} to {grown.newer.size} entries")


@app.command(short_help="Copy the whole ledger into a directory.")
def export(
    directory: Annotated[Path, typer.Argument(help="Where the copy goes; an older copy is brought up to date.")],
    vkey: Vkey = None,
    url: Place = HERE_LEDGER,
    policy: Policy = None,
    origin: Origin = None,
    as_json: Json = False,
) -> None:
    """Copy the whole ledger into a directory, checking every byte; any file server can serve it, `verify` reads it.

    Example: sekisho ledger export ./ledger-copy --vkey ledger.vkey
    """
    with checking(as_json, wrong="not exported"):
        from consent.export import export as copy

        done = copy(url, directory, trust_of(vkey, policy, origin))
        size = done.checkpoint.size
        result = {"held": True, "size": size, "tiles": done.tiles, "bundles": done.bundles, "directory": str(directory)}
        show(result, as_json, f"copied {size} entries to {directory}: {done.tiles} tiles, {done.bundles} bundles")
