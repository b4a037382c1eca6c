"""How sure a service must be of a resident: the least identity and authentication assurance of a request.

An operator sets minimums of a client; the settings set minimums of scopes; the strictest counts (DS-511 and NIST SP
800-63-4 section 3: a service chooses its levels by what a mistake would cost). Verified claims need level 2 of
authentication whoever asks: sure proofing behind a guessable password is a false sense of security (OpenID Connect for
Identity Assurance section 10.1). Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from identity.clients import Client
from identity.levels import rank

VERIFIED_AAL = 2


@dataclass(frozen=True, slots=True)
class Needs:
    """Levels as numbers; 0 asks for nothing."""

    ial: int = 0
    aal: int = 0

    def short(self, *, ial: int, acr: str) -> "Needs":
        """What is missing, by its level; 0 where nothing is."""
        return Needs(self.ial if ial < self.ial else 0, self.aal if rank(acr) < self.aal else 0)

    @property
    def any(self) -> bool:
        """Whether anything is asked for, or missing."""
        return bool(self.ial or self.aal)


NOTHING = Needs()


@dataclass(frozen=True, slots=True)
class Floors:
    """The minimums of scopes; those of a client are its own."""

    ial: Mapping[str, int] = field(default_factory=dict)
    aal: Mapping[str, int] = field(default_factory=dict)

    def of(self, client: Client, scopes: Iterable[str], *, verified: bool = False) -> Needs:
        """What a request of this client for these scopes needs."""
        names = tuple(scopes)
        ial = max((self.ial.get(name, 0) for name in names), default=0)
        aal = max((self.aal.get(name, 0) for name in names), default=0)
        return Needs(max(ial, client.minimum_ial), max(aal, client.minimum_aal, VERIFIED_AAL if verified else 0))
