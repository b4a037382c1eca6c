"""Mutual TLS: the certificate of a caller, whose it is, and what is bound to it.

RFC 8705. Section 2.1: a certificate under a CA the city trusts names the client by its subject (`tls_client_auth`).
Section 2.2: a certificate that carries a key the client registered (`self_signed_tls_client_auth`). Section 3: tokens
bound to a certificate by the SHA-256 of its DER (`x5t#S256`).

The certificate comes from the TLS listener that asks for one (`portal.protocol.TLSProtocol`), where only certificates
of configured CAs pass; or, behind a proxy that ends TLS, from its `Client-Cert` header (RFC 9440), believed from listed
addresses only (`portal.door`). Pure: a scope in, a judgement out.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from keys.jose import thumbprint
from keys.signing import members_of
from kit.encoding import b64url

#: The registered name of the client in the certificate: exactly one of these (RFC 8705 section 2.1.2).
NAMES = (
    "tls_client_auth_subject_dn", "tls_client_auth_san_dns", "tls_client_auth_san_uri", "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
)  # fmt: skip
METHODS = ("tls_client_auth", "self_signed_tls_client_auth")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A caller's certificate. `trusted`: its chain was verified against the city's CAs."""

    x509: x509.Certificate
    x5t: str
    trusted: bool


def certificate_of(scope: Mapping[str, Any]) -> Certificate | None:
    """The certificate the caller proved to hold in the TLS handshake, or None."""
    tls = scope.get("extensions", {}).get("tls")
    if not tls or not tls["client_cert_chain"]:
        return None
    return _parse(tls["client_cert_chain"][0], tls.get("trusted", True))


@lru_cache(maxsize=512)
def _parse(pem: str, trusted: bool) -> Certificate | None:
    try:
        found = x509.load_pem_x509_certificate(pem.encode("ascii"))
        return Certificate(found, b64url(sha256(found.public_bytes(Encoding.DER)).digest()), trusted)
    except (ValueError, UnsupportedAlgorithm):
        return None


def check_name(name: str, value: str) -> str | None:
    """Why a registered name can never match, or None. Pure."""
    try:
        if name == "tls_client_auth_subject_dn":
            x509.Name.from_rfc4514_string(value)
        elif name == "tls_client_auth_san_ip":
            ipaddress.ip_address(value)
    except ValueError:
        return "is not a distinguished name (RFC 4514)" if name.endswith("_dn") else "is not an IP address"
    return None


def names_client(certificate: Certificate, name: str, value: str) -> bool:
    """Whether a trusted certificate has the registered name (RFC 8705 section 2.1)."""
    if not certificate.trusted:
        return False  # a name nobody vouches for names nobody
    if name == "tls_client_auth_subject_dn":
        return certificate.x509.subject == x509.Name.from_rfc4514_string(value)
    try:
        names = certificate.x509.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    if name == "tls_client_auth_san_dns":
        return value.lower() in (each.lower() for each in names.get_values_for_type(x509.DNSName))
    if name == "tls_client_auth_san_uri":
        return value in names.get_values_for_type(x509.UniformResourceIdentifier)
    if name == "tls_client_auth_san_email":
        return value in names.get_values_for_type(x509.RFC822Name)
    return ipaddress.ip_address(value) in names.get_values_for_type(x509.IPAddress)


def thumbprint_of(certificate: Certificate) -> str:
    """RFC 7638 thumbprint of the certificate's key, to find it among those registered (section 2.2); "" for none."""
    try:
        return thumbprint(members_of(certificate.x509.public_key()))
    except (ValueError, UnsupportedAlgorithm):
        return ""
