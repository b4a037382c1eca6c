"""What the fields of an incident may hold, read the same whichever door they came by. Pure.

Everything here raises FieldInvalid with a pointer to the field.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cert.deadlines import IDS, Answer, Body
from cert.errors import FieldInvalid
from cert.incidents import Severity, Tlp, read_layers
from kit.clock import MINUTE, Millis

ASSET_KINDS = ("account", "client", "member", "category", "system", "device")
AHEAD: Millis = 5 * MINUTE  # clocks differ; beyond that nobody has seen the future
TITLE_LENGTH = 200
TEXT_LENGTH = 8000
FACTS = ("personal_data", "sensitive", "property_damage", "wrongful_purpose", "protected", "eu_residents")


@dataclass(frozen=True, slots=True)
class Asset:
    """Something an incident touches. `ref` is an opaque id, or a short name for equipment without one."""

    kind: str
    ref: str


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit may change; None leaves a field as it is."""

    title: str | None = None
    severity: Severity | None = None
    tlp: Tlp | None = None
    layers: Sequence[int] | None = None
    assets: Sequence[Asset] | None = None
    facts: Mapping[str, str] | None = None
    filed: Sequence[str] | None = None  # clocks that were answered
    body: Body | None = None
    owner_id: str | None = None  # "" for nobody
    aware_at: Millis | None = None
    began_at: Millis | None = None
    ended_at: Millis | None = None


def read_title(title: str) -> str:
    """On one line, and not empty. Raises FieldInvalid."""
    words = " ".join(title.split())
    if not words:
        raise FieldInvalid("A title is needed.", pointer="/title")
    if len(words) > TITLE_LENGTH:
        raise FieldInvalid(f"At most {TITLE_LENGTH} characters.", pointer="/title")
    return words


def read_text(text: str) -> str:
    """What somebody wrote, as they wrote it. Raises FieldInvalid."""
    if len(text) > TEXT_LENGTH:
        raise FieldInvalid(f"At most {TEXT_LENGTH} characters.", pointer="/text")
    return text


def read_layer_numbers(layers: Sequence[int]) -> list[int]:
    """Numbers of the nine layers, in order. Raises FieldInvalid."""
    try:
        return read_layers(layers)
    except KeyError as unknown:
        raise FieldInvalid("Layers are numbered 1 to 9.", pointer="/layers") from unknown


def read_assets(assets: Sequence[Asset]) -> list[dict[str, str]]:
    """Each asset once, as it is stored. Raises FieldInvalid."""
    chosen: dict[tuple[str, str], dict[str, str]] = {}
    for asset in assets:
        ref = asset.ref.strip()
        if asset.kind not in ASSET_KINDS or not ref or len(ref) > 80:
            raise FieldInvalid(f"An asset is one of {', '.join(ASSET_KINDS)} with an id.", pointer="/assets")
        chosen[(asset.kind, ref)] = {"kind": asset.kind, "ref": ref}
    return list(chosen.values())


def read_facts(before: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """The facts before, with what `change` says of facts, filed clocks and body. Raises FieldInvalid."""
    after = dict(before)
    for name, answer in (change.facts or {}).items():
        if name not in FACTS:
            raise FieldInvalid(f"Facts are {', '.join(FACTS)}.", pointer="/facts")
        if answer not in set(Answer):
            raise FieldInvalid("A fact is yes, no or unknown.", pointer=f"/facts/{name}")
        after[name] = str(answer)
    if change.filed is not None:
        if not set(change.filed) <= set(IDS):
            raise FieldInvalid(f"Clocks are {', '.join(IDS)}.", pointer="/filed")
        after["filed"] = sorted(set(change.filed))
    if change.body is not None:
        after["body"] = str(change.body)
    return after


def check_not_ahead(moment: Millis | None, now: Millis, pointer: str) -> None:
    """Raise FieldInvalid for a moment that has not come yet (a clock may run a little ahead)."""
    if moment is not None and moment > now + AHEAD:
        raise FieldInvalid("This time has not come yet.", pointer=pointer)
