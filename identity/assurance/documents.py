"""The documents a clerk may see, and the identity assurance level that follows from them: never chosen freely; and what
a register says by electronic means (identity.assurance.electronic), which a level is set for by the operator.

The levels are this city's own, named `urn:sekisho:ial:1` to `3`, built after NIST SP 800-63A-4, sections 2.4 (evidence:
FAIR, STRONG, SUPERIOR) and 4 (what each level collects). They claim nothing of Japan's guideline DS-511, whose text was
not at hand: a city that must keep it compares the table with it first. Names on the wire are those of the OpenID
Foundation's eKYC and Identity Assurance identifiers page. Pure.

| level | what the clerk saw, in person |
|---|---|
| 1 | one document |
| 2 | the face beside a document with a photograph, and a second document |
| 3 | the face beside a document with a photograph whose chip was read and is genuine |

Level 3 is in person and by the chip; SP 800-63A-4 would also collect a biometric sample, which this city does not. What
is proved by electronic means is level 2 at most.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

from kit.problems import Invalid

#: Nobody has looked: what the resident says of themselves.
NONE: Final = 0

#: Ours to the eKYC and IDA identifiers. Those without an identifier there carry a name of our own (section 11).
WIRE: Final = {
    "individual-number-card": "jp_individual_number_card",
    "driving-licence": "jp_drivers_license",
    "passport": "passport",
    "residence-card": "jp_residency_card_for_foreigner",
    "disability-certificate": "urn:sekisho:document:disability-certificate",
    "health-insurance": "jp_health_insurance_card",
    "care-insurance": "urn:sekisho:document:care-insurance",
    "pension-number": "urn:sekisho:document:pension-number",
}
WITH_PHOTO: Final = (
    "individual-number-card",
    "driving-licence",
    "passport",
    "residence-card",
    "disability-certificate",
)
WITH_CHIP: Final = ("individual-number-card", "driving-licence", "passport", "residence-card")
WITHOUT_PHOTO: Final = ("health-insurance", "care-insurance", "pension-number")
KINDS: Final = (*WITH_PHOTO, *WITHOUT_PHOTO)

#: How a document was checked, and how the person beside it (identifiers page: validation, verification methods).
BY_EYE, BY_CHIP, BY_FACE = "vpip", "vcrypt", "pvp"
CHECKS: Final = (BY_EYE, BY_CHIP, BY_FACE)

#: The Individual Number Card carries the My Number: who has no legal ground must not write it down (番号法 20条).
_NEVER_NUMBERED: Final = frozenset({"individual-number-card"})
_NUMBER = re.compile(r"[0-9A-Za-z-]{1,30}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Document:
    """One document as the clerk saw it. `number` is empty unless the clerk wrote it down; it is kept sealed."""

    kind: str
    issuer: str = ""
    number: str = ""
    expires_on: str = ""  # ISO 8601 calendar date
    chip: bool = False  # its chip was read, and the issuer's signature verified

    def to_json(self) -> dict[str, Any]:
        """For the sealed column."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Electronic:
    """One piece of evidence that no clerk saw. `type`: of the Schema Definition, sections 5.4.4.2 and 5.4.4.4.

    `electronic_record`: what a register (`name`) said, of kind `kind`. `electronic_signature`: made in the handshake
    with the certificate of this `number` by the authority called `name`.
    """

    type: str
    kind: str
    name: str
    number: str = ""
    check: str = ""  # how the record was checked, by the identifiers page; "" where it has no word for it

    def to_json(self) -> dict[str, Any]:
        """For the sealed column."""
        return asdict(self)


#: What the signature of a TLS handshake is called where a type of signature is asked for.
BY_HANDSHAKE: Final = "urn:sekisho:signature:tls-client-certificate"
RECORD, SIGNATURE = "electronic_record", "electronic_signature"


def check(documents: Iterable[Document], *, today: date) -> tuple[Document, ...]:
    """The documents, if a clerk may have seen them so; raises Invalid."""
    found = tuple(documents)
    if not found:
        raise Invalid("Say which document was shown.", pointer="/document-1")
    if len({one.kind for one in found}) != len(found):
        raise Invalid("The same document twice is one document.", pointer="/document-2")
    for place, one in enumerate(found, 1):
        if one.kind not in KINDS:
            raise Invalid("Choose a document from the list.", pointer=f"/document-{place}")
        if one.chip and one.kind not in WITH_CHIP:
            raise Invalid("This document has no chip.", pointer=f"/chip-{place}")
        if one.number and (one.kind in _NEVER_NUMBERED or not _NUMBER.fullmatch(one.number)):
            raise Invalid("The number of this document is not written down.", pointer=f"/number-{place}")
        if len(one.issuer) > 80:
            raise Invalid("80 characters at most.", pointer=f"/issuer-{place}")
        if one.expires_on:
            try:
                end = date.fromisoformat(one.expires_on)
            except ValueError:
                raise Invalid("Write the date as year, month, day.", pointer=f"/expires-{place}") from None
            if end < today:
                raise Invalid("This document has expired.", pointer=f"/expires-{place}")
    return found


def level_of(documents: Iterable[Document], *, face: bool) -> int:
    """The level these documents are worth; `face`: the person was compared with a photograph on one of them."""
    found = tuple(documents)
    if not found:
        return NONE
    pictured = [one for one in found if one.kind in WITH_PHOTO]
    if face and any(one.chip for one in pictured):
        return 3
    if face and pictured and len(found) >= 2:
        return 2
    return 1


def name_of(level: int) -> str:
    """A level's name on the wire."""
    return f"urn:sekisho:ial:{level}"
