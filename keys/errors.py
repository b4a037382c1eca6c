"""What keys refuses. Problems go to the caller; the others stop a start or tell of damage."""

from kit.problems import Conflict, NotFound, Problem


class BadToken(Problem):
    """A token, proof or credential that could not be verified. `private` says why, to the log only."""

    slug, title, status = "bad-token", "The token could not be verified", 401


class KeyDestroyed(Problem):
    """The data key of this owner was destroyed; what it sealed can never be read again."""

    slug, title, status = "key-destroyed", "This data was erased", 410


class KeyNotFound(NotFound):
    """No key with this id, or no data key for this owner."""

    slug, title = "key-not-found", "There is no such key"


class MoveNotAllowed(Conflict):
    """The key's state does not allow that move (NIST SP 800-57 part 1, section 7)."""

    slug, title = "move-not-allowed", "The key's state does not allow this"


class RotationTooSoon(Conflict):
    """The next key has not been public long enough for every cache to hold it."""

    slug, title = "rotation-too-soon", "The next key is not known everywhere yet"


class SealBroken(Exception):
    """A sealed value does not open: wrong owner, wrong place, or changed bytes. Never told to a caller."""


class RootKeyError(Exception):
    """The start cannot go on; the text is one sentence with the cure."""


class RootKeyMissing(RootKeyError):
    """No root key was given."""


class RootKeyWrong(RootKeyError):
    """The root key given is not the one that sealed this data."""


class RootKeyUnsafe(RootKeyError):
    """The root key is readable by others, or malformed."""


ALL: tuple[type[Problem], ...] = (
    BadToken,
    KeyDestroyed,
    KeyNotFound,
    MoveNotAllowed,
    RotationTooSoon,
)
