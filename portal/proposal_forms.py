"""An agreement as a form: read into a proposal with every mistake beside its field, and back into fields. Pure.

Each category of the catalogue has a line: not asked for, optional or required, and how sensitive. A number alone in a
field for a duration is days.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from consent.errors import BadAgreement
from consent.proposal import LANGS, Proposal
from consent.revisions import Revision
from infobank.catalogue import Catalogue
from portal import i18n
from portal.i18n import N_, _
from portal.web import Form

TEXTS = ("title", "short", "full", "benefit", "if_refused", "forbidden")
PLAIN = ("purpose", "lawful_basis", "retention", "duration", "jurisdiction", "contact", "change")
LONGEST: Mapping[str, int] = {
    "title": 200, "short": 1000, "full": 8000, "benefit": 1000, "if_refused": 1000, "forbidden": 1000,
}  # fmt: skip
USES = ("", "optional", "required")
FIRST: Mapping[str, str] = {"lawful_basis": "Consent", "jurisdiction": "JP", "change": "material"}

_WORDS: Mapping[str, str] = {
    "purpose": N_("Choose a purpose from the list."),
    "lawful_basis": N_("Choose a basis from the list."),
    "categories": N_("Choose at least one category."),
    "retention": N_("A number of days, or a duration like P90D or P1Y."),
    "duration": N_("A number of days, or a duration like P90D or P1Y."),
    "jurisdiction": N_("Two capital letters of a country, like JP."),
    "contact": N_("Write where residents may ask, in up to 200 characters."),
    "change": N_("Say whether the change is material."),
}


def _word(name: str) -> str:
    return i18n.current().gettext(_WORDS[name])


def values_of(revision: Revision) -> dict[str, str]:
    """A revision as the form's fields."""
    found = {
        "purpose": revision.purpose,
        "lawful_basis": revision.lawful_basis,
        "retention": revision.retention,
        "duration": revision.duration,
        "jurisdiction": revision.jurisdiction,
        "contact": revision.recipient.contact,
        "change": "material",
    }
    for use in revision.categories:
        found[f"use-{use.category}"] = "required" if use.required else "optional"
        found[f"sensitivity-{use.category}"] = str(use.sensitivity)
    for lang in LANGS:
        found |= {f"{lang}_{name}": getattr(revision.notice(lang), name) for name in TEXTS}
    return found


def values_sent(form: Form, catalogue: Catalogue) -> dict[str, str]:
    """What was typed, to show it again; nothing but the form's own fields."""
    names = [*PLAIN, *(f"{lang}_{name}" for lang in LANGS for name in TEXTS)]
    for one in catalogue:
        names += [f"use-{one.id}", f"sensitivity-{one.id}"]
    # A browser sends line ends as CR LF; a text with CR in it would be another text than the one that was typed.
    return {name: form.one(name).replace("\r\n", "\n") for name in names if form.has(name)}


def read(values: Mapping[str, str], catalogue: Catalogue) -> Proposal:
    """The proposal; raises pydantic's ValidationError."""
    categories = []
    for one in catalogue:
        use, stated = values.get(f"use-{one.id}", ""), values.get(f"sensitivity-{one.id}", "")
        if use in USES[1:]:
            sensitivity = int(stated) if stated in ("0", "1", "2", "3") else one.sensitivity
            categories.append({"category": one.id, "required": use == "required", "sensitivity": sensitivity})
    content: dict[str, Any] = {name: values.get(name, FIRST.get(name, "")) for name in PLAIN}
    for name in ("retention", "duration"):
        if content[name].isascii() and content[name].isdigit():
            content[name] = f"P{int(content[name][:9])}D"
    content["categories"] = categories
    content["text"] = {lang: {name: values.get(f"{lang}_{name}", "") for name in TEXTS} for lang in LANGS}
    return Proposal.model_validate(content)


def mistakes(wrong: ValidationError) -> dict[str, str]:
    """Each mistake beside its field."""
    found: dict[str, str] = {}
    for error in wrong.errors():
        place = [str(part) for part in error["loc"]]
        if place and place[0] == "text" and len(place) == 3:
            found[f"{place[1]}_{place[2]}"] = _text_mistake(error, place[2])
        else:
            name = place[0] if place and place[0] in _WORDS else "categories"
            found[name] = _word(name)
    return found


def _text_mistake(error: Any, name: str) -> str:
    if error["type"] == "string_too_long":
        return _("At most %(number)s characters.", number=LONGEST[name])
    return _("Write at least a word, without control characters.")


def refused(bad: BadAgreement, values: Mapping[str, str], catalogue: Catalogue) -> dict[str, str]:
    """What the rules of agreements say, beside its field."""
    found: dict[str, str] = {}
    for error in bad.errors or [{"pointer": bad.pointer or "", "detail": bad.detail}]:
        head, _sep, rest = error["pointer"].lstrip("/").partition("/")
        if head == "categories" and rest.endswith("/sensitivity"):
            asked = [one.id for one in catalogue if values.get(f"use-{one.id}") in USES[1:]]
            category = catalogue.get(asked[int(rest.partition("/")[0])])
            found[f"sensitivity-{category.id}"] = _(
                "The catalogue says %(number)s; it may be more and not less.", number=category.sensitivity
            )
        elif head == "change":
            found["change"] = _("This change weighs by itself; it is material, whatever it is called.")
        elif head == "duration":
            found["duration"] = _("This is longer than a consent may last here.")
        elif head == "text":
            found["ja_full"] = _("The texts together are too long for the public ledger; shorten them.")
        else:
            found["categories"] = _word("categories")
    return found
