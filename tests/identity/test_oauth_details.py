"""Rich authorization requests (RFC 9396): the registry, and elements on their way into tokens."""

from typing import Any

import orjson
import pytest

from identity import grants
from identity.clients import Client
from identity.oauth.details import Detail, DetailTypes
from identity.oauth.errors import InvalidAuthorizationDetails
from kit.db import Session
from kit.host import SYSTEM
from tests.support.relying_party import Party, join, location


class ParkingChecker:
    """A type of the test's own: normalises, and refuses a member it does not know."""

    def check(self, session: Session, client: Client, detail: Detail) -> Detail:
        if set(detail) - {"type", "zone"}:
            raise InvalidAuthorizationDetails("parking knows zone only")
        return {"type": "parking", "zone": str(detail.get("zone", "A")).upper()}


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    app.host.get(DetailTypes).register("parking", ParkingChecker())
    return await join(app, client)


def asked(**element: str) -> str:
    return orjson.dumps([{"type": "parking", **element}]).decode()


async def test_a_known_type_is_normalised_shown_and_carried_into_the_tokens(party: Party) -> None:
    response = await party.authorize(party.request(authorization_details=asked(zone="b")))
    answer = await party.agree(
        response, details=[{"type": "parking", "zone": "B", "consent": "con_1"}], consents=("con_1",)
    )
    body = (await party.exchange(answer["code"])).json()
    granted = [{"type": "parking", "zone": "B", "consent": "con_1"}]
    assert body["authorization_details"] == granted
    assert (await party.introspect(body["access_token"]))["authorization_details"] == granted


async def test_a_grant_with_details_is_never_remembered(party: Party) -> None:
    for _ in range(2):
        base, _ = location(await party.authorize(party.request(authorization_details=asked())))
        assert "/interaction/" in base
        await party.code(authorization_details=asked())
    _, answer = location(await party.authorize(party.request(authorization_details=asked(), prompt="none")))
    assert answer["error"] == "consent_required"


async def test_ending_the_consent_ends_the_grants_on_it_and_their_tokens(party: Party) -> None:
    host = party.building.host
    response = await party.authorize(party.request(authorization_details=asked(), scope="openid offline_access"))
    answer = await party.agree(response, consents=("con_1",))
    body = (await party.exchange(answer["code"])).json()
    ended = await host.db.write(grants.revoke_for_consent, "con_1", actor=SYSTEM, now=host.clock.ms())
    assert len(ended) == 1
    assert await party.introspect(body["access_token"]) == {"active": False}
    assert (await party.refresh(body["refresh_token"])).json()["error"] == "invalid_grant"
    assert await host.db.write(grants.revoke_for_consent, "con_1", actor=SYSTEM, now=host.clock.ms()) == []


async def test_the_checkers_refusal_reaches_the_client(party: Party) -> None:
    _, answer = location(await party.authorize(party.request(authorization_details=asked(colour="red"))))
    assert answer["error"] == "invalid_authorization_details"
    assert answer["error_description"] == "parking knows zone only"


async def test_known_types_are_published(party: Party) -> None:
    document = (await party.http.get("/.well-known/openid-configuration")).json()
    assert "parking" in document["authorization_details_types_supported"]


def test_size_and_number_are_bounded() -> None:
    types = DetailTypes()
    types.register("parking", ParkingChecker())
    for text in ("[" + " " * 20_000 + "]", orjson.dumps([{"type": "parking"}] * 21).decode()):
        with pytest.raises(InvalidAuthorizationDetails):
            types.read(text)
    with pytest.raises(RuntimeError):
        types.register("parking", ParkingChecker())
