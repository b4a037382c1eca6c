"""Which documents a clerk may have seen, and the level they are worth (NIST SP 800-63A-4, section 4)."""

from datetime import date

import pytest

from identity.assurance.documents import KINDS, WIRE, Document, check, level_of
from kit.problems import Invalid

TODAY = date(2026, 11, 22)
CARD = Document("individual-number-card")
CHIP = Document("individual-number-card", chip=True)
LICENCE = Document("driving-licence")
INSURANCE = Document("health-insurance")


@pytest.mark.parametrize(
    ("shown", "face", "level"),
    [
        ((), False, 0),
        ((), True, 0),
        ((INSURANCE,), False, 1),
        ((CARD,), False, 1),
        ((CARD,), True, 1),  # one document by eye is not enough, whatever the face
        ((CARD, LICENCE), False, 1),  # nobody compared the face
        ((INSURANCE, Document("pension-number")), True, 1),  # there is no photograph to compare with
        ((LICENCE, INSURANCE), True, 2),
        ((CHIP,), False, 1),  # a genuine card of somebody else
        ((CHIP,), True, 3),
        ((CHIP, INSURANCE), True, 3),
    ],
)
def test_the_level_follows_from_what_was_seen(shown: tuple[Document, ...], face: bool, level: int) -> None:
    assert level_of(shown, face=face) == level


@pytest.mark.parametrize(
    ("shown", "pointer"),
    [
        ((), "/document-1"),
        ((Document("library-card"),), "/document-1"),
        ((LICENCE, LICENCE), "/document-2"),
        ((INSURANCE, Document("disability-certificate", chip=True)), "/chip-2"),
        ((Document("individual-number-card", number="123456789012"),), "/number-1"),  # My Number stays with its owner
        ((Document("passport", number="TR 1 <b>"),), "/number-1"),
        ((Document("passport", issuer="x" * 81),), "/issuer-1"),
        ((Document("passport", expires_on="2026-11-21"),), "/expires-1"),
        ((Document("passport", expires_on="tomorrow"),), "/expires-1"),
    ],
)
def test_a_document_that_cannot_have_been_seen_is_refused_by_its_field(
    shown: tuple[Document, ...], pointer: str
) -> None:
    with pytest.raises(Invalid) as refused:
        check(shown, today=TODAY)
    assert refused.value.pointer == pointer


def test_a_document_is_good_on_its_last_day() -> None:
    assert check([Document("passport", number="TR1234567", expires_on="2026-11-22")], today=TODAY)


def test_every_document_has_a_name_on_the_wire_of_its_own() -> None:
    """OpenID Connect for Identity Assurance section 12: collision-resistant names."""
    assert set(WIRE) == set(KINDS)
    assert len(set(WIRE.values())) == len(KINDS)
