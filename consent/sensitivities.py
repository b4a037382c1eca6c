"""How sensitive each category is by the catalogue, which nobody's proposal may talk down. Pure.

The catalogue belongs to the information bank, one floor up; it tells its categories here when the building is put
together. Sensitivity decides what a resident is warned of and whether a change weighs (`consent.materiality`), so a
member may state a higher one and never a lower one, and cannot ask for what the city does not know.
"""

from collections.abc import Iterable

from consent.errors import BadAgreement
from consent.proposal import Proposal


class Sensitivities:
    """By category; knows nothing and allows everything until it is told."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def tell(self, categories: Iterable[tuple[str, int]]) -> None:
        """The catalogue's categories."""
        self._known.update(categories)

    def least(self, category: str) -> int:
        """What may be stated at least; 0 for what the catalogue does not know, which `check` refuses."""
        return self._known.get(category, 0)

    def check(self, proposal: Proposal) -> None:
        """Raise BadAgreement with a pointer for each category that is unknown or stated as less than it is."""
        if not self._known:
            return
        wrong = []
        for place, use in enumerate(proposal.categories):
            least = self._known.get(use.category)
            if least is None:
                wrong.append((f"/categories/{place}/category", "is no category of the catalogue"))
            elif use.sensitivity < least:
                wrong.append((f"/categories/{place}/sensitivity", f"is {least} at least, by the catalogue"))
        if wrong:
            raise BadAgreement(
                "A proposal names categories of the catalogue, as sensitive as they are.",
                errors=[{"pointer": pointer, "detail": detail} for pointer, detail in wrong],
            )
