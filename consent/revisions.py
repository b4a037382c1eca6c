"""A revision of a data-use agreement as a value: its body, the hash that names it, and the notices in it.

A revision's body is canonical JSON (RFC 8785) and named by its SHA-256; the predecessor's hash is inside the hashed
body, so the history cannot be linked anew. Only the status of a stored revision ever moves (`consent.agreements`).
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, cast

import orjson

from consent.durations import parse_duration
from consent.ledger import digest
from consent.models import AgreementRevision
from consent.proposal import LANGS, Lang, Proposal
from consent.purposes import LAWFUL_BASES, PURPOSES
from identity.members import Member
from kit.clock import Millis
from kit.encoding import canonical

SCHEMA = "urn:sekisho:agreement-revision:1"

RevisionStatus = Literal["draft", "offered", "approved", "superseded", "returned", "withdrawn"]


@dataclass(frozen=True, slots=True)
class CategoryUse:
    """A data category in an agreement."""

    category: str
    required: bool
    sensitivity: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """The text a resident is shown, in one language; `hash` names exactly this text."""

    lang: Lang
    title: str
    short: str
    full: str
    benefit: str
    if_refused: str
    forbidden: str

    def document(self) -> dict[str, str]:
        """The notice as it is hashed and put into receipts."""
        return {
            "lang": self.lang, "title": self.title, "short": self.short, "full": self.full,
            "benefit": self.benefit, "if_refused": self.if_refused, "forbidden": self.forbidden,
        }  # fmt: skip

    @property
    def hash(self) -> str:
        """SHA-256 of the notice's canonical JSON."""
        return _notice_hash(self)


@lru_cache(maxsize=1024)
def _notice_hash(notice: Notice) -> str:
    return digest(notice.document())


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who receives the data."""

    member_id: str
    name_ja: str
    name_en: str
    contact: str

    def name(self, lang: str) -> str:
        """The name in a language."""
        return self.name_ja if lang == "ja" else self.name_en


@dataclass(frozen=True, slots=True)
class Revision:
    """One immutable version of an agreement."""

    id: str
    agreement_id: str
    number: int
    member_id: str
    purpose: str
    lawful_basis: str
    categories: tuple[CategoryUse, ...]
    recipient: Recipient
    retention: str
    duration: str
    jurisdiction: str
    text: Mapping[str, Notice]
    predecessor: str | None
    material: bool
    hash: str
    status: RevisionStatus
    created_at: Millis
    body: Mapping[str, Any]

    @property
    def duration_ms(self) -> Millis:
        """How long a consent lasts at most."""
        return parse_duration(self.duration)

    @property
    def required(self) -> frozenset[str]:
        """The categories without which the use makes no sense."""
        return frozenset(use.category for use in self.categories if use.required)

    @property
    def all_categories(self) -> frozenset[str]:
        """Every category that may be agreed to."""
        return frozenset(use.category for use in self.categories)

    @property
    def benefit(self) -> Mapping[str, str]:
        """What the resident gets (便益), by language."""
        return {lang: notice.benefit for lang, notice in self.text.items()}

    def notice(self, lang: str) -> Notice:
        """The notice in a language (English if it is another)."""
        return self.text.get(lang) or self.text["en"]


_KNOWN_AT_MOST = 1024
_known: OrderedDict[str, Revision] = OrderedDict()  # by id: a revision's text is immutable


def body_of(
    proposal: Proposal, *, agreement_id: str, member: Member, number: int, predecessor: str | None
) -> dict[str, Any]:
    """What is hashed: the proposal, who made it, and the revision before it."""
    return {
        "schema": SCHEMA,
        "agreement": agreement_id,
        "number": number,
        "predecessor": predecessor,
        "recipient": {
            "member": member.id,
            "name": {"ja": member.name_ja, "en": member.name_en},
            "contact": proposal.contact,
        },
        "purpose": {"code": proposal.purpose, "iri": PURPOSES[proposal.purpose].iri},
        "lawful_basis": {"code": proposal.lawful_basis, "iri": LAWFUL_BASES[proposal.lawful_basis].iri},
        "categories": [use.model_dump() for use in proposal.categories],
        "retention": proposal.retention,
        "duration": proposal.duration,
        "jurisdiction": proposal.jurisdiction,
        "text": {lang: {"lang": lang, **getattr(proposal.text, lang).model_dump()} for lang in LANGS},
        **({"change": proposal.change} if predecessor is not None else {}),
    }


def row_of(body: Mapping[str, Any], revision_id: str, now: Millis) -> AgreementRevision:
    """A body as it is stored, under its hash; without an id it is a draft."""
    return AgreementRevision(
        id=revision_id,
        agreement_id=body["agreement"],
        number=body["number"],
        status="offered" if revision_id else "draft",
        body=canonical(body).decode(),
        hash=digest(body),
        created_at=now,
    )


def known(revision_id: str) -> Revision | None:
    """A revision that was read already, for what never changes in it."""
    return _known.get(revision_id)


def read_revision(row: AgreementRevision, *, withdrawn: bool = False) -> Revision:
    """A stored revision as a value. What is parsed once is kept: only the status of a revision ever moves."""
    status = "withdrawn" if withdrawn else cast(RevisionStatus, row.status)
    found = _known.get(row.id)
    if found is None or found.hash != row.hash:
        found = parse(row)
        if len(_known) >= _KNOWN_AT_MOST:
            _known.popitem(last=False)
        _known[row.id] = found
    return found if found.status == status else replace(found, status=status)


def parse(row: AgreementRevision) -> Revision:
    """A stored body as a value; it is ours, and was checked when it was proposed."""
    body = orjson.loads(row.body)
    recipient = body["recipient"]
    return Revision(
        id=row.id,
        agreement_id=row.agreement_id,
        number=row.number,
        member_id=recipient["member"],
        purpose=body["purpose"]["code"],
        lawful_basis=body["lawful_basis"]["code"],
        categories=tuple(CategoryUse(**use) for use in body["categories"]),
        recipient=Recipient(
            recipient["member"], recipient["name"]["ja"], recipient["name"]["en"], recipient["contact"]
        ),
        retention=body["retention"],
        duration=body["duration"],
        jurisdiction=body["jurisdiction"],
        text={lang: Notice(**body["text"][lang]) for lang in LANGS},
        predecessor=body["predecessor"],
        material=body.get("change", "material") == "material",
        hash=row.hash,
        status=cast(RevisionStatus, row.status),
        created_at=row.created_at,
        body=body,
    )
