"""The one family of failures of this package: what does not verify, and what does not parse. Pure."""


class BadLog(ValueError):
    """Something about a log is not as its specification says."""


class BadNote(BadLog):
    """A signed note or checkpoint is malformed, or no known key signed it."""


class BadProof(BadLog):
    """An inclusion or consistency proof is malformed or does not lead to the expected root."""


class BadTilePath(BadLog):
    """A tile path is not exactly what the specification would write."""


class BadTile(BadLog):
    """A tile's or bundle's bytes do not fit its path, or the checkpoint."""
