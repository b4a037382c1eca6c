"""The Online Certificate Status Protocol: a question about one certificate, and whether an answer to it holds. Pure.

RFC 6960 sections 3.2 (acceptance), 4.1 and 4.2; RFC 9654 (nonce). A responder is the issuer itself, or one whose
certificate the issuer gave out for this (id-kp-OCSPSigning, section 4.2.2.2). How a delegated responder is itself
revoked is the client's policy where its certificate says nothing (4.2.2.2.1): here it must say `ocsp-nocheck`, the
promise that nobody needs to ask; else every answer would ask for another.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from keys.hashing import same
from keys.pki.crl import SHA2
from keys.pki.paths import Link
from keys.pki.status import SKEW, State, Status, Untold, millis
from kit.clock import Millis, to_datetime

NONCE_BYTES = 32  # RFC 9654 section 2.1
_STATES: dict[ocsp.OCSPCertStatus, State] = {
    ocsp.OCSPCertStatus.GOOD: "good",
    ocsp.OCSPCertStatus.REVOKED: "revoked",
    ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A request in DER, and what its answer must repeat."""

    der: bytes
    nonce: bytes
    name_hash: bytes
    key_hash: bytes
    serial: int
    algorithm: str


def ask(link: Link, *, sha1: bool = False) -> Question:
    """A question about a certificate. `sha1`: for responders that look issuers up by it alone (it protects nothing)."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    algorithm: hashes.HashAlgorithm = hashes.SHA1() if sha1 else hashes.SHA256()  # noqa: S303
    made = (
        ocsp.OCSPRequestBuilder()
        .add_certificate(link.certificate, link.issuer, algorithm)
        .add_extension(x509.OCSPNonce(nonce), critical=False)
        .build()
    )
    return Question(
        made.public_bytes(Encoding.DER), nonce, made.issuer_name_hash, made.issuer_key_hash, made.serial_number,
        algorithm.name,
    )  # fmt: skip


def judge(
    der: bytes, question: Question, link: Link, *, now: Millis, freshest: Millis, nonce_needed: bool = True
) -> Status:
    """What an answer says; raises Untold unless it is one to this very question.

    `freshest`: how old an answer may be that doesn't say when the next is due. Without `nonce_needed` an answer may
    leave the nonce out (responders that sign ahead), and an old one may be shown again until its `nextUpdate`.
    """
    try:
        answer = ocsp.load_der_ocsp_response(der)
        if answer.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise Untold("refused-there", answer.response_status.name.lower())
        _check_nonce(answer, question, needed=nonce_needed)
        _check_signature(answer, link.issuer, now)
        said = _about(answer, question)
        state = _STATES[said.certificate_status]
        until = _until(said.this_update_utc, said.next_update_utc, now=now, freshest=freshest)
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise Untold("malformed", type(error).__name__) from error
    return Status(state, until)


def _check_nonce(answer: ocsp.OCSPResponse, question: Question, *, needed: bool) -> None:
    """RFC 9654 section 2.1: what was asked comes back. Closes: an answer from before a revocation, shown again."""
    said = None
    for extension in answer.extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            said = extension.value.nonce
        elif extension.critical:
            raise Untold("critical", extension.oid.dotted_string)
    if said is None:
        if needed:
            raise Untold("no-nonce")
    elif not same(said, question.nonce):
        raise Untold("replayed")


def _about(answer: ocsp.OCSPResponse, question: Question) -> ocsp.OCSPSingleResponse:
    """Section 3.2, rule 1: about this certificate of this issuer. Closes: a good answer about somebody else's."""
    found = [
        one
        for one in answer.responses
        if one.serial_number == question.serial
        and one.hash_algorithm.name == question.algorithm
        and one.issuer_name_hash == question.name_hash
        and one.issuer_key_hash == question.key_hash
    ]
    if len(found) != 1:
        raise Untold("another-certificate")
    return found[0]


def _until(made: datetime, following: datetime | None, *, now: Millis, freshest: Millis) -> Millis:
    """Section 3.2, rules 5 and 6: recent enough, and not past its nextUpdate."""
    if millis(made) > now + SKEW:
        raise Untold("early", "thisUpdate is to come")
    until = millis(made) + freshest if following is None else millis(following)
    if until <= now:
        raise Untold("stale")
    return until


def _check_signature(answer: ocsp.OCSPResponse, issuer: x509.Certificate, now: Millis) -> None:
    """Section 3.2, rules 2 to 4, and 4.2.2.2: signed by the issuer, or by whom the issuer itself made a responder."""
    signer = issuer if _is_named(answer, issuer) else _delegate(answer, issuer, now)
    algorithm = answer.signature_hash_algorithm
    if algorithm is not None and not isinstance(algorithm, SHA2):
        raise Untold("weak", algorithm.name)
    key, signature, signed = signer.public_key(), answer.signature, answer.tbs_response_bytes
    try:
        match key:
            case rsa.RSAPublicKey() if algorithm is not None:
                key.verify(signature, signed, padding.PKCS1v15(), algorithm)
            case ec.EllipticCurvePublicKey() if algorithm is not None:
                key.verify(signature, signed, ec.ECDSA(algorithm))
            case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
                key.verify(signature, signed)
            case _:
                raise Untold("algorithm")
    except InvalidSignature as error:
        raise Untold("forged") from error


def _is_named(answer: ocsp.OCSPResponse, candidate: x509.Certificate) -> bool:
    """Whether the answer says that it is this one's (ResponderID, section 4.2.1)."""
    if answer.responder_name is not None:
        return answer.responder_name == candidate.subject
    return answer.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(candidate.public_key()).digest


def _delegate(answer: ocsp.OCSPResponse, issuer: x509.Certificate, now: Millis) -> x509.Certificate:
    """The responder's own certificate, from the answer. Closes: any certificate of the issuer's signing answers."""
    for found in answer.certificates:
        if not _is_named(answer, found):
            continue
        try:
            found.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            continue
        _check_delegate(found, now)
        return found
    raise Untold("unauthorized", "nobody the issuer made a responder")


def _check_delegate(found: x509.Certificate, now: Millis) -> None:
    if not found.not_valid_before_utc <= to_datetime(now) <= found.not_valid_after_utc:
        raise Untold("unauthorized", "the responder's certificate is not of now")
    told = {type(extension.value): extension for extension in found.extensions}
    usages = told.get(x509.ExtendedKeyUsage)
    if usages is None or ExtendedKeyUsageOID.OCSP_SIGNING not in usages.value:
        raise Untold("unauthorized", "not for OCSP signing")
    usage = told.get(x509.KeyUsage)
    if usage is not None and not usage.value.digital_signature:
        raise Untold("unauthorized", "keyUsage")
    if x509.OCSPNoCheck not in told:
        raise Untold("unauthorized", "nobody says that the responder is not revoked")
    known = (x509.ExtendedKeyUsage, x509.KeyUsage, x509.BasicConstraints, x509.OCSPNoCheck, x509.CertificatePolicies)
    for kind, extension in told.items():
        if extension.critical and not issubclass(kind, known):
            raise Untold("critical", extension.oid.dotted_string)
