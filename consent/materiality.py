"""Whether a later revision of an agreement must be asked for again. Pure. (`compare` shows what differs.)

A change is *material* if it alters, to the resident's cost, what the answer rests on: purpose, lawful basis, recipient,
jurisdiction, a category more (or one that was optional and is needed now, or is more sensitive), kept or lasting
longer. Then the consent must be asked for again (GDPR recital 32: it covers what it was given for; EDPB Guidelines
05/2020 paragraph 110: where processing changes considerably, a new consent is needed).

What is better for the resident, or only worded otherwise, is told. Whether other words mean another thing no program
can say: the member declares it, the ethics board reads it, and undeclared counts as material.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from consent.durations import parse_duration

if TYPE_CHECKING:
    from consent.revisions import Revision


def weighing(old: Revision, new: Revision) -> tuple[str, ...]:
    """What weighs by itself, by name: no declaration makes it light."""
    found: list[str] = []
    if old.recipient.member_id != new.recipient.member_id:
        found.append("recipient")
    found += [name for name in ("purpose", "lawful_basis", "jurisdiction") if getattr(old, name) != getattr(new, name)]
    found += [
        name
        for name in ("retention", "duration")
        if parse_duration(getattr(new, name)) > parse_duration(getattr(old, name))
    ]
    before = {use.category: use for use in old.categories}
    for use in new.categories:
        was = before.get(use.category)
        # An optional one is nobody's until it is ticked; but the person must come to know that it can be.
        if was is None or (use.required and not was.required) or use.sensitivity > was.sensitivity:
            found.append(f"categories/{use.category}")
    return tuple(found)


def is_material(old: Revision, between: Sequence[Revision]) -> bool:
    """Whether who agreed to `old` must be asked again; `between` are the revisions since, the one in force last."""
    return bool(between) and (any(each.material for each in between) or bool(weighing(old, between[-1])))
