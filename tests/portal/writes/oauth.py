"""Cases of tests.portal.test_every_write. OAuth and registration."""

from typing import Any
from urllib.parse import urlsplit

from tests.identity.test_oauth_backchannel import COUNTER
from tests.identity.test_oauth_backchannel import ask as counter_ask
from tests.identity.test_oauth_device import KIOSK, press, type_code
from tests.identity.test_oauth_device import ask as device_ask
from tests.identity.test_oauth_device import poll as device_poll
from tests.portal.writes.base import World, case
from tests.support.relying_party import REDIRECT


@case("POST /oauth/authorize")
async def post_oauth_authorize(w: World) -> Any:
    party = await w.party()
    headers = {"cookie": f"sekisho-local={party.cookie}"}
    return await w.http.post("/oauth/authorize", data=party.request(), headers=headers)


@case("POST /oauth/par")
async def post_oauth_par(w: World) -> Any:
    party = await w.party()
    return await w.http.post("/oauth/par", data=party.request(), headers=party.basic)


@case("POST /oauth/device_authorization")
async def post_oauth_device(w: World) -> Any:
    return await device_ask(await w.party(**KIOSK))


@case("POST /device")
async def post_device(w: World) -> Any:
    """Wrong, then right; then the device gets its tokens."""
    party = await w.party(**KIOSK)
    said = (await device_ask(party)).json()
    await type_code(party, "BBBB-BBBB")
    answer = await type_code(party, said["user_code"])
    await press(party, answer.headers["location"], "agree")
    assert (await device_poll(party, said["device_code"])).status_code == 200
    return answer


@case("POST /oauth/backchannel-authentication")
async def post_oauth_backchannel(w: World) -> Any:
    return await counter_ask(await w.party(**COUNTER))


@case("POST /oauth/token")
async def post_oauth_token(w: World) -> Any:
    """Each grant; the last one counts, the watch judges all."""
    party = await w.party(
        scope="openid profile offline_access", grant_types=["authorization_code", "refresh_token", "client_credentials"]
    )
    assert (await party.token(grant_type="client_credentials")).status_code == 200
    tokens = (await party.exchange(await party.code(scope="openid offline_access", prompt="consent"))).json()
    answer = await party.refresh(tokens["refresh_token"])
    assert (await party.refresh(tokens["refresh_token"])).status_code == 400  # reuse: a refusal that leaves a trace
    code = await party.code(scope="openid")
    assert (await party.exchange(code)).status_code == 200
    assert (await party.exchange(code)).status_code == 400
    return answer


@case("POST /oauth/introspect")
async def post_oauth_introspect(w: World) -> Any:
    party = await w.party()
    tokens = (await party.exchange(await party.code())).json()
    return await w.http.post("/oauth/introspect", data={"token": tokens["access_token"]}, headers=party.basic)


@case("POST /oauth/userinfo")
async def post_oauth_userinfo(w: World) -> Any:
    party = await w.party()
    tokens = (await party.exchange(await party.code())).json()
    return await w.http.post("/oauth/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})


@case("POST /oauth/revoke")
async def post_oauth_revoke(w: World) -> Any:
    """A refresh token, then an access token of another chain."""
    party = await w.party()
    tokens = (await party.exchange(await party.code(scope="openid offline_access", prompt="consent"))).json()
    sent = {"token": tokens["refresh_token"]}
    assert (await w.http.post("/oauth/revoke", data=sent, headers=party.basic)).status_code == 200
    tokens = (await party.exchange(await party.code())).json()
    return await w.http.post("/oauth/revoke", data={"token": tokens["access_token"]}, headers=party.basic)


@case("POST /oauth/end-session")
async def post_oauth_end_session(w: World) -> Any:
    """And the GET it leads to, which signs out; the watch judges that, too."""
    party = await w.party(backchannel_logout_uri="https://clinic.example/out")
    hint = (await party.exchange(await party.code())).json()["id_token"]
    answer = await w.http.post("/oauth/end-session", data={"id_token_hint": hint})
    headers = {"cookie": f"sekisho-local={party.cookie}"}
    await w.http.get(answer.headers["location"], headers=headers)
    assert "identity.session.ended" in w.watch.writes[-1].actions
    return answer


REGISTERED = {"redirect_uris": [REDIRECT], "client_name": "Clinic"}


async def registered(w: World) -> tuple[str, dict[str, str]]:
    made = (await w.http.post("/oauth/register", json=REGISTERED)).json()
    headers = {"authorization": f"Bearer {made['registration_access_token']}"}
    return urlsplit(made["registration_client_uri"]).path, headers


@case("POST /oauth/register")
async def post_oauth_register(w: World) -> Any:
    return await w.http.post("/oauth/register", json=REGISTERED)


@case("PUT /oauth/register/")
async def put_oauth_register(w: World) -> Any:
    path, headers = await registered(w)
    return await w.http.put(path, json={"client_id": path.rsplit("/", 1)[1], **REGISTERED}, headers=headers)


@case("DELETE /oauth/register/")
async def delete_oauth_register(w: World) -> Any:
    path, headers = await registered(w)
    return await w.http.delete(path, headers=headers)
