"""Cases of tests.portal.test_every_write. The counter, and the resident's side of it."""

from typing import Any

from tests.portal.writes.base import World, case
from tests.support.counter import CHIP, TWO, begin, phone, shown_code
from tests.support.desk import Colleague, colleague


async def at_the_counter(w: World) -> tuple[Colleague, Colleague, str]:
    """A clerk, the resident's phone, and the visit that brought them together."""
    clerk = await colleague(w.app, w.http, "clerk", login="ura")
    who = await phone(w.app, w.http, (await w.party()).account_id)
    return clerk, who, await begin(clerk, who)


@case("POST /safety/verified/code")
async def post_safety_verified_code(w: World) -> Any:
    return await (await phone(w.app, w.http, (await w.party()).account_id)).post("/safety/verified/code")


@case("POST /counter")
async def post_counter(w: World) -> Any:
    """Mistyped, then right."""
    clerk = await colleague(w.app, w.http, "clerk", login="ura")
    who = await phone(w.app, w.http, (await w.party()).account_id)
    code = await shown_code(who)
    await clerk.post("/counter", {"code": "0000-0000"})
    return await clerk.post("/counter", {"code": code})


@case("POST /counter/{visit_id}")
async def post_counter_visit_id(w: World) -> Any:
    clerk, _who, visit = await at_the_counter(w)
    return await clerk.post(visit, TWO)


@case("POST /counter/{visit_id}/confirm")
async def post_counter_visit_id_confirm(w: World) -> Any:
    clerk, _who, visit = await at_the_counter(w)
    await clerk.post(visit, CHIP)
    second = await colleague(w.app, w.http, "clerk", login="irie")
    return await second.post(f"{visit}/confirm", {"confirmed": "1"})


@case("POST /counter/{visit_id}/end")
async def post_counter_visit_id_end(w: World) -> Any:
    clerk, _who, visit = await at_the_counter(w)
    return await clerk.post(f"{visit}/end")


@case("POST /safety/verified/end")
async def post_safety_verified_end(w: World) -> Any:
    clerk, who, visit = await at_the_counter(w)
    await clerk.post(visit, TWO)
    return await who.post("/safety/verified/end")


@case("POST /console/residents/{account_id}/verification/end")
async def post_console_residents_verification_end(w: World) -> Any:
    clerk, who, visit = await at_the_counter(w)
    await clerk.post(visit, TWO)
    operator = await w.staff("operator")
    return await operator.post(f"/console/residents/{who.id}/verification/end", {"end_reason": "mistake"})
