"""Client certificates that a proxy saw: the `Client-Cert` header.

RFC 9440 section 2.2: the DER of the certificate as a byte sequence of RFC 8941, `:base64:`. The proxy has checked that
the caller holds the key. Whether the certificate comes from one of the city's CAs is judged here; one that does not is
still good for what needs no CA (RFC 8705 section 2.2, and binding tokens).
"""

import base64
import binascii
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

_LONGEST = 16_384


class ProxiedCertificates:
    """Reads the header into what the TLS listener would have said of the connection."""

    def __init__(self, cas: Path | None) -> None:
        """Raises OSError or ValueError when the CA file can't be read."""
        self._store = Store(x509.load_pem_x509_certificates(cas.read_bytes())) if cas is not None else None
        self._read = lru_cache(maxsize=512)(self._judge)

    def __call__(self, header: bytes) -> dict[str, Any] | None:
        """The TLS extension of the scope; None for a header that is not a certificate."""
        if len(header) > _LONGEST or not (header.startswith(b":") and header.endswith(b":")):
            return None
        found = self._read(header)
        if found is None:
            return None
        certificate, pem = found
        return {"client_cert_chain": [pem], "trusted": self._from_a_ca(certificate)}

    def _judge(self, header: bytes) -> tuple[x509.Certificate, str] | None:
        try:
            der = base64.b64decode(header[1:-1], validate=True)
            certificate = x509.load_der_x509_certificate(der)
        except (ValueError, binascii.Error):
            return None
        return certificate, certificate.public_bytes(Encoding.PEM).decode("ascii")

    def _from_a_ca(self, certificate: x509.Certificate) -> bool:
        """By the clock of each request: a certificate that has expired since is not trusted any more."""
        if self._store is None:
            return False
        try:
            PolicyBuilder().store(self._store).build_client_verifier().verify(certificate, [])
        except (VerificationError, x509.UnsupportedGeneralNameType, ValueError):
            return False
        return True
