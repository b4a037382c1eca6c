"""The console's pages that make, change and end agreements."""

from dataclasses import dataclass

from markupsafe import Markup

from portal.contexts.console import Changed, ReachLine


@dataclass(frozen=True)
class CategoryChoice:
    """A category of the catalogue as a line of the form."""

    id: str
    name: str
    use: str  # "" | optional | required
    sensitivity: str
    least: int  # by the catalogue
    error: str


@dataclass(frozen=True)
class ProposalForm:
    """console/proposal.html: a new agreement, or a next revision of one."""

    action: str
    back: str
    title: str  # of the agreement that is revised; "" for a new one
    number: int
    values: dict[str, str]
    members: tuple[tuple[str, str], ...]  # codes and words
    purposes: tuple[tuple[str, str], ...]
    bases: tuple[tuple[str, str], ...]
    categories: tuple[CategoryChoice, ...]
    errors: dict[str, str]


@dataclass(frozen=True)
class Shown:
    """What a resident reads, in one language, as the consent page's own templates make it."""

    lang: str
    html: Markup


@dataclass(frozen=True)
class Preview:
    """console/proposal_preview.html: read before it is offered."""

    action: str
    title: str
    member: str
    number: int
    fields: tuple[tuple[str, str], ...]  # the form, carried along
    shown: tuple[Shown, ...]
    compared_with: int | None
    changes: tuple[Changed, ...]
    weighs: bool  # material by itself
    material: bool  # by itself, or declared


@dataclass(frozen=True)
class EndAgreement:
    """console/agreement_end.html: what ending it does, before it is done."""

    title: str
    member: str
    action: str
    back: str
    reach: tuple[ReachLine, ...]
    reach_at: int | None
    days: int  # how long the recipient has to confirm
