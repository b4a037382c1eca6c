"""Who looks at the console, in which language."""

from dataclasses import dataclass

from infobank.catalogue import Catalogue
from kit.host import Host

PAGE = 50


@dataclass(frozen=True)
class Viewer:
    """Who looks, in which language."""

    host: Host
    lang: str
    roles: frozenset[str]
    account_id: str = ""

    def category(self, code: str) -> str:
        """A data category in words; its id if the bank does not know it."""
        found = self.host.get(Catalogue).find(code)
        return found.label.of(self.lang) if found else code
