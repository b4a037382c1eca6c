"""The page of standing instructions: what is answered in advance, and the form to say so."""

from dataclasses import dataclass, replace

from portal.contexts import Sample

_NOW = 1_795_312_800_000  # 22 November 2026 in Japan
_DAY = 86_400_000


@dataclass(frozen=True)
class InstructionLine:
    """One standing instruction, in the reader's words."""

    id: str
    state: str  # active | stopped | expired
    sentence: str
    details: tuple[str, ...]
    revision: int
    until_at: int


@dataclass(frozen=True)
class Option:
    """Something that can be ticked."""

    value: str
    name: str
    hint: str = ""


@dataclass(frozen=True)
class PurposeGroup:
    """Purposes that belong together: codes with their words."""

    id: str
    name: str
    purposes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class InstructionsPage:
    """resident/instructions.html."""

    active: tuple[InstructionLine, ...]
    over: tuple[InstructionLine, ...]
    own: bool  # no: somebody acts for the person, and may only look and stop
    changes: str  # the id of the one that the form changes
    answer: str
    purposes: tuple[PurposeGroup, ...]
    categories: tuple[Option, ...]
    recipients: tuple[Option, ...]
    ticked: tuple[str, ...]  # of all three
    months: int
    until: str
    problem: str  # "" | purposes | categories | until | answer | many | minor


def samples() -> list[Sample]:
    """Nothing yet, some in force and over, the form with its mistakes, changing one, and who acts for somebody."""
    purposes = (
        PurposeGroup("public", "まちとくらしのために", (("ImproveHealthcare", "医療・健康サービスを良くするため"),)),
        PurposeGroup("research", "研究のために", (("ScientificResearch", "科学研究のため"),)),
        PurposeGroup("adverts", "おすすめや宣伝のために", (("DirectMarketing", "あなたに直接、宣伝を届けるため"),)),
    )
    categories = (
        Option("mobility", "バスの乗り降り"),
        Option("health_checkup", "健康診断の結果", "特に配慮が必要なので、同意はそのつどおたずねします。"),
    )
    recipients = (Option("mem_1", "みなと診療所"), Option("mem_2", "湊浜市交通局"))
    empty = InstructionsPage((), (), True, "", "", purposes, categories, recipients, (), 6, "", "")
    refusal = InstructionLine(
        "ins_1", "active", "次のような頼みは、お断りします。", ("あなたに直接、宣伝を届けるため",), 1, _NOW + 300 * _DAY
    )
    agreeing = InstructionLine(
        "ins_2", "active", "次のような頼みには、同意します。",
        ("科学研究のため", "見せるもの：バスの乗り降り", "相手：市が確かめた団体", "1回の同意は長くて6か月"), 3,
        _NOW + 90 * _DAY,
    )  # fmt: skip
    full = replace(empty, active=(agreeing, refusal), over=(replace(refusal, id="ins_3", state="stopped"),))
    page, path = "resident/instructions.html", "/consents/instructions"
    changing = replace(full, changes="ins_2", answer="agree", ticked=("ScientificResearch", "mobility"))
    return [
        Sample(page, "empty", empty, viewer="resident", path=path),
        Sample(page, "full", full, viewer="resident", path=path),
        Sample(page, "acting", replace(full, own=False), viewer="resident", path=path),
        Sample(page, "change", replace(changing, until="2027-02-20"), viewer="resident", path=path),
        *(
            Sample(page, problem, replace(empty, problem=problem, answer="agree"), viewer="resident", path=path)
            for problem in ("answer", "purposes", "categories", "until", "many", "minor")
        ),
    ]  # fmt: skip
