"""A receipt in an auditor's hands: credential, disclosures, opening, inclusion, checkpoint; without a network.

SD-JWT (RFC 9901) with PyJWT, C2SP tlog-proof and signed notes with `hashlib`.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

import jwt

from portal.walk.auditor import Checkpoint, leaf_hash, open_note, root_from_proof
from portal.walk.report import Report
from portal.walk.tokens import b64url


@dataclass(frozen=True)
class Receipt:
    """A receipt whose signed parts fit together, and the place in the ledger that it claims."""

    commitment: bytes
    index: int
    proof: list[bytes]
    checkpoint: Checkpoint

    def require_entry(self, report: Report, entry: bytes) -> None:
        """The entry at that place commits to this receipt's event, under the checkpoint the receipt brings along."""
        size = self.checkpoint.size
        report.require(
            entry.endswith(self.commitment)
            and entry[0] == 1
            and root_from_proof(leaf_hash(entry), self.index, size, self.proof) == self.checkpoint.root,
            f"the commitment is entry {self.index} of {size} under a signed checkpoint",
            "the inclusion proof of the receipt does not hold",
        )


def read_receipt(report: Report, text: str, *, jwks: dict[str, Any], issuer: str, vkey: str) -> Receipt:
    """Everything that can be checked without asking anybody."""
    bundle = json.loads(text)
    parts = bundle["credential"].split("~")
    claims = _verify_sd_jwt(report, parts[0], jwks, issuer)
    disclosed = {b64url(hashlib.sha256(part.encode()).digest()) for part in parts[1:] if part}
    report.require(
        disclosed and disclosed == set(claims.get("_sd", [])),
        f"the receipt is an SD-JWT signed by the issuer; its {len(disclosed)} fields can be shown one by one",
        "the receipt carries a disclosure the issuer did not sign",
    )
    event = json.dumps(bundle["event"], ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    opened = hmac.digest(_unb64url(bundle["salt"]), event, "sha256")
    report.require(
        b64url(opened) == claims["commitment"],
        "its event and salt open the commitment in the credential",
        "the event in the receipt is not the one committed to",
    )
    head, _, note = bundle["proof"].partition("\n\n")
    lines = head.splitlines()
    index = int(next(line for line in lines if line.startswith("index ")).removeprefix("index "))
    proof = [base64.b64decode(line) for line in lines[lines.index(f"index {index}") + 1 :]]
    return Receipt(opened, index, proof, open_note(report, note, vkey))


def _unb64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _verify_sd_jwt(report: Report, token: str, jwks: dict[str, Any], issuer: str) -> dict[str, Any]:
    header = jwt.get_unverified_header(token)
    key = next((item for item in jwks["keys"] if item.get("kid") == header.get("kid")), None)
    if key is None or header.get("typ") != "dc+sd-jwt":
        report.broken("the receipt is not an SD-JWT under a published key")
    claims: dict[str, Any] = jwt.decode(
        token, jwt.PyJWK(key).key, algorithms=[header["alg"]], issuer=issuer, options={"verify_aud": False}
    )
    return claims
