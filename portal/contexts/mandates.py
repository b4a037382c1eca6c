"""The pages of mandates: one's own, the code to give away, and a guardian's at the counter."""

from dataclasses import dataclass, replace

from portal.contexts import Sample
from portal.contexts.instructions import PurposeGroup

_NOW = 1_795_312_800_000  # 22 November 2026 in Japan
_DAY = 86_400_000


@dataclass(frozen=True)
class MandateLine:
    """One mandate; `who` is the other person, "" before somebody has accepted."""

    id: str
    kind: str  # guardian | delegate
    status: str  # offered | accepted | checked | active | ended
    who: str
    actions: tuple[str, ...]
    purposes: tuple[str, ...]  # in the reader's language
    until_at: int
    why: str
    may_end: bool


@dataclass(frozen=True)
class MandatesPage:
    """resident/mandates.html: given, held, and the two forms."""

    given: tuple[MandateLine, ...]
    held: tuple[MandateLine, ...]
    purposes: tuple[PurposeGroup, ...]
    ticked: tuple[str, ...]
    until: str
    problem: str  # "" | actions | until | adult | many | code | throttled
    seconds: int


@dataclass(frozen=True)
class MandateCode:
    """resident/mandate_code.html: the code, this once."""

    code: str
    until_at: int


@dataclass(frozen=True)
class GuardianLine:
    """One guardian at the counter, by a masked login name, no other name; "" for somebody who has left."""

    id: str
    status: str  # checked | active | ended
    holder_id: str
    who: str
    until_at: int
    may_end: bool


@dataclass(frozen=True)
class Guardians:
    """console/guardians.html: a child's guardians, and writing one down. Numbers and masked login names only."""

    account_id: str
    login: str
    lines: tuple[GuardianLine, ...]
    errors: dict[str, str]
    me: str
    opened_by: dict[str, str]  # mandate id: who checked it


def samples() -> list[Sample]:
    """Nothing yet, one in each state, the forms with their mistakes."""
    line = MandateLine(
        "mdt_1", "delegate", "active", "浜野 健一", ("see", "withdraw"), (), _NOW + 400 * _DAY, "", True
    )  # fmt: skip
    options = (
        ("ImproveHealthcare", "医療・健康サービスを良くするため"),
        ("PublicBenefit", "公共の利益のため"),
    )
    purposes = (PurposeGroup("public", "まちとくらしのために", options),)
    empty = MandatesPage((), (), purposes, (), "", "", 0)
    guardian = replace(line, id="mdt_4", kind="guardian", who="湊 空", actions=("answer", "see", "withdraw"))
    full = replace(
        empty,
        given=(
            replace(line, id="mdt_2", status="accepted"),
            line,
            replace(line, id="mdt_3", status="offered", who="", purposes=("医療・健康サービスを良くするため",)),
            replace(line, id="mdt_5", status="ended", why="time", may_end=False),
        ),
        held=(guardian, replace(line, id="mdt_6", status="accepted", who="浜野 とめ")),
    )
    page, path = "resident/mandates.html", "/mandates"
    checked = GuardianLine("mdt_4", "checked", "acc_01", "k•••", _NOW + 400 * _DAY, True)
    counter = Guardians("acc_1", "s•••", (), {}, "acc_9", {})
    return [
        Sample(page, "empty", empty, viewer="resident", path=path),
        Sample(page, "full", full, viewer="resident", path=path),
        *(
            Sample(page, problem, replace(empty, problem=problem, seconds=60, ticked=("see",)), viewer="resident")
            for problem in ("actions", "until", "adult", "many", "code", "throttled")
        ),
        Sample("resident/mandate_code.html", "shown", MandateCode("7K2QM-9XW4T", _NOW + 7 * _DAY), viewer="resident"),
        Sample("console/guardians.html", "empty", counter, viewer="operator"),
        Sample(
            "console/guardians.html",
            "waits",
            replace(counter, lines=(checked, replace(checked, id="mdt_7", status="active")), opened_by={"mdt_4": "x"}),
            viewer="operator",
        ),
        Sample(
            "console/guardians.html", "mistakes",
            replace(counter, errors={"holder": "unknown", "evidence": "evidence"}), viewer="operator",
        ),
    ]  # fmt: skip
