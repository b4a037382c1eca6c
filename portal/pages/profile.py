"""The name as the register writes it, its reading, and the language of letters. Date of birth and login name stay: who
could change their birthday could come of age. Asks for a sign-in of the last ten minutes."""

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from identity.accounts import Profile, change_profile
from identity.accounts import profile as profile_of
from identity.sessions import BrowserSession
from keys.envelope import Sealer
from kit.db import Session
from kit.host import Host
from portal import i18n
from portal.contexts import safety as pages_of
from portal.contexts.signin import LABELS
from portal.i18n import N_
from portal.pages.safety import recent
from portal.pages.signin import WRONG, read_kana, read_name
from portal.visits import pages, visit_of
from portal.web import notice, read_form, redirect, render

SAVED = notice("profile.saved", N_("Saved."))
PLACE = "/safety/profile"


def router(host: Host) -> Any:
    """/safety/profile."""
    routes = pages(host)
    sealer = host.get(Sealer)

    def page(request: Request, shown: Profile, errors: dict[str, str] | None = None) -> Response:
        words = pages_of.ProfilePage(shown.name, shown.name_kana, shown.locale, errors or {}, LABELS)
        return render(request, "safety/profile.html", words, status=422 if errors else 200)

    @routes.get(PLACE)
    async def look(request: Request) -> Response:
        current = recent(host, request)
        if isinstance(current, Response):
            return current
        return page(request, await host.db.read(profile_of, sealer, current.account_id))

    @routes.post(PLACE)
    async def change(request: Request) -> Response:
        current = recent(host, request, PLACE)
        if not isinstance(current, BrowserSession):
            return current
        form, say = await read_form(request), i18n.current().gettext
        name, kana, locale = read_name(form.one("name")), read_kana(form.one("name_kana")), form.one("locale")
        errors = {field: say(WRONG[field]) for field, value in (("name", name), ("name_kana", kana)) if value is None}
        if locale not in i18n.LANGUAGES:
            locale = i18n.current().code
        if errors or name is None or kana is None:
            return page(request, Profile(form.one("name")[:200], form.one("name_kana")[:200], locale=locale), errors)

        def write(session: Session) -> None:
            before = profile_of(session, sealer, current.account_id)
            after = replace(before, name=name, name_kana=kana, locale=locale)
            change_profile(session, sealer, current.account_id, after, actor=current.actor())

        await host.db.write(write)
        answer = redirect(request, PLACE, notice=SAVED)
        secure = visit_of(request).secure
        answer.set_cookie(i18n.COOKIE, locale, max_age=365 * 86400, secure=secure, httponly=True, samesite="lax")
        return answer

    return routes
