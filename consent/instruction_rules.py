"""What a standing instruction says, and what it answers to a question. Pure.

The information bank guideline (情報信託機能の認定に係る指針 ver 1.0, definition) has the bank provide data on the
person's instruction, or under conditions they stated in advance, judging for them whether it is right
(個人の指示又は予め指定した条件に基づき個人に代わり妥当性を判断の上); its model terms keep that within the range the
person agreed to (article 3: 第4条に定める同意の範囲内で), so that a comprehensive consent (包括的同意) is one. Hence an
instruction that agrees states its whole range, and what is outside of it, or in doubt, is asked of the person:

- special care-required personal information (要配慮個人情報) and all of sensitivity 3: the person, always. Ver 2.0 of
  the guideline kept it out of information banks altogether;
- the question of somebody known to be a child, or who has a guardian: whoever answers for them, by hand;
- what rests on something else than consent, or leaves Japan;
- what the person said no to, took back or lost once: their own word is the later one, and only they come back to it;
- an offer that changed after they agreed to it, and what was asked before the instruction said so.

To refuse shows nobody anything, so a refusal may be stated as widely as the person likes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from consent.purposes import PURPOSES
from kit.clock import DAY, Millis

SPECIAL: Final = 3
MOST_MONTHS: Final = 12
MONTH: Final[Millis] = 31 * DAY
LONGEST: Final[Millis] = 366 * DAY
Says = Literal["agree", "refuse"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What the resident stated in advance."""

    answer: Says
    purposes: frozenset[str]  # none: any; only a refusal may
    categories: frozenset[str]  # none: any; only a refusal may
    recipients: frozenset[str]  # none: any to refuse, any that is accredited to agree
    months: int = 0  # to agree: the longest consent
    sensitivity: int = 0  # to agree: the most sensitive data

    def problem(self) -> tuple[str, str] | None:
        """What is wrong with it, as a JSON pointer and words; None if nothing is."""
        if not self.purposes <= set(PURPOSES):
            return "/purposes", "Choose purposes of the list."
        if self.answer == "refuse":  # of everything, if nothing is named
            return None
        if not self.purposes:
            return "/purposes", "Say for which purposes you agree."
        if not self.categories:
            return "/categories", "Say which data you agree to show."
        if not 1 <= self.months <= MOST_MONTHS:
            return "/months", f"Between 1 and {MOST_MONTHS} months."
        if not 0 <= self.sensitivity < SPECIAL:
            return "/sensitivity", "Data that needs special care is never agreed to in advance."
        return None

    def document(self) -> dict[str, Any]:
        """For the event that states it."""
        return {
            "answer": self.answer,
            "purposes": sorted(self.purposes),
            "categories": sorted(self.categories),
            "recipients": sorted(self.recipients),
            **({"months": self.months, "sensitivity": self.sensitivity} if self.answer == "agree" else {}),
        }


def read_rule(document: Mapping[str, Any]) -> Rule:
    """The rule of an event's document."""
    return Rule(
        cast(Says, document["answer"]),
        frozenset(document["purposes"]),
        frozenset(document["categories"]),
        frozenset(document["recipients"]),
        document.get("months", 0),
        document.get("sensitivity", 0),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, as far as an instruction looks at it."""

    member_id: str
    accredited: bool
    purpose: str
    lawful_basis: str
    jurisdiction: str
    required: frozenset[str]
    categories: frozenset[str]  # asked for, the required ones among them
    sensitivity: Mapping[str, int]
    lasts: Millis
    asked_at: Millis
    again: bool = False  # about a consent that stands: the offer changed, or more is asked for


@dataclass(frozen=True, slots=True)
class Person:
    """Who is asked."""

    minor: bool  # known to be a child, or somebody has a guardian's mandate for them
    said_otherwise: bool  # refused, took back or lost a consent under this agreement


@dataclass(frozen=True, slots=True)
class Agrees:
    """The instruction agrees, to these."""

    categories: frozenset[str]


@dataclass(frozen=True, slots=True)
class Refuses:
    """The instruction refuses."""


@dataclass(frozen=True, slots=True)
class Asks:
    """The person is asked; why the instruction does not answer, as a code."""

    reason: str


Verdict = Agrees | Refuses | Asks


def judge(rule: Rule, asked: Asked, person: Person, *, since: Millis, until: Millis, now: Millis) -> Verdict:
    """What a rule, stated `since` then and good `until` then, answers to this question."""
    if not since <= asked.asked_at <= now < until:  # what was asked before it was said is not what was meant
        return Asks("not-then")
    if asked.again:
        return Asks("changed-offer")
    if person.minor:
        return Asks("minor")
    if rule.purposes and asked.purpose not in rule.purposes:
        return Asks("purpose")
    if rule.recipients and asked.member_id not in rule.recipients:
        return Asks("recipient")
    if rule.answer == "refuse":
        if rule.categories and not rule.categories & asked.categories:
            return Asks("categories")
        return Refuses()
    return _agrees(rule, asked, person)


def _agrees(rule: Rule, asked: Asked, person: Person) -> Verdict:
    """The range of an agreement, from what the law keeps for the person to what they stated."""
    known = {each: asked.sensitivity.get(each, SPECIAL) for each in asked.categories}
    if any(known[each] >= SPECIAL for each in asked.required):
        return Asks("special-care")
    if asked.lawful_basis != "Consent":
        return Asks("lawful-basis")
    if asked.jurisdiction != "JP":
        return Asks("abroad")
    if person.said_otherwise:
        return Asks("said-otherwise")
    if not rule.recipients and not asked.accredited:
        return Asks("accreditation")
    if asked.lasts > rule.months * MONTH:
        return Asks("duration")
    least = min(rule.sensitivity, SPECIAL - 1)
    covered = frozenset(each for each in asked.categories & rule.categories if known[each] <= least)
    if not covered or not asked.required <= covered:
        return Asks("categories")
    return Agrees(covered)
