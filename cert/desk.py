"""The desk as a service of the house: its seals, and what the house does for it."""

from dataclasses import dataclass

from cert.containment import Effects
from cert.seals import Seals
from kit.problems import Unavailable


@dataclass(slots=True)
class Desk:
    """Made by this package's wiring; the portal, which alone knows everybody, puts `means` in."""

    seals: Seals
    means: Effects | None = None

    @property
    def effects(self) -> Effects:
        """What the house does for the desk; raises Unavailable in a house that does nothing for it."""
        if self.means is None:
            raise Unavailable(private="no containment effects were provided to the desk")
        return self.means
