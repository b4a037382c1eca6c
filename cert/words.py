"""Short names in the two languages of the house. Pure.

The desk's own terms (layers, rules, clocks) are data, so their names live beside them and not in the pages.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """One name, as a Japanese and as an English reader expects it."""

    ja: str
    en: str

    def to(self, lang: str) -> str:
        """The name in `lang`; English for any language we do not write."""
        return self.ja if lang == "ja" else self.en
