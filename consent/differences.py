"""What a later revision of an agreement changes for who agreed to an earlier one, and whether it must be asked. Pure.

A change is *material* if it alters what the resident's answer rests on: purpose, lawful basis, recipient, jurisdiction,
a category more (or one that was optional and is needed now, or is more sensitive), kept or lasting longer. Then the
consent must be asked for again (GDPR recital 32: consent covers what it was given for; EDPB Guidelines 05/2020
paragraph 110: when processing changes considerably, a new consent is needed), and only the difference needs reading
anew. What is better for the resident, or only worded otherwise, is told. Whether other words mean another thing no
program can say: the member declares it, the ethics board reads it, and undeclared counts as material.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from consent.durations import parse_duration
from consent.proposal import LANGS

if TYPE_CHECKING:
    from consent.agreements import Revision

Kind = Literal[
    "purpose",
    "lawful_basis",
    "recipient",
    "jurisdiction",
    "category_added",
    "category_removed",
    "category_needed",
    "category_optional",
    "category_sensitivity",
    "retention",
    "duration",
    "contact",
    "text",
]
_TEXTS: Final = ("title", "short", "full", "benefit", "if_refused", "forbidden")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was. `what` is a category, or a text's field; `weighs` makes it material."""

    kind: Kind
    before: str
    after: str
    weighs: bool
    what: str = ""


def differences(old: Revision, new: Revision) -> tuple[Difference, ...]:
    """Everything that differs, in the order a resident reads it."""
    found: list[Difference] = []
    pairs: tuple[tuple[Kind, str, str], ...] = (
        ("recipient", old.recipient.member_id, new.recipient.member_id),
        ("purpose", old.purpose, new.purpose),
        ("lawful_basis", old.lawful_basis, new.lawful_basis),
        ("jurisdiction", old.jurisdiction, new.jurisdiction),
    )
    found += [Difference(kind, before, after, weighs=True) for kind, before, after in pairs if before != after]
    found += _categories(old, new)
    spans: tuple[tuple[Kind, str, str], ...] = (
        ("retention", old.retention, new.retention),
        ("duration", old.duration, new.duration),
    )
    for kind, before, after in spans:
        if parse_duration(before) != parse_duration(after):
            longer = parse_duration(after) > parse_duration(before)
            found.append(Difference(kind, before, after, weighs=longer))
    if old.recipient.contact != new.recipient.contact:
        found.append(Difference("contact", old.recipient.contact, new.recipient.contact, weighs=False))
    for name in _TEXTS:
        if any(getattr(old.text[lang], name) != getattr(new.text[lang], name) for lang in LANGS):
            found.append(Difference("text", "", "", weighs=False, what=name))
    return tuple(found)


def is_material(old: Revision, between: Sequence[Revision]) -> bool:
    """Whether who agreed to `old` must be asked again; `between` are the revisions since, the one in force last."""
    if not between:
        return False
    return any(revision.material for revision in between) or any(each.weighs for each in differences(old, between[-1]))


def _categories(old: Revision, new: Revision) -> list[Difference]:
    before = {use.category: use for use in old.categories}
    after = {use.category: use for use in new.categories}
    found: list[Difference] = []
    for name, use in after.items():
        was = before.get(name)
        if was is None:
            # An optional one is nobody's until it is ticked, but the person must be able to tick it: it is asked.
            found.append(Difference("category_added", "", "needed" if use.required else "optional", True, name))
            continue
        if use.required != was.required:
            moved: Kind = "category_needed" if use.required else "category_optional"
            found.append(Difference(moved, "", "", use.required, name))
        if use.sensitivity != was.sensitivity:
            more = use.sensitivity > was.sensitivity
            found.append(Difference("category_sensitivity", str(was.sensitivity), str(use.sensitivity), more, name))
    found += [Difference("category_removed", "", "", False, name) for name in before if name not in after]
    return found
