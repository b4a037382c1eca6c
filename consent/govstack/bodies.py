"""What GovStack's bodies say, read strictly, and made a proposal of ours.

An unknown member is refused. Members that are ours to say (id, version, names, addresses, how far an agreement has
come) may come back as they were read and change nothing. What we do not do is refused, not swallowed: consents that may
be deleted (`forgettable`), a signature by somebody's own key, a compatible version.
"""

# ruff: noqa: N815 - the names are the document's

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

from consent.durations import parse_duration
from consent.govstack.errors import BadInput
from consent.govstack.objects import LAWFUL_BASES
from consent.proposal import NoticeTexts, Proposal
from consent.purposes import PURPOSES
from consent.revisions import Revision
from consent.sensitivities import Sensitivities
from kit.clock import DAY
from kit.web import Body, pointer

Text = Annotated[str, Field(max_length=1000)]
Name = Annotated[str, Field(max_length=200)]


class Individual(Body):
    """Individual."""

    id: Name | None = Field(default=None, examples=["kW1xJ2o"])
    externalId: Name | None = Field(default=None, examples=["9Tq3f8…"], description="The `sub` of an ID token")
    externalIdType: Name | None = Field(default=None, examples=["sub"])
    identityProviderId: Name | None = Field(default=None, examples=["https://id.city.example"])


class Policy(Body):
    """Policy."""

    id: Name | None = Field(default=None, examples=["pol_01kaq3b1m5w6v7x8y9z0a1b2c3"])
    name: Text | None = None
    version: Name | None = None
    url: Text | None = None
    jurisdiction: Name | None = Field(default=None, examples=["JP"])
    industrySector: None = None
    dataRetentionPeriodDays: Annotated[int, Field(ge=1, le=36_500)] | None = Field(default=None, examples=[90])
    geographicRestriction: Name | None = None
    storageLocation: Name | None = None


class Controller(Body):
    """Controller: a member of the city."""

    id: Name | None = Field(default=None, examples=["mem_01kaq3b1m5w6v7x8y9z0a1b2c3"])
    name: Text | None = None
    url: Text | None = None


class Lifecycle(Body):
    """DataAgreementLifecycle."""

    id: Name | None = None
    name: Name | None = None


class Attribute(Body):
    """DataAgreementAttribute."""

    id: Name | None = None
    name: Name = Field(examples=["mobility"])
    sensitivity: Annotated[str, Field(pattern=r"^[0-3]$")] | None = Field(
        default=None, examples=["1"], description="Not said: as the catalogue has it"
    )
    category: Name | None = Field(default=None, examples=["mobility"])
    required: bool = True


class DataAgreement(Body):
    """DataAgreement. What GovStack does not know stands at the end, under names of ours."""

    id: Name | None = None
    version: Name | None = None
    controller: Controller | None = None
    policy: Policy | None = None
    purpose: Name | None = Field(default=None, examples=["Better bus times"])
    lawfulBasis: Name | None = Field(default=None, examples=["consent"])
    dataUse: Name | None = Field(default=None, examples=["data_using_service"])
    dpia: Text | None = Field(default=None, examples=["Assessed on 2 April 2026"])
    active: bool | None = None
    forgettable: bool | None = None
    compatibleWithVersion: None = None
    lifecycle: Lifecycle | None = None
    signature: None = None
    dataAttributes: list[Attribute] | None = Field(default=None, max_length=40)
    purposeCategory: Name | None = Field(default=None, examples=["ImproveTransportMobility"])
    duration: Name | None = Field(default=None, examples=["P180D"])
    contact: Name | None = Field(default=None, examples=["data@bus.example"])
    notice: NoticeTexts | None = None


class Signature(Body):
    """Signature."""

    id: Name | None = None
    payload: Annotated[str, Field(max_length=60_000)] | None = None
    signature: Annotated[str, Field(max_length=8_000)] | None = Field(default=None, examples=[""])
    verificationMethod: Name | None = None
    verificationPayload: Annotated[str, Field(max_length=60_000)] | None = None
    verificationPayloadHash: Name | None = None
    verificationArtifact: None = None
    verificationSignedBy: Text | None = None
    verificationSignedAs: Name | None = None
    verificationJwsHeader: None = None
    timestamp: Name | None = None
    signedWithoutObjectReference: bool | None = None
    objectType: Name | None = None
    objectReference: Name | None = None


class ConsentRecord(Body):
    """ConsentRecord: of the objects in it, only their ids are read."""

    id: Name | None = None
    dataAgreement: dict[str, Any] | None = Field(default=None, examples=[{"id": "agr_01kaq3b1m5w6v7x8y9z0a1b2c3"}])
    dataAgreementRevision: dict[str, Any] | None = None
    dataAgreementRevisionHash: Name | None = None
    individual: Individual | None = None
    optIn: bool | None = Field(default=None, examples=[False])
    state: Name | None = None
    signature: dict[str, Any] | None = None
    dataAttributes: list[Name] | None = None
    status: Name | None = None
    validUntil: Name | None = None


class Webhook(Body):
    """Webhook."""

    id: Name | None = None
    payloadUrl: Annotated[str, Field(min_length=1, max_length=2000)] = Field(examples=["https://bus.example/events"])
    contentType: Name = Field(default="application/secevent+jwt", examples=["application/secevent+jwt"])
    disabled: bool = False
    secretKey: Annotated[str, Field(max_length=500)] = Field(
        default="", examples=["Bearer 3f9c…"], description="The authorization header of every push; never shown again"
    )


class PolicyBody(Body):
    """`{policy}`."""

    policy: Policy


class DataAgreementBody(Body):
    """`{dataAgreement}`."""

    dataAgreement: DataAgreement


class IndividualBody(Body):
    """`{individual}`."""

    individual: Individual


class WebhookBody(Body):
    """`{webhook}`."""

    webhook: Webhook


class RecordBody(Body):
    """`{consentRecord}`."""

    consentRecord: ConsentRecord


class SignatureBody(Body):
    """`{signature}`."""

    signature: Signature


class PairBody(Body):
    """`{consentRecord, signature}`."""

    consentRecord: ConsentRecord
    signature: Signature


def proposal_of(revision: Revision) -> dict[str, Any]:
    """A revision as the proposal it was made from."""
    body = revision.body
    return {
        "purpose": revision.purpose,
        "lawful_basis": revision.lawful_basis,
        "categories": [dict(use) for use in body["categories"]],
        "retention": revision.retention,
        "duration": revision.duration,
        "jurisdiction": revision.jurisdiction,
        "contact": revision.recipient.contact,
        "text": {lang: {k: v for k, v in words.items() if k != "lang"} for lang, words in body["text"].items()},
    }


def with_policy(given: Policy, before: Mapping[str, Any], place: str) -> dict[str, Any]:
    """What a policy changes in a proposal. Raises BadInput."""
    made = dict(before)
    if given.jurisdiction is not None:
        made["jurisdiction"] = given.jurisdiction
    if given.dataRetentionPeriodDays is not None and (
        "retention" not in before or parse_duration(before["retention"]) != given.dataRetentionPeriodDays * DAY
    ):
        made["retention"] = f"P{given.dataRetentionPeriodDays}D"
    for name in ("geographicRestriction", "storageLocation"):
        if getattr(given, name) not in (None, before.get("jurisdiction"), made.get("jurisdiction")):
            raise BadInput("Data lies where the agreement's jurisdiction is.", pointer=f"{place}/{name}")
    return made


def read_agreement(given: DataAgreement, before: Mapping[str, Any] | None = None, *, known: Sensitivities) -> Proposal:
    """A proposal of what is said, and of what was before. Raises BadInput, naming the member."""
    place = "/dataAgreement"
    if given.forgettable:
        raise BadInput("What was agreed to is never deleted, only ended.", pointer=f"{place}/forgettable")
    if given.dataUse not in (None, "data_using_service"):
        raise BadInput("An agreement here is about using data: data_using_service.", pointer=f"{place}/dataUse")
    made: dict[str, Any] = dict(before or {})
    if given.policy is not None:
        made = with_policy(given.policy, made, f"{place}/policy")
    if given.lawfulBasis is not None:
        basis = LAWFUL_BASES.get(given.lawfulBasis.lower())
        if basis is None:
            raise BadInput(f"Say one of {', '.join(LAWFUL_BASES)}.", pointer=f"{place}/lawfulBasis")
        made["lawful_basis"] = basis
    if given.dataAttributes is not None:
        made["categories"] = [
            {
                "category": each.category or each.name,
                "required": each.required,
                "sensitivity": known.least(each.category or each.name)
                if each.sensitivity is None
                else int(each.sensitivity),
            }
            for each in given.dataAttributes
        ]
    for ours, value in (
        ("purpose", given.purposeCategory), ("duration", given.duration), ("contact", given.contact),
    ):  # fmt: skip
        if value is not None:
            made[ours] = value
    if given.notice is not None:
        made["text"] = given.notice.model_dump()
    elif given.purpose is not None:
        made["text"] = _words(given, made.get("text"))
    if before is None:
        _complete(given, made)
    return checked(made)


def checked(made: Mapping[str, Any]) -> Proposal:
    """The proposal, or BadInput with our names of what is wrong in it."""
    try:
        return Proposal.model_validate(dict(made))
    except ValidationError as bad:
        errors = [
            {"pointer": pointer(each["loc"]), "detail": each["msg"].removeprefix("Value error, ")[:200]}
            for each in bad.errors()[:20]
        ]
        raise BadInput("The agreement needs correction.", errors=errors) from None


def _complete(given: DataAgreement, made: dict[str, Any]) -> None:
    """What a new agreement must say, and what it has if nothing is said."""
    if given.purpose is None and given.notice is None:
        raise BadInput("Say the purpose.", pointer="/dataAgreement/purpose")
    if not given.dataAttributes:
        raise BadInput("Name the kinds of data.", pointer="/dataAgreement/dataAttributes")
    made.setdefault("purpose", given.purpose if given.purpose in PURPOSES else "ServiceProvision")
    made.setdefault("lawful_basis", "Consent")
    made.setdefault("retention", "P90D")
    made.setdefault("duration", "P180D")
    made.setdefault("contact", "-")


def _words(given: DataAgreement, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """A notice where GovStack has one line. What nobody wrote is said to be missing: the ethics board reads it so."""
    title = str(given.purpose)
    made: dict[str, Any] = {}
    for lang, missing in (("ja", "提案には書かれていません。"), ("en", "The proposal does not say.")):
        if before is not None:
            if before[lang]["title"] == title or lang == "ja":
                made[lang] = dict(before[lang])
                continue
            made[lang] = {**before[lang], "title": title}
            continue
        made[lang] = {
            "title": title, "short": title, "full": f"{title}\n{given.dpia}" if given.dpia else title,
            "benefit": missing, "if_refused": missing, "forbidden": missing,
        }  # fmt: skip
    return made
