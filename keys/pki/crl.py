"""Certificate revocation lists: whether one may be believed, and what it says of a certificate. Pure.

RFC 5280 sections 5 and 6.3.3, for complete lists of the certificate's own issuer. Refused by name, since half of what
they say would be missed: delta lists (5.2.4), indirect ones (5.2.5, 5.3.3), lists of some reasons or of attribute
certificates (5.2.5), lists without `nextUpdate` (5.1.2.5), and any critical extension not named here, of the list or of
any entry (5.2, 5.3).
"""

from dataclasses import dataclass
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.pki.paths import Link, points
from keys.pki.status import SKEW, Status, Untold, millis
from kit.clock import Millis

_KNOWN = (x509.AuthorityKeyIdentifier, x509.CRLNumber, x509.IssuingDistributionPoint)
_KNOWN_OF_ENTRIES = (x509.CRLReason, x509.InvalidityDate)
SHA2 = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


@dataclass(frozen=True, slots=True)
class Crl:
    """A list whose signature held under one issuer's key, ready to be asked."""

    revoked: frozenset[int]  # serial numbers
    made_at: Millis
    ends_at: Millis
    scope: x509.IssuingDistributionPoint | None
    series: str  # which lists it is one of: of one issuer under one key, for one distribution point; wherever it lay
    number: str  # its CRL number, as hexadecimal digits that compare as the numbers do; "" without one

    def status(self, link: Link, *, now: Millis, stale: Millis = 0) -> Status:
        """What it says of a certificate; raises Untold. `stale`: how long past its `nextUpdate` it may be used."""
        if self.ends_at + stale <= now:
            raise Untold("stale", "nextUpdate has passed")
        if self.scope is not None:
            _check_scope(self.scope, link)
        revoked = link.certificate.serial_number in self.revoked
        return Status("revoked" if revoked else "good", self.ends_at + stale)


def read(der: bytes, issuer: x509.Certificate, *, now: Millis) -> Crl:
    """The list in DER, if its signature is this issuer's and it hides nothing; raises Untold."""
    try:
        found = x509.load_der_x509_crl(der)
        _check(found, issuer, now)
        ends_at, revoked = found.next_update_utc, _serials(found)
        scope, number = _extension(found), _number(found)
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise Untold("malformed", type(error).__name__) from error
    if ends_at is None:
        raise Untold("malformed", "no nextUpdate")
    made_at = millis(found.last_update_utc)
    return Crl(revoked, made_at, millis(ends_at), scope, _series(issuer, scope), number)


def _check(found: x509.CertificateRevocationList, issuer: x509.Certificate, now: Millis) -> None:
    if found.issuer != issuer.subject:  # 6.3.3 (b) (1)
        raise Untold("another-issuer")
    for extension in found.extensions:
        if isinstance(extension.value, x509.DeltaCRLIndicator):
            raise Untold("delta")
        if extension.critical and not isinstance(extension.value, _KNOWN):
            raise Untold("critical", extension.oid.dotted_string)
    try:
        if not issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign:  # 6.3.3 (f)
            raise Untold("not-allowed", "the issuer may not sign lists")
    except x509.ExtensionNotFound:
        pass
    if found.signature_hash_algorithm is not None and not isinstance(found.signature_hash_algorithm, SHA2):
        raise Untold("weak", found.signature_hash_algorithm.name)
    try:
        holds = found.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # other keys raise TypeError
    except TypeError as error:
        raise Untold("forged", "not a kind of key that signs") from error
    if not holds:  # 6.3.3 (g)
        raise Untold("forged")
    if millis(found.last_update_utc) > now + SKEW:
        raise Untold("early", "thisUpdate is to come")


def _serials(found: x509.CertificateRevocationList) -> frozenset[int]:
    """Every entry is looked at: one that can't be understood spoils the list for all (5.3)."""
    serials = set()
    for entry in found:
        for extension in entry.extensions:
            if extension.critical and not isinstance(extension.value, _KNOWN_OF_ENTRIES):
                raise Untold("critical", extension.oid.dotted_string)
        serials.add(entry.serial_number)
    return frozenset(serials)


def _series(issuer: x509.Certificate, scope: x509.IssuingDistributionPoint | None) -> str:
    """Names the CRL issuer and the CRL scope, for which alone times and numbers grow (5.2.3). By the issuer's name and
    key, not its certificate, which may be renewed."""
    key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    parts = (issuer.subject.public_bytes(), key, scope.public_bytes() if scope is not None else b"")
    return sha256(b"".join(len(part).to_bytes(4) + part for part in parts)).hexdigest()


def _number(found: x509.CertificateRevocationList) -> str:
    """The CRL number (5.2.3: 20 octets at most)."""
    try:
        number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return ""
    if number < 0 or number.bit_length() > 160:
        raise Untold("malformed", "a CRL number that is none")
    return f"{number:040x}"


def _extension(found: x509.CertificateRevocationList) -> x509.IssuingDistributionPoint | None:
    try:
        scope = found.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return None
    if scope.indirect_crl:
        raise Untold("indirect")
    if scope.only_contains_attribute_certs or scope.only_some_reasons is not None:
        raise Untold("partial")
    if scope.relative_name is not None:
        raise Untold("scope", "a relative name")
    return scope


def _check_scope(scope: x509.IssuingDistributionPoint, link: Link) -> None:
    """6.3.3 (b) (2): the list must be one that this certificate would stand in."""
    if scope.only_contains_user_certs and link.is_authority:
        raise Untold("scope", "for users only")
    if scope.only_contains_ca_certs and not link.is_authority:
        raise Untold("scope", "for authorities only")
    if scope.full_name is None:
        return
    named = {name for point in points(link.certificate) for name in point.full_name or ()}
    if not named & set(scope.full_name):
        raise Untold("scope", "another distribution point")
