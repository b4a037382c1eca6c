"""Consent records of others, read strictly: Kantara Consent Receipt 1.1 (JSON, JWT), GovStack records. Pure.

KI-CR-v1.1.0 section 4 (fields), section 7.1 (JWT); GovStack Consent BB API 1.1.0-rc1 (`{consentRecords}` or
`{consentRecord}`, as its list and read operations answer). Nothing is half-understood: an unknown field, a wrong
type, a missing field and a hash that does not fit refuse the whole file, with a pointer to each.

What is read is what somebody wrote down about a consent. It is never one: see `consent.imports`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consent.errors import BadImport
from consent.govstack import bodies
from keys.errors import BadToken
from keys.jose import verify_with_jwks
from kit.clock import SECOND, Millis, from_iso
from kit.encoding import b64url_decode, canonical
from kit.web import pointer

Format = Literal["kantara", "govstack"]
LARGEST = 262_144
MOST = 100
DEEPEST = 40
_M = TypeVar("_M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Foreign:
    """One consent as somebody else wrote it down."""

    format: Format
    id: str
    at: Millis | None
    agreed: bool
    agreement_id: str | None  # if it names one of ours
    recipients: frozenset[str]  # names of whom it is about
    purposes: frozenset[str]
    categories: frozenset[str]
    signature: str  # "none", "unchecked", "verified"
    document: Mapping[str, Any]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


Words = Annotated[str, Field(max_length=4000)]
Name = Annotated[str, Field(min_length=1, max_length=1000)]


class _Controller(_Strict):
    piiController: Name  # noqa: N815 - the specification's names
    onBehalf: bool | None = None  # noqa: N815
    contact: Words
    address: dict[str, Any]
    email: Words
    phone: Words
    piiControllerUrl: Words | None = None  # noqa: N815


class _Purpose(_Strict):
    purpose: Words | None = None
    purposeCategory: list[Name] = Field(min_length=1, max_length=40)  # noqa: N815
    consentType: Name  # noqa: N815
    piiCategory: list[Name] = Field(max_length=100)  # noqa: N815
    primaryPurpose: bool | None = None  # noqa: N815
    termination: Words
    thirdPartyDisclosure: bool  # noqa: N815
    thirdPartyName: Words | None = None  # noqa: N815


class _Service(_Strict):
    service: Words
    purposes: list[_Purpose] = Field(min_length=1, max_length=40)


class _Receipt(_Strict):
    version: Literal["KI-CR-v1.1.0"]
    jurisdiction: Name
    consentTimestamp: Annotated[int, Field(ge=0, le=100_000_000_000)]  # noqa: N815
    collectionMethod: Name  # noqa: N815
    consentReceiptID: Annotated[str, Field(min_length=1, max_length=200)]  # noqa: N815
    publicKey: Words | None = None  # noqa: N815
    language: Name | None = None
    piiPrincipalId: Name  # noqa: N815
    piiControllers: list[_Controller] = Field(min_length=1, max_length=20)  # noqa: N815
    policyUrl: Name  # noqa: N815
    services: list[_Service] = Field(min_length=1, max_length=20)
    sensitive: bool
    spiCat: list[Words]  # noqa: N815


class _Revision(_Strict):
    id: Name
    schemaName: Name  # noqa: N815
    objectId: Name  # noqa: N815
    signedWithoutObjectId: bool | None = None  # noqa: N815
    serializedSnapshot: Annotated[str, Field(max_length=100_000)]  # noqa: N815
    serializedHash: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]  # noqa: N815
    timestamp: Name
    authorizedByIndividual: dict[str, Any] | None = None  # noqa: N815
    authorizedByOther: Words | None = None  # noqa: N815
    successor: dict[str, Any] | None = None
    predecessorHash: Words | None = None  # noqa: N815
    predecessorSignature: Words | None = None  # noqa: N815


class _Record(_Strict):
    id: Annotated[str, Field(min_length=1, max_length=200)]
    dataAgreement: dict[str, Any]  # noqa: N815
    dataAgreementRevision: _Revision | None = None  # noqa: N815
    dataAgreementRevisionHash: Name  # noqa: N815
    individual: bodies.Individual | None = None
    optIn: bool | None = None  # noqa: N815
    state: Literal["unsigned", "pending more signatures", "signed"]
    signature: bodies.Signature | None = None
    dataAttributes: list[Name] | None = None  # noqa: N815
    status: Name | None = None
    validUntil: Name | None = None  # noqa: N815


def read(content: bytes, format: Format, *, jwks: Mapping[str, Any] | None = None) -> tuple[Foreign, ...]:
    """The consents in a file; raises BadImport for the whole of it. `jwks`: keys that a JWT must verify under."""
    if len(content) > LARGEST:
        raise BadImport(f"A file has at most {LARGEST} bytes.")
    signature = "none"
    text = content.strip()
    if format == "kantara" and text[:1] not in (b"{", b""):
        text, signature = _opened(text, jwks)
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadImport("The file is no JSON.") from None
    if not isinstance(document, dict):
        raise BadImport("The file is a JSON object.")
    _require_kept(document)
    if format == "kantara":
        return (_kantara(document, signature),)
    return _govstack(document)


def _require_kept(document: dict[str, Any]) -> None:
    """What is taken in is hashed and kept whole: nothing too deep for that, and no number that would change by it."""
    level: list[Any] = [document]
    for _ in range(DEEPEST):
        level = [part for each in level for part in (each.values() if isinstance(each, dict) else each)
                 if isinstance(part, dict | list)]  # fmt: skip
    try:
        if not level and canonical(document):
            return
    except ValueError:
        pass
    raise BadImport("The file is nested too deeply, or holds a number beyond 2^53.")


def _opened(token: bytes, jwks: Mapping[str, Any] | None) -> tuple[bytes, str]:
    """A JWT's claims. Without keys to trust nothing is proved, and that is what is kept of it."""
    try:
        if jwks is not None:
            algs = ("EdDSA", "ES256", "PS256", "RS256")
            _, claims = verify_with_jwks(token.decode("ascii"), dict(jwks), algs=algs, typ=None, longest=LARGEST)
            return orjson.dumps(claims), "verified"
        _, body, _ = token.decode("ascii").split(".")
        return b64url_decode(body), "unchecked"
    except (BadToken, ValueError):
        raise BadImport("The receipt is neither JSON nor a JWT under these keys.") from None


def _kantara(document: dict[str, Any], signature: str) -> Foreign:
    known = {key: value for key, value in document.items() if signature == "none" or key not in _REGISTERED}
    receipt = _checked(_Receipt, known, "")
    purposes = [purpose for service in receipt.services for purpose in service.purposes]
    for at, service in enumerate(receipt.services):
        for place, each in enumerate(service.purposes):
            if each.thirdPartyDisclosure and not each.thirdPartyName:  # section 4.5.11
                raise BadImport(
                    "Whom it is disclosed to is missing.", pointer=f"/services/{at}/purposes/{place}/thirdPartyName"
                )
    return Foreign(
        "kantara", receipt.consentReceiptID, receipt.consentTimestamp * SECOND, agreed=True, agreement_id=None,
        recipients=frozenset(
            [each.piiController for each in receipt.piiControllers]
            + [each.thirdPartyName for each in purposes if each.thirdPartyName]
        ),
        purposes=frozenset(code for each in purposes for code in each.purposeCategory),
        categories=frozenset(code for each in purposes for code in each.piiCategory),
        signature=signature, document=document,
    )  # fmt: skip


#: RFC 7519 section 4.1: what a JWT says beside the receipt's own fields.
_REGISTERED = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})


def _govstack(document: dict[str, Any]) -> tuple[Foreign, ...]:
    if set(document) == {"consentRecords"}:
        listed, place = document["consentRecords"], "/consentRecords"
        if not isinstance(listed, list) or not 0 < len(listed) <= MOST:
            raise BadImport(f"From 1 to {MOST} records.", pointer=place)
        return tuple(_record(each, f"{place}/{at}") for at, each in enumerate(listed))
    if set(document) - {"revision", "signature"} != {"consentRecord"}:
        raise BadImport("The object has the member consentRecords, or consentRecord with its revision.")
    if document.get("revision") is not None:
        _snapshot(_checked(_Revision, document["revision"], "/revision"), "/revision")
    return (_record(document["consentRecord"], "/consentRecord"),)


def _record(value: Any, place: str) -> Foreign:
    record = _checked(_Record, value, place)
    at = None
    if record.dataAgreementRevision is not None:
        revision = record.dataAgreementRevision
        _snapshot(revision, f"{place}/dataAgreementRevision")
        if revision.serializedHash != record.dataAgreementRevisionHash:
            raise BadImport(
                "This is not the hash of the revision beside it.", pointer=f"{place}/dataAgreementRevisionHash"
            )
    if record.signature is not None and record.signature.timestamp:
        at = _moment(record.signature.timestamp, f"{place}/signature/timestamp")
    agreement = record.dataAgreement
    identifier, controller = agreement.get("id"), agreement.get("controller")
    if not isinstance(identifier, str) or not identifier:
        raise BadImport("Say which agreement.", pointer=f"{place}/dataAgreement/id")
    name = controller.get("name") if isinstance(controller, dict) else None
    purposes = {agreement.get("purposeCategory"), agreement.get("purpose")}
    return Foreign(
        "govstack", record.id, at, agreed=bool(record.optIn) and record.state == "signed", agreement_id=identifier,
        recipients=frozenset([name] if isinstance(name, str) else []),
        purposes=frozenset(each for each in purposes if isinstance(each, str)),
        categories=frozenset(record.dataAttributes or ()), signature="none", document=value,
    )  # fmt: skip


def _snapshot(revision: _Revision, place: str) -> None:
    """GovStack's own rule: the hash is of the snapshot's text."""
    found = hashlib.sha1(revision.serializedSnapshot.encode(), usedforsecurity=False).hexdigest()
    if found != revision.serializedHash:
        raise BadImport("The hash is not that of the snapshot.", pointer=f"{place}/serializedHash")


def _moment(text: str, place: str) -> Millis:
    try:
        return from_iso(text)
    except ValueError:
        raise BadImport("A date and time with its zone (RFC 3339).", pointer=place) from None


def _checked(kind: type[_M], value: Any, place: str) -> _M:
    try:
        return kind.model_validate(value)
    except ValidationError as bad:
        errors = [
            {"pointer": place + pointer(each["loc"]), "detail": str(each["msg"])[:200]} for each in bad.errors()[:20]
        ]
        raise BadImport("Nothing was taken in: the named fields are wrong.", errors=errors) from None
