"""Problems of the member, client and grant APIs, and of every API that takes an access token (RFC 9457)."""

from kit.problems import Problem


class UnknownMember(Problem):
    """No such member."""

    slug, title, status = "unknown-member", "There is no such member", 404


class UnknownClient(Problem):
    """No such client."""

    slug, title, status = "unknown-client", "There is no such client", 404


class UnknownGrant(Problem):
    """No such grant, or not this resident's."""

    slug, title, status = "unknown-grant", "There is no such grant", 404


class UnknownInteraction(Problem):
    """The page waited too long, was finished already, or belongs to somebody else."""

    slug, title, status = "unknown-interaction", "This request is no longer open; start again at the service", 404


class MemberState(Problem):
    """The member's status does not allow the step."""

    slug, title, status = "member-state", "The member's status does not allow this", 409


class ChangeGone(Problem):
    """The change that was looked at is not the one that waits."""

    slug, title, status = "change-gone", "This change does not wait any more", 409


class InvalidClientMetadata(Problem):
    """A client's metadata can't be accepted (RFC 7591 section 3.2.2)."""

    slug, title, status = "invalid-client-metadata", "The client's settings need correction", 422


class UnknownRegistrationToken(Problem):
    """No such registration token, or it was withdrawn."""

    slug, title, status = "unknown-registration-token", "There is no such registration token", 404


class TokenRequired(Problem):
    """No access token was sent (RFC 6750 section 3: a bare challenge, no error code)."""

    slug, title, status = "token-required", "An access token is needed here", 401


class TokenRefused(Problem):
    """The access token is not honoured (RFC 6750 section 3.1, `invalid_token`)."""

    slug, title, status = "token-refused", "The access token is not valid here", 401


class TokenTooNarrow(Problem):
    """The access token lacks a scope (RFC 6750 section 3.1, `insufficient_scope`)."""

    slug, title, status = "token-too-narrow", "The access token does not allow this", 403


class SignInTooWeak(Problem):
    """The token is good, but was got with a weaker or older sign-in than this needs (RFC 9470 section 3)."""

    slug, title, status = "sign-in-too-weak", "The resident must sign in again for this", 401


class AmbiguousToken(Problem):
    """More than one way of sending a token at once (RFC 6750 section 2)."""

    slug, title, status = "ambiguous-token", "Send the access token once, in the Authorization header", 400


class ProofRefused(Problem):
    """The DPoP proof does not fit the token or the request (RFC 9449 section 7.1)."""

    slug, title, status = "proof-refused", "The DPoP proof is not valid here", 401


class SignalRefused(Problem):
    """A request to a stream of signals can't be (SSF 1.0 sections 8.1.1 to 8.1.4: 400)."""

    slug, title, status = "signal-refused", "This can't be asked of a stream of signals", 400


class UnknownSignalStream(Problem):
    """No such stream, or somebody else's: the answer does not tell which."""

    slug, title, status = "unknown-signal-stream", "There is no such stream of yours", 404


class SignalStreamExists(Problem):
    """One stream for each client (SSF 1.0 section 8.1.1.1: 409)."""

    slug, title, status = "signal-stream-exists", "You have a stream already", 409


class InvalidSubordinate(Problem):
    """What an operator wants to say of an entity below this city can't stand (OpenID Federation 1.0 section 3.2)."""

    slug, title, status = "invalid-subordinate", "The subordinate's settings need correction", 422


class UnknownSubordinate(Problem):
    """This city vouches for no such entity."""

    slug, title, status = "unknown-subordinate", "This city vouches for no such entity", 404


class SubordinateState(Problem):
    """What is asked doesn't fit how the subordinate stands."""

    slug, title, status = "subordinate-state", "The subordinate does not stand so", 409


class UnknownTrustMark(Problem):
    """No such trust mark was given, or it was taken back already."""

    slug, title, status = "unknown-trust-mark", "There is no such trust mark", 404


class EntityRefused(Problem):
    """No chain leads from an entity to a trust anchor (OpenID Federation 1.0 section 10.2)."""

    slug, title, status = "entity-refused", "This entity is not trusted", 422


ALL: tuple[type[Problem], ...] = (
    InvalidSubordinate,
    UnknownSubordinate,
    SubordinateState,
    UnknownTrustMark,
    EntityRefused,
    UnknownMember,
    UnknownClient,
    UnknownGrant,
    UnknownInteraction,
    MemberState,
    ChangeGone,
    InvalidClientMetadata,
    UnknownRegistrationToken,
    TokenRequired,
    TokenRefused,
    TokenTooNarrow,
    SignInTooWeak,
    AmbiguousToken,
    ProofRefused,
    SignalRefused,
    UnknownSignalStream,
    SignalStreamExists,
)
