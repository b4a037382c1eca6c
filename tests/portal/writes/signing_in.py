"""Cases of tests.portal.test_every_write. Signing in and up, and keeping safe."""

import re
from typing import Any

from identity.mail import Mail
from tests.portal.test_signin import ATTEMPT, PASSWORD, PERSON, add, half_in, json_post, post
from tests.portal.writes.base import World, case
from tests.support.authenticator import Authenticator
from tests.support.authenticator_app import code_at
from tests.support.letterbox import Letterbox, code_in


@case("POST /sign-in")
async def post_sign_in(w: World) -> Any:
    await add(w.app, app_on=False)
    assert (await post(w.http, "/sign-in", login="hana", password="wrong one")).status_code == 422
    return await post(w.http, "/sign-in", login="hana", password=PASSWORD)


@case("POST /sign-in/code")
async def post_sign_in_code(w: World) -> Any:
    _, secret = await add(w.app)
    await half_in(w.http)
    assert (await post(w.http, "/sign-in/code", code="000000")).status_code == 422
    return await post(w.http, "/sign-in/code", code=code_at(secret, w.app.host.clock.ms()))


@case("POST /sign-in/recovery")
async def post_sign_in_recovery(w: World) -> Any:
    await w.inside(app_on=True)
    page = await post(w.http, "/safety/codes", next="/safety")
    found = re.findall(r'<li class="code">([0-9A-Z-]+)</li>', page.text)
    await post(w.http, "/sign-out")
    await half_in(w.http)
    return await post(w.http, "/sign-in/recovery", code=found[0])


async def with_passkey(w: World) -> Authenticator:
    await post(w.http, "/sign-up", **PERSON)
    device = Authenticator()
    options = await json_post(w.http, "/sign-up/passkey/begin")
    made = await json_post(w.http, "/sign-up/passkey/finish", device.create(options.text))
    assert made.status_code == 200, made.text
    return device


@case("POST /sign-up/passkey/begin")
async def post_sign_up_passkey_begin(w: World) -> Any:
    await post(w.http, "/sign-up", **PERSON)
    return await json_post(w.http, "/sign-up/passkey/begin")


@case("POST /sign-up/passkey/finish")
async def post_sign_up_passkey_finish(w: World) -> Any:
    return await with_passkey(w)


@case("POST /sign-in/passkey/begin")
async def post_sign_in_passkey_begin(w: World) -> Any:
    return await json_post(w.http, "/sign-in/passkey/begin")


@case("POST /sign-in/passkey/finish")
async def post_sign_in_passkey_finish(w: World) -> Any:
    device = await with_passkey(w)
    await post(w.http, "/sign-out")
    options = await json_post(w.http, "/sign-in/passkey/begin")
    return await json_post(w.http, "/sign-in/passkey/finish", device.get(options.text))


@case("POST /sign-up")
async def post_sign_up(w: World) -> Any:
    return await post(w.http, "/sign-up", **PERSON)


@case("POST /sign-up/password")
async def post_sign_up_password(w: World) -> Any:
    await post(w.http, "/sign-up", **PERSON)
    assert w.http.cookies.get(ATTEMPT)
    return await post(w.http, "/sign-up/password", password=PASSWORD, repeat=PASSWORD)


@case("POST /sign-out")
async def post_sign_out(w: World) -> Any:
    await w.inside()
    return await post(w.http, "/sign-out")


@case("POST /safety/sessions/end-others")
async def post_safety_sessions_end_others(w: World) -> Any:
    await w.inside()
    w.http.cookies.clear()
    await post(w.http, "/sign-in", login="hana", password=PASSWORD)
    return await post(w.http, "/safety/sessions/end-others")


@case("POST /safety/sessions/{session_id}/end")
async def post_safety_sessions_session_id_end(w: World) -> Any:
    await w.inside()
    w.http.cookies.clear()
    (first,) = (row[0] for row in w.watch.last["identity_session"])
    await post(w.http, "/sign-in", login="hana", password=PASSWORD)
    return await post(w.http, f"/safety/sessions/{first}/end")


@case("POST /safety/passkeys/begin")
async def post_safety_passkeys_begin(w: World) -> Any:
    await w.inside(app_on=True)
    return await json_post(w.http, "/safety/passkeys/begin")


async def passkey_added(w: World) -> tuple[Any, str]:
    await w.inside(app_on=True)
    options = await json_post(w.http, "/safety/passkeys/begin")
    made = await json_post(w.http, "/safety/passkeys/finish?name=phone", Authenticator().create(options.text))
    found = re.search(r'id="passkey-(pky_\w+)"', (await w.http.get("/safety")).text)
    assert found
    return made, found[1]


@case("POST /safety/passkeys/finish")
async def post_safety_passkeys_finish(w: World) -> Any:
    return (await passkey_added(w))[0]


@case("POST /safety/passkeys/{passkey_id}/rename")
async def post_safety_passkeys_passkey_id_rename(w: World) -> Any:
    return await post(w.http, f"/safety/passkeys/{(await passkey_added(w))[1]}/rename", name="tablet")


@case("POST /safety/passkeys/{passkey_id}/remove")
async def post_safety_passkeys_passkey_id_remove(w: World) -> Any:
    return await post(w.http, f"/safety/passkeys/{(await passkey_added(w))[1]}/remove")


@case("POST /safety/app")
async def post_safety_app(w: World) -> Any:
    await w.inside()
    shown = re.search(r"secret=([A-Z2-7]+)", (await w.http.get("/safety/app")).text)
    assert shown
    return await post(w.http, "/safety/app", code=code_at(shown[1], w.app.host.clock.ms()))


@case("POST /safety/codes")
async def post_safety_codes(w: World) -> Any:
    await w.inside(app_on=True)
    return await post(w.http, "/safety/codes", next="/safety")


@case("POST /safety/password")
async def post_safety_password(w: World) -> Any:
    await w.inside(app_on=True)
    return await post(
        w.http, "/safety/password", password="another fine long password", repeat="another fine long password"
    )


async def a_code(w: World) -> str:
    """Somebody gave an address; the code that came there."""
    await w.inside()
    box = Letterbox()
    mail = w.app.host.get(Mail)
    mail.mailbox = box
    await post(w.http, "/safety/email", email="hana@mail.example")
    await mail.deliver()
    return code_in(box.letters[-1])


@case("POST /safety/email")
async def post_safety_email(w: World) -> Any:
    await w.inside()
    return await post(w.http, "/safety/email", email="hana@mail.example")


@case("POST /safety/email/confirm")
async def post_safety_email_confirm(w: World) -> Any:
    """Wrong, then right."""
    code = await a_code(w)
    await post(w.http, "/safety/email/confirm", code="00000-00000")
    return await post(w.http, "/safety/email/confirm", code=code)


@case("POST /safety/email/remove")
async def post_safety_email_remove(w: World) -> Any:
    await post(w.http, "/safety/email/confirm", code=await a_code(w))
    return await post(w.http, "/safety/email/remove")


@case("POST /safety/email/stop")
async def post_safety_email_stop(w: World) -> Any:
    await a_code(w)
    return await post(w.http, "/safety/email/stop")


@case("POST /not-me")
async def post_not_me(w: World) -> Any:
    """From one window; another one ends."""
    await w.inside()
    w.http.cookies.clear()
    await post(w.http, "/sign-in", login="hana", password=PASSWORD)
    return await post(w.http, "/not-me", ticket="")


@case("POST /safety/profile")
async def post_safety_profile(w: World) -> Any:
    await w.inside()
    return await post(w.http, "/safety/profile", name="湊 花子", name_kana="みなと はなこ", locale="en")
