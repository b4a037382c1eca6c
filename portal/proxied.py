"""Client certificates that a proxy saw: the `Client-Cert` header.

RFC 9440 section 2.2: the DER of the certificate as a byte sequence of RFC 8941, `:base64:`. The proxy has checked that
the caller holds the key. Whether the certificate comes from one of the city's CAs is judged here; one that does not is
still good for what needs no CA (RFC 8705 section 2.2, and binding tokens).
"""

import base64
import binascii
from pathlib import Path
from typing import Any

from keys.certificates import Authorities, from_der

_LONGEST = 16_384


class ProxiedCertificates:
    """Reads the header into what the TLS listener would have said of the connection."""

    def __init__(self, cas: Path | None) -> None:
        """Raises OSError or ValueError when the CA file can't be read."""
        self._authorities = Authorities(cas) if cas is not None else None

    def __call__(self, header: bytes) -> dict[str, Any] | None:
        """The TLS extension of the scope; None for a header that is not a certificate."""
        if len(header) > _LONGEST or not (header.startswith(b":") and header.endswith(b":")):
            return None
        try:
            found = from_der(base64.b64decode(header[1:-1], validate=True))
        except (ValueError, binascii.Error):
            return None
        if found is None:
            return None
        trusted = self._authorities is not None and found.comes_from(self._authorities)
        return {"client_cert_chain": [found.pem], "trusted": trusted}
