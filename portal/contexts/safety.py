"""The safety pages: how one signs in, and where one is signed in."""

from dataclasses import dataclass, field, replace

from portal.contexts import Sample

NOW = 1_795_312_800_000  # 22 November 2026 in Japan
HOUR = 3_600_000
DAY = 24 * HOUR


@dataclass(frozen=True)
class PasskeyRow:
    """One passkey."""

    id: str
    name: str
    synced: bool
    active: bool
    created_at: int
    used_at: int | None


@dataclass(frozen=True)
class SessionRow:
    """One browser that is signed in. `device` is in the reader's language already."""

    id: str
    device: str
    current: bool
    auth_at: int
    seen_at: int
    strong: bool


@dataclass(frozen=True)
class EventRow:
    """Something that happened at the door: `words` is a message id."""

    at: int
    words: str
    warn: bool


@dataclass(frozen=True)
class Safety:
    """safety/safety.html: everything at a glance."""

    login: str
    passkeys: tuple[PasskeyRow, ...]
    passkeys_here: bool
    has_password: bool
    has_app: bool
    codes_left: int
    sessions: tuple[SessionRow, ...]
    events: tuple[EventRow, ...]
    now: int
    office: tuple[EventRow, ...] = ()
    email: str = ""
    email_verified: bool = False
    reset_waits: bool = False
    linked: int = 0
    linkable: bool = False  # this city knows other ways to sign in


@dataclass(frozen=True)
class Email:
    """safety/email.html: the address, and one on its way (`waiting`: "" is none to come, None is nothing waiting)."""

    address: str
    verified: bool
    waiting: str | None
    ready_at: int | None
    typed: str
    code: str
    problem: str  # "" | address | throttled | refused | expired
    seconds: int
    tries_left: int


@dataclass(frozen=True)
class ProfilePage:
    """safety/profile.html: what residents say of themselves; `values` by field."""

    values: dict[str, str]
    phone_verified: bool = False
    errors: dict[str, str] = field(default_factory=dict)
    own: bool = True  # the name is theirs to change, as residents' is


@dataclass(frozen=True)
class NotMe:
    """safety/not_me.html: the button; with a letter's ticket, or "" for somebody signed in."""

    ticket: str


@dataclass(frozen=True)
class NotMeDone:
    """safety/not_me_done.html: what ended."""

    sessions: int
    families: int
    still_in: bool


@dataclass(frozen=True)
class NewPasskey:
    """safety/passkey_new.html."""

    available: bool
    suggestion: str


@dataclass(frozen=True)
class OnePasskey:
    """safety/passkey.html: rename or remove."""

    passkey: PasskeyRow
    last_way_in: bool
    problem: str  # "" | blank


@dataclass(frozen=True)
class App:
    """safety/app.html: set up the authenticator app. `qr` is trusted SVG made here."""

    qr: str
    secret: str
    uri: str
    replaces: bool
    first: bool
    next: str
    problem: str  # "" | refused


@dataclass(frozen=True)
class Codes:
    """safety/codes.html: before, and the codes themselves, once."""

    codes: tuple[str, ...]
    left: int
    first: bool
    next: str
    login: str


@dataclass(frozen=True)
class Password:
    """safety/password.html."""

    login: str
    has_password: bool
    problem: str  # "" | short | long | blank | common | breached | repeat
    others: int


def _qr() -> str:
    from identity.totp import SetUp

    return SetUp(
        "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
        "otpauth://totp/Sekisho:hana?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Sekisho",
    ).qr_svg()


def samples() -> list[Sample]:
    """Nothing yet, one, many, and the unhappy ones."""
    phone = PasskeyRow("pky_1", "じぶんのスマートフォン", True, True, NOW - 90 * DAY, NOW - HOUR)
    tablet = PasskeyRow("pky_2", "玄関のタブレット", False, True, NOW - 40 * DAY, NOW - 12 * DAY)
    stopped = PasskeyRow("pky_3", "むかしのパソコン", False, False, NOW - 400 * DAY, NOW - 200 * DAY)
    here = SessionRow("ses_1", "Safari（iPhone）", True, NOW - HOUR, NOW, True)
    there = SessionRow("ses_2", "Edge（Windows）", False, NOW - 5 * HOUR, NOW - 2 * HOUR, False)
    events = (
        EventRow(NOW - HOUR, "You signed in with a passkey", False),
        EventRow(NOW - DAY, "A wrong password was typed", True),
        EventRow(NOW - 3 * DAY, "You signed in with password and app", False),
    )
    office = (
        EventRow(NOW - DAY, "A new way in was made with the code, and every former one was removed", True),
        EventRow(NOW - DAY - HOUR, "The city office looked up your account: how you sign in, not your data", False),
    )
    whole = Safety(
        "hana", (phone, tablet, stopped), True, True, True, 8, (here, there), events, NOW,
        email="hana@mail.example", email_verified=True, linked=1, linkable=True,
    )  # fmt: skip
    person = {
        "name": "葛\U000e0100城 花子", "family_name": "葛\U000e0100城", "given_name": "花子",
        "name_kana": "カツラギ ハナコ", "nickname": "はなちゃん", "gender": "female",
        "address": "汐路県湊浜市汐見町一丁目2番3号 コーポしおかぜ 201",
        "phone": "00000000012", "locale": "ja",
    }  # fmt: skip
    plain = Email("hana@mail.example", True, None, None, "", "", "", 0, 0)
    app = App(_qr(), "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP", "otpauth://totp/x", False, False, "/safety", "")
    codes: tuple[str, ...] = ("7K2QM-9XW4T", "0H3ZR-51BNC", "QY8VD-2GJTE", "M4SPA-7F6KX", "9ZC1W-RB30H")
    codes = (*codes, "TN5EJ-X82QV", "3GDMK-PY6S4", "F1A7B-C9H0Z", "W2R8N-KJ5TQ", "V6XE3-1MD9P")
    return [
        Sample("safety/safety.html", "whole", whole, viewer="resident", path="/safety"),
        Sample(
            "safety/safety.html",
            "password-only",
            Safety("taro", (), True, True, False, 0, (here,), (), NOW),
            viewer="resident",
            path="/safety",
        ),
        Sample(
            "safety/safety.html",
            "passkey-only",
            replace(whole, passkeys=(phone,), has_password=False, has_app=False, codes_left=0, sessions=(here,)),
            viewer="resident",
            path="/safety",
        ),
        Sample(
            "safety/safety.html",
            "few-codes",
            replace(
                whole, office=office, reset_waits=True, codes_left=1,
                sessions=tuple(replace(there, id=f"ses_{n}") for n in range(12))
            ),
            viewer="analyst",
            path="/safety",
        ),
        Sample("safety/passkey_new.html", "plain", NewPasskey(True, "iPhone"), viewer="resident", path="/safety"),
        Sample("safety/passkey_new.html", "not-here", NewPasskey(False, "Windows"), viewer="resident", path="/safety"),
        Sample("safety/passkey.html", "plain", OnePasskey(phone, False, ""), viewer="resident", path="/safety"),
        Sample("safety/passkey.html", "last", OnePasskey(phone, True, "blank"), viewer="resident", path="/safety"),
        Sample("safety/passkey.html", "stopped", OnePasskey(stopped, False, ""), viewer="resident", path="/safety"),
        Sample("safety/app.html", "plain", app, viewer="resident", path="/safety/app"),
        Sample("safety/app.html", "first", replace(app, first=True), viewer="resident", path="/safety/app"),
        Sample(
            "safety/app.html", "refused", replace(app, problem="refused", replaces=True), viewer="resident",
            path="/safety/app",
        ),
        Sample("safety/codes.html", "before", Codes((), 0, True, "/home", "hana"), viewer="resident"),
        Sample("safety/codes.html", "again", Codes((), 3, False, "/safety", "hana"), viewer="resident"),
        Sample("safety/codes.html", "shown", Codes(codes, 10, False, "/safety", "hana"), viewer="resident"),
        Sample("safety/email.html", "verified", plain, viewer="resident", path="/safety/email"),
        Sample("safety/email.html", "none", replace(plain, address="", verified=False), viewer="resident"),
        Sample("safety/email.html", "wrong", replace(plain, typed="hana@", problem="address"), viewer="resident"),
        Sample("safety/email.html", "unproved", replace(plain, verified=False), viewer="resident"),
        Sample(
            "safety/email.html", "code", replace(plain, waiting="a.much.longer.address.than.usual@mail.example"),
            viewer="resident",
        ),
        Sample(
            "safety/email.html",
            "refused",
            replace(plain, waiting="hanako@mail.example", problem="refused", tries_left=2),
            viewer="resident",
        ),
        Sample(
            "safety/email.html", "waits", replace(plain, waiting="hanako@mail.example", ready_at=NOW + 3 * DAY),
            viewer="resident",
        ),
        Sample("safety/email.html", "leaves", replace(plain, waiting="", ready_at=NOW + 3 * DAY), viewer="resident"),
        Sample("safety/email.html", "throttled", replace(plain, problem="throttled", seconds=600), viewer="resident"),
        Sample(
            "safety/profile.html", "plain", ProfilePage(person, phone_verified=True),
            viewer="resident", path="/safety/profile",
        ),
        Sample(
            "safety/profile.html", "wrong",
            ProfilePage(
                {**person, "name": "", "name_kana": "Hanako", "phone": "12", "locale": "en"},
                errors={
                    "name": "Write your name.", "family_name": "This is not the name above.",
                    "name_kana": "Write it in kana.", "phone": "This is no telephone number.",
                },
            ),
            viewer="resident", path="/safety/profile",
        ),
        Sample("safety/not_me.html", "letter", NotMe("t"), path="/not-me"),
        Sample("safety/not_me.html", "page", NotMe(""), viewer="resident", path="/not-me"),
        Sample("safety/not_me_done.html", "letter", NotMeDone(2, 1, False), path="/not-me"),
        Sample("safety/not_me_done.html", "page", NotMeDone(1, 0, True), viewer="resident", path="/not-me"),
        Sample("safety/password.html", "plain", Password("hana", True, "", 2), viewer="resident"),
        Sample("safety/password.html", "first", Password("hana", False, "", 0), viewer="resident"),
        Sample("safety/password.html", "common", Password("hana", True, "common", 0), viewer="resident"),
    ]  # fmt: skip
