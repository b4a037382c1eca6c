"""Names that only we can take back: an id under another one for each reader, without a table between them.

AES-SIV (RFC 5297), deterministic authenticated encryption: the same id has the same name for the same reader every
time, another one for every other reader, nobody can make a name that we did not give, and who holds two readers' names
cannot tell that they are one person. `identity.subjects` gives names that nobody can take back; these are for
interfaces that hand a name out and expect it back as an address.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from keys.hashing import TokenHasher
from kit.encoding import b64url, b64url_decode

_LONGEST = 200


class Pseudonyms:
    """Names for readers; the key is derived from the city's secret for digests."""

    def __init__(self, hasher: TokenHasher) -> None:
        self._hasher = hasher
        self._cipher: AESSIV | None = None

    def of(self, reader: str, value: str) -> str:
        """The name of an id for a reader."""
        return b64url(self._siv().encrypt(value.encode(), [reader.encode()]))

    def back(self, reader: str, name: str) -> str | None:
        """The id behind a name that this reader was given; None for any other text."""
        if not 0 < len(name) <= _LONGEST:
            return None
        try:
            return self._siv().decrypt(b64url_decode(name), [reader.encode()]).decode()
        except (InvalidTag, ValueError):
            return None

    def _siv(self) -> AESSIV:
        if self._cipher is None:  # the secret is there once the city is open
            self._cipher = AESSIV(self._hasher.digest("pseudonyms", "1") + self._hasher.digest("pseudonyms", "2"))
        return self._cipher
