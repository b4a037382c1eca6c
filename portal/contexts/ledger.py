"""The page about the ledger."""

from dataclasses import dataclass, replace

from portal import charts
from portal.contexts import Sample


@dataclass(frozen=True)
class WitnessLine:
    """Who watches, and how far. `state` is current, behind, quiet, waiting or disputes."""

    name: str
    state: str
    words: str
    size: int | None
    at: int | None


@dataclass(frozen=True)
class Ledger:
    """ledger/ledger.html."""

    size: int
    began: int | None
    growth: charts.LineChart | None
    witnesses: tuple[WitnessLine, ...]
    enough: bool | None  # None where no policy asks for any
    origin: str
    root: str
    vkey: str


DAY = 86_400_000
NOW = 1_795_312_800_000


def samples() -> list[Sample]:
    """With and without entries, with and without witnesses."""
    sizes = (0, 310, 905, 1730, 2604, 3990, 5120, 6874, 8001, 9903, 11020, 12408)
    growth = charts.line("行の数", "", [(NOW - (11 - n) * 7 * DAY, f"{n + 1}週目", v) for n, v in enumerate(sizes)])
    full = Ledger(
        size=12408,
        began=NOW - 77 * DAY,
        growth=growth,
        witnesses=(
            WitnessLine("kita.example/witness", "current", "いちばん新しい行まで見ています", 12408, NOW - 20_000),
            WitnessLine("university.example/transparency/witness", "behind", "あと8行です", 12400, NOW - 55_000),
            WitnessLine("library.example/w", "quiet", "前回は返事がありませんでした", 11990, NOW - DAY),
            WitnessLine("shimbun.example/w", "waiting", "まだ署名していません", None, None),
        ),
        enough=True,
        origin="sekisho.minatohama.example/ledger",
        root="6L9mQ2m6cD8n1Jm0Hn3l0f2hYtq0m4g7m1m8Zk7pZ2E=",
        vkey="sekisho.minatohama.example/ledger+2f1c9a7b+AZ0c1mE4eJxk0b2Xv9w3s8uH3l1k5Qm7d9n2p4r6t8v0",
    )
    alarm = WitnessLine("kita.example/witness", "disputes", "関所の履歴は一つではないと言っています", 12400, NOW - DAY)
    empty = replace(full, size=0, began=None, growth=None, witnesses=(), enough=None, root="")
    return [
        Sample("ledger/ledger.html", "full", full, viewer="resident", path="/ledger"),
        Sample("ledger/ledger.html", "disputed", replace(full, witnesses=(alarm,), enough=False), path="/ledger"),
        Sample("ledger/ledger.html", "empty", empty, path="/ledger"),
    ]
