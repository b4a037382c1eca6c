"""Signing in, signing up, signing out."""

from dataclasses import dataclass, replace

from portal.contexts import Sample
from portal.i18n import N_

#: What is wrong with a form, by code: the words are in the templates.


@dataclass(frozen=True)
class Waiting:
    """The service that waits for this sign-in, and what it will learn. `learns` are message ids."""

    service: str
    learns: tuple[str, ...]
    asks_for_data: bool


@dataclass(frozen=True)
class Way:
    """An upstream or a certificate authority one may sign in by. `label` is in the reader's language already."""

    id: str
    label: str


@dataclass(frozen=True)
class SignIn:
    """signin/sign_in.html."""

    next: str
    login: str
    again: bool
    problem: str  # "" | refused | throttled | expired
    seconds: int
    passkeys: bool
    waiting: Waiting | None
    upstreams: tuple[Way, ...] = ()
    certificates: tuple[Way, ...] = ()


@dataclass(frozen=True)
class Code:
    """signin/code.html: the six digits of the app."""

    problem: str  # "" | refused | throttled
    seconds: int
    tries_left: int


@dataclass(frozen=True)
class Recovery:
    """signin/recovery.html: a code from paper."""

    problem: str
    seconds: int
    tries_left: int


@dataclass(frozen=True)
class Reset:
    """signin/reset.html: login name and the city office's code."""

    login: str
    problem: str  # "" | refused | throttled | expired | waits | second
    seconds: int
    code: str = ""
    ready_at: int = 0
    sooner: bool = True  # a recovery code beside it makes an end of the wait


@dataclass(frozen=True)
class Recover:
    """signin/recover.html: login name and recovery code."""

    login: str
    problem: str  # "" | blank | throttled | expired
    seconds: int


@dataclass(frozen=True)
class RecoverLetter:
    """signin/recover_letter.html: the code that came by e-mail, if one did."""

    problem: str  # "" | refused | throttled
    tries_left: int
    seconds: int


@dataclass(frozen=True)
class RecoverBegun:
    """signin/recover_begun.html: the code, this once, and when it works."""

    code: str
    ready_at: int
    until: int


@dataclass(frozen=True)
class ResetKey:
    """signin/reset_key.html: the new way in."""

    login: str
    problem: str  # "" | short | long | blank | common | breached | repeat
    passkeys: bool


@dataclass(frozen=True)
class SignUp:
    """signin/sign_up.html: who are you. `errors` and `values` by field name; errors are translated already."""

    next: str
    values: dict[str, str]
    errors: dict[str, str]
    labels: dict[str, str]
    throttled: int


@dataclass(frozen=True)
class SignUpKey:
    """signin/sign_up_key.html: with a passkey, or with a password and an app."""

    name: str
    login: str
    problem: str  # "" | short | long | blank | common | breached | repeat
    passkeys: bool


@dataclass(frozen=True)
class SignOut:
    """signin/sign_out.html: asked by a link, so that a link alone signs nobody out."""

    signed_in: bool
    then: str = ""  # a sealed ticket: where a service wants the person back
    to: str = ""


@dataclass(frozen=True)
class SignedOut:
    """signin/signed_out.html: the services are told through the browser, then on."""

    frames: tuple[str, ...]
    to: str


_NOW = 1_795_312_800_000  # 22 November 2026 in Japan
_PLAIN = SignIn(next="/home", login="", again=False, problem="", seconds=0, passkeys=True, waiting=None)
_VALUES = {"name": "", "name_kana": "", "birthdate": "", "login": ""}
LABELS = {
    "name": N_("Your name"),
    "name_kana": N_("Reading of your name"),
    "birthdate": N_("Date of birth"),
    "login": N_("Login name"),
}


def samples() -> list[Sample]:
    """Each page as it is met, and with something wrong."""
    waiting = Waiting(
        service="みなと診療所 けんしんノート",
        learns=(N_("A number that stands for you at this service only"), N_("Your name")),
        asks_for_data=True,
    )
    return [
        Sample("signin/sign_in.html", "plain", _PLAIN, path="/sign-in"),
        Sample("signin/sign_in.html", "waiting", replace(_PLAIN, waiting=waiting), path="/sign-in"),
        Sample(
            "signin/sign_in.html",
            "waiting-long",
            replace(
                _PLAIN,
                waiting=replace(
                    waiting,
                    service="一般社団法人 湊浜市地域包括ケア・在宅医療介護連携推進協議会 みまもりネット",
                    asks_for_data=False,
                ),
            ),
            path="/sign-in",
        ),
        Sample(
            "signin/sign_in.html",
            "upstreams",
            replace(
                _PLAIN,
                upstreams=(
                    Way("my-number", "デジタル認証アプリ"),
                    Way("univ", "湊浜市立総合高等教育機構 学生認証基盤"),
                ),
            ),
            path="/sign-in",
        ),
        Sample(
            "signin/sign_in.html",
            "certificates",
            replace(
                _PLAIN,
                certificates=(Way("card", "マイナンバーカード"), Way("staff-card", "湊浜市職員証")),
            ),
            path="/sign-in",
        ),
        Sample("signin/sign_in.html", "refused", replace(_PLAIN, problem="refused", login="hana"), path="/sign-in"),
        Sample("signin/sign_in.html", "throttled", replace(_PLAIN, problem="throttled", seconds=95), path="/sign-in"),
        Sample("signin/sign_in.html", "expired", replace(_PLAIN, problem="expired"), path="/sign-in"),
        Sample("signin/sign_in.html", "again", replace(_PLAIN, again=True), viewer="resident", path="/sign-in"),
        Sample("signin/sign_in.html", "no-passkeys", replace(_PLAIN, passkeys=False), path="/sign-in"),
        Sample("signin/code.html", "plain", Code(problem="", seconds=0, tries_left=5), path="/sign-in/code"),
        Sample("signin/code.html", "refused", Code(problem="refused", seconds=0, tries_left=3), path="/sign-in/code"),
        Sample("signin/code.html", "last-try", Code(problem="refused", seconds=0, tries_left=1), path="/sign-in/code"),
        Sample(
            "signin/code.html", "throttled", Code(problem="throttled", seconds=30, tries_left=0), path="/sign-in/code"
        ),
        Sample("signin/recovery.html", "plain", Recovery("", 0, 5), path="/sign-in/recovery"),
        Sample("signin/recovery.html", "refused", Recovery("refused", 0, 2), path="/sign-in/recovery"),
        Sample("signin/reset.html", "plain", Reset("", "", 0), path="/sign-in/reset"),
        Sample("signin/reset.html", "refused", Reset("hana", "refused", 0), path="/sign-in/reset"),
        Sample("signin/reset.html", "throttled", Reset("hana", "throttled", 120), path="/sign-in/reset"),
        Sample("signin/reset.html", "expired", Reset("", "expired", 0), path="/sign-in/reset"),
        Sample(
            "signin/reset.html", "waits", Reset("hana", "waits", 0, "7K2QM-9XW4T-0H3ZR-51BNC-QY8VD", _NOW + 86_400_000)
        ),
        Sample("signin/reset.html", "second", Reset("hana", "second", 0, "7K2QM-9XW4T-0H3ZR-51BNC-QY8VD", _NOW)),
        Sample("signin/recover.html", "plain", Recover("", "", 0), path="/sign-in/recover"),
        Sample("signin/recover.html", "blank", Recover("hana", "blank", 0), path="/sign-in/recover"),
        Sample("signin/recover.html", "throttled", Recover("hana", "throttled", 90), path="/sign-in/recover"),
        Sample("signin/recover.html", "expired", Recover("", "expired", 0), path="/sign-in/recover"),
        Sample("signin/recover_letter.html", "plain", RecoverLetter("", 5, 0), path="/sign-in/recover/letter"),
        Sample("signin/recover_letter.html", "refused", RecoverLetter("refused", 2, 0)),
        Sample("signin/recover_letter.html", "throttled", RecoverLetter("throttled", 2, 60)),
        Sample(
            "signin/recover_begun.html",
            "shown",
            RecoverBegun("7K2QM-9XW4T-0H3ZR-51BNC-QY8VD", _NOW + 3 * 86_400_000, _NOW + 10 * 86_400_000),
        ),
        Sample("signin/reset_key.html", "plain", ResetKey("hana", "", True), path="/sign-in/reset/new"),
        Sample("signin/reset_key.html", "no-passkeys", ResetKey("hana", "short", False), path="/sign-in/reset/new"),
        Sample("signin/sign_up.html", "plain", SignUp("/home", _VALUES, {}, LABELS, 0), path="/sign-up"),
        Sample(
            "signin/sign_up.html",
            "errors",
            SignUp(
                "/home",
                {"name": "湊 花", "name_kana": "minato", "birthdate": "13月40日", "login": "花"},
                {
                    "name_kana": "ひらがなかカタカナで書いてください。",
                    "birthdate": "この日付は読み取れませんでした。",
                    "login": "半角の英字と数字、3文字以上で書いてください。",
                },
                LABELS,
                0,
            ),
            path="/sign-up",
        ),
        Sample("signin/sign_up.html", "throttled", SignUp("/home", _VALUES, {}, LABELS, 60), path="/sign-up"),
        Sample("signin/sign_up_key.html", "plain", SignUpKey("湊 花", "hana", "", True), path="/sign-up/key"),
        Sample("signin/sign_up_key.html", "common", SignUpKey("湊 花", "hana", "common", True), path="/sign-up/key"),
        Sample("signin/sign_up_key.html", "no-passkeys", SignUpKey("湊 花", "hana", "", False), path="/sign-up/key"),
        Sample("signin/sign_out.html", "plain", SignOut(True), viewer="resident", path="/sign-out"),
        Sample("signin/sign_out.html", "out", SignOut(False), path="/sign-out"),
        Sample("signin/sign_out.html", "wished", SignOut(True, "t", "https://clinic.example/bye"), viewer="resident"),
        Sample("signin/sign_out.html", "back", SignOut(False, "t", "https://clinic.example/bye")),
        Sample(
            "signin/signed_out.html", "told", SignedOut(("https://clinic.example/out",), "https://clinic.example/bye")
        ),
        Sample("signin/signed_out.html", "end", SignedOut(("https://clinic.example/out",), "")),
    ]
