"""The page about the ledger."""

from dataclasses import dataclass

from portal.contexts import Sample


@dataclass(frozen=True)
class Ledger:
    """ledger/ledger.html."""

    size: int
    origin: str
    root: str
    vkey: str


def samples() -> list[Sample]:
    """With and without entries."""
    full = Ledger(
        size=12408,
        origin="sekisho.minatohama.example/ledger",
        root="6L9mQ2m6cD8n1Jm0Hn3l0f2hYtq0m4g7m1m8Zk7pZ2E=",
        vkey="sekisho.minatohama.example/ledger+2f1c9a7b+AZ0c1mE4eJxk0b2Xv9w3s8uH3l1k5Qm7d9n2p4r6t8v0",
    )
    return [
        Sample("ledger/ledger.html", "full", full, viewer="resident", path="/ledger"),
        Sample("ledger/ledger.html", "empty", Ledger(0, full.origin, "", full.vkey), path="/ledger"),
    ]
