"""A resident's consents: what is in force, by recipient, by kind of data and by end; stopping many at once."""

from dataclasses import dataclass, replace

from portal.contexts import Sample

DAY = 86_400_000
NOW = 1_795_312_800_000  # 22 November 2026 in Japan


@dataclass(frozen=True)
class ConsentLine:
    """A consent in the list."""

    id: str
    title: str
    recipient: str
    what: str
    state: str  # given | ended
    state_words: str
    until: int | None
    uses: int
    last_use: int | None


@dataclass(frozen=True)
class ConsentGroup:
    """Consents that belong together: one recipient's, or those that show one kind of data. No name: a plain list."""

    id: str
    name: str
    stop_href: str
    lines: tuple[ConsentLine, ...]


@dataclass(frozen=True)
class Consents:
    """resident/consents.html."""

    by: str  # recipient | category | end
    filters: tuple[tuple[str, str, bool], ...]
    total: int
    groups: tuple[ConsentGroup, ...]
    ended: tuple[ConsentLine, ...]
    now: int
    waiting: tuple[ConsentLine, ...] = ()  # asked, and not answered yet


@dataclass(frozen=True)
class StopLine:
    """What becomes of one consent."""

    title: str
    recipient: str
    words: str


@dataclass(frozen=True)
class StopAll:
    """resident/stop_all.html: what will happen, before it does."""

    question: str
    action: str
    back: str
    field: str
    value: str
    lines: tuple[StopLine, ...]
    services: tuple[str, ...]


@dataclass(frozen=True)
class PastLine:
    """One event of any consent, in a sentence."""

    at: int
    sentence: str
    title: str
    href: str
    receipt_href: str


@dataclass(frozen=True)
class PastDay:
    """The events of a day."""

    at: int
    lines: tuple[PastLine, ...]


@dataclass(frozen=True)
class Past:
    """resident/history.html."""

    days: tuple[PastDay, ...]
    older: str
    newest: str


@dataclass(frozen=True)
class VersionChoice:
    """A version that could be agreed to."""

    number: int
    words: str


@dataclass(frozen=True)
class ChangeLine:
    """One thing that differs."""

    label: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class Versions:
    """resident/versions.html: two versions of an agreement, only what differs."""

    id: str
    title: str
    said: str
    choices: tuple[VersionChoice, ...]
    old: int
    new: int
    material: tuple[ChangeLine, ...]
    wording: tuple[ChangeLine, ...]


def samples() -> list[Sample]:
    """Few, none, many; stopping by recipient and by kind."""
    clinic = ConsentLine(
        "con_1", "健康相談のための健診結果の利用", "みなと診療所", "健診結果、予防接種の記録", "given", "有効",
        NOW + 180 * DAY, 9, NOW - DAY,
    )  # fmt: skip
    bus = replace(
        clinic, id="con_3", title="もっと便利なバスの時刻", recipient="湊浜交通株式会社 運行計画部 時刻表編成室",
        what="バスの乗り降り", until=NOW + 9 * DAY, uses=0, last_use=None,
    )  # fmt: skip
    ended = replace(clinic, id="con_2", state="ended", state_words="取り消しました", until=None, last_use=None)
    filters = (
        ("/consents", "相手ごと", True), ("/consents?by=category", "データの種類ごと", False),
        ("/consents?by=end", "終わる日の順", False),
    )  # fmt: skip
    full = Consents(
        by="recipient",
        filters=filters,
        total=2,
        groups=(
            ConsentGroup("mem_1", "みなと診療所", "/consents/stop?recipient=mem_1", (clinic,)),
            ConsentGroup("mem_2", bus.recipient, "/consents/stop?recipient=mem_2", (bus,)),
        ),
        ended=(ended,),
        now=NOW,
    )
    many = tuple(replace(bus, id=f"con_m{n}", title=f"計画{n}の利用", until=NOW + n * DAY) for n in range(40))
    stop = StopAll(
        question="みなと診療所へ見せることを、すべてやめますか",
        action="/consents/stop",
        back="/consents",
        field="recipient",
        value="mem_1",
        lines=(
            StopLine("健康相談のための健診結果の利用", "みなと診療所", "すべて終わります。"),
            StopLine("感染症の予防の研究", "みなと診療所", "予防接種の記録だけを外して、続きます。"),
        ),
        services=("みなと診療所の健康ノート",),
    )
    asked = replace(
        many[0], state="requested", state_words="お答えを待っています", until=NOW + 28 * DAY, uses=0, last_use=None
    )
    ends = replace(full, by="end", groups=(ConsentGroup("all", "", "", many),), total=40)
    path = "/consents"
    versions = Versions(
        id="con_1",
        title="健康相談のための健診結果の利用",
        said="あなたが同意したのは第1版です。いまの版は第3版ですが、あなたの同意は第1版のままです。",
        choices=(
            VersionChoice(1, "第1版、2026年1月10日（あなたが同意した版）"), VersionChoice(2, "第2版、2026年6月2日"),
            VersionChoice(3, "第3版、2026年11月1日（いまの版）"),
        ),
        old=1,
        new=3,
        material=(
            ChangeLine("見るデータ", (), ("バスの乗り降り（選べます）",)),
            ChangeLine("相手が持っている期間", ("30日",), ("90日",)),
        ),
        wording=(
            ChangeLine("くわしい説明", ("診療所は、健診結果を見ます。",), ("健診の結果を健康相談のために見ます。",)),
        ),
    )  # fmt: skip
    past = PastLine(
        NOW - DAY, "みなと診療所が健診結果、予防接種の記録を見ることに、同意しました。",
        "健康相談のための健診結果の利用", "/consents/con_1", "/consents/con_1/receipt.json?event=cev_1",
    )  # fmt: skip
    told = replace(
        past, at=NOW, sentence="湊浜交通がバスの乗り降りを見ることを、取り消しました。", title="もっと便利なバスの時刻"
    )
    days = (PastDay(told.at, (told, replace(told, at=NOW - 60_000))), PastDay(past.at, (past,)))
    return [
        Sample("resident/consents.html", "full", full, viewer="resident", path=path),
        Sample("resident/consents.html", "by-end", ends, viewer="resident", path=path),
        Sample("resident/consents.html", "waiting", replace(full, waiting=(asked,)), viewer="resident", path=path),
        Sample("resident/consents.html", "empty", replace(full, total=0, groups=(), ended=()), viewer="resident"),
        Sample("resident/history.html", "full", Past(days, "?before=cev_1", ""), viewer="resident", path=path),
        Sample("resident/history.html", "empty", Past((), "", "/consents/history"), viewer="resident", path=path),
        Sample("resident/versions.html", "two", versions, viewer="resident", path="/consents/con_1/versions"),
        Sample(
            "resident/versions.html",
            "same",
            replace(versions, old=3, material=(), wording=()),
            viewer="resident",
            path="/consents/con_1/versions",
        ),
        Sample("resident/stop_all.html", "two", stop, viewer="resident", path="/consents/stop"),
    ]
