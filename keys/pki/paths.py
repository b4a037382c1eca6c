"""Paths: from a certificate that somebody showed up to an anchor the operator named, or a word why there is none.

RFC 5280 section 6.1, by the client verifier of `cryptography` (`x509.verification`): signatures, times, names, basic
constraints, key usage of authorities, path length, name constraints; a critical extension nobody here understands ends
the path. What that verifier (50) does not do is done here or refused: key usage and extended key usage of the end
certificate, and certificate policies without mappings: where policies are asked for, the end certificate has one of
them and every authority above it has the same or anyPolicy. Policy mappings, constraints and inhibitAnyPolicy are
critical by their own definition and so refused; so are name constraints on directory names. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path as File

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from keys.certificates import Certificate
from keys.pki.status import millis
from kit.clock import Millis, to_datetime
from kit.encoding import b64url

CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string
_ANY_POLICY = "2.5.29.32.0"
_LONGEST = 5


class Untrusted(Exception):
    """No path. `reason`: expired, purpose, policy, untrusted."""

    def __init__(self, reason: str, private: str = "") -> None:
        super().__init__(f"{reason}: {private}" if private else reason)
        self.reason = reason


@dataclass(frozen=True)
class Link:
    """A certificate of a path with the one that gave it out."""

    certificate: x509.Certificate
    issuer: x509.Certificate

    @cached_property
    def issuer_key(self) -> bytes:
        """Names the issuer with its key: a list is one issuer's under one key."""
        return sha256(self.issuer.public_bytes(Encoding.DER)).digest()

    @property
    def is_authority(self) -> bool:
        """Whether it is an authority's own certificate."""
        return is_authority(self.certificate)

    def crl_addresses(self) -> tuple[str, ...]:
        """Where it says its revocation list is (RFC 5280 section 4.2.1.13); points of another issuer are left out."""
        found = []
        for point in points(self.certificate):
            if point.crl_issuer is None and point.reasons is None:
                found += [str(name.value) for name in point.full_name or () if _is_web(name)]
        return tuple(found)

    def ocsp_addresses(self) -> tuple[str, ...]:
        """Where it says its OCSP responder is (RFC 5280 section 4.2.2.1)."""
        try:
            said = self.certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        except x509.ExtensionNotFound:
            return ()
        responders = (one.access_location for one in said if one.access_method == x509.OID_OCSP)
        return tuple(str(name.value) for name in responders if _is_web(name))


@dataclass(frozen=True, slots=True)
class Path:
    """A path that holds. `links`: the end certificate first; the anchor is nobody's to answer for. `until`: its end."""

    links: tuple[Link, ...]
    until: Millis

    @property
    def leaf(self) -> x509.Certificate:
        """The end certificate."""
        return self.links[0].certificate

    @property
    def issuer_name(self) -> str:
        """The issuer's distinguished name, exactly: the DER, base64url."""
        return b64url(self.leaf.issuer.public_bytes())

    @property
    def subject_name(self) -> str:
        """The subject's distinguished name, exactly; "" for one without any (RFC 5280 section 4.1.2.6)."""
        return b64url(self.leaf.subject.public_bytes()) if self.leaf.subject.rdns else ""

    @property
    def subject_serial(self) -> str:
        """The one serialNumber attribute of the subject (X.520, not the certificate's), or ""."""
        found = self.leaf.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
        return str(found[0].value) if len(found) == 1 else ""

    @property
    def policies(self) -> frozenset[str]:
        """The certificate policies that hold for the whole path: no authority above lacks them (6.1, no mappings)."""
        return held([link.certificate for link in self.links])

    @property
    def issuer_text(self) -> str:
        """The issuer's name for people (RFC 4514)."""
        return self.leaf.issuer.rfc4514_string()

    @property
    def serial(self) -> str:
        """The end certificate's serial number, hexadecimal."""
        return f"{self.leaf.serial_number:x}"

    @property
    def ends_at(self) -> Millis:
        """When the end certificate runs out."""
        return millis(self.leaf.not_valid_after_utc)


class Anchors:
    """The anchors of one authority, and the authorities between that the operator keeps at hand."""

    def __init__(
        self,
        anchors: File,
        between: File | None = None,
        *,
        usages: Iterable[str] = (CLIENT_AUTH,),
        policies: Iterable[str] = (),
    ) -> None:
        """Raises OSError or ValueError when a file can't be read."""
        found = x509.load_pem_x509_certificates(anchors.read_bytes())
        self._store = Store(found)
        self._between = [] if between is None else x509.load_pem_x509_certificates(between.read_bytes())
        self._usages = frozenset(map(x509.ObjectIdentifier, usages))
        self._policies = frozenset(policies)
        either = Criticality.AGNOSTIC  # policies are judged here, so they may be critical
        self._authorities = ExtensionPolicy.webpki_defaults_ca().may_be_present(x509.CertificatePolicies, either, None)
        self._end = (
            ExtensionPolicy.permit_all()
            .may_be_present(x509.BasicConstraints, either, None)
            .may_be_present(x509.KeyUsage, either, None)
            .may_be_present(x509.ExtendedKeyUsage, either, None)
            .may_be_present(x509.SubjectAlternativeName, either, None)
            .may_be_present(x509.CertificatePolicies, either, None)
        )

    def path(self, shown: Certificate, *, now: Millis, sent: Iterable[Certificate] = ()) -> Path:
        """The path of a certificate; raises Untrusted.

        `sent`: what its holder sent along to build it by (RFC 5280 section 6.1: a path is judged, however it was
        found). Nobody believes them for being sent: each is verified up to an anchor like those the operator keeps.
        """
        leaf = shown.x509
        try:
            if is_authority(leaf):
                raise Untrusted("purpose", "an authority is nobody's client")
            verifier = (
                PolicyBuilder()
                .store(self._store)
                .time(to_datetime(now))
                .extension_policies(ca_policy=self._authorities, ee_policy=self._end)
                .max_chain_depth(_LONGEST)
                .build_client_verifier()
            )
            chain = verifier.verify(leaf, [*self._between, *(one.x509 for one in sent)]).chain
            links = tuple(map(Link, chain, chain[1:]))
            if not links:
                raise Untrusted("untrusted", "an anchor itself")
            self._check_purpose(leaf)
            self._check_policies(chain[:-1])
        except VerificationError as error:
            end = leaf.not_valid_after_utc
            over = not leaf.not_valid_before_utc <= to_datetime(now) <= end
            raise Untrusted("expired" if over else "untrusted", str(error)[:200]) from error
        except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
            raise Untrusted("untrusted", type(error).__name__) from error
        return Path(links, min(millis(one.not_valid_after_utc) for one in chain))

    def _check_purpose(self, leaf: x509.Certificate) -> None:
        """RFC 5280 sections 4.2.1.3 and 4.2.1.12: signing in is a digital signature, and for clients.

        A certificate for signing documents alone (nonRepudiation) signs nobody in: whoever made it sign could pass
        for its owner.
        """
        try:
            if not leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
                raise Untrusted("purpose", "keyUsage")
        except x509.ExtensionNotFound:
            pass
        try:
            said = frozenset(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        except x509.ExtensionNotFound:
            return
        if not said & self._usages:  # anyExtendedKeyUsage is no promise that it is for this
            raise Untrusted("purpose", "extKeyUsage")

    def _check_policies(self, below_anchor: list[x509.Certificate]) -> None:
        if not self._policies:
            return
        if not held(below_anchor) & self._policies:
            raise Untrusted("policy")


def held(below_anchor: list[x509.Certificate]) -> frozenset[str]:
    """The policies of the end certificate that every authority above it has, or anyPolicy in their place."""
    found = policies_of(below_anchor[0])
    for authority in below_anchor[1:]:
        said = policies_of(authority)
        found = found if _ANY_POLICY in said else found & said
    return found


def is_authority(certificate: x509.Certificate) -> bool:
    """RFC 5280 section 4.2.1.9."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def points(certificate: x509.Certificate) -> list[x509.DistributionPoint]:
    """Its CRL distribution points."""
    try:
        return list(certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value)
    except x509.ExtensionNotFound:
        return []


def policies_of(certificate: x509.Certificate) -> frozenset[str]:
    """Its certificate policies, as dotted text."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(one.policy_identifier.dotted_string for one in found)


def _is_web(name: x509.GeneralName) -> bool:
    return isinstance(name, x509.UniformResourceIdentifier) and name.value.startswith(("http://", "https://"))
