"""Samples of the forms of agreements."""

from dataclasses import replace

from markupsafe import Markup

from portal.contexts import Sample
from portal.contexts.console_samples import AGREEMENT
from portal.contexts.proposals import CategoryChoice, EndAgreement, Preview, ProposalForm, Shown

_CATEGORIES = (
    CategoryChoice("health_checkup", "健診結果", "", "", 3, ""),
    CategoryChoice("mobility", "バスの乗り降り", "required", "2", 2, ""),
    CategoryChoice("household", "世帯", "optional", "2", 2, ""),
)


def samples() -> list[Sample]:
    """A new agreement, one with mistakes, a revision, its preview, and an end."""
    form = ProposalForm(
        action="/console/agreements/new",
        back="/console/agreements",
        title="",
        number=1,
        values={},
        members=(("mem_1", "みなと診療所"), ("mem_2", "湊浜交通株式会社")),
        purposes=(
            ("ImproveTransportMobility", "交通や移動を便利にするため"),
            ("PublicBenefit", "公共の利益のため"),
        ),
        bases=(("Consent", "あなたの同意"),),
        categories=_CATEGORIES,
        errors={},
    )
    words = {f"ja_{name}": getattr(AGREEMENT.texts[0], name) for name in ("title", "short", "full", "benefit")}
    wrong = replace(
        form,
        values=words | {"retention": "soon", "duration": "180"},
        categories=(*_CATEGORIES[:2], replace(_CATEGORIES[2], sensitivity="1", error="2 at least.")),
        errors={
            "member": "Choose a member from the list.",
            "retention": "A number of days.",
            "sensitivity-household": "2 at least.",
            "ja_forbidden": "Write at least a word.",
        },
    )
    revised = replace(
        form, title="バスの本数を増やすために", number=3, action="/x", back="/y", members=(), values=words
    )
    preview = Preview(
        action="/x",
        title="バスの本数を増やすために",
        member="湊浜交通株式会社",
        number=2,
        fields=(("purpose", "ImproveTransportMobility"),),
        shown=(
            Shown("ja", Markup("<h3>湊浜交通株式会社が、あなたの移動の記録を見てもよいですか。</h3>")),
            Shown("en", Markup("<h3>May Minatohama Transit see your trips?</h3>")),
        ),
        compared_with=1,
        changes=AGREEMENT.changes,
        weighs=True,
        material=True,
    )
    end = EndAgreement(
        "バスの本数を増やすために",
        "湊浜交通株式会社",
        "/x",
        "/y",
        AGREEMENT.reach,
        AGREEMENT.reach_at,
        3,
    )

    def of(template: str, name: str, context: object) -> Sample:
        return Sample(f"console/{template}.html", name, context, viewer="operator", path="/console/agreements")

    return [
        of("proposal", "new", form),
        of("proposal", "errors", wrong),
        of("proposal", "revision", revised),
        of("proposal_preview", "revision", preview),
        of("proposal_preview", "first", replace(preview, number=1, compared_with=None, changes=(), weighs=False)),
        of(
            "proposal_preview",
            "light",
            replace(preview, changes=AGREEMENT.changes[1:], weighs=False, material=False),
        ),
        of("agreement_end", "some", end),
        of("agreement_end", "few", replace(end, reach=(), reach_at=None)),
    ]
