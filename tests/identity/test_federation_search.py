"""A city in a federation: the search for a chain over real HTTP, and its bounds (OpenID Federation 1.0, 10 and 18)."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from identity.federation.discovery import AT_ONCE, EACH, LINE
from identity.federation.refusals import Refused
from tests.identity.federated import CONFIGURATION, City
from tests.identity.federated import as_before as as_before  # a fixture
from tests.identity.federated import city as city  # a fixture
from tests.support.federation import statement
from tests.support.relying_party import advance, location
from tests.support.site import reply


async def resolve(city: City, name: str, **more: Any) -> Any:
    return await city.federation.discovery.resolve(city.world.url(name), **more)


async def refused(city: City, name: str) -> str:
    with pytest.raises(Refused) as caught:
        await resolve(city, name)
    return caught.value.word


async def test_one_search_serves_all_who_ask_and_is_kept_until_the_chain_ends(city: City) -> None:
    city.world.service("popular")
    asked = len(city.world.site.asked)
    found = await asyncio.gather(*(resolve(city, "popular") for _ in range(20)))
    assert len({id(one) for one in found}) == 1
    assert len(city.world.site.asked) - asked == 5  # three configurations, two statements
    await resolve(city, "popular")
    assert len(city.world.site.asked) - asked == 5


async def test_strangers_that_answer_slowly_keep_out_nobody_who_was_here_before_18_1(city: City) -> None:
    """Anybody makes us search by a request that proves nothing yet; a web server that dawdles holds a place for it."""
    city.world.service("regular")
    await city.come("regular")
    advance(city.app, 3601)
    assert not (await city.client("regular")).usable
    async with AsyncExitStack() as held:
        for number in range(AT_ONCE):
            await held.enter_async_context(city.federation.discovery.strangers.take(f"198.51.100.{number}"))
        waiting = asyncio.create_task(resolve(city, "regular", anew=True, requester="192.0.2.1"))
        await asyncio.sleep(0)
        assert "/interaction/" in location(await city.come("regular"))[0]
        assert not waiting.done()
    await waiting


async def test_one_network_with_many_slow_names_takes_no_other_strangers_place_18_1(city: City) -> None:
    """Neither by names in requests nor by configurations it hands in: it waits behind itself, in a short line."""
    names = [f"slow-{number}" for number in range(LINE)]
    for name in [*names, "one-more", "quick"]:
        city.world.service(name)
    asked = len(city.world.site.asked)
    async with AsyncExitStack() as held:
        for _ in range(EACH):
            await held.enter_async_context(city.federation.discovery.strangers.take("192.0.2.1"))
        mine = [asyncio.create_task(resolve(city, name, requester="192.0.2.1")) for name in names]
        await asyncio.sleep(0.01)
        assert len(city.world.site.asked) == asked
        with pytest.raises(Refused) as caught:
            await resolve(city, "one-more", requester="192.0.2.1")
        assert caught.value.code == "temporarily_unavailable"
        # A name that somebody else's line holds up is not held up for others.
        assert (await resolve(city, names[-1], requester="192.0.2.2")).subject == city.world.url(names[-1])
        assert (await resolve(city, "quick", requester="192.0.2.2")).subject == city.world.url("quick")
        gone = mine.pop(0)
        gone.cancel()
    assert [(await task).subject for task in mine] == [city.world.url(name) for name in names[1:]]
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_a_loop_ends_and_is_not_followed_10_1(city: City) -> None:
    city.world.add("loop-a", "loop-b")
    city.world.add("loop-b", "loop-a")
    city.world.service("looped", "loop-a")
    asked = len(city.world.site.asked)
    await refused(city, "looped")
    assert len(city.world.site.asked) - asked <= 6


async def test_hundreds_of_hints_become_few_requests_18_1(city: City) -> None:
    party = city.world.service("greedy")
    party.superior = None
    city.world.said["greedy"] = {"authority_hints": [city.world.url(f"nobody-{n}") for n in range(300)]}
    asked = len(city.world.site.asked)
    await refused(city, "greedy")
    assert len(city.world.site.asked) - asked <= 11
    asked = len(city.world.site.asked)
    await refused(city, "greedy")  # what was refused is not looked for again at once
    assert len(city.world.site.asked) == asked


async def test_a_hint_to_an_inside_address_is_not_followed(city: City) -> None:
    city.world.service("inward")
    city.world.said["inward"] = {"authority_hints": ["https://10.0.0.1", "https://169.254.169.254", "https://[::1]"]}
    assert await refused(city, "inward") == "unreachable"


_STATEMENT = "content-type: application/entity-statement+jwt"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (reply(b"x" * 70_000, "200 OK", _STATEMENT), "unreachable"),
        (reply(b"{}", "200 OK", "content-type: application/json"), "no-statement"),
        (reply(b"", "500 Oh", _STATEMENT), "no-statement"),
    ],
)
async def test_what_is_no_statement_is_not_read_as_one(city: City, answer: bytes, word: str) -> None:
    name = f"below-{word}-{len(answer)}"
    city.world.service(name)
    city.world.answers[f"/pref{CONFIGURATION}"] = answer
    assert await refused(city, name) == word


async def test_a_superior_that_answers_about_somebody_else_or_with_anothers_key_is_not_believed(city: City) -> None:
    city.world.service("a-swapped")
    city.world.service("b-swapped")
    path = f"/pref/fetch?sub={city.world.url('a-swapped').replace(':', '%3A').replace('/', '%2F')}"
    pref, b = city.world.parties["pref"], city.world.parties["b-swapped"]
    city.world.answers[path] = statement(pref.about(b))
    assert await refused(city, "a-swapped") == "subject"
    advance(city.app, 31)
    forged = named_with_key_of(pref, b, city.world.now()).about(city.world.parties["a-swapped"])
    city.world.answers[path] = statement(forged)
    assert await refused(city, "a-swapped") == "signature"


def named_with_key_of(named: Any, keyed: Any, now: int) -> Any:
    """One party's name with another's key."""
    return type(named)(named.entity_id, None, key=keyed.key, now=now)
