"""How surely, and how lately, a resident must have signed in for what a token is used for.

RFC 9470 sections 3 and 4: a token that is good but was got with too little is answered with
`insufficient_user_authentication`, and with the levels or the age that would do; the client sends the resident through
the authorization endpoint with those `acr_values` or `max_age`. Pure: settings, claims and the time in, a refusal out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from identity.levels import ORDER, satisfies
from kit.clock import SECOND, Millis


@dataclass(frozen=True, slots=True)
class Missing:
    """What the resident's sign-in lacks, as a challenge says it."""

    acr_values: tuple[str, ...]
    max_age: int | None

    def challenge(self, scheme: str) -> str:
        """Section 3."""
        parts = [
            f'{scheme} error="insufficient_user_authentication"',
            'error_description="the resident must sign in again for this"',
        ]
        if self.acr_values:
            parts.append(f'acr_values="{" ".join(self.acr_values)}"')
        if self.max_age is not None:
            parts.append(f'max_age="{self.max_age}"')
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Minimums:
    """By scope or type of authorization details: the least level, the greatest age in seconds."""

    acr: Mapping[str, str] = field(default_factory=dict)
    max_age: Mapping[str, int] = field(default_factory=dict)

    def missing(self, needed: Iterable[str], claims: Mapping[str, Any], now: Millis) -> Missing | None:
        """What the token's sign-in lacks for what it is used for; None if nothing. The strictest of several counts."""
        names = tuple(needed)
        levels = [self.acr[name] for name in names if name in self.acr]
        ages = [self.max_age[name] for name in names if name in self.max_age]
        least = max(levels, key=ORDER.index, default=None)
        oldest = min(ages, default=None)
        low = least is not None and not satisfies(claims.get("acr", ""), least)
        old = oldest is not None and now - claims.get("auth_time", 0) * SECOND > oldest * SECOND
        if not low and not old:
            return None
        wanted = (least,) if low and least is not None else ()  # who asks for it is content with more
        return Missing(wanted, oldest if old else None)
