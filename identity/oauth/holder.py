"""What a caller proved to hold, for tokens to be bound to: a key (DPoP), a certificate (mutual TLS), both or neither.

RFC 7800 (`cnf`), RFC 9449 section 6.1 (`jkt`), RFC 8705 section 3.1 (`x5t#S256`). Pure.
"""

from dataclasses import dataclass

from keys.hashing import same


@dataclass(frozen=True, slots=True)
class Holder:
    """The thumbprints of what was proved with this request."""

    jkt: str | None = None
    x5t: str | None = None

    @property
    def token_type(self) -> str:
        """RFC 9449 section 5; a token bound to a certificate is used as a bearer token (RFC 8705 section 3)."""
        return "DPoP" if self.jkt is not None else "Bearer"

    def cnf(self) -> dict[str, str]:
        """The confirmation claim; empty for a bearer token."""
        found = {}
        if self.jkt is not None:
            found["jkt"] = self.jkt
        if self.x5t is not None:
            found["x5t#S256"] = self.x5t
        return found

    def holds(self, jkt: str) -> bool:
        """Whether the proved key is that one."""
        return self.jkt is not None and same(self.jkt, jkt)


NOTHING = Holder()
