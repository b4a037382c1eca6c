"""What differs between two revisions of an agreement, and nothing else. Pure.

Told apart: what may happen with the data (who receives it, which data, what for, for how long, where, on which basis,
what the recipient may not do), and how it is put. Whether somebody is asked anew is decided in `materiality`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

from consent.revisions import CategoryUse, Revision

Field = Literal[
    "recipient", "contact", "purpose", "lawful_basis", "category", "retention", "duration", "jurisdiction",
    "title", "short", "full", "benefit", "if_refused", "forbidden",
]  # fmt: skip
ABOUT_DATA: Final = frozenset(
    {"recipient", "purpose", "lawful_basis", "category", "retention", "duration", "jurisdiction", "forbidden"}
)
_TEXTS: Final[tuple[Field, ...]] = ("title", "short", "full", "benefit", "if_refused", "forbidden")
_SENTENCE = re.compile(r"(?<=[。！？])|(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same: what was there, what is there now; either may be empty."""

    field: Field
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def about_data(self) -> bool:
        """Whether it changes what may happen with the data, or only how it is put."""
        return self.field in ABOUT_DATA


def compare(old: Revision, new: Revision, lang: str) -> tuple[Difference, ...]:
    """Everything that differs, what matters most first; texts in one language, sentence by sentence."""
    found: list[Difference] = []
    plain: tuple[tuple[Field, str, str], ...] = (
        ("recipient", old.recipient.name(lang), new.recipient.name(lang)),
        ("purpose", old.purpose, new.purpose),
        ("lawful_basis", old.lawful_basis, new.lawful_basis),
        ("retention", old.retention, new.retention),
        ("duration", old.duration, new.duration),
        ("jurisdiction", old.jurisdiction, new.jurisdiction),
        ("contact", old.recipient.contact, new.recipient.contact),
    )
    found += [Difference(field, (before,), (after,)) for field, before, after in plain if before != after]
    found += _categories(old.categories, new.categories)
    before, after = old.notice(lang).document(), new.notice(lang).document()
    for field in _TEXTS:
        found += _text(field, before[field], after[field])
    return tuple(sorted(found, key=lambda each: not each.about_data))


def _categories(old: Sequence[CategoryUse], new: Sequence[CategoryUse]) -> Iterable[Difference]:
    """`code required` and `code optional`: a kind of data, and whether it can be left out."""
    before = {use.category: _use(use) for use in old}
    after = {use.category: _use(use) for use in new}
    for code in dict.fromkeys((*before, *after)):
        was, now = before.get(code, ()), after.get(code, ())
        if was != now:
            yield Difference("category", was, now)


def _use(use: CategoryUse) -> tuple[str, ...]:
    return (use.category, "required" if use.required else "optional")


def sentences(text: str) -> tuple[str, ...]:
    """A text cut into its sentences."""
    return tuple(part.strip() for part in _SENTENCE.split(text) if part.strip())


def _text(field: Field, before: str, after: str) -> Iterable[Difference]:
    old, new = sentences(before), sentences(after)
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            yield Difference(field, old[a:b], new[c:d])
