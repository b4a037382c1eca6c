"""Problems of accounts, credentials and sessions (RFC 9457), one line each.

Texts are for the person who reads them and say what to do next; none tells whether an account exists.
"""

from kit.problems import Problem


class LoginTaken(Problem):
    """The login name belongs to somebody already."""

    slug, title, status = "login-taken", "This login name is taken", 409


class WeakPassword(Problem):
    """The password is too short or too easy to guess; `reason` is the code the pages translate."""

    slug, title, status = "weak-password", "This password is too easy to guess", 422


class LastWayIn(Problem):
    """Removing this would lock the resident out."""

    slug, title, status = "last-way-in", "This is your last way to sign in", 409


class RecentSignInNeeded(Problem):
    """A change to how one signs in asks for a fresh proof of who is there."""

    slug, title, status = "recent-sign-in-needed", "Please confirm that it is you", 403


class PasskeyRefused(Problem):
    """The passkey's answer did not verify, came too late, or was used before."""

    slug, title, status = "passkey-refused", "The passkey was not accepted", 400


class PasskeySuspended(Problem):
    """The passkey's counter went backwards: it may have been copied."""

    slug, title, status = "passkey-suspended", "This passkey has been stopped", 403


class PasskeyKnown(Problem):
    """This passkey is registered already."""

    slug, title, status = "passkey-known", "This passkey is registered already", 409


class CodeRefused(Problem):
    """The one-time code is wrong, too old or used already."""

    slug, title, status = "code-refused", "The code was not accepted", 422


class AccountClosed(Problem):
    """The account can't be used."""

    slug, title, status = "account-closed", "This account can't be used", 403


class SecondPersonNeeded(Problem):
    """Two members of staff are needed, and this is the same one again, or a third."""

    slug, title, status = "second-person-needed", "This takes a second person", 403


class ResetWaits(Problem):
    """There is a reset of this account that can still be used."""

    slug, title, status = "reset-waits", "A reset waits already", 409


class ResetClosed(Problem):
    """The reset was used, withdrawn or has run out, or the account can't be reset now."""

    slug, title, status = "reset-closed", "This reset can't go on", 409


class VisitClosed(Problem):
    """The visit to the counter is written down, confirmed or over already."""

    slug, title, status = "visit-closed", "This visit can't go on", 409


class MandateClosed(Problem):
    """The mandate or its code was used, has ended, or never was."""

    slug, title, status = "mandate-closed", "This mandate can't go on", 409


class OutsideMandate(Problem):
    """Acting for somebody in what the mandate does not list, or after its end."""

    slug, title, status = "outside-mandate", "Your mandate does not cover this", 403


ALL: tuple[type[Problem], ...] = (
    LoginTaken,
    WeakPassword,
    LastWayIn,
    RecentSignInNeeded,
    PasskeyRefused,
    PasskeySuspended,
    PasskeyKnown,
    CodeRefused,
    AccountClosed,
    SecondPersonNeeded,
    ResetWaits,
    ResetClosed,
    MandateClosed,
    OutsideMandate,
    VisitClosed,
)
