"""Client certificates that a proxy saw: the `Client-Cert` and `Client-Cert-Chain` headers.

RFC 9440 section 2.2: the DER of the certificate as a byte sequence of RFC 8941, `:base64:`; section 2.3: a list of
such, in one line or several, of what was sent along with it. The proxy has checked that the caller holds the key.
Whether the certificate comes from one of the city's CAs is judged here; one that does not is still good for what needs
no CA (RFC 8705 section 2.2, and binding tokens). A chain that a stranger smuggled past a proxy gives nobody
a path they have not: each of its certificates must be signed from an anchor down, as in the handshake.
"""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keys.certificates import MOST_SENT, Authorities, Certificate, from_der

_LONGEST = 16_384


class ProxiedCertificates:
    """Reads the headers into what the TLS listener would have said of the connection."""

    def __init__(self, cas: Path | None) -> None:
        """Raises OSError or ValueError when the CA file can't be read."""
        self._authorities = Authorities(cas) if cas is not None else None

    def __call__(self, header: bytes, chain: Sequence[bytes] = ()) -> dict[str, Any] | None:
        """The TLS extension of the scope; None for a header that is not a certificate."""
        found = _read(header)
        if found is None:
            return None
        sent = _read_all(chain)
        trusted = self._authorities is not None and found.comes_from(self._authorities, sent)
        return {"client_cert_chain": [found.pem, *(one.pem for one in sent)], "trusted": trusted}


def _read(item: bytes) -> Certificate | None:
    if len(item) > _LONGEST or not (item.startswith(b":") and item.endswith(b":")):
        return None
    try:
        return from_der(base64.b64decode(item[1:-1], validate=True))
    except (ValueError, binascii.Error):
        return None


def _read_all(lines: Sequence[bytes]) -> list[Certificate]:
    """The list, or nothing: one that does not parse is ignored as a whole (RFC 8941 section 4.2), and so is one that is
    longer than a path."""
    if not lines or sum(map(len, lines)) > MOST_SENT * _LONGEST:
        return []
    items = b",".join(lines).split(b",", MOST_SENT)
    found = [one for item in items if (one := _read(item.strip(b" \t"))) is not None]
    return found if len(found) == len(items) else []
