"""X.509 certificates of callers: what they say, and whether a CA of ours says so, too.

RFC 5280; the thumbprint of RFC 8705 section 3.1; names after RFC 4514 and RFC 5280 section 4.2.1.6. What a certificate
is good for is its reader's to judge (`identity.oauth.mtls`). Pure but for reading the file of CAs once.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from keys.jose import thumbprint
from keys.signing import members_of
from kit.encoding import b64url

#: How many a caller may send along: as many as a path has between its ends, and an anchor nobody needs.
MOST_SENT = 6


class Certificate:
    """One certificate. Compared by nothing: use its thumbprints."""

    def __init__(self, found: x509.Certificate) -> None:
        self._x509 = found

    @property
    def x509(self) -> x509.Certificate:
        """The library's own object, for this package."""
        return self._x509

    @cached_property
    def x5t(self) -> str:
        """SHA-256 of the DER, base64url (`x5t#S256`)."""
        return b64url(sha256(self._x509.public_bytes(Encoding.DER)).digest())

    @cached_property
    def key_thumbprint(self) -> str:
        """RFC 7638 thumbprint of its key; "" for a kind of key that is not used here."""
        try:
            return thumbprint(members_of(self._x509.public_key()))
        except (ValueError, UnsupportedAlgorithm):
            return ""

    @property
    def der(self) -> bytes:
        """As DER."""
        return self._x509.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        """As PEM text."""
        return self._x509.public_bytes(Encoding.PEM).decode("ascii")

    def has_subject(self, name: str) -> bool:
        """Whether its subject is this distinguished name (RFC 4514)."""
        return self._x509.subject == x509.Name.from_rfc4514_string(name)

    def alternative_names(self, kind: str) -> Sequence[object]:
        """Its subject alternative names of a kind: `dns`, `uri`, `email` (text) or `ip` (addresses)."""
        try:
            names = self._x509.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (x509.ExtensionNotFound, ValueError):
            return ()
        if kind == "ip":
            return names.get_values_for_type(x509.IPAddress)
        kinds: dict[str, type[x509.DNSName | x509.UniformResourceIdentifier | x509.RFC822Name]] = {
            "dns": x509.DNSName, "uri": x509.UniformResourceIdentifier, "email": x509.RFC822Name,
        }  # fmt: skip
        return names.get_values_for_type(kinds[kind])

    def comes_from(self, authorities: "Authorities", sent: Iterable["Certificate"] = ()) -> bool:
        """Whether its chain leads to one of them now, by way of what was sent along: an expired one is not trusted any
        more."""
        try:
            verifier = PolicyBuilder().store(authorities.store).build_client_verifier()
            verifier.verify(self._x509, [one.x509 for one in sent])
        except (VerificationError, x509.UnsupportedGeneralNameType, ValueError):
            return False
        return True


class Authorities:
    """The CAs a city trusts for client certificates."""

    def __init__(self, path: Path) -> None:
        """Raises OSError or ValueError when the file can't be read."""
        self.store = Store(x509.load_pem_x509_certificates(path.read_bytes()))


@lru_cache(maxsize=512)
def from_pem(text: str) -> Certificate | None:
    """The certificate in a PEM text, or None."""
    try:
        return Certificate(x509.load_pem_x509_certificate(text.encode("ascii")))
    except ValueError:
        return None


@lru_cache(maxsize=512)
def from_der(data: bytes) -> Certificate | None:
    """The certificate in DER, or None."""
    try:
        return Certificate(x509.load_der_x509_certificate(data))
    except ValueError:
        return None


def is_subject(text: str) -> bool:
    """Whether a text is a distinguished name (RFC 4514)."""
    try:
        x509.Name.from_rfc4514_string(text)
    except ValueError:
        return False
    return True


def is_address(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
