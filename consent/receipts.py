"""Receipts: what a resident takes home, and can have checked years later without asking us.

One JSON file, `*.sekisho-receipt.json`, in canonical form (RFC 8785), with

* `credential`: an SD-JWT VC (`dc+sd-jwt`) in which every ISO/IEC TS 27560 field can be disclosed by itself,
* `event` and `salt`: what opens the commitment in the ledger,
* `notice` and `agreement`: the exact text shown, and the whole revision agreed to,
* `proof`: the inclusion proof with the signed checkpoint (c2sp.org/tlog-proof@v1).

A receipt is evidence of an event, not the consent: it is made from what is stored, whenever asked for, for any event.
`consent.verify` checks it offline.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from consent import agreements, records
from consent.changes import StoredEvent
from consent.errors import ReceiptNotReady, UnknownConsent
from consent.iso27560 import RECEIPT_PROFILE, fields
from consent.ledger import commitment
from consent.states import ASIDE
from consent.status import StatusLists
from consent.trust import Quorum
from consent.witnessing import Witnesses
from keys import sdjwt
from keys.envelope import Sealer
from keys.ring import KeyRing
from kit.clock import SECOND, Clock
from kit.db import Database, Session
from kit.encoding import b64url, canonical
from kit.tlog import reading
from kit.tlog.log import MAIN
from kit.tlog.proof import parse_proof

FORMAT: Final = "sekisho-consent-receipt/1"
MEDIA_TYPE: Final = "application/vnd.sekisho.consent-receipt+json"
VCT: Final = "urn:sekisho:consent-receipt:27560:1"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as a file."""

    file_name: str
    content: bytes
    consent_id: str
    event_id: str


@dataclass(frozen=True, slots=True)
class _Material:
    event: StoredEvent
    body: Mapping[str, Any]
    proof: str


class Receipts:
    """Makes receipts."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        ring: KeyRing,
        clock: Clock,
        *,
        issuer: str,
        witnesses: Witnesses | None = None,
        statuses: StatusLists | None = None,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._ring = ring
        self._clock = clock
        self._issuer = issuer
        self._witnesses = witnesses
        self._statuses = statuses

    async def make(
        self,
        consent_id: str,
        *,
        account_id: str,
        event_id: str | None = None,
        holder: Mapping[str, str] | None = None,
    ) -> Receipt:
        """The receipt of an event of this resident's consent; of the newest event if none is named. With a holder's
        public key it is bound to that key (`cnf`, RFC 7800).

        Raises UnknownConsent, or ReceiptNotReady while the ledger has not laid the entry (PostgreSQL: under a second).
        """
        material = await self._database.read(_gather, self._sealer, consent_id, account_id, event_id, self._witnesses)
        return self._seal(material, holder)

    def _seal(self, material: _Material, holder: Mapping[str, str] | None) -> Receipt:
        event = material.event.document
        value = b64url(commitment(material.event.salt, event))
        shown = {
            "iss": self._issuer,
            "iat": self._clock.ms() // SECOND,
            "receipt_profile": RECEIPT_PROFILE,
            "commitment": value,
        }
        if self._witnesses is not None and self._witnesses.policy is not None:
            shown["witnesses"] = _stated(self._witnesses.quorum(parse_proof(material.proof).checkpoint))
        if self._statuses is not None and material.event.place is not None:
            shown["status"] = self._statuses.claim(material.event.place)
        if holder is not None:
            shown["cnf"] = {"jwk": dict(holder)}
        hidden = fields(event, material.body, issuer=self._issuer)
        credential = sdjwt.issue(
            {**shown, **hidden}, list(hidden), sign=self._ring.sign_jwt, vct=VCT, salts=lambda _: b64url(os.urandom(16))
        )
        content = canonical(
            {
                "format": FORMAT,
                "credential": credential,
                "event": event,
                "salt": b64url(material.event.salt),
                "notice": material.body["text"][event["notice"]["lang"]],
                "agreement": dict(material.body),
                "proof": material.proof,
            }
        )
        name = f"{event['record']}-{event['seq']}-{event['type']}.sekisho-receipt.json"
        return Receipt(name, content, event["record"], event["event"])


def _stated(quorum: Quorum) -> dict[str, Any]:
    """What a receipt says about its witnesses; the cosignatures themselves are in the proof."""
    return {"quorum": quorum.met, "cosigned": [each.witness for each in quorum.cosigned], "of": quorum.witnesses}


def _gather(
    session: Session,
    sealer: Sealer,
    consent_id: str,
    account_id: str,
    event_id: str | None,
    witnesses: Witnesses | None,
) -> _Material:
    events = records.history(session, sealer, consent_id, account_id=account_id)
    chosen = [event for event in events if event_id in (None, event.id)]
    if not chosen:
        raise UnknownConsent("This consent has no such event.")
    # Of the newest answer, unless an event is named: being told of something is no answer.
    answers = [event for event in chosen if event_id is not None or event.document["type"] not in ASIDE]
    if not answers:
        raise UnknownConsent("This was asked, and is not answered yet.")
    event = answers[-1]
    revision = agreements.text_of(session, event.document["revision"])
    connection = session.connection()
    vouch = None if witnesses is None else partial(witnesses.vouch, connection)
    proof = reading.proof_text(connection, MAIN, event.leaf_id, vouch=vouch)
    if proof is None:
        raise ReceiptNotReady("Try again in a second.", headers={"Retry-After": "1"})
    return _Material(event, revision.body, proof)
