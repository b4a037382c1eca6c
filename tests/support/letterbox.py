"""Where letters of a test go: kept in memory, or refused while it is shut."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from identity.mail import Mail
from kit.mail import Letter, Mailbox, NotSent

if TYPE_CHECKING:
    from portal.app import Building


@dataclass
class Letterbox(Mailbox):
    """`letters` in the order they came."""

    letters: list[Letter] = field(default_factory=list)
    shut: bool = False

    async def put(self, letter: Letter) -> None:
        if self.shut:
            raise NotSent("smtp-421")
        self.letters.append(letter)

    def to(self, address: str) -> list[Letter]:
        return [letter for letter in self.letters if letter.to == address]


def code_in(letter: Letter) -> str:
    """The code it carries."""
    found = re.search(r"^    ([0-9A-Z]{5}(?:-[0-9A-Z]{5})+)$", letter.text, re.M)
    assert found, letter.text
    return found[1]


def link_in(letter: Letter, path: str) -> str:
    """The path and query of the link to one of our pages."""
    found = re.search(rf"https?://[^/\s]+({re.escape(path)}\S*)", letter.text)
    assert found, letter.text
    return found[1]


def post_box(app: "Building") -> Letterbox:
    """Letters of this building come here from now on."""
    made = Letterbox()
    app.host.get(Mail).mailbox = made
    return made
