"""What an authority says of a certificate after it gave it out. Pure.

One answer for every way of asking (`keys.pki.crl`, `keys.pki.ocsp`, an adapter), so that their reader has one rule.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from kit.clock import SECOND, Millis

#: Clocks of authorities may be this far ahead of ours.
SKEW: Millis = 60 * SECOND

State = Literal["good", "revoked", "unknown"]


@dataclass(frozen=True, slots=True)
class Status:
    """What was said, and until when it may be believed. `unknown`: the authority never gave out such a certificate.

    `identifier` and `attributes` come from adapters alone: who an authority's register says it is.
    """

    state: State
    until: Millis
    identifier: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


class Untold(Exception):
    """Nothing was learned: no answer, an old one, or one that does not hold. `reason` is a stable word."""

    def __init__(self, reason: str, private: str = "") -> None:
        super().__init__(f"{reason}: {private}" if private else reason)
        self.reason = reason


def millis(moment: datetime) -> Millis:
    """A moment of a certificate in our own count."""
    return int(moment.timestamp() * SECOND)
