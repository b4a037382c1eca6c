"""Safety: how one signs in, where one is signed in, and changing both. For residents and staff alike.

What could lock somebody out or let somebody in asks for a sign-in of the last ten minutes; ending a session does not,
because that only ever makes things safer.
"""

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from identity import levels, recovery, totp
from identity.accounts import profile
from identity.errors_account import CodeRefused, LastWayIn, RecentSignInNeeded
from identity.passkeys import PasskeyView
from identity.resets import Resets
from identity.sessions import BrowserSession, SessionView, require_recent
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import DAY
from kit.db import Session
from kit.host import Host
from kit.problems import NotFound
from portal import i18n, user_agents
from portal.contexts import safety as pages_of
from portal.i18n import N_
from portal.pages.doors import Doors, json_answer, json_body, json_bytes
from portal.visits import SignInNeeded, pages, require_own, visit_of
from portal.web import local_path, notice, read_form, redirect, render

PASSKEY_ADDED = notice("safety.passkey-added", N_("The passkey is there. Next time, one touch is enough."))
PASSKEY_RENAMED = notice("safety.passkey-renamed", N_("The new name is saved."))
PASSKEY_REMOVED = notice("safety.passkey-removed", N_("The passkey is removed and lets nobody in any more."))
APP_ON = notice("safety.app-on", N_("The app is set up. From now on your password asks for its number."))
PASSWORD_SAVED = notice("safety.password-saved", N_("The new password is saved. Everywhere else you are signed out."))
RESET_STOPPED = notice("safety.reset-stopped", N_("Stopped. Nobody makes a new way in with that code."))
ENDED = notice("safety.ended", N_("Signed out there, at once."))
ENDED_ALL = notice("safety.ended-all", N_("Signed out everywhere else, at once."))

ISSUER = "Sekisho"
_EVENTS = 8
_HAPPENED = {
    ("identity.signin.succeeded", "passkey"): N_("You signed in with a passkey"),
    ("identity.signin.succeeded", "totp"): N_("You signed in with password and app"),
    ("identity.signin.succeeded", "recovery"): N_("You signed in with a recovery code"),
    ("identity.signin.succeeded", "password"): N_("You signed in with your password"),
    ("identity.signin.succeeded", "upstream"): N_("You signed in by a linked identity"),
    ("identity.signin.succeeded", "certificate"): N_("You signed in with a certificate"),
    ("identity.certificate.renewed", ""): N_("A renewed certificate was used to sign in"),
    ("identity.certificate.linked", ""): N_("A certificate was linked"),
    ("identity.certificate.unlinked", ""): N_("A linked certificate was removed"),
    ("identity.signin.failed", "password"): N_("A wrong password was typed"),
    ("identity.signin.failed", "totp"): N_("A wrong number from the app was typed"),
    ("identity.signin.failed", "recovery"): N_("A wrong recovery code was typed"),
    ("identity.signin.failed", "passkey"): N_("A passkey was refused"),
    ("identity.signin.failed", "reset"): N_("A wrong code from the city office was typed"),
    ("identity.signin.throttled", ""): N_("Too many tries; the door was closed for a while"),
    ("identity.password.changed", ""): N_("The password was changed"),
    ("identity.totp.confirmed", ""): N_("The authenticator app was set up"),
    ("identity.recovery.issued", ""): N_("New recovery codes were made"),
    ("identity.verification.code-made", ""): N_("A code for the counter was made"),
    ("identity.recovery.used", ""): N_("A recovery code was used"),
    ("identity.passkey.added", ""): N_("A passkey was added"),
    ("identity.passkey.removed", ""): N_("A passkey was removed"),
    ("identity.passkey.suspended", ""): N_("A passkey was stopped, as if it had been copied"),
    ("identity.upstream.linked", ""): N_("Another way to sign in was linked"),
    ("identity.upstream.unlinked", ""): N_("A linked way to sign in was removed"),
    ("identity.browser.new", ""): N_("You signed in with a browser that was not seen before"),
    ("identity.recovery.begun", ""): N_("A recovery with a recovery code and the e-mail address began"),
    ("identity.email.asked", ""): N_("A code was sent to an e-mail address"),
    ("identity.email.verified", ""): N_("The e-mail address was confirmed"),
    ("identity.email.waiting", ""): N_("A change of the e-mail address began"),
    ("identity.email.stopped", ""): N_("A change of the e-mail address was stopped"),
    ("identity.email.removed", ""): N_("The e-mail address was taken away"),
    ("identity.phone.changed", ""): N_("The telephone number was changed"),
    ("identity.phone.verified", ""): N_("A clerk rang your telephone, and it was yours"),
    ("identity.mandate.offered", ""): N_("A code for a mandate was made"),
    ("identity.mandate.accepted", ""): N_("Somebody accepted a mandate to act for you"),
    ("identity.mandate.checked", ""): N_("The city office wrote down a guardian, and a colleague looks at it"),
    ("identity.mandate.begun", ""): N_("A mandate to act for you began"),
    ("identity.mandate.ended", ""): N_("A mandate to act for you ended"),
    ("identity.alarm.raised", ""): N_("“This wasn't me” was pressed: everybody was signed out"),
}
#: What somebody else might have done to get in or stay in; the first page asks whether it was you.
_SENSITIVE = {
    "identity.browser.new": N_("On %(when)s somebody signed in with a browser that was not seen before."),
    "identity.password.changed": N_("On %(when)s your password was changed."),
    "identity.passkey.added": N_("On %(when)s a passkey was added."),
    "identity.passkey.removed": N_("On %(when)s a passkey was removed."),
    "identity.totp.confirmed": N_("On %(when)s an authenticator app was set up."),
    "identity.certificate.linked": N_("On %(when)s a certificate was linked to your account."),
    "identity.upstream.linked": N_("On %(when)s another way to sign in was linked."),
    "identity.recovery.issued": N_("On %(when)s new recovery codes were made."),
    "identity.recovery.used": N_("On %(when)s a recovery code was used."),
    "identity.email.waiting": N_("On %(when)s somebody asked for another e-mail address."),
    "identity.email.verified": N_("On %(when)s your e-mail address was confirmed."),
    "identity.phone.changed": N_("On %(when)s your telephone number was changed."),
}
_LATELY = 3 * DAY
_WARNS = ("identity.account.suspended", "identity.reset")
#: What the city office did, which sign-ins must not push out of sight.
_OFFICE = {
    "identity.account.viewed": N_("The city office looked up your account: how you sign in, not your data"),
    "identity.account.signed-out": N_("The city office signed you out everywhere"),
    "identity.account.suspended": N_("The city office locked your account"),
    "identity.account.resumed": N_("The city office unlocked your account"),
    "identity.reset.opened": N_("The city office checked documents and began to make a new way in for you"),
    "identity.reset.approved": N_("A second person at the city office approved it, and a code was printed"),
    "identity.reset.withdrawn": N_("The new way in was stopped; its code opens nothing"),
    "identity.reset.entered": N_("The code for a new way in was typed"),
    "identity.reset.used": N_("A new way in was made with the code, and every former one was removed"),
    "identity.verification.opened": N_("A clerk at the counter typed your code and saw who you are"),
    "identity.verification.viewed": N_("A second clerk looked at who you are"),
    "identity.verification.own-name": N_("A clerk with your own name typed your code and was turned away"),
    "identity.verification.stands": N_("A clerk verified who you are"),
    "identity.verification.recorded": N_("A clerk wrote down which documents you showed"),
    "identity.verification.confirmed": N_("A second clerk confirmed who you are"),
    "identity.verification.electronic": N_("A certificate was shown, and its register said who you are"),
    "identity.verification.differs": N_("A register says another name or birthday than your profile: not verified"),
    "identity.verification.refused": N_("A second clerk did not confirm who you are"),
    "identity.verification.ended": N_("A verification of who you are counts no more"),
}


def who(request: Request) -> BrowserSession:
    """Whoever is signed in, residents and staff alike."""
    found = visit_of(request).browser
    if not isinstance(found, BrowserSession):
        raise SignInNeeded
    require_own(request)
    return found


def recent(host: Host, request: Request, back: str | None = None) -> BrowserSession | Response:
    """The same, proved a moment ago; or the way to the sign-in page and back."""
    found = who(request)
    try:
        require_recent(found, now=host.clock.ms())
    except RecentSignInNeeded:
        query = request.url.query if request.method == "GET" else ""
        place = back or (request.url.path + (f"?{query}" if query else ""))
        return redirect(request, "/sign-in?" + urlencode({"next": place, "again": "1"}))
    return found


_recent = recent


def router(host: Host) -> Any:
    """The pages below /safety."""
    routes = pages(host)
    doors = Doors(host)
    sealer, hasher, resets = host.get(Sealer), host.get(TokenHasher), host.get(Resets)

    def recent(request: Request, back: str | None = None) -> BrowserSession | Response:
        return _recent(host, request, back)

    # -- at a glance

    @routes.get("/safety")
    async def safety(request: Request) -> Response:
        current = who(request)

        def read(session: Session) -> pages_of.Safety:
            person = profile(session, sealer, current.account_id)
            return pages_of.Safety(
                login=person.login,
                passkeys=tuple(map(_passkey, doors.passkeys.list_for(session, current.account_id))),
                passkeys_here=doors.passkeys.available,
                has_password=doors.credentials.has_password(session, current.account_id),
                has_app=totp.is_on(session, current.account_id),
                codes_left=recovery.left(session, current.account_id),
                sessions=tuple(
                    _session(view, current) for view in doors.sessions.list_for(session, current.account_id)
                ),
                events=_events(session, current.account_id),
                office=_office(session, current.account_id),
                now=host.clock.ms(),
                reset_waits=resets.live_of(session, current.account_id) is not None,
                email=person.email or "",
                email_verified=person.email_verified,
                linked=len(doors.upstreams.links.list_for(session, current.account_id)),
                linkable=doors.linkable(current.kind),
            )

        return render(request, "safety/safety.html", await host.db.read(read))

    @routes.post("/safety/reset/stop")
    async def stop_reset(request: Request) -> Response:
        """No fresh sign-in: stopping only makes things safer, and whoever must stop it may have lost their keys."""
        current = who(request)
        await host.db.write(resets.withdraw_all, current.account_id, actor=current.actor())
        return redirect(request, "/safety", notice=RESET_STOPPED)

    # -- sessions

    @routes.post("/safety/sessions/end-others")
    async def end_others(request: Request) -> Response:
        current = who(request)
        await host.db.write(doors.sessions.end_all, current.account_id, current.actor(), keep=current.id)
        return redirect(request, "/safety", notice=ENDED_ALL)

    @routes.post("/safety/sessions/{session_id}/end")
    async def end(request: Request, session_id: str) -> Response:
        current = who(request)
        await host.db.write(doors.sessions.end, session_id, current.actor(), account_id=current.account_id)
        return redirect(request, "/safety", notice=ENDED)

    # -- passkeys

    @routes.get("/safety/passkeys/new")
    async def passkey_new(request: Request) -> Response:
        current = recent(request)
        if isinstance(current, Response):
            return current
        _, system = user_agents.names(request.headers.get("user-agent", ""))
        return render(request, "safety/passkey_new.html", pages_of.NewPasskey(doors.passkeys.available, system))

    async def passkey_begin(request: Request) -> Response:
        current = recent(request, "/safety/passkeys/new")
        if isinstance(current, Response):
            return json_body({"go": current.headers["location"]}, 403)
        return json_body((await doors.passkeys.begin_add(current.account_id)).encode())

    async def passkey_finish(request: Request) -> Response:
        current = recent(request, "/safety/passkeys/new")
        if isinstance(current, Response):
            return json_body({"go": current.headers["location"]}, 403)
        name = request.query_params.get("name", "").strip() or i18n.current().gettext(N_("Passkey"))
        await doors.passkeys.finish_add(current.account_id, await json_bytes(request), name=name, actor=current.actor())
        response = json_body({"next": "/safety"})
        doors.keep_notice(response, PASSKEY_ADDED)
        return response

    routes.add_api_route("/safety/passkeys/begin", json_answer(passkey_begin), methods=["POST"])
    routes.add_api_route("/safety/passkeys/finish", json_answer(passkey_finish), methods=["POST"])

    async def passkey_page(
        request: Request, current: BrowserSession, passkey_id: str, problem: str = "", status: int = 200
    ) -> Response:
        def read(session: Session) -> pages_of.OnePasskey:
            views = {view.id: view for view in doors.passkeys.list_for(session, current.account_id)}
            if passkey_id not in views:
                raise NotFound("There is no such passkey.")
            last = not doors.passkeys.may_remove(session, current.account_id, passkey_id)
            return pages_of.OnePasskey(_passkey(views[passkey_id]), last, problem)

        return render(request, "safety/passkey.html", await host.db.read(read), status=status)

    @routes.get("/safety/passkeys/{passkey_id}")
    async def passkey(request: Request, passkey_id: str) -> Response:
        current = recent(request)
        if isinstance(current, Response):
            return current
        return await passkey_page(request, current, passkey_id)

    @routes.post("/safety/passkeys/{passkey_id}/rename")
    async def rename(request: Request, passkey_id: str) -> Response:
        current = recent(request, f"/safety/passkeys/{passkey_id}")
        if isinstance(current, Response):
            return current
        name = (await read_form(request)).one("name")
        if not name:
            return await passkey_page(request, current, passkey_id, "blank", 422)
        await host.db.write(doors.passkeys.rename, current.account_id, passkey_id, name, actor=current.actor())
        return redirect(request, "/safety", notice=PASSKEY_RENAMED)

    @routes.post("/safety/passkeys/{passkey_id}/remove")
    async def remove(request: Request, passkey_id: str) -> Response:
        current = recent(request, f"/safety/passkeys/{passkey_id}")
        if isinstance(current, Response):
            return current
        try:
            await host.db.write(doors.passkeys.remove, current.account_id, passkey_id, actor=current.actor())
        except LastWayIn:
            return await passkey_page(request, current, passkey_id, status=409)
        return redirect(request, "/safety", notice=PASSKEY_REMOVED)

    # -- the app

    async def app_page(
        request: Request,
        current: BrowserSession,
        *,
        first: bool,
        next_path: str,
        problem: str = "",
        status: int = 200,
    ) -> Response:
        fresh = totp.new_secret()

        def begin(session: Session) -> tuple[totp.SetUp, bool]:
            person = profile(session, sealer, current.account_id)
            waiting = totp.set_up(
                session, sealer, current.account_id,
                secret=fresh, label=person.login, issuer=ISSUER, now=host.clock.ms(), actor=current.actor(),
            )  # fmt: skip
            return waiting, totp.is_on(session, current.account_id)

        waiting, replaces = await host.db.write(begin)
        page = pages_of.App(waiting.qr_svg(), waiting.spaced(), waiting.uri, replaces, first, next_path, problem)
        return render(request, "safety/app.html", page, status=status)

    @routes.get("/safety/app")
    async def app(request: Request) -> Response:
        current = recent(request)
        if isinstance(current, Response):
            return current
        has_password = await host.db.read(doors.credentials.has_password, current.account_id)
        if not has_password:  # a code is asked for after a password only
            return redirect(request, "/safety/password")
        next_path = local_path(request.query_params.get("next"), "/safety")
        return await app_page(request, current, first=request.query_params.get("first") == "1", next_path=next_path)

    @routes.post("/safety/app")
    async def app_post(request: Request) -> Response:
        current = recent(request, "/safety/app")
        if isinstance(current, Response):
            return current
        form = await read_form(request)
        first, next_path = form.one("first") == "1", local_path(form.one("next"), "/safety")
        code = form.one("code")
        browser = doors.browser(request)

        def confirm(session: Session) -> str | None:
            """Turn it on; a session that proved the password moments ago has now proved both."""
            totp.confirm(session, sealer, current.account_id, code, now=host.clock.ms(), actor=current.actor())
            if current.amr != ("pwd",):
                return None
            level = levels.of(["password", "totp"])
            token, _ = doors.sessions.begin(
                session,
                current.account_id,
                acr=level.acr,
                amr=level.amr,
                user_agent=browser.user_agent,
                replaces=current.id,
            )
            return token

        try:
            token = await host.db.write(confirm)
        except CodeRefused:
            return await app_page(request, current, first=first, next_path=next_path, problem="refused", status=422)
        codes = "/safety/codes?" + urlencode({"first": "1" if first else "0", "next": next_path})
        response = redirect(request, codes, notice=APP_ON)
        return response if token is None else await doors.keep_session(request, response, token)

    # -- recovery codes

    @routes.get("/safety/codes")
    async def codes(request: Request) -> Response:
        current = recent(request)
        if isinstance(current, Response):
            return current
        if not await host.db.read(totp.is_on, current.account_id):
            return redirect(request, "/safety/app")
        left = await host.db.read(recovery.left, current.account_id)
        onward = local_path(request.query_params.get("next"), "/safety")
        first = request.query_params.get("first") == "1"
        return render(request, "safety/codes.html", pages_of.Codes((), left, first, onward, ""))

    @routes.post("/safety/codes")
    async def codes_post(request: Request) -> Response:
        current = recent(request, "/safety/codes")
        if isinstance(current, Response):
            return current
        form = await read_form(request)
        fresh = recovery.new_codes()

        def make(session: Session) -> str:
            recovery.replace(session, hasher, current.account_id, fresh, now=host.clock.ms(), actor=current.actor())
            return profile(session, sealer, current.account_id).login

        login = await host.db.write(make)
        page = pages_of.Codes(fresh, len(fresh), False, local_path(form.one("next"), "/safety"), login)
        return render(request, "safety/codes.html", page)

    # -- the password

    async def password_page(
        request: Request, current: BrowserSession, problem: str = "", status: int = 200
    ) -> Response:
        def read(session: Session) -> pages_of.Password:
            return pages_of.Password(
                login=profile(session, sealer, current.account_id).login,
                has_password=doors.credentials.has_password(session, current.account_id),
                problem=problem,
                others=sum(view.id != current.id for view in doors.sessions.list_for(session, current.account_id)),
            )

        return render(request, "safety/password.html", await host.db.read(read), status=status)

    @routes.get("/safety/password")
    async def password(request: Request) -> Response:
        current = recent(request)
        if isinstance(current, Response):
            return current
        return await password_page(request, current)

    @routes.post("/safety/password")
    async def password_post(request: Request) -> Response:
        current = recent(request, "/safety/password")
        if isinstance(current, Response):
            return current
        form = await read_form(request)
        person = await host.db.read(profile, sealer, current.account_id)
        problem = await doors.weak(form, person)
        if problem:
            return await password_page(request, current, problem, 422)
        await doors.credentials.set_password(current.account_id, form.raw("password"), actor=current.actor())
        has_app = await host.db.read(totp.is_on, current.account_id)
        return redirect(request, "/safety" if has_app else "/safety/app", notice=PASSWORD_SAVED)

    return routes


def _passkey(view: PasskeyView) -> pages_of.PasskeyRow:
    return pages_of.PasskeyRow(view.id, view.name, view.synced, view.active, view.created_at, view.used_at)


def _session(view: SessionView, current: BrowserSession) -> pages_of.SessionRow:
    return pages_of.SessionRow(
        id=view.id,
        device=device_words(view.device),
        current=view.id == current.id,
        auth_at=view.auth_at,
        seen_at=view.seen_at,
        strong=levels.satisfies(view.acr, levels.AAL2),
    )


def device_words(user_agent: str) -> str:
    """The name of a browser in the reader's language."""
    browser, system = user_agents.names(user_agent)
    language = i18n.current()
    if browser and system:
        return f"{browser}（{system}）" if language.code == "ja" else f"{browser} ({system})"
    return browser or system or language.gettext(N_("A browser or program we don't know"))


def sensitive(session: Session, current: BrowserSession, *, now: int) -> tuple[tuple[int, str], ...]:
    """What was changed lately in another window than this one, newest first: when, and in which words."""
    found = audit.entries(
        session,
        object_id=current.account_id,
        action=tuple(_SENSITIVE),
        since=now - _LATELY,
        newest_first=True,
        limit=20,
    )
    # Without a session it was a sign-up or a reset, of which the first page tells in its own words.
    others = [each for each in found if each.authority and each.authority != current.id]
    return tuple((each.at, _SENSITIVE[each.action]) for each in others[:3])


def _office(session: Session, account_id: str) -> tuple[pages_of.EventRow, ...]:
    """What the city office did with this account, newest first; by whom stays in the trail."""
    found = audit.entries(session, object_id=account_id, action=tuple(_OFFICE), newest_first=True, limit=_EVENTS)
    return tuple(pages_of.EventRow(each.at, _OFFICE[each.action], each.action.startswith(_WARNS)) for each in found)


def _events(session: Session, account_id: str) -> tuple[pages_of.EventRow, ...]:
    """What the trail says about this account's door, newest first. Only what happened, never from where."""
    found: list[pages_of.EventRow] = []
    for entry in audit.entries(session, object_id=account_id, action="identity", newest_first=True, limit=60):
        method = str(entry.detail.get("method", ""))
        words = _HAPPENED.get((entry.action, method)) or _HAPPENED.get((entry.action, ""))
        if words is not None:
            found.append(pages_of.EventRow(entry.at, words, entry.outcome != "ok"))
        if len(found) == _EVENTS:
            break
    return tuple(found)
