"""The form in which a newcomer says who they are, read: names as they are written, kana, dates of either calendar."""

import re
from datetime import datetime

from identity.accounts import Profile, read_login
from identity.person import is_shown
from kit.clock import to_datetime
from kit.problems import Invalid
from portal import i18n
from portal.i18n import N_
from portal.typed_dates import read_birthdate
from portal.web import Form

WRONG = {
    "name": N_("Write your name."),
    "name_kana": N_("Write it in hiragana or katakana, or leave it empty."),
    "birthdate": N_("This date could not be read. Write for example 1951-4-2 or 昭和26年4月2日."),
    "login": N_("Use 3 to 64 letters from a to z, digits, or . _ @ + -"),
}
_KANA = re.compile(r"[ァ-ヺー・ \u3000]*")
_HIRAGANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}


def read_name(typed: str) -> str | None:
    """A name as it is kept, character for character: no normal form, for the register tells 渡邉 from 渡邊, and 葛󠄀 from
    葛 by a variation selector (Unicode UTS #37) that every normal form keeps and every careless filter drops. None for
    what is no name."""
    name = " ".join(typed.split())
    return name if name and len(name) <= 80 and is_shown(name) else None


def read_kana(typed: str) -> str | None:
    """A reading, in katakana; "" for none, None for what is no kana."""
    kana = " ".join(typed.split()).translate(_HIRAGANA)
    return kana if len(kana) <= 80 and _KANA.fullmatch(kana) else None


def read_person(form: Form, *, now_ms: int) -> tuple[Profile, dict[str, str]]:
    """The person a sign-up form describes, and what is wrong with it, by field, in the reader's language."""
    errors: dict[str, str] = {}
    language = i18n.current()

    def wrong(name: str) -> None:
        errors[name] = language.gettext(WRONG[name])

    name, kana = read_name(form.one("name")), read_kana(form.one("name_kana"))
    if name is None:
        wrong("name")
    if kana is None:
        wrong("name_kana")
    birthdate = ""
    try:
        today: datetime = to_datetime(now_ms).astimezone(i18n.JST)
        birthdate = read_birthdate(form.one("birthdate"), today=today.date()).isoformat()
    except ValueError:
        wrong("birthdate")
    login = ""
    try:
        login = read_login(form.one("login"))
    except Invalid:
        wrong("login")
    person = Profile(name=name or "", name_kana=kana or "", birthdate=birthdate, login=login, locale=language.code)
    return person, errors
