"""Each row of the table of errors (identity/oauth/errors.py), provoked from the wire: the word, its status, its place.

What many endpoints answer is shown at one of them. A row without a way to it fails here.
"""

import json
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from identity.clients import Clients
from identity.crowd import Crowd, Limit
from identity.oauth import errors
from kit.host import SYSTEM
from tests.identity import test_oauth_backchannel as backchannel
from tests.identity import test_oauth_device as device
from tests.identity.registrant import initial, manage
from tests.support.relying_party import REDIRECT, Party, Prover, advance, join, location, sign_in

Way = Callable[["World"], Awaitable[Any]]


@dataclass
class World:
    """A city with one service and its resident."""

    app: Any
    http: Any
    party: Party

    async def authorize(self, *, signed_in: bool = True, **asked: str | None) -> Any:
        return await self.party.authorize(self.party.request(**asked), signed_in=signed_in)

    async def join(self, **registration: Any) -> Party:
        return await join(self.app, self.http, **registration)


@pytest.fixture
def settings(settings: Any) -> Any:
    identity = settings.identity.model_copy(update={"dpop_nonce": "required"})
    return settings.model_copy(update={"identity": identity})


@pytest.fixture
async def w(app: Any, client: Any) -> World:
    return World(app, client, await join(app, client))


WAYS: dict[type[errors.OAuthError], Way] = {}


def by(row: type[errors.OAuthError]) -> Callable[[Way], Way]:
    def note(way: Way) -> Way:
        WAYS[row] = way
        return way

    return note


@by(errors.InvalidRequest)
async def _(w: World) -> Any:
    return await w.authorize(max_age="soon")


@by(errors.InvalidClient)
async def _(w: World) -> Any:
    return await w.http.post("/oauth/token", data={"grant_type": "client_credentials", "client_id": "nobody"})


@by(errors.InvalidGrant)
async def _(w: World) -> Any:
    return await w.party.exchange("skc_" + "A" * 43)


@by(errors.InvalidGrantId)
async def _(w: World) -> Any:
    return await w.authorize(grant_management_action="merge", grant_id="grt_nobody")


@by(errors.UnauthorizedClient)
async def _(w: World) -> Any:
    return await w.party.token(grant_type="client_credentials")


@by(errors.UnsupportedGrantType)
async def _(w: World) -> Any:
    return await w.party.token(grant_type="password")


@by(errors.UnsupportedResponseType)
async def _(w: World) -> Any:
    return await w.authorize(response_type="id_token")


@by(errors.InvalidScope)
async def _(w: World) -> Any:
    return await w.authorize(scope="openid everything")


@by(errors.TemporarilyUnavailable)
async def _(w: World) -> Any:
    crowd = w.app.host.get(Crowd)
    usual, crowd._limit = crowd._limit, Limit(burst=1, refill=1)
    for _once in range(2):
        answer = await w.authorize(signed_in=False)
    crowd._limit = usual
    return answer


@by(errors.AccessDenied)
async def _(w: World) -> Any:
    made = (await register(w)).json()
    await w.app.host.db.write(w.app.host.get(Clients).suspend, made["client_id"], actor=SYSTEM)
    return await manage(w.http, made)


@by(errors.InvalidTarget)
async def _(w: World) -> Any:
    return await w.authorize(resource="https://unknown.example")


@by(errors.InvalidDpopProof)
async def _(w: World) -> Any:
    return await w.party.exchange("x", headers={"dpop": "a.b.c"})


@by(errors.UseDpopNonce)
async def _(w: World) -> Any:
    proof = Prover().proof("POST", f"{w.party.issuer}/oauth/token", now_ms=w.app.host.clock.ms())
    return await w.party.exchange("x", headers={"dpop": proof})


@by(errors.InvalidAuthorizationDetails)
async def _(w: World) -> Any:
    return await w.authorize(authorization_details='[{"type":"unheard_of"}]')


@by(errors.InvalidRequestUri)
async def _(w: World) -> Any:
    return await w.authorize(request_uri="https://clinic.example/elsewhere")


@by(errors.InvalidRequestObject)
async def _(w: World) -> Any:
    return await w.authorize(request="e30.e30.e30")


@by(errors.RegistrationNotSupported)
async def _(w: World) -> Any:
    return await w.authorize(registration="{}")


@by(errors.LoginRequired)
async def _(w: World) -> Any:
    return await w.authorize(prompt="none", signed_in=False)


@by(errors.ConsentRequired)
async def _(w: World) -> Any:
    return await w.authorize(prompt="none")


@by(errors.UnmetAuthentication)
async def _(w: World) -> Any:
    await sign_in(w.party, acr="urn:sekisho:aal:1")
    wanted = {"id_token": {"acr": {"essential": True, "value": "urn:sekisho:aal:2"}}}
    return await w.authorize(prompt="none", claims=json.dumps(wanted))


async def register(w: World, token: str = "", **metadata: Any) -> Any:
    """With leave to register, unless there is none."""
    token = token or await initial(w.app)
    document = {"redirect_uris": ["https://clinic.example/cb"], **metadata}
    return await w.http.post("/oauth/register", json=document, headers={"authorization": f"Bearer {token}"})


@by(errors.InvalidRedirectUri)
async def _(w: World) -> Any:
    return await register(w, redirect_uris=["https://clinic.example/cb#x"])


@by(errors.InvalidMetadata)
async def _(w: World) -> Any:
    return await register(w, grant_types=["implicit"])


@by(errors.InvalidSoftwareStatement)
async def _(w: World) -> Any:
    return await register(w, software_statement="x")


@by(errors.UnapprovedSoftwareStatement)
async def _(w: World) -> Any:
    return await register(w, software_statement="e30.eyJpc3MiOiJodHRwczovL3gifQ.x")


@by(errors.InvalidToken)
async def _(w: World) -> Any:
    return await register(w, "sit_" + secrets.token_urlsafe(32))


@by(errors.AuthorizationPending)
async def _(w: World) -> Any:
    kiosk = await w.join(**device.KIOSK)
    return await device.poll(kiosk, (await device.ask(kiosk)).json()["device_code"])


@by(errors.SlowDown)
async def _(w: World) -> Any:
    kiosk = await w.join(**device.KIOSK)
    code = (await device.ask(kiosk)).json()["device_code"]
    await device.poll(kiosk, code)
    return await device.poll(kiosk, code)


@by(errors.ExpiredToken)
async def _(w: World) -> Any:
    kiosk = await w.join(**device.KIOSK)
    code = (await device.ask(kiosk)).json()["device_code"]
    advance(w.app, 601)
    return await device.poll(kiosk, code)


@by(errors.UnknownUserId)
async def _(w: World) -> Any:
    counter = await w.join(**backchannel.COUNTER)
    theirs = (await w.party.exchange(await w.party.code())).json()["id_token"]
    return await backchannel.ask(counter, id_token_hint=theirs)


@by(errors.InvalidBindingMessage)
async def _(w: World) -> Any:
    return await backchannel.ask(await w.join(**backchannel.COUNTER), binding_message="x" * 41)


# A city in a federation is another building: there these are provoked from the wire as well.
ELSEWHERE = {
    errors.InvalidTrustAnchor: ("test_federation_anchor.py", "test_errors_are_those_of_section_8_9"),
    errors.InvalidTrustChain: (
        "test_federation_automatic.py",
        "test_no_redirect_to_who_is_not_trusted_and_the_codes_are_told_where_it_pushes_12_1_3",
    ),
    errors.InvalidFederationMetadata: (
        "test_federation_automatic.py",
        "test_metadata_that_no_client_may_have_is_refused",
    ),
}


async def test_each_row_is_answered_by_its_word_and_status_in_its_place(w: World) -> None:
    """RFC 6749 sections 4.1.2.1 and 5.2: to the client's address with `state` and `iss`, or JSON that nobody keeps.

    One city for all of them, in the order of this file: a building for each would cost more than the rest.
    """
    for row, way in WAYS.items():
        answer = await way(w)
        if answer.status_code == 303:
            base, said = location(answer)
            assert (base, said["state"], said["iss"]) == (REDIRECT, "af0ifjsldkj", w.party.issuer), row.code
        else:
            said = answer.json()
            assert (answer.status_code, answer.headers["cache-control"]) == (row.status, "no-store"), row.code
            assert said.keys() == {"error", "error_description"}, row.code
        assert said["error"] == row.code
        assert re.fullmatch(r"[ !#-\[\]-~]{5,}", said["error_description"]), row.code


def test_every_row_has_a_way_to_it() -> None:
    assert set(errors.ROWS) == WAYS.keys() | ELSEWHERE.keys()
    for row, (file, name) in ELSEWHERE.items():
        text = (Path(__file__).parent / file).read_text("utf-8")
        body = text.partition(f"async def {name}(")[2].partition("\nasync def test_")[0]
        assert row.code in text.partition(f"async def {name}(")[0].rpartition("\n\n\n")[2] + body, (file, name)
