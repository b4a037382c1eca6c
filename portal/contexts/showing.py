"""A receipt shown to somebody, and what that person sees."""

from dataclasses import dataclass, replace

from portal.contexts import Sample

NOW = 1_795_312_800_000  # 22 November 2026 in Japan
_MINUTES = 600_000


@dataclass(frozen=True)
class ReceiptShown:
    """resident/receipt_shown.html: on the resident's screen."""

    back: str
    again: str
    qr: str
    address: str
    ends: int
    fingerprint: str


@dataclass(frozen=True)
class ReceiptSeen:
    """ledger/receipt.html: on the screen of whoever scanned it."""

    title: str
    kind: str
    recipient: str
    what: tuple[str, ...]
    at: int
    until: int
    ends: int
    fingerprint: str
    file_href: str


def samples() -> list[Sample]:
    """One of each, and one of a consent that was taken back."""
    address = "https://sekisho.minatohama.example/receipts/skr_Zk7pZ2E6L9mQ2m6cD8n1Jm0Hn3l0f2hYtq0m4g7m1m8"
    shown = ReceiptShown(
        back="/consents/con_1/receipt",
        again="/consents/con_1/receipt/show",
        qr='<svg class="qr" viewBox="0 0 40 40"><path class="qr-line" stroke="#000" d="M4 8h9M4 12h3M10 20h20"/></svg>',
        address=address,
        ends=NOW + _MINUTES,
        fingerprint="9f86 d081 884c 7d65",
    )
    seen = ReceiptSeen(
        title="健康相談のための健診結果の利用",
        kind="given",
        recipient="みなと診療所",
        what=("健診結果", "予防接種の記録"),
        at=NOW - 86_400_000,
        until=NOW + 180 * 86_400_000,
        ends=NOW + _MINUTES,
        fingerprint="9f86 d081 884c 7d65",
        file_href="/receipts/skr_1/file",
    )
    return [
        Sample("resident/receipt_shown.html", "full", shown, viewer="resident", path="/consents/con_1/receipt/show"),
        Sample("ledger/receipt.html", "given", seen, path="/receipts/skr_1"),
        Sample("ledger/receipt.html", "withdrawn", replace(seen, kind="withdrawn"), path="/receipts/skr_1"),
    ]
