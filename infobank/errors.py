"""The bank's problems (RFC 9457). Two texts each: what the caller may read, and what only the log may."""

from kit.problems import Forbidden, Invalid, Malformed, NotFound, Problem, TooLarge


class UnknownCategory(Invalid):
    """No data category of that name."""

    slug, title = "unknown-category", "There is no such data category"


class SchemaViolation(Invalid):
    """A record does not fit its category's JSON Schema; `errors` holds JSON pointers (RFC 6901)."""

    slug, title = "schema-violation", "The record does not fit its category"


class RecordTooLarge(TooLarge):
    """A record, or a deposit of many, is over the limit."""

    slug, title = "record-too-large", "The record is too large"


class RecordNotFound(NotFound):
    """No such record for this resident; whether another resident has it is not told."""

    slug, title = "record-not-found", "There is no such record"


class NoCoverage(Forbidden):
    """No category asked for is covered by a consent right now; `reason` and `withheld` say why."""

    slug, title = "no-consent", "No consent covers this at the moment"


class NotASource(Forbidden):
    """The client's member organisation is not a declared source of that category."""

    slug, title = "not-a-source", "This member is not a source of that category"


class NoSubject(Forbidden):
    """The access token speaks for no resident, so there is nobody whose records could be meant."""

    slug, title = "no-resident", "The access token speaks for no resident"


class NoMember(Forbidden):
    """The client belongs to no member organisation, so no agreement could cover what it asks for."""

    slug, title = "no-member", "This client belongs to no member organisation"


class BadUsageQuery(Malformed):
    """The data tracker was asked for somebody else, or for what it cannot read."""

    slug, title = "bad-usage-query", "The question about uses does not hold"


class AccountClosed(NotFound):
    """The owner key is destroyed: nothing of this resident can be read any more."""

    slug, title = "account-closed", "There is nothing here any more"


ALL: tuple[type[Problem], ...] = (
    UnknownCategory,
    SchemaViolation,
    RecordTooLarge,
    RecordNotFound,
    NoCoverage,
    NotASource,
    NoSubject,
    NoMember,
    BadUsageQuery,
    AccountClosed,
)
