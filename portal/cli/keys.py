"""`sekisho keys`: see and rotate keys on a directory nobody serves (the console does the same while serving)."""

from pathlib import Path
from typing import Annotated, Any

import typer

from portal.cli.common import HERE, Data, Json, fail, load_settings, make_root_key, one_line, show, with_building

app = typer.Typer(help="Root key, key-encryption keys and signing keys.", no_args_is_help=True)


@app.command("new-root")
def new_root(
    file: Annotated[Path, typer.Argument(help="Where to write it; must not exist yet.")],
) -> None:
    """Write a fresh root key (mode 0600). Keep a copy apart from the data: without it nothing can be read.

    Example: sekisho keys new-root /etc/sekisho/root.key
    """
    with one_line():
        make_root_key(file)
        print(f"wrote {file} (mode 0600); point SEKISHO_ROOT_KEY_FILE at it and keep a copy apart from the data")


@app.command("list")
def list_keys(data: Data = HERE, as_json: Json = False) -> None:
    """List every key with its state; never any material.

    Example: sekisho keys list --json
    """

    async def work(building: Any) -> list[dict[str, Any]]:
        from dataclasses import asdict

        from keys.ceremonies import KeyStore

        return [asdict(key) for key in await building.host.get(KeyStore).list_keys()]

    found = with_building(data, work)
    lines = [f"{key['purpose']:<8} {key['alg']:<12} {key['state']:<11} {key['id']}" for key in found]
    show(found, as_json, "\n".join(lines))


@app.command("upstreams", short_help="The public keys to register at OpenID providers.")
def upstreams(data: Data = HERE) -> None:
    """Print, for each upstream with a key_file, the JWK Set to register there: its public half, nothing else.

    Example: SEKISHO_IDENTITY__UPSTREAMS='[…]' sekisho keys upstreams
    """
    with one_line():
        from keys.files import KeyFile

        found = load_settings(data).identity.upstreams
        told = {one.id: {"keys": [KeyFile(one.key_file).jwk]} for one in found if one.key_file is not None}
        if not told:
            fail("no upstream proves itself with a key; SEKISHO_IDENTITY__UPSTREAMS names them, with key_file")
        show(told, True, "")


@app.command(short_help="Rotate signing keys.")
def rotate(
    data: Data = HERE,
    alg: Annotated[
        list[str] | None, typer.Option(metavar="ALGORITHM", help="Only this algorithm's set; may be repeated.")
    ] = None,
    compromised: Annotated[
        bool, typer.Option("--compromised", help="The active key leaked: refuse what it signed from this moment.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Rotate signing keys: next becomes active, active retires (and still verifies), a new next is published.

    Example: sekisho keys rotate --alg EdDSA
    """

    async def work(building: Any) -> list[dict[str, Any]]:
        from dataclasses import asdict

        from keys.ceremonies import KeyStore
        from keys.signing import ALGS, EVERY
        from kit.host import SYSTEM

        chosen = alg or list(ALGS)
        unknown = sorted(set(chosen) - set(EVERY))
        if unknown:
            fail(f"no signing keys for {', '.join(unknown)}; there are {', '.join(EVERY)}")
        store = building.host.get(KeyStore)
        return [asdict(one) for one in await store.rotate_signing(actor=SYSTEM, algs=chosen, compromised=compromised)]

    done = with_building(data, work)
    show(done, as_json, "\n".join(f"{one['alg']}: {one['active']} signs now; {one['retired']} retired" for one in done))


@app.command("rotate-kek", short_help="Replace the key-encryption key.")
def rotate_kek(data: Data = HERE, as_json: Json = False) -> None:
    """Replace the key-encryption key: residents' data keys are wrapped anew; the data itself does not change.

    Example: sekisho keys rotate-kek --data /srv/sekisho
    """

    async def work(building: Any) -> int:
        from keys.ceremonies import KeyStore
        from kit.host import SYSTEM

        moved: int = await building.host.get(KeyStore).rotate_kek(actor=SYSTEM)
        return moved

    moved = with_building(data, work)
    show({"rewrapped": moved}, as_json, f"{moved} data keys wrapped anew")
