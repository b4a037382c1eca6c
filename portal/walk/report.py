"""What the walk prints, and how it ends: at the first broken promise."""

from dataclasses import dataclass, field
from typing import Any, NoReturn


class BrokenPromise(Exception):
    """Something a stranger relies on does not hold."""


class ToldToWait(BrokenPromise):
    """The city asks for patience: too many tries, or tries that were cut off before they could succeed."""


@dataclass
class Report:
    """Numbered steps, the requests in each, and what each proves."""

    quiet: bool = False
    steps: list[dict[str, Any]] = field(default_factory=list)

    def step(self, title: str) -> None:
        """Begin a step."""
        self.steps.append({"step": title, "requests": [], "proved": []})
        if not self.quiet:
            print(f"\n{len(self.steps)}. {title}")

    def request(self, line: str) -> None:
        """A request that was made."""
        self.steps[-1]["requests"].append(line)
        if not self.quiet:
            print(f"     {line}")

    def proved(self, sentence: str) -> None:
        """A promise that held."""
        self.steps[-1]["proved"].append(sentence)
        if not self.quiet:
            print(f"   ✓ {sentence}")

    def broken(self, sentence: str) -> NoReturn:
        """A promise that did not."""
        raise BrokenPromise(sentence)

    def require(self, held: object, sentence: str, otherwise: str) -> None:
        """Prove or break."""
        if not held:
            self.broken(otherwise)
        self.proved(sentence)
