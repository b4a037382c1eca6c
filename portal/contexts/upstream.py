"""Signing in by others: an identity to be linked, a sign-in that came to nothing, the linked ones."""

from dataclasses import dataclass

from kit.clock import DAY, HOUR, MINUTE, Millis
from portal.contexts import Sample
from portal.contexts.signin import Way


@dataclass(frozen=True)
class Link:
    """signin/link.html: an identity that was proved elsewhere and belongs to no account yet."""

    state: str  # sign-in | confirm | expired
    label: str
    proved_at: Millis
    login: str  # of the account it would be linked to; "" while nobody is signed in
    again: bool


@dataclass(frozen=True)
class Stopped:
    """signin/upstream.html: the other provider's sign-in came to nothing."""

    reason: str
    label: str
    seconds: int
    next: str


@dataclass(frozen=True)
class LinkedRow:
    """One linked identity. `told` are pairs of a message id and what the provider said."""

    id: str
    label: str  # "" when this city does not know the provider any more
    linked_at: Millis
    used_at: Millis
    told: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Linked:
    """safety/linked.html."""

    links: tuple[LinkedRow, ...]
    others: tuple[Way, ...]  # what could be linked yet
    certificates: tuple[Way, ...]  # the same, by showing a certificate
    now: Millis
    problem: str  # "" | another-here | somebody-else | not-for-you | last-way-in


_NOW = 1_795_312_800_000  # 22 November 2026 in Japan


def samples() -> list[Sample]:
    """Each state of each page."""
    app, longer = Way("my-number", "デジタル認証アプリ"), Way("univ", "湊浜市立総合高等教育機構 学生認証基盤")
    row = LinkedRow(
        "upl_1", app.label, _NOW - 40 * DAY, _NOW - HOUR,
        (
            ("Your name", "湊 花"), ("Address", "湊浜市汐見町2丁目3番地1"), ("Date of birth", "1951年4月2日"),
            ("Gender", "女性"),
        ),
    )  # fmt: skip
    card = Way("card", "マイナンバーカード")
    shown = LinkedRow(
        "upl_3", card.label, _NOW - 3 * DAY, _NOW - DAY, (("Certificate good until", "2029年4月2日"),)
    )  # fmt: skip
    gone = LinkedRow("upl_2", "", _NOW - 400 * DAY, _NOW - 200 * DAY, ())

    def link(name: str, state: str, login: str = "", again: bool = False) -> Sample:
        context = Link(state, app.label if state != "expired" else "", _NOW - MINUTE, login, again)
        return Sample("signin/link.html", name, context, viewer="resident" if login else "", path="/sign-in/link")

    def stopped(reason: str, seconds: int = 0) -> Sample:
        return Sample("signin/upstream.html", reason, Stopped(reason, app.label, seconds, "/home"), path="/sign-in")

    def linked(name: str, context: Linked) -> Sample:
        return Sample("safety/linked.html", name, context, viewer="resident", path="/safety/linked")

    return [
        link("sign-in", "sign-in"),
        link("again", "sign-in", "hana", again=True),
        link("confirm", "confirm", "hana"),
        link("expired", "expired"),
        *map(stopped, ("stale", "denied", "unreachable", "broken", "too-weak", "too-old", "closed", "signed-out")),
        *map(stopped, ("no-certificate", "refused", "expired", "untold")),
        stopped("throttled", 95),
        linked("none", Linked((), (app, longer), (card,), _NOW, "")),
        linked("some", Linked((row, gone, shown), (longer,), (), _NOW, "")),
        linked("nothing", Linked((), (), (), _NOW, "")),
        linked("somebody-else", Linked((), (app,), (), _NOW, "somebody-else")),
        linked("another-here", Linked((row,), (longer,), (), _NOW, "another-here")),
        linked("not-for-you", Linked((), (), (card,), _NOW, "not-for-you")),
        linked("last-way-in", Linked((row,), (), (), _NOW, "last-way-in")),
    ]
