"""The one family of failures of this package: what does not verify, and what does not parse. Pure.

Every failure names the check that failed (`check`), in a word a program can compare.
"""


class BadLog(ValueError):
    """Something about a log is not as its specification says."""

    check = "log"

    def __init__(self, detail: str, *, check: str | None = None) -> None:
        super().__init__(detail)
        if check is not None:
            self.check = check


class BadNote(BadLog):
    """A signed note or checkpoint is malformed, or no known key signed it."""

    check = "note"


class BadSignature(BadNote):
    """A signature that had to be right is not, or is not there."""

    check = "signature"


class BadProof(BadLog):
    """An inclusion or consistency proof is malformed or does not lead to the expected root."""

    check = "proof"


class BadTilePath(BadLog):
    """A tile path is not exactly what the specification would write."""

    check = "path"


class BadTile(BadLog):
    """A tile's or bundle's bytes do not fit its path, or the checkpoint."""

    check = "tile"


class Forked(BadProof):
    """The log has signed two histories: the newer tree does not begin with the older one."""

    check = "fork"
