"""The console's pages about one resident's account: found, looked at, locked, given a new way in by two persons."""

from dataclasses import dataclass, replace

from kit.clock import DAY, HOUR, Millis
from portal.contexts import Sample


@dataclass(frozen=True)
class WaitingReset:
    """A reset that waits for a second person. `mine`: the reader opened it."""

    id: str
    reason: str
    opened_by: str
    opened_at: Millis
    mine: bool


@dataclass(frozen=True)
class Residents:
    """console/residents.html: look one up; never a list of them."""

    asked: str
    problem: str  # "" | unknown | throttled
    seconds: int
    waiting: tuple[WaitingReset, ...]


@dataclass(frozen=True)
class Resident:
    """console/resident.html: what stands of one account, nothing of the person."""

    id: str
    login: str  # masked: nowhere in the console is a resident's login name told
    status: str  # active | suspended
    created_at: Millis
    passkeys: int
    has_password: bool
    has_app: bool
    codes_left: int
    sessions: int
    families: int
    last_at: Millis | None
    reset_id: str
    reset_status: str  # "" | open | approved
    errors: dict[str, str]
    ial: int = 0


@dataclass(frozen=True)
class ResetForm:
    """console/reset_new.html: the first person says why, and which documents were seen."""

    account_id: str
    login: str
    reason: str
    evidence: tuple[str, ...]
    errors: dict[str, str]


@dataclass(frozen=True)
class ResetPage:
    """console/reset.html: what the second person judges, and how it ended."""

    id: str
    account_id: str
    login: str
    status: str  # open | approved | used | withdrawn | expired
    reason: str
    evidence: tuple[str, ...]
    opened_by: str
    opened_at: Millis
    approved_by: str
    approved_at: Millis | None
    closed_at: Millis | None
    expires_at: Millis
    may_approve: bool
    may_withdraw: bool
    errors: dict[str, str]


@dataclass(frozen=True)
class Letter:
    """What the printed sheet says to the resident, in one language."""

    lang: str
    title: str
    steps: tuple[str, ...]
    until: str
    warning: str


@dataclass(frozen=True)
class ResetCode:
    """console/reset_code.html: the code, this once, on a sheet for the resident in both languages."""

    id: str
    code: str
    letters: tuple[Letter, ...]


_NOW = 1_795_312_800_000  # 22 November 2026 in Japan

_LETTERS = (
    Letter(
        "ja",
        "入り方を作り直すためのコード",
        (
            "ブラウザーで https://id.minatohama.example/sign-in/reset を開きます。",
            "あなたのログイン名と、上のコードを入力します。ログイン名はこの紙に書いてありません。",
            "新しい入り方を作ります。作りおえた瞬間に、前の入り方はすべて使えなくなります。",
        ),
        "2026年11月23日 14:05 まで、一度だけ使えます。",
        "この紙はだれにも見せないでください。市役所が電話やメールでこのコードをたずねることはありません。",
    ),
    Letter(
        "en",
        "Code for a new way to sign in",
        (
            "Open https://id.minatohama.example/sign-in/reset in a browser.",
            "Type your login name and the code above. Your login name is not on this sheet.",
            "Make a new way to sign in. At that moment every former one stops working.",
        ),
        "Good once, until 23 November 2026, 14:05.",
        "Show this sheet to nobody. The city office never asks for this code by telephone or e-mail.",
    ),
)


def samples() -> list[Sample]:
    """Looking for somebody, each state of an account and of a reset, the forms with their mistakes."""
    account = "acc_01m7zz8rq3c4e5f6g7h8j9k0mn"
    usual = Resident(
        id=account, login="h•••", status="active", created_at=_NOW - 300 * DAY, passkeys=2, has_password=True,
        has_app=True, codes_left=8, sessions=3, families=2, last_at=_NOW - 9 * DAY, reset_id="", reset_status="",
        errors={},
    )  # fmt: skip
    waiting = WaitingReset("rst_01m7zz8rq3c4e5f6g7h8j9k0mn", "lost", "岬 千尋", _NOW - 2 * HOUR, False)
    page = ResetPage(
        id=waiting.id, account_id=account, login="h•••", status="open", reason="lost",
        evidence=("individual-number-card", "health-insurance"), opened_by="岬 千尋", opened_at=_NOW - 2 * HOUR,
        approved_by="", approved_at=None, closed_at=None, expires_at=_NOW + 22 * HOUR, may_approve=True,
        may_withdraw=True, errors={},
    )  # fmt: skip
    approved = replace(
        page, status="approved", approved_by="入江 稔", approved_at=_NOW - HOUR, may_approve=False, may_withdraw=True
    )

    withdrawn = replace(page, status="withdrawn", closed_at=_NOW, may_approve=False, may_withdraw=False)

    def of(template: str, name: str, context: object) -> Sample:
        return Sample(f"console/{template}.html", name, context, viewer="operator", path="/console/residents")

    form = ResetForm(account, "h•••", "", (), {})
    return [
        of("residents", "empty", Residents("", "", 0, ())),
        of("residents", "unknown", Residents("hanaka", "unknown", 0, (waiting, replace(waiting, mine=True)))),
        of("residents", "throttled", Residents("hanako", "throttled", 25, ())),
        of("resident", "usual", usual),
        of(
            "resident",
            "nothing",
            replace(usual, login="x•••", passkeys=0, has_password=False, has_app=False, codes_left=0, sessions=0,
                    families=0, last_at=None, errors={"lock_reason": "Choose one."}),
        ),
        of("resident", "verified", replace(usual, ial=2, errors={"end_reason": "Choose one."})),
        of("resident", "locked", replace(usual, status="suspended", sessions=0, families=0)),
        of("resident", "reset-waits", replace(usual, reset_id=waiting.id, reset_status="open")),
        of("reset_new", "empty", form),
        of(
            "reset_new",
            "errors",
            replace(form, reason="lost", evidence=("pension-number",), errors={"evidence": "One more is needed."}),
        ),
        of("reset", "open", page),
        of("reset", "open-errors", replace(page, errors={"confirmed": "Please tick this."})),
        of("reset", "open-mine", replace(page, may_approve=False)),
        of("reset", "approved", approved),
        of("reset", "used", replace(approved, status="used", closed_at=_NOW, may_withdraw=False)),
        of("reset", "withdrawn", withdrawn),
        of("reset", "expired", replace(approved, status="expired", may_withdraw=False)),
        of("reset_code", "shown", ResetCode(waiting.id, "7K2QM-9XW4T-0H3ZR-51BNC-QY8VD", _LETTERS)),
    ]  # fmt: skip
