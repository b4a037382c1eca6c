"""A service that follows a stream of signals, and a resident to hear of: what the tests of Shared Signals share."""

from collections.abc import Callable
from typing import Any

import pytest

from identity import accounts
from identity.oauth.holder import Holder
from identity.signals.events import SUPPORTED
from identity.signals.feed import Feed
from identity.tokens import Tokens, new_jti
from kit.fetch import OutgoingSettings
from kit.host import Actor
from tests.support.receiver import Receiver
from tests.support.relying_party import Party, join

ALL = list(SUPPORTED)


@pytest.fixture
def settings(settings: Any) -> Any:
    return settings.model_copy(update={"outgoing": OutgoingSettings(allow=("127.0.0.1",))})


def own_token(party: Party, *scopes: str) -> dict[str, str]:
    tokens = party.building.host.get(Tokens)
    now = party.building.host.clock.ms()
    made = tokens.access_token(
        party.client, jti=new_jti(), audience=tokens.issuer, scopes=scopes, now=now, holder=Holder()
    )
    return {"authorization": f"Bearer {made}"}


async def follow(party: Party, **more: Any) -> Receiver:
    receiver = Receiver(party.http, party.issuer, own_token(party, "ssf.manage"), party.client.id)
    await receiver.open(more.pop("events", ALL), **more)
    return receiver


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    """A client with a resident who agreed to it."""
    made = await join(app, client, id_token_signed_response_alg="RS256")
    await made.exchange(await made.code())
    return made


async def other_of(party: Party, **registration: Any) -> Party:
    """A second service that the same resident agreed to."""
    made = await join(party.building, party.http, id_token_signed_response_alg="RS256", **registration)
    made.account_id, made.cookie, made.session = party.account_id, party.cookie, party.session
    await made.exchange(await made.code())
    return made


async def deliver(party: Party) -> int:
    return await party.building.host.get(Feed).deliver()


async def write(party: Party, fn: Callable[..., Any], *args: Any, **more: Any) -> Any:
    return await party.building.host.db.write(fn, *args, **more)


async def lock(party: Party) -> None:
    await write(party, accounts.suspend_account, party.account_id, actor=Actor("operator", "acc_clerk"))
