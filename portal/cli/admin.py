"""`sekisho admin`: first operator, members and clients, on a directory nobody serves; afterwards use the console."""

from pathlib import Path
from typing import Annotated, Any

import typer

from portal.cli.common import HERE, Data, Json, fail, load_settings, one_line, prepare, show, with_building

app = typer.Typer(
    help="Create staff, members and clients; verify the audit chain. An SQLite city must not be running meanwhile.",
    no_args_is_help=True,
)

ROLES = ("operator", "analyst", "lead", "ethics", "clerk")


@app.command("create-operator", short_help="Create a member of staff.")
def create_operator(
    login: Annotated[str, typer.Argument(help="Login name of the new member of staff.")],
    name: Annotated[str, typer.Option(help="Full name.")],
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE", help=f"One of {', '.join(ROLES)}; may be repeated. Default: operator."),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input, do not ask.")
    ] = False,
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Create a member of staff with a password and an authenticator secret (shown once).

    Example: sekisho admin create-operator keiko --name "保田 恵子" --role operator
    """
    import sys

    roles = _roles(role or ["operator"])
    with one_line():  # before a password is thought of and typed twice
        prepare(load_settings(data), create=False)
    password = (
        sys.stdin.readline().rstrip("\n")
        if password_stdin
        else typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    )

    async def work(building: Any) -> dict[str, Any]:
        from identity import accounts, password_policy, totp
        from identity.breached import Breached
        from identity.credentials import Credentials
        from keys.envelope import Sealer
        from keys.hashing import TokenHasher
        from kit.host import SYSTEM

        host = building.host
        await password_policy.require_good(password, breached=host.get(Breached), own=(login, name))
        encoded = await host.get(Credentials).hash(password)
        secret = totp.new_secret()
        now = host.clock.ms()

        def create(session: Any) -> str:
            account = accounts.create_account(
                session, host.get(Sealer), host.get(TokenHasher), login=login, now=now, kind="staff", roles=roles,
                profile=accounts.Profile(name=name, login=login), password_hash=encoded, actor=SYSTEM,
            )  # fmt: skip
            totp.turn_on(session, host.get(Sealer), account, secret=secret, now=now, actor=SYSTEM)
            return account

        account = await host.db.write(create)
        return {"account": account, "login": login, "roles": roles, "totp_secret": secret}

    made = with_building(data, work)
    show(
        made, as_json, f"created {login} ({', '.join(roles)}); authenticator secret, shown once: {made['totp_secret']}"
    )


@app.command("set-roles", short_help="Give a member of staff other roles.")
def set_roles(
    login: Annotated[str, typer.Argument(help="Login name of the member of staff.")],
    role: Annotated[
        list[str],
        typer.Option(metavar="ROLE", help=f"One of {', '.join(ROLES)}; repeatable. The others are taken away."),
    ],
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Give a member of staff other roles, in force at once wherever they are signed in.

    Example: sekisho admin set-roles keiko --role operator --role clerk
    """
    roles = _roles(role)

    async def work(building: Any) -> dict[str, Any]:
        from identity import accounts
        from keys.hashing import TokenHasher
        from kit.host import SYSTEM
        from kit.problems import NotFound

        host = building.host

        def change(session: Any) -> str:
            found = accounts.find_account(session, host.get(TokenHasher), login)
            if found is None or found.kind != "staff":
                raise NotFound(f"No member of staff signs in as {login}.")
            accounts.set_roles(session, found.id, roles, actor=SYSTEM)
            return found.id

        return {"account": await host.db.write(change), "login": login, "roles": sorted(set(roles))}

    changed = with_building(data, work)
    show(changed, as_json, f"{login} is {', '.join(changed['roles'])} now")


@app.command("rename", short_help="Give a member of staff another name.")
def rename(
    login: Annotated[str, typer.Argument(help="Login name of the member of staff.")],
    name: Annotated[str, typer.Argument(help="The name from now on.")],
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Write another name of a member of staff. They can't themselves: it tells them apart where two people are wanted.

    Example: sekisho admin rename keiko "保田 恵子"
    """

    from portal.pages.person_form import read_name

    named = read_name(name)
    if named is None:
        fail("this is no name: 80 characters at most, each of which can be seen")

    async def work(building: Any) -> dict[str, Any]:
        from dataclasses import replace

        from identity import accounts
        from keys.envelope import Sealer
        from keys.hashing import TokenHasher
        from kit.host import SYSTEM
        from kit.problems import NotFound

        host = building.host
        sealer = host.get(Sealer)

        def change(session: Any) -> str:
            found = accounts.find_account(session, host.get(TokenHasher), login)
            if found is None or found.kind != "staff" or found.status == "closed":
                raise NotFound(f"No member of staff signs in as {login}.")
            before = accounts.profile(session, sealer, found.id)
            after = replace(before, name=named, family_name="", given_name="", family_name_kana="", given_name_kana="")
            accounts.change_profile(session, sealer, found.id, after, now=host.clock.ms(), actor=SYSTEM)
            return found.id

        return {"account": await host.db.write(change), "login": login, "name": named}

    changed = with_building(data, work)
    show(changed, as_json, f"{login} is {changed['name']} now")


def _roles(named: list[str]) -> list[str]:
    unknown = sorted(set(named) - set(ROLES))
    if unknown:
        fail(f"there is no role {', '.join(unknown)}; there are {', '.join(ROLES)}")
    return named


@app.command("create-member")
def create_member(
    name_ja: Annotated[str, typer.Option(help="Name in Japanese.")],
    name_en: Annotated[str, typer.Option(help="Name in English.")],
    site: Annotated[str | None, typer.Option(help="Its web site.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(metavar="CATEGORY", help="A data category it may deposit; may be repeated.")
    ] = None,
    approve: Annotated[bool, typer.Option("--approve", help="Approve it at once.")] = False,
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Register a member organisation.

    Example: sekisho admin create-member --name-ja みなと診療所 --name-en "Minato Clinic" --approve
    """

    async def work(building: Any) -> dict[str, Any]:
        from identity import members
        from infobank.catalogue import Catalogue
        from kit.host import SYSTEM

        known = building.host.get(Catalogue).ids
        unknown = sorted(set(source or ()) - set(known))
        if unknown:
            fail(f"there is no kind of data {', '.join(unknown)}; there are {', '.join(known)}")
        now = building.host.clock.ms()

        def create(session: Any) -> dict[str, Any]:
            member = members.apply(
                session,
                name_ja=name_ja,
                name_en=name_en,
                actor=SYSTEM,
                now=now,
                site=site,
                source_categories=source or (),
            )
            if approve:
                member = members.approve(session, member.id, actor=SYSTEM, now=now)
            return {"member": member.id, "status": member.status}

        made: dict[str, Any] = await building.host.db.write(create)
        return made

    made = with_building(data, work)
    show(made, as_json, f"{made['member']} is {made['status']}")


@app.command("create-client", short_help="Register a client.")
def create_client(
    name_ja: Annotated[str, typer.Option(help="Name in Japanese.")],
    name_en: Annotated[str, typer.Option(help="Name in English.")],
    member: Annotated[str | None, typer.Option(help="Id of the organisation it belongs to.")] = None,
    redirect_uri: Annotated[
        list[str] | None, typer.Option(metavar="URI", help="An exact redirect URI; may be repeated.")
    ] = None,
    scope: Annotated[str, typer.Option(help="Scopes it may ask for.")] = "openid profile offline_access",
    machine: Annotated[
        bool, typer.Option("--machine", help="Client credentials only: no resident is involved.")
    ] = False,
    client_id: Annotated[str | None, typer.Option(help="Choose the id yourself.")] = None,
    jwks: Annotated[Path | None, typer.Option(help="Its public keys (a JWK Set): instead of a secret.")] = None,
    dpop: Annotated[bool, typer.Option("--dpop", help="Its tokens are bound to a key of its own (RFC 9449).")] = False,
    profile: Annotated[str, typer.Option(help="none, fapi2-security or fapi2-message-signing.")] = "none",
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Register a client with a secret (shown once), or with keys. For the rest of its metadata use the API.

    Example: sekisho admin create-client --name-ja 受付 --name-en Reception --redirect-uri https://clinic.example/callback
    """
    import orjson

    try:
        keys = orjson.loads(jwks.read_bytes()) if jwks is not None else None
    except (OSError, ValueError) as error:
        fail(f"{jwks} can't be read as a JWK Set: {error}")

    async def work(building: Any) -> dict[str, Any]:
        from identity.clients import Clients
        from identity.registration import Registration
        from kit.host import SYSTEM

        registration = Registration(
            name_ja=name_ja, name_en=name_en, member_id=member, redirect_uris=redirect_uri or [], scope=scope,
            grant_types=["client_credentials"] if machine else ["authorization_code", "refresh_token"],
            token_endpoint_auth_method="client_secret_basic" if keys is None else "private_key_jwt", jwks=keys,
            dpop_bound_access_tokens=dpop, profile=_profile(profile),
        )  # fmt: skip
        clients = building.host.get(Clients)
        made, secret = await building.host.db.write(
            lambda session: clients.create(session, registration, actor=SYSTEM, client_id=client_id)
        )
        return {"client_id": made.id, "client_secret": secret}

    made = with_building(data, work)
    line = "" if made["client_secret"] is None else f"\nclient_secret {made['client_secret']} (shown once)"
    show(made, as_json, f"client_id {made['client_id']}{line}")


@app.command("set-profile", short_help="Turn a FAPI 2.0 profile on or off for a client.")
def set_profile(
    client_id: Annotated[str, typer.Argument(help="The client.")],
    profile: Annotated[str, typer.Argument(help="none, fapi2-security or fapi2-message-signing.")],
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Turn a FAPI 2.0 profile on or off for a client; refused if its registration can't keep it.

    Example: sekisho admin set-profile cli_01k0000000000000000000000 fapi2-security
    """

    async def work(building: Any) -> dict[str, Any]:
        from identity.clients import Clients
        from kit.host import SYSTEM

        change = building.host.get(Clients).set_profile
        changed = await building.host.db.write(change, client_id, _profile(profile), actor=SYSTEM)
        return {"client_id": changed.id, "profile": changed.profile}

    changed = with_building(data, work)
    show(changed, as_json, f"{changed['client_id']} keeps to {changed['profile']}")


def _profile(name: str) -> Any:
    from identity.fapi import PROFILES

    if name not in PROFILES:
        fail(f"there is no profile {name}; choose one of {', '.join(PROFILES)}")
    return name


@app.command("verify-audit", short_help="Walk the whole audit chain.")
def verify_audit(data: Data = HERE, as_json: Json = False) -> None:
    """Walk the whole audit chain; exit code 1 at the first entry that does not hold.

    Example: sekisho admin verify-audit --data /srv/sekisho
    """

    async def work(building: Any) -> dict[str, Any]:
        from kit.audit import verify_chain

        try:
            counts = await building.host.db.read_core(lambda connection: list(verify_chain(connection)))
        except ValueError as error:
            return {"held": False, "error": str(error)}
        return {"held": True, "entries": counts[-1] if counts else 0}

    found = with_building(data, work)
    show(found, as_json, f"{found['entries']} entries hold" if found["held"] else found["error"])
    if not found["held"]:
        raise typer.Exit(1)


@app.command("import-consents", short_help="Take in what another system wrote down about a resident's consents.")
def import_consents(
    file: Annotated[Path, typer.Argument(help="A Kantara receipt (JSON or JWT), or GovStack consent records.")],
    resident: Annotated[str, typer.Option(help="Login name of the resident it is about.")],
    source: Annotated[str, typer.Option(help="Where it comes from, in words the resident understands.")],
    form: Annotated[str, typer.Option("--format", help="kantara or govstack.")] = "kantara",
    keys: Annotated[Path | None, typer.Option(help="JWKS that a JWT must verify under; without it, unchecked.")] = None,
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Keep them as evidence, sealed for the resident. They permit nothing: where one fits an agreement, the resident is
    asked. The whole file or nothing of it; the same file twice is one.

    Example: sekisho admin import-consents old.json --resident hanako --source "The former portal"
    """
    import json

    if form not in ("kantara", "govstack"):
        fail("the format is kantara or govstack")

    async def work(building: Any) -> list[dict[str, Any]]:
        from consent import foreign, imports
        from consent.errors import BadImport
        from identity import accounts
        from keys.envelope import Sealer
        from keys.hashing import TokenHasher
        from kit.host import SYSTEM

        host = building.host
        try:
            jwks = None if keys is None else json.loads(keys.read_bytes())
            found = foreign.read(file.read_bytes(), "kantara" if form == "kantara" else "govstack", jwks=jwks)
        except BadImport as bad:
            wrong = bad.document().get("errors", [])
            lines = [f"{each['pointer']}: {each['detail']}" for each in wrong] or [bad.detail]
            fail("nothing was taken in: " + "; ".join(lines))
        hasher = host.get(TokenHasher)
        account = await host.db.read(accounts.find_account, hasher, resident)
        if account is None or account.kind != "resident":
            fail("no resident has this login name")
        made = await host.db.write(
            imports.take_in, host.get(Sealer), hasher, found, account_id=account.id, source=source,
            authority="operator", actor=SYSTEM, now=host.clock.ms(),
        )  # fmt: skip
        return [imports.document(each) for each in made]

    taken = with_building(data, work)
    new = sum(bool(each["new"]) for each in taken)
    asked = sum(each["question"] is not None for each in taken)
    show(taken, as_json, f"{len(taken)} read, {new} new; the resident is asked about {asked}")
