"""What people type into the incident desk's forms, read field by field; a refused one is shown beside its field. Pure.

What a field may hold is the desk's rule (`cert.fields`), the same for programs; here stand the words for people.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from cert import fields
from cert.detection import Entity
from cert.errors import FieldInvalid
from cert.fields import Asset
from kit.clock import Millis
from kit.problems import NotFound
from portal import i18n
from portal.i18n import N_
from portal.staff import read_time
from portal.web import Form

T = TypeVar("T")

_ENTITY_KINDS = ("account", "client", "member", "device", "source")
_TIME = N_("Write a date and time that has come, like 2026-11-22 09:00.")
_WORDS = {  # what a refused field is told, by its place in the form
    "title": N_("Write it in one line, up to 200 characters."),
    "text": N_("Write what happened, up to 8000 characters."),
    "task": N_("Write what is to be done, up to 200 characters."),
    "note": N_("Up to 8000 characters."),
    "layers": N_("Choose from the nine layers."),
    "assets": N_("One a line: a kind from the list, a space, then a number or name of up to 80 characters."),
    "things": N_("One a line: a kind from the list, a space, then a number of up to 80 characters."),
    "kind": N_("Choose from the list."),
    "severity": N_("Choose from the list."),
    "tlp": N_("Choose from the list."),
    "happened_at": _TIME,
    "seen_at": _TIME,
    "due_at": _TIME,
    "aware_at": _TIME,
    "began_at": _TIME,
    "ended_at": _TIME,
    "target": N_("Choose what to cut off. Each must exist."),
}


def told(field: str) -> dict[str, str]:
    """What the form says beside a field that was refused."""
    return {field: i18n.current().gettext(_WORDS[field])}


class Wrong(Exception):
    """A field that could not be read; the form is shown again."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.errors = told(field)


def known(value: str, allowed: Mapping[str, object] | tuple[str, ...]) -> str:
    """A code that only our own forms send; anything else gets no answer. Raises NotFound."""
    if value not in allowed:
        raise NotFound("There is no such choice.")
    return value


def one_of(form: Form, name: str, allowed: tuple[str, ...]) -> str:
    """A choice of a list. Raises Wrong."""
    value = form.one(name)
    if value not in allowed:
        raise Wrong(name)
    return value


def title(form: Form, name: str) -> str:
    """One line, as every title at the desk is."""
    return _by_rule(name, fields.read_title, form.one(name))


def text(form: Form, name: str) -> str:
    """What somebody wrote, as they wrote it."""
    return _by_rule(name, fields.read_text, form.one(name))


def time(form: Form, name: str) -> Millis | None:
    """A date and time as people write them, or None. Raises Wrong."""
    try:
        return read_time(form.one(name))
    except ValueError:
        raise Wrong(name) from None


def past(form: Form, name: str, now: Millis) -> Millis | None:
    """A time that has come, or None where none was written."""
    moment = time(form, name)
    _by_rule(name, fields.check_not_ahead, moment, now, f"/{name}")
    return moment


def version(form: Form) -> int:
    """The version that the form was filled in on. Raises NotFound for what no form of ours sends."""
    value = form.one("version")
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise NotFound("There is no such version.")
    return int(value)


def ticked(form: Form) -> list[int]:
    """The layers as they were sent, to show the form again: nonsense is left out."""
    return [int(one) for one in form.all("layer") if len(one) == 1 and one in "123456789"]


def layers(form: Form) -> list[int]:
    """The layers that were ticked. Raises Wrong."""
    chosen = form.all("layer")
    if any(one not in "123456789" or len(one) != 1 for one in chosen):
        raise Wrong("layers")
    return [int(one) for one in chosen]


def _by_rule(name: str, rule: Callable[..., T], *args: object) -> T:
    """Ask the desk's own rule (cert.fields); what it refuses is told beside the form's field."""
    try:
        return rule(*args)
    except FieldInvalid:
        raise Wrong(name) from None


def _pairs(form: Form, name: str, kinds: tuple[str, ...]) -> list[tuple[str, str]]:
    found = []
    for line in form.one(name).splitlines():
        kind, _space, ref = line.strip().partition(" ")
        if not kind:
            continue
        if kind not in kinds or not ref.strip() or len(ref.strip()) > 80:
            raise Wrong(name)
        found.append((kind, ref.strip()))
    if len(found) > 200:
        raise Wrong(name)
    return found


def assets(form: Form) -> list[Asset]:
    """What an incident touches, one a line. Raises Wrong."""
    return [Asset(kind, ref) for kind, ref in _pairs(form, "assets", fields.ASSET_KINDS)]


def entities(form: Form) -> list[Entity]:
    """What an alert is about, one a line. Raises Wrong."""
    return [Entity(kind, ref) for kind, ref in _pairs(form, "things", _ENTITY_KINDS)]
