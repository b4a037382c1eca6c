"""`sekisho federation`: who stands below this city, trust marks, keys, and why an entity is not trusted.

On a directory nobody serves, as every command of ours that changes one.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from portal.cli.common import HERE, Data, Json, fail, show, with_building

app = typer.Typer(help="OpenID Federation: subordinates, trust marks, keys, chains.", no_args_is_help=True)
Reason = Annotated[
    Literal["key-compromised", "left", "against-rules", "mistake", "other"],
    typer.Option(help="Kept in the audit trail."),
]
Entity = Annotated[str, typer.Argument(help="Entity id: an https address.")]


@app.command("keys")
def keys(data: Data = HERE, as_json: Json = False) -> None:
    """Print this city's federation keys, for its superior or for who trusts it as an anchor.

    Example: sekisho federation keys --json > city.jwks
    """

    async def work(building: Any) -> dict[str, Any]:
        found: dict[str, Any] = await _federation(building).keys.jwks()
        return found

    found = with_building(data, work)
    show(found, as_json, json.dumps(found, indent=2))


@app.command("rotate", short_help="Let the next federation key sign.")
def rotate(
    compromised: Annotated[
        bool, typer.Option(help="The active key leaked: it is published no longer, from this moment.")
    ] = False,
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Let the next federation key sign. Superiors must know it before: give them what `keys` prints first.

    Example: sekisho federation rotate
    """

    async def work(building: Any) -> str:
        from kit.host import SYSTEM

        kid: str = await _federation(building).keys.rotate(actor=SYSTEM, compromised=compromised)
        return kid

    kid = with_building(data, work)
    show({"active": kid}, as_json, f"{kid} signs now; give superiors the new set (sekisho federation keys)")


@app.command("vouch", short_help="Vouch for an entity below this city.")
def vouch(
    entity: Entity,
    jwks: Annotated[Path, typer.Option(help="File with its federation keys, got from its operator.", exists=True)],
    kind: Annotated[list[str], typer.Option(help="Entity type, such as openid_relying_party; may be repeated.")],
    intermediate: Annotated[bool, typer.Option(help="It vouches for others itself.")] = False,
    said: Annotated[
        Path | None, typer.Option(help="JSON file with metadata, metadata_policy, constraints.", exists=True)
    ] = None,
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Vouch for an entity below this city, or change what is said of it.

    Example: sekisho federation vouch https://clinic.example --jwks clinic.jwks --kind openid_relying_party
    """

    async def work(building: Any) -> str:
        from identity.federation import subordinates
        from kit.host import SYSTEM

        host = building.host
        below = await host.db.write(
            subordinates.register,
            entity,
            jwks=_json(jwks),
            entity_types=kind,
            intermediate=intermediate,
            said={} if said is None else _json(said),
            ours=host.issuer,
            actor=SYSTEM,
            now=host.clock.ms(),
        )
        name: str = below.entity_id
        return name

    name = with_building(data, work)
    show({"entity_id": name}, as_json, f"this city vouches for {name}")


@app.command("suspend")
def suspend(entity: Entity, reason: Reason = "other", data: Data = HERE) -> None:
    """Vouch for an entity no more, for a while; what is said of it stays.

    Example: sekisho federation suspend https://clinic.example --reason key-compromised
    """
    _move(data, "suspend", entity, reason=reason)
    print(f"this city does not vouch for {entity} until it is resumed")


@app.command("resume")
def resume(entity: Entity, data: Data = HERE) -> None:
    """Vouch again for an entity that is suspended.

    Example: sekisho federation resume https://clinic.example
    """
    _move(data, "resume", entity)
    print(f"this city vouches for {entity}")


@app.command("end")
def end(entity: Entity, reason: Reason = "other", data: Data = HERE) -> None:
    """Vouch for an entity no more; chains through this city end as they run out.

    Example: sekisho federation end https://clinic.example
    """

    _move(data, "end", entity, reason=reason)
    print(f"this city does not vouch for {entity}")


def _move(data: Path, step: str, entity: str, **more: Any) -> None:
    async def work(building: Any) -> None:
        from identity.federation import subordinates
        from kit.host import SYSTEM

        move = getattr(subordinates, step)
        await building.host.db.write(move, entity, actor=SYSTEM, now=building.host.clock.ms(), **more)

    with_building(data, work)


@app.command("list")
def list_all(data: Data = HERE, as_json: Json = False) -> None:
    """List who stands below this city, and the trust marks it gave.

    Example: sekisho federation list
    """

    async def work(building: Any) -> dict[str, Any]:
        from dataclasses import asdict

        from identity.federation import mark_book, subordinates

        db = building.host.db
        below = await db.read(subordinates.list_all, ended=True)
        given = await db.read(mark_book.list_all)
        return {"subordinates": [asdict(one) for one in below], "marks": [asdict(one) for one in given]}

    found = with_building(data, work)
    lines = [f"{one['status']:<9} {one['entity_id']}  {' '.join(one['entity_types'])}" for one in found["subordinates"]]
    lines += [
        f"{'revoked' if one['revoked_at'] else 'given':<9} {one['id']}  {one['kind']}  {one['entity_id']}"
        for one in found["marks"]
    ]
    show(found, as_json, "\n".join(lines) or "nobody stands below this city, and no trust mark was given")


@app.command("mark")
def mark(
    entity: Entity,
    kind: Annotated[str, typer.Option(help="Type of the trust mark: an https address.")],
    days: Annotated[int, typer.Option(min=0, help="It ends after so many days; 0: only when taken back.")] = 365,
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Give an entity a trust mark; it fetches the mark from this city.

    Example: sekisho federation mark https://clinic.example --kind https://pref.example/marks/audited
    """

    async def work(building: Any) -> str:
        from identity.federation import mark_book
        from kit.clock import DAY
        from kit.host import SYSTEM

        now = building.host.clock.ms()
        ends = now + days * DAY if days else None
        given = await building.host.db.write(mark_book.give, kind, entity, expires_at=ends, actor=SYSTEM, now=now)
        found: str = given.id
        return found

    made = with_building(data, work)
    show({"mark": made}, as_json, f"gave {made}")


@app.command("take-back")
def take_back(
    mark_id: Annotated[str, typer.Argument(help="Id of the trust mark, as `list` shows it.")],
    reason: Reason = "other",
    data: Data = HERE,
) -> None:
    """Take a trust mark back.

    Example: sekisho federation take-back tmk_01k0000000000000000000000
    """

    async def work(building: Any) -> None:
        from identity.federation import mark_book
        from kit.host import SYSTEM

        now = building.host.clock.ms()
        await building.host.db.write(mark_book.take_back, mark_id, actor=SYSTEM, now=now, reason=reason)

    with_building(data, work)
    print(f"took {mark_id} back")


@app.command("delegate")
def delegate(
    entity: Entity,
    kind: Annotated[str, typer.Option(help="Type of the trust mark that this city owns.")],
    days: Annotated[int, typer.Option(min=1, help="How long the leave is good.")] = 365,
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Print the leave for another entity to give a trust mark that this city owns (a delegation JWT).

    Example: sekisho federation delegate https://auditor.example --kind https://city.example/marks/audited
    """

    async def work(building: Any) -> str:
        from identity.federation.marks import DELEGATION_TYP
        from kit.clock import DAY, SECOND

        host, now = building.host, building.host.clock.ms()
        claims = {
            "iss": host.issuer,
            "sub": entity,
            "trust_mark_type": kind,
            "iat": now // SECOND,
            "exp": (now + days * DAY) // SECOND,
        }
        token: str = await _federation(building).keys.sign(claims, typ=DELEGATION_TYP)
        return token

    token = with_building(data, work)
    show({"delegation": token}, as_json, token)


@app.command("explain")
def explain(
    entity: Entity,
    anchor: Annotated[str | None, typer.Option(help="Only by this trust anchor.")] = None,
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Resolve an entity anew and say why it is trusted, or why not.

    Example: sekisho federation explain https://clinic.example
    """

    async def work(building: Any) -> tuple[dict[str, Any], bool]:
        from identity.federation.explain import explain as ask
        from kit.fetch import NotPublic

        answer = await ask(_federation(building), entity, anchor=anchor)
        causes = [one.refused.__cause__ for one in answer.steps if one.refused is not None]
        return answer.as_dict(), any(isinstance(one, NotPublic) for one in causes)

    found, inside = with_building(data, work)
    if inside:  # only here: a page or an API that told this from any other silence would map the network
        found["hint"] = "its address is not public; where that is meant, name the host in SEKISHO_OUTGOING__ALLOW"
    lines = [f"{one['what']} of {one['sub']} by {one['iss']}: {one['word'] or 'holds'}" for one in found["steps"]]
    lines.append(
        f"trusted until {found['until']}" if found["trusted"] else f"refused ({found['word']}): {found['detail']}"
    )
    lines += [found["hint"]] if inside else []
    show(found, as_json, "\n".join(lines))
    if not found["trusted"]:
        raise typer.Exit(1)


def _federation(building: Any) -> Any:
    from identity.federation.service import Federation

    found = building.host.get(Federation)
    if not found.on:
        fail("this city takes part in no federation; set SEKISHO_IDENTITY__FEDERATION (see identity/README.md)")
    return found


def _json(path: Path) -> Any:
    try:
        value = json.loads(path.read_bytes())
    except ValueError:
        fail(f"{path} is not JSON")
    if not isinstance(value, dict):
        fail(f"{path} is not a JSON object")
    return value
