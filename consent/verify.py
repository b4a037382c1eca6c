"""Checking receipts and the ledger, offline: no server of ours, no database, no network for a receipt.

Needs two things from somewhere trusted: the ledger's verifier key (the text at /ledger/vkey) and the issuer's public
keys (a JWKS). The steps of a receipt's check are numbered; a failure names the step that failed.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from consent.iso27560 import RECEIPT_PROFILE, fields
from consent.ledger import CONSENT_EVENT, commitment, digest, private_entry
from consent.trust import Quorum, Trust
from keys import sdjwt
from keys.errors import BadToken
from kit.encoding import b64url, b64url_decode, canonical
from kit.tlog import client
from kit.tlog.errors import BadLog
from kit.tlog.merkle import leaf_hash, verify_inclusion
from kit.tlog.note import Checkpoint, parse_note
from kit.tlog.places import place
from kit.tlog.proof import TlogProof, parse_proof

FORMAT: Final = "sekisho-consent-receipt/1"
VCT: Final = "urn:sekisho:consent-receipt:27560:1"
LARGEST_RECEIPT: Final = 1_000_000
_MEMBERS: Final = {"format", "credential", "event", "salt", "notice", "agreement", "proof"}
_SHOWN: Final = {"iss", "iat", "vct", "receipt_profile", "commitment", "witnesses", "status", "cnf"}

STEPS: Final = (
    "the file is a receipt in its one canonical form",
    "the issuer signed the credential",
    "the agreement is the one that was agreed to",
    "the notice is the text that was shown",
    "event and salt open the commitment",
    "the credential says what the event says",
    "the ledger signed the checkpoint",
    "the commitment is in the ledger",
)


class NotVerified(Exception):
    """A receipt does not verify. `step` is the number of the step that failed, from 1."""

    def __init__(self, step: int, detail: str) -> None:
        super().__init__(f"step {step} failed ({STEPS[step - 1]}): {detail}")
        self.step = step
        self.detail = detail


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """What a receipt proves; made by `verify_receipt` only."""

    issuer: str
    claims: Mapping[str, Any]
    event: Mapping[str, Any]
    notice: Mapping[str, Any]
    agreement: Mapping[str, Any]
    index: int
    checkpoint: Checkpoint
    note: bytes
    quorum: Quorum

    @property
    def summary(self) -> tuple[tuple[str, str], ...]:
        """What to show a person."""
        event = self.event
        return (
            ("issuer", self.issuer),
            ("consent", event["record"]),
            ("event", f"{event['type']} at {event['time']}"),
            ("recipient", self.agreement["recipient"]["name"][event["notice"]["lang"]]),
            ("notice", self.notice["title"]),
            ("categories", ", ".join(event["categories"])),
            ("until", event["until"]),
            ("ledger", f"{self.checkpoint.origin} entry {self.index} of {self.checkpoint.size}"),
            ("witnesses", str(self.quorum)),
        )


def verify_receipt(
    receipt: bytes, *, jwks: Mapping[str, Any], vkey: str | None = None, trust: Trust | None = None
) -> VerifiedReceipt:
    """Check a receipt file; raises NotVerified with the number of the failed step. No network, no database.

    Under a trust with a witness policy (c2sp.org/tlog-policy) the result says whether its checkpoint has the quorum.
    """
    trust = trust or Trust.of(vkey)
    bundle, salt = _read(receipt)  # 1
    claims = _credential(bundle["credential"], jwks)  # 2
    event, agreement, notice = bundle["event"], bundle["agreement"], bundle["notice"]
    # 3: the event names the revision by the hash of its whole text
    if not hmac.compare_digest(digest(agreement), str(event.get("revision_hash"))):
        raise NotVerified(3, "the agreement's hash is not the one in the event")
    _step4(event, agreement, notice)
    # 5: nobody can find another event or salt with the same commitment
    opened = b64url(commitment(salt, event))
    if not hmac.compare_digest(opened, str(claims["commitment"])):
        raise NotVerified(5, "the commitment in the credential is of another event")
    try:  # 6
        expected = fields(event, agreement, issuer=str(claims["iss"]))
    except (KeyError, TypeError) as error:
        raise NotVerified(6, f"the event lacks {error}") from None
    told = {name: value for name, value in claims.items() if name not in _SHOWN}
    if told != expected or claims.get("receipt_profile") != RECEIPT_PROFILE:
        wrong = sorted(name for name in {*told, *expected} if told.get(name) != expected.get(name))
        raise NotVerified(6, f"these fields differ: {', '.join(wrong) or 'receipt_profile'}")
    proof, checkpoint, quorum = _step7(bundle["proof"], trust, claims.get("witnesses"))
    entry = private_entry(b64url_decode(claims["commitment"]), kind=CONSENT_EVENT)
    try:  # 8
        verify_inclusion(leaf_hash(entry), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    except BadLog as bad:
        raise NotVerified(8, str(bad)) from None
    return VerifiedReceipt(
        str(claims["iss"]), claims, event, notice, agreement, proof.index, checkpoint, proof.checkpoint, quorum
    )


def _read(receipt: bytes) -> tuple[dict[str, Any], bytes]:
    if len(receipt) > LARGEST_RECEIPT:
        raise NotVerified(1, "the file is too large")
    try:
        bundle = orjson.loads(receipt)
        if not isinstance(bundle, dict) or set(bundle) != _MEMBERS or bundle["format"] != FORMAT:
            raise NotVerified(1, f"a receipt is a JSON object with {', '.join(sorted(_MEMBERS))}")
        if canonical(bundle) != receipt:
            raise NotVerified(1, "the JSON is not canonical: something was added or moved")
        for name, kind in (("credential", str), ("salt", str), ("proof", str), ("event", dict), ("notice", dict)):
            if not isinstance(bundle[name], kind):
                raise NotVerified(1, f"{name} has the wrong type")
        if not isinstance(bundle["agreement"], dict):
            raise NotVerified(1, "agreement has the wrong type")
        salt = b64url_decode(bundle["salt"])
        if len(salt) != 32:
            raise NotVerified(1, "the salt has the wrong length")
    except ValueError as error:
        raise NotVerified(1, str(error)) from None
    return bundle, salt


def _credential(credential: str, jwks: Mapping[str, Any]) -> dict[str, Any]:
    try:
        claims = sdjwt.verify(credential, jwks)
    except BadToken as bad:
        raise NotVerified(2, bad.private or "the credential does not verify") from None
    if claims.get("vct") != VCT:
        raise NotVerified(2, "the credential is of another type")
    if not isinstance(claims.get("iss"), str) or not isinstance(claims.get("commitment"), str):
        raise NotVerified(2, "the credential lacks its issuer or its commitment")
    return claims


def _step4(event: Mapping[str, Any], agreement: Mapping[str, Any], notice: Mapping[str, Any]) -> None:
    named = event.get("notice")
    texts = agreement.get("text")
    if not isinstance(named, dict) or not isinstance(texts, dict):
        raise NotVerified(4, "the event names no notice")
    if texts.get(named.get("lang")) != notice:
        raise NotVerified(4, "the notice is not the agreement's")
    if not hmac.compare_digest(digest(notice), str(named.get("hash"))):
        raise NotVerified(4, "the notice's hash is not the one in the event")


def _step7(text: str, trust: Trust, stated: Any) -> tuple[TlogProof, Checkpoint, Quorum]:
    try:
        proof = parse_proof(text)
        if proof.extra is not None:
            raise NotVerified(7, "the proof carries extra data that nobody vouches for")
        there = {each.name for each in parse_note(proof.checkpoint).signatures}
        # Cosignatures stand outside of what the issuer signed: taken away, they would be missed by nobody.
        for name in stated.get("cosigned", ()) if isinstance(stated, dict) else ():
            if str(name) not in there:
                raise NotVerified(7, f"the cosignature of {name} that the receipt states is not there")
        return proof, trust.open(proof.checkpoint), trust.quorum(proof.checkpoint)
    except BadLog as bad:
        raise NotVerified(7, str(bad)) from None


# -- the ledger itself ------------------------------------------------------------------------------------------------


def verify_log(where: str, trust: Trust, *, keep: client.Keep | None = None) -> client.Audit:
    """The whole log at a URL prefix or in a directory, byte for byte; raises BadLog naming what does not fit."""
    fetch = place(where)
    origin, verifiers = trust.log(client.read_note(fetch))
    return client.audit(fetch, origin=origin, verifiers=verifiers, keep=keep)


@dataclass(frozen=True, slots=True)
class Growth:
    """Two checkpoints of one history, and the proof of it."""

    older: Checkpoint
    newer: Checkpoint
    note: bytes
    proof: tuple[bytes, ...]


def verify_growth(where: str, older: bytes, trust: Trust, *, newer: bytes | None = None) -> Growth:
    """That the log at `where` still begins with the tree of an older checkpoint; raises BadLog (Forked if not)."""
    before = trust.open(older)
    fetch = place(where)
    note = client.read_note(fetch) if newer is None else newer
    after = trust.open(note)
    return Growth(before, after, note, tuple(client.check_consistency(fetch, before, after)))


def prove(where: str, index: int, trust: Trust) -> str:
    """The tlog-proof of an entry, made from the log's tiles."""
    fetch = place(where)
    origin, verifiers = trust.log(client.read_note(fetch))
    return client.prove(fetch, index, origin=origin, verifiers=verifiers)
