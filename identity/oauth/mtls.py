"""Mutual TLS: the certificate of a caller, whose it is, and what is bound to it.

RFC 8705. Section 2.1: a certificate under a CA the city trusts names the client by its subject (`tls_client_auth`).
Section 2.2: a certificate that carries a key the client registered (`self_signed_tls_client_auth`). Section 3: tokens
bound to a certificate by the SHA-256 of its DER (`x5t#S256`).

The certificate comes from the TLS listener that asks for one (`portal.protocol.TLSProtocol`), where only certificates
of configured CAs pass; or, behind a proxy that ends TLS, from its `Client-Cert` header (RFC 9440), believed from listed
addresses only (`portal.door`). What a client sends along with it (in the handshake, or as `Client-Cert-Chain`) comes
the same two ways and helps to find its path. Pure: a scope in, a judgement out.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keys import certificates

#: The registered name of the client in the certificate: exactly one of these (RFC 8705 section 2.1.2).
NAMES = (
    "tls_client_auth_subject_dn", "tls_client_auth_san_dns", "tls_client_auth_san_uri", "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
)  # fmt: skip
METHODS = ("tls_client_auth", "self_signed_tls_client_auth")


@dataclass(frozen=True, slots=True)
class Shown:
    """The certificate a caller showed. `trusted`: its chain was verified against the city's CAs; `resumed`: the key was
    proved in an earlier connection; `sent`: authorities that came along, believed only as links to an anchor."""

    certificate: certificates.Certificate
    trusted: bool
    resumed: bool = False
    sent: tuple[certificates.Certificate, ...] = ()

    @property
    def x5t(self) -> str:
        """Its thumbprint, for `cnf`."""
        return self.certificate.x5t

    @property
    def key_thumbprint(self) -> str:
        """Of its key, to find it among those registered (section 2.2)."""
        return self.certificate.key_thumbprint


def certificate_of(scope: Mapping[str, Any]) -> Shown | None:
    """The certificate the caller proved to hold in the TLS handshake, or None."""
    tls = scope.get("extensions", {}).get("tls")
    if not tls or not tls["client_cert_chain"]:
        return None
    found, *along = map(certificates.from_pem, tls["client_cert_chain"])
    if found is None:
        return None
    sent = tuple(one for one in along if one is not None)
    return Shown(found, tls.get("trusted", False), tls.get("resumed", False), sent)


def check_name(name: str, value: str) -> str | None:
    """Why a registered name can never match, or None. Pure."""
    if name == "tls_client_auth_subject_dn" and not certificates.is_subject(value):
        return "is not a distinguished name (RFC 4514)"
    if name == "tls_client_auth_san_ip" and not certificates.is_address(value):
        return "is not an IP address"
    return None


def names_client(shown: Shown, name: str, value: str) -> bool:
    """Whether a trusted certificate has the registered name (RFC 8705 section 2.1)."""
    if not shown.trusted:
        return False  # a name nobody vouches for names nobody
    if name == "tls_client_auth_subject_dn":
        return shown.certificate.has_subject(value)
    kind = name.rpartition("_")[2]
    names = shown.certificate.alternative_names(kind)
    if kind == "dns":
        return value.lower() in (str(each).lower() for each in names)
    return (ipaddress.ip_address(value) if kind == "ip" else value) in names
