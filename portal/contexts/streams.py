"""The console's page about streams."""

from dataclasses import dataclass

from kit.clock import DAY, MINUTE, Millis
from portal.contexts import Sample


@dataclass(frozen=True)
class StreamLine:
    """One stream. `id` is empty where it can't be paused here; `pushed_to` where the service fetches."""

    id: str
    client: str
    client_href: str
    kind: str
    pushed_to: str
    status: str
    reason: str
    waiting: int
    since: Millis | None
    tries: int
    error: str


@dataclass(frozen=True)
class Streams:
    """console/streams.html."""

    streams: tuple[StreamLine, ...]


_NOW: Millis = 1_795_000_000_000
_LONG = "一般社団法人湊浜市およびその周辺町村における高齢者の移動と見守りを支える会連絡協議会"


def samples() -> list[Sample]:
    """None; some that run, one that is stopped, one that nobody takes, one with a long name."""
    some = (
        StreamLine("sst_1", "診療所の予約", "/console/clients/minato-clinic", "signals", "clinic.example", "enabled",
                   "", 0, None, 0, ""),
        StreamLine("sst_2", _LONG, "/console/clients/elders", "signals", "", "paused", "", 12, _NOW - DAY, 0, ""),
        StreamLine("sst_3", "しおかぜバス乗換案内", "/console/clients/transit", "signals",
                   "signals.transit.minatohama.example", "disabled", "nothing taken", 0, None, 0, ""),
        StreamLine("", "健診データ連携", "/console/clients/bus", "consents", "bus.example", "", "", 4,
                   _NOW - 40 * MINUTE, 7, "status-503"),
    )  # fmt: skip
    return [
        Sample("console/streams.html", "none", Streams(()), viewer="operator", path="/console/streams"),
        Sample("console/streams.html", "some", Streams(some), viewer="operator", path="/console/streams"),
    ]
