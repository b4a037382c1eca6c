"""A consent record in the words of others: views, made from the events and the text agreed to, and never stored. Pure.

* `dpv`: ISO/IEC TS 27560:2023 in JSON-LD with the W3C Data Privacy Vocabulary, as the DPVCG guide (Final Report, 15
  February 2026) lays it out: a process with its purpose, data, parties and conditions, and a status for each event.
* `kantara`: Consent Receipt 1.1.0 (KI-CR-v1.1.0) section 4. What the format requires and we don't hold (the city's
  telephone) is empty.
* `fhir-r4`, `fhir-r5`: HL7 FHIR Consent, 4.0.1 and 5.0.0. Persons and organisations are identifiers, not references:
  there is no FHIR server behind them.

A view says what the record holds and no more; what proves anything is the receipt (`consent.receipts`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from consent.iso27560 import PROFILE
from consent.states import ASIDE
from kit.clock import SECOND, from_iso

Form = Literal["dpv", "kantara", "fhir-r4", "fhir-r5", "rebit"]
MEDIA_TYPES: Final[Mapping[Form, str]] = {
    "dpv": "application/ld+json",
    "kantara": "application/json",
    "fhir-r4": "application/fhir+json; fhirVersion=4.0",
    "fhir-r5": "application/fhir+json; fhirVersion=5.0",
    "rebit": "application/json",
}
_HL7 = "http://terminology.hl7.org/CodeSystem"
_DPV = "https://w3id.org/dpv#"
_SENSITIVE = 2
_ENDS = frozenset({"withdrawn", "ended", "expired", "invalidated"})


@dataclass(frozen=True, slots=True)
class Source:
    """What a view is made from. `subject` is the name this reader knows the resident by, never more."""

    issuer: str
    subject: str
    events: Sequence[Mapping[str, Any]]  # documents, oldest first
    body: Mapping[str, Any]  # of the revision the record stands for

    @property
    def last(self) -> Mapping[str, Any]:
        """The newest event."""
        return self.events[-1]

    @property
    def answer(self) -> Mapping[str, Any]:
        """The resident's newest answer: what is covered, and by which text."""
        return [each for each in self.events if each["type"] not in ASIDE | _ENDS][-1]

    @property
    def state(self) -> str:
        """given, refused, or how it ended."""
        kind = str([each for each in self.events if each["type"] not in ASIDE][-1]["type"])
        return "given" if kind in ("changed", "renewed") else kind

    @property
    def notice(self) -> Mapping[str, Any]:
        """The text that was shown."""
        shown: Mapping[str, Any] = self.body["text"][self.answer["notice"]["lang"]]
        return shown

    @property
    def lang(self) -> str:
        """The language it was read in."""
        return str(self.answer["notice"]["lang"])

    @property
    def recipient(self) -> str:
        """The recipient's name in that language."""
        return str(self.body["recipient"]["name"][self.lang])

    @property
    def uses(self) -> list[Mapping[str, Any]]:
        """What is agreed to, with what the agreement says of it."""
        return [use for use in self.body["categories"] if use["category"] in self.answer["categories"]]


def view(form: Literal["dpv", "kantara", "fhir-r4", "fhir-r5"], source: Source) -> dict[str, Any]:
    """The record in that form. The one form that is signed is `consent.rebit`."""
    match form:
        case "dpv":
            return _dpv(source)
        case "kantara":
            return _kantara(source)
        case "fhir-r4":
            return _fhir_r4(source)
        case "fhir-r5":
            return _fhir_r5(source)


def _dpv(source: Source) -> dict[str, Any]:
    body, answer, issuer = source.body, source.answer, source.issuer
    page = f"{issuer}/consents/{answer['record']}"
    city = {"@id": issuer, "@type": "dpv:DataController", "dpv:hasContact": issuer}
    return {
        "@context": {
            "dpv": _DPV,
            "dct": "http://purl.org/dc/terms/",
            "skos": "http://www.w3.org/2004/02/skos/core#",
            "xsd": "http://www.w3.org/2001/XMLSchema#",
        },
        "@id": f"{page}#record",
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": {"@id": PROFILE},
        "dct:identifier": answer["record"],
        "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": source.subject},
        "dpv:hasNotice": {
            "@type": "dpv:ConsentNotice",
            "dct:title": source.notice["title"],
            "dct:language": source.lang,
            "dct:identifier": f"sha256:{answer['notice']['hash']}",
        },
        "dpv:hasProcess": {
            "@type": "dpv:Process",
            "dpv:hasPurpose": {
                "@type": "dpv:Purpose",
                "dct:description": source.notice["short"],
                "skos:broader": {"@id": body["purpose"]["iri"]},
            },
            "dpv:hasLegalBasis": {"@id": body["lawful_basis"]["iri"]},
            "dpv:hasPersonalData": [
                {
                    "@type": "dpv:SensitivePersonalData" if use["sensitivity"] >= _SENSITIVE else "dpv:PersonalData",
                    "dct:identifier": use["category"],
                    "dpv:hasNecessity": {"@id": "dpv:Required" if use["required"] else "dpv:Optional"},
                }
                for use in source.uses
            ],
            "dpv:hasProcessing": {"@id": "dpv:Share"},
            "dpv:hasStorageCondition": [
                {
                    "@type": "dpv:StorageDuration",
                    "dpv:hasDuration": {"@type": "xsd:duration", "@value": body["retention"]},
                },
                {"@type": "dpv:StorageLocation", "dpv:hasLocation": body["jurisdiction"]},
            ],
            "dpv:hasDataController": city,
            "dpv:hasRecipient": {
                "@type": "dpv:ThirdParty",
                "dct:identifier": body["recipient"]["member"],
                "dpv:hasName": source.recipient,
                "dpv:hasContact": body["recipient"]["contact"],
            },
            "dpv:hasConsentControl": {"@id": f"{page}/withdraw", "@type": "dpv:WithdrawConsent"},
            "dpv:hasJurisdiction": body["jurisdiction"],
            "dpv:hasRight": {"@id": f"{issuer}/consents", "@type": "dpv:DataSubjectRight"},
        },
        "dpv:hasConsentStatus": [
            {
                "@type": each["status"],
                "dct:identifier": each["event"],
                "dct:date": {"@type": "xsd:dateTime", "@value": each["time"]},
                "dct:valid": {"@type": "xsd:dateTime", "@value": each["until"]},
                "dpv:isImplementedByEntity": source.subject
                if each["actor"]["authority"] == "self"
                else each["actor"]["authority"],
            }
            for each in source.events
        ],
    }


def _kantara(source: Source) -> dict[str, Any]:
    body, answer = source.body, source.answer
    sensitive = [use["category"] for use in source.uses if use["sensitivity"] >= _SENSITIVE]
    return {
        "version": "KI-CR-v1.1.0",
        "jurisdiction": body["jurisdiction"],
        "consentTimestamp": from_iso(answer["time"]) // SECOND,
        "collectionMethod": "Web page; optional data are ticked by the person",
        "consentReceiptID": answer["event"],
        "language": source.lang,
        "piiPrincipalId": source.subject,
        "piiControllers": [
            {
                "piiController": str(urlsplit(source.issuer).hostname),
                "onBehalf": False,
                "contact": source.issuer,
                "address": {"addressCountry": body["jurisdiction"]},
                "email": "",
                "phone": "",
                "piiControllerUrl": source.issuer,
            }
        ],
        "policyUrl": f"{source.issuer}/consents/{answer['record']}",
        "services": [
            {
                "service": source.notice["title"],
                "purposes": [
                    {
                        "purpose": source.notice["short"],
                        "purposeCategory": [body["purpose"]["code"]],
                        "consentType": "EXPLICIT",
                        "piiCategory": [use["category"] for use in source.uses],
                        "primaryPurpose": True,
                        "termination": f"{answer['until']}; kept {body['retention']} after it was received",
                        "thirdPartyDisclosure": True,
                        "thirdPartyName": source.recipient,
                    }
                ],
            }
        ],
        "sensitive": bool(sensitive),
        "spiCat": sensitive,
    }


def _fhir_r4(source: Source) -> dict[str, Any]:
    status = {"given": "active", "refused": "rejected"}.get(source.state, "inactive")
    return {
        **_fhir(source, status),
        "scope": _coded(f"{_HL7}/consentscope", "patient-privacy"),
        "patient": _who(f"{source.issuer}/subject", source.subject),
        "dateTime": source.answer["time"],
        "organization": [_who(f"{source.issuer}/member", source.issuer)],
        "policy": [{"authority": source.issuer, "uri": f"urn:sekisho:revision:{source.answer['revision']}"}],
        "provision": {"type": _decision(source), **_provision(source)},
    }


def _fhir_r5(source: Source) -> dict[str, Any]:
    status = {"given": "active", "refused": "not-done"}.get(source.state, "inactive")
    person = _who(f"{source.issuer}/subject", source.subject)
    return {
        **_fhir(source, status),
        "subject": person,
        "date": source.answer["time"][:10],
        "period": _period(source),
        "grantor": [person],
        "grantee": [_recipient(source)],
        "manager": [_who(f"{source.issuer}/member", source.issuer)],
        "regulatoryBasis": [_coded("https://w3id.org/dpv", source.body["lawful_basis"]["code"])],
        "policyBasis": {"url": f"urn:sekisho:revision:{source.answer['revision']}"},
        "decision": _decision(source),
        "provision": [_provision(source)],
    }


def _fhir(source: Source, status: str) -> dict[str, Any]:
    record = source.answer["record"]
    return {
        "resourceType": "Consent",
        "id": record.replace("_", "-"),  # a FHIR id has no underscore
        "language": source.lang,
        "identifier": [{"system": f"{source.issuer}/consents", "value": record}],
        "status": status,
        "category": [_coded(f"{_HL7}/v3-ActCode", "IDSCL")],
    }


def _provision(source: Source) -> dict[str, Any]:
    return {
        "period": _period(source),
        "actor": [{"role": _coded(f"{_HL7}/v3-ParticipationType", "IRCP"), "reference": _recipient(source)}],
        "action": [_coded(f"{_HL7}/consentaction", "disclose")],
        "purpose": [{"system": "https://w3id.org/dpv", "code": source.body["purpose"]["code"]}],
        "code": [_coded(f"{source.issuer}/api/bank/categories", use["category"]) for use in source.uses]
        or [{"text": "nothing"}],
    }


def _decision(source: Source) -> str:
    return "deny" if source.state == "refused" else "permit"


def _period(source: Source) -> dict[str, str]:
    end = source.last["time"] if source.state in _ENDS else source.answer["until"]
    return {"start": source.answer["time"], "end": min(str(end), str(source.answer["until"]))}


def _recipient(source: Source) -> dict[str, Any]:
    return {
        **_who(f"{source.issuer}/member", source.body["recipient"]["member"]),
        "display": source.recipient,
    }


def _who(system: str, value: str) -> dict[str, Any]:
    return {"identifier": {"system": system, "value": value}}


def _coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}
