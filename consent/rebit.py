"""A consent in the words of India's account aggregators: the artefact of ReBIT's API specification 2.0.0. Pure.

`ConsentArtefact` with `signedConsent`, a JWS of `SignedConsentDetail` (AA API 2.0.0, definitions). The city is the
aggregator (AA): it asked the person and hands the data on; the recipient is the FIU. What ReBIT enumerates for
finance is ours here and says so: `fiTypes` are the bank's categories, the purpose is a term of the Data Privacy
Vocabulary under its own address. There are no accounts, no range of dates is agreed (so it is all there was until the
end), and no frequency (value 0). A refusal is no artefact. The JWS is an ordinary one (ReBIT's unencoded payload, RFC
7797, is not used).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from consent.durations import parse_duration
from consent.views import Source
from kit.clock import DAY, Millis, iso
from kit.db import Session

VERSION: Final = "2.0.0"
TYP: Final = "rebit-consent+jwt"
_STATUS: Final[Mapping[str, str]] = {"given": "ACTIVE", "expired": "EXPIRED"}

Sign = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class Use:
    """How often a consent was used, and when last."""

    count: int = 0
    last: Millis | None = None


class Uses:
    """Asks the information bank, one floor up, which tells here how when the building is put together."""

    def __init__(self) -> None:
        self.ask: Callable[[Session, str, str], Use] = lambda _session, _account_id, _consent_id: Use()


def detail(source: Source) -> dict[str, Any]:
    """SignedConsentDetail: what was agreed to, not how it stands."""
    body, answer, host = source.body, source.answer, str(urlsplit(source.issuer).hostname)
    return {
        "consentStart": answer["time"],
        "consentExpiry": answer["until"],
        "consentMode": "STORE",
        "fetchType": "PERIODIC",
        "consentTypes": ["TRANSACTIONS"],
        "fiTypes": [use["category"] for use in source.uses],
        "DataConsumer": {"id": body["recipient"]["member"], "type": "FIU"},
        "DataProvider": {"id": host, "type": "AA"},
        "Customer": {"id": f"{source.subject}@{host}"},
        "Accounts": [],
        "Purpose": {
            "code": body["purpose"]["code"],
            "refUri": body["purpose"]["iri"],
            "text": source.notice["short"],
            "Category": {"type": body["lawful_basis"]["code"]},
        },
        "FIDataRange": {"from": "1970-01-01T00:00:00Z", "to": answer["until"]},
        "DataLife": {"unit": "DAY", "value": parse_duration(body["retention"]) // DAY},
        "Frequency": {"unit": "DAY", "value": 0},
        "DataFilter": [],
    }


def artefact(source: Source, *, sign: Sign, use: Use) -> dict[str, Any]:
    """ConsentArtefact: the signed detail, how it stands now, how often it was used."""
    answer = source.answer
    return {
        "ver": VERSION,
        "txnid": answer["event"],
        "consentId": answer["record"],
        "status": _STATUS.get(source.state, "REVOKED"),
        "createTimestamp": answer["time"],
        "signedConsent": sign(detail(source)),
        "ConsentUse": {
            "logUri": f"{source.issuer}/who",
            "count": use.count,
            "lastUseDateTime": answer["time"] if use.last is None else iso(use.last),
        },
    }
