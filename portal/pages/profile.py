"""What residents say of themselves: the name as the register writes it, where it parts, its reading, address,
telephone, and the language of letters. Date of birth and login name stay: who could change their birthday could come of
age. Asks for a sign-in of the last ten minutes.

A field the form did not bring stays as it is, so that a page from before an update takes nothing away.
"""

from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from identity.accounts import Profile, change_profile
from identity.accounts import profile as profile_of
from identity.person import fits, is_shown, kana_parts, read_phone, shown_phone
from identity.sessions import BrowserSession
from keys.envelope import Sealer
from kit.db import Session
from kit.host import Host
from portal import i18n
from portal.contexts import safety as pages_of
from portal.i18n import N_
from portal.pages.person_form import WRONG, read_kana, read_name
from portal.pages.safety import recent
from portal.visits import pages, visit_of
from portal.web import Form, notice, read_form, redirect, render

SAVED = notice("profile.saved", N_("Saved."))
PLACE = "/safety/profile"
_GENDERS: Final = ("female", "male")
_WRONG: Final = {
    **WRONG,
    "parts": N_(
        "Family and given name together are not the name above. Write them as they stand there, or leave both empty."
    ),
    "staff": N_("Your name tells you apart wherever two people are wanted. The administrator changes it."),
    "nickname": N_("Write it in 40 characters at most, or leave it empty."),
    "address": N_("Write it in 200 characters at most, or leave it empty."),
    "phone": N_("This is no telephone number. Write for example 090-1234-5678, or +1 425 555 0100 for one abroad."),
}  # fmt: skip


def router(host: Host) -> Any:
    """/safety/profile."""
    routes = pages(host)
    sealer = host.get(Sealer)

    def page(request: Request, shown: pages_of.ProfilePage) -> Response:
        return render(request, "safety/profile.html", shown, status=422 if shown.errors else 200)

    @routes.get(PLACE)
    async def look(request: Request) -> Response:
        current = recent(host, request)
        if isinstance(current, Response):
            return current
        known = await host.db.read(profile_of, sealer, current.account_id)
        return page(request, pages_of.ProfilePage(_values(known), known.phone_verified, own=current.kind == "resident"))

    @routes.post(PLACE)
    async def change(request: Request) -> Response:
        current = recent(host, request, PLACE)
        if not isinstance(current, BrowserSession):
            return current
        form = await read_form(request)
        before = await host.db.read(profile_of, sealer, current.account_id)
        after, errors = read_profile(form, before)
        own = current.kind == "resident"
        if not own and after.name.split() != before.name.split() and "name" not in errors:
            # Closes: a second account of one's own (identity.second_person) that calls itself somebody else.
            say = i18n.current().gettext
            errors["name"] = say(_WRONG["staff"])
        if errors:
            typed = {name: form.one(name)[:200] if form.has(name) else was for name, was in _values(before).items()}
            return page(request, pages_of.ProfilePage(typed, before.phone_verified, errors, own))

        def write(session: Session) -> None:
            # What this form says nothing of (an address for letters, a telephone a clerk rang) may have changed since.
            now = profile_of(session, sealer, current.account_id)
            names = [name for name in _FIELDS if getattr(after, name) != getattr(before, name)]
            changed = replace(now, **{name: getattr(after, name) for name in names})
            if not fits(changed.name, family=changed.family_name, given=changed.given_name):
                changed = replace(changed, family_name="", given_name="", family_name_kana="", given_name_kana="")
            change_profile(session, sealer, current.account_id, changed, now=host.clock.ms(), actor=current.actor())

        await host.db.write(write)
        answer = redirect(request, PLACE, notice=SAVED)
        if after.locale == before.locale:  # a new telephone number is no wish to read on in another language
            return answer
        secure = visit_of(request).secure
        answer.set_cookie(i18n.COOKIE, after.locale, max_age=365 * 86400, secure=secure, httponly=True, samesite="lax")
        return answer

    return routes


_FIELDS: Final = (
    "name", "name_kana", "family_name", "given_name", "family_name_kana", "given_name_kana", "nickname", "gender",
    "address", "phone", "locale",
)  # fmt: skip


def read_profile(form: Form, before: Profile) -> tuple[Profile, dict[str, str]]:
    """The profile as the form changes it, and what is wrong with it, by field, in the reader's language."""
    errors: dict[str, str] = {}
    say = i18n.current().gettext

    def read(field: str, value: str | None, *, why: str = "") -> str:
        if value is None:
            errors[field] = say(_WRONG[why or field])
        return value or ""

    def one(field: str, otherwise: str | None) -> str:
        return form.one(field) if form.has(field) else otherwise or ""

    name = read("name", read_name(form.one("name")))
    kana = read("name_kana", read_kana(one("name_kana", before.name_kana)))
    family = read("family_name", _line(one("family_name", before.family_name), 80), why="parts")
    given = read("given_name", _line(one("given_name", before.given_name), 80), why="parts")
    if name and not fits(name, family=family, given=given):
        errors["family_name"] = say(_WRONG["parts"])
    nickname = read("nickname", _line(one("nickname", before.nickname), 40))
    address = read("address", _line(one("address", before.address), 200))
    phone = read("phone", read_phone(one("phone", before.phone)))
    gender = one("gender", before.gender)
    locale = one("locale", before.locale)
    family_kana, given_kana = kana_parts(name, kana, family=family, given=given)
    after = replace(
        before,
        name=name,
        name_kana=kana,
        family_name=family,
        given_name=given,
        family_name_kana=family_kana,
        given_name_kana=given_kana,
        nickname=nickname,
        gender=gender if gender in _GENDERS else None,
        address=address or None,
        phone=phone or None,
        locale=locale if locale in i18n.LANGUAGES else i18n.current().code,
    )
    return after, errors


def _line(typed: str, most: int) -> str | None:
    """One line as it is kept, character for character; "" for none, None for what can't be shown."""
    text = " ".join(typed.split())
    return text if len(text) <= most and is_shown(text) else None


def _values(known: Profile) -> dict[str, str]:
    """The form's fields. Where nobody has said where the name parts, a name of two words is offered as two."""
    family, given = known.family_name, known.given_name
    words = known.name.split()
    if not (family or given) and len(words) == 2 and not known.name.isascii():
        family, given = words
    return {
        "name": known.name,
        "family_name": family,
        "given_name": given,
        "name_kana": known.name_kana,
        "nickname": known.nickname,
        "gender": known.gender or "",
        "address": known.address or "",
        "phone": shown_phone(known.phone or ""),
        "locale": known.locale,
    }
