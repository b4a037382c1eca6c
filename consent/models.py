"""The tables of consent. Private to this package.

A resident appears as an opaque account id only. What an event says (type, time, actor, text agreed to), its salt and
its leaf in the ledger are sealed under the resident's data key: with the key destroyed nobody can link a leaf any more.
"""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from kit.db import unique_where

_STANDS = "state = 'given'"


class Agreement(SQLModel, table=True):
    """What a member proposes to do with residents' data; its content is in revisions."""

    __tablename__ = "consent_agreement"

    id: str = Field(primary_key=True, max_length=40)
    member_id: str = Field(index=True, max_length=40)
    status: str = Field(max_length=16, description="offered | approved | withdrawn")
    current_id: str | None = Field(default=None, max_length=40, description="The approved revision in force")
    latest: int = Field(description="The highest revision number")
    created_at: int = Field(sa_type=BigInteger)
    changed_at: int = Field(sa_type=BigInteger)


class AgreementRevision(SQLModel, table=True):
    """One immutable version; only its status moves."""

    __tablename__ = "consent_revision"
    __table_args__ = (Index("uq_consent_revision_agreement_number", "agreement_id", "number", unique=True),)

    id: str = Field(primary_key=True, max_length=40)
    agreement_id: str = Field(max_length=40, foreign_key="consent_agreement.id")
    number: int
    status: str = Field(max_length=16, description="draft | offered | approved | superseded | returned | withdrawn")
    body: str = Field(sa_type=Text, description="The hashed text itself: canonical JSON (RFC 8785)")
    hash: str = Field(max_length=64, description="SHA-256 of body, hexadecimal")
    created_at: int = Field(sa_type=BigInteger)
    decided_at: int | None = Field(default=None, sa_type=BigInteger)
    proposed_by: str | None = Field(default=None, max_length=40, description="Whoever of the staff; may not approve it")
    decided_by: str | None = Field(default=None, max_length=40)
    proposed_via: str | None = Field(default=None, max_length=40, description="The client that sent it, if no person")
    endorsed_by: str | None = Field(
        default=None, max_length=40, description="The first of two who approve what no person proposed"
    )
    endorsed_at: int | None = Field(default=None, sa_type=BigInteger)


class Record(SQLModel, table=True):
    """A resident's standing answer to an agreement: what the events fold to, as far as a decision needs it."""

    __tablename__ = "consent_record"
    __table_args__ = (
        Index("ix_consent_record_account_member", "account_id", "member_id"),
        Index("ix_consent_record_state_until", "state", "until_at"),
        # One standing consent for each agreement: two would make withdrawal ambiguous.
        unique_where("uq_consent_record_standing", "account_id", "agreement_id", where="state = 'given'"),
        # And one open question: whoever asks twice finds the first one.
        unique_where("uq_consent_record_open", "account_id", "agreement_id", where="state = 'requested'"),
        # Who stands under an earlier revision and has not been told of the one in force: found without a walk.
        Index(
            "ix_consent_record_standing_revision",
            "revision_id",
            "seen_id",
            sqlite_where=text(_STANDS),
            info={"where": _STANDS},
        ),
    )

    id: str = Field(primary_key=True, max_length=40)
    account_id: str = Field(max_length=40)
    member_id: str = Field(max_length=40)
    agreement_id: str = Field(index=True, max_length=40, foreign_key="consent_agreement.id")
    revision_id: str = Field(max_length=40, foreign_key="consent_revision.id")
    state: str = Field(max_length=16, description="consent.states.State")
    purpose: str = Field(max_length=64)
    categories: str = Field(sa_type=Text, description="Codes, separated by spaces")
    until_at: int = Field(sa_type=BigInteger)
    events: int = Field(description="How many events there are: the next one's place")
    notified_until: int | None = Field(
        default=None, sa_type=BigInteger, description="The end the resident was told is coming"
    )
    seen_id: str | None = Field(
        default=None, max_length=40, description="The newest revision the resident was told of or asked about"
    )
    instruction_id: str | None = Field(
        default=None,
        max_length=40,
        description="The standing instruction that gave the last answer; None: a person did",
    )
    created_at: int = Field(sa_type=BigInteger)
    changed_at: int = Field(sa_type=BigInteger)


class ConsentEvent(SQLModel, table=True):
    """One event of a record; append-only."""

    __tablename__ = "consent_event"
    __table_args__ = (Index("uq_consent_event_record_seq", "record_id", "seq", unique=True),)

    id: str = Field(primary_key=True, max_length=40)
    record_id: str = Field(max_length=40, foreign_key="consent_record.id")
    account_id: str = Field(index=True, max_length=40)
    seq: int
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False), description="Event, salt and leaf id")


class Instruction(SQLModel, table=True):
    """A standing instruction as it is now; what it says is sealed in its events."""

    __tablename__ = "consent_instruction"
    __table_args__ = (Index("ix_consent_instruction_account_state", "account_id", "state"),)

    id: str = Field(primary_key=True, max_length=40)
    account_id: str = Field(max_length=40)
    state: str = Field(max_length=16, description="active | stopped | expired")
    revision: int = Field(description="How often it was stated: each change is a revision")
    events: int = Field(description="How many events there are: the next one's place")
    since_at: int = Field(sa_type=BigInteger, description="When the revision in force was stated")
    until_at: int = Field(index=True, sa_type=BigInteger)


class InstructionEvent(SQLModel, table=True):
    """One event of a standing instruction; append-only."""

    __tablename__ = "consent_instruction_event"
    __table_args__ = (Index("uq_consent_instruction_event_seq", "instruction_id", "seq", unique=True),)

    id: str = Field(primary_key=True, max_length=40)
    instruction_id: str = Field(max_length=40, foreign_key="consent_instruction.id")
    account_id: str = Field(index=True, max_length=40)
    seq: int
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False), description="Event, salt and leaf id")


class Import(SQLModel, table=True):
    """A consent as another system wrote it down: evidence, and no decision reads it."""

    __tablename__ = "consent_import"
    __table_args__ = (Index("uq_consent_import_account_digest", "account_id", "digest", unique=True),)

    id: str = Field(primary_key=True, max_length=40)
    account_id: str = Field(max_length=40)
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False), description="Keyed hash of what was taken in")
    sealed: bytes = Field(
        sa_column=Column(LargeBinary, nullable=False), description="The document, where it came from, what came of it"
    )
    taken_at: int = Field(sa_type=BigInteger)


class Reach(SQLModel, table=True):
    """How many people answered an agreement, as of the last time it could be told, in tens (see consent.reach)."""

    __tablename__ = "consent_reach"

    agreement_id: str = Field(primary_key=True, max_length=40)
    at: int = Field(sa_type=BigInteger, description="When; 0 while nothing may be told")
    enough: int = Field(description="How many people must have moved before the next time; nobody's to know")
    answered: int
    agreed: int
    refused: int
    ended: int


class Campaign(SQLModel, table=True):
    """Asking everybody who agreed to an earlier text whether they agree to a materially changed one.

    One for each revision, ever: to cancel and begin anew would be to ask again.
    """

    __tablename__ = "consent_campaign"

    id: str = Field(primary_key=True, max_length=40)
    agreement_id: str = Field(index=True, max_length=40, foreign_key="consent_agreement.id")
    revision_id: str = Field(unique=True, max_length=40, foreign_key="consent_revision.id")
    state: str = Field(max_length=16, description="consent.campaign_rules.State")
    begins_at: int = Field(sa_type=BigInteger)
    deadline_at: int = Field(sa_type=BigInteger)
    last_until_at: int = Field(sa_type=BigInteger, description="When the last one asked has had their time")
    per_hour: int
    reminders: int
    next_at: int = Field(sa_type=BigInteger, description="Nobody is asked or reminded before")
    paused_at: int | None = Field(default=None, sa_type=BigInteger)
    started_by: str = Field(max_length=40)
    created_at: int = Field(sa_type=BigInteger)
    closed_at: int | None = Field(default=None, sa_type=BigInteger)
    shown_at: int = Field(default=0, sa_type=BigInteger, description="When progress was last published; 0 for never")
    enough: int = Field(description="How many people must have moved before the next time; nobody's to know")
    agreed: int = 0
    partly: int = 0
    refused: int = 0
    waiting: int = 0
    ended: int = 0


class Ask(SQLModel, table=True):
    """Somebody was asked in a campaign: when, how often reminded, until when, and how it came out."""

    __tablename__ = "consent_ask"
    __table_args__ = (Index("ix_consent_ask_campaign_due", "campaign_id", "due_at"),)

    campaign_id: str = Field(primary_key=True, max_length=40, foreign_key="consent_campaign.id")
    record_id: str = Field(primary_key=True, index=True, max_length=40)
    state: str = Field(max_length=16, description="waiting | agreed | partly | refused | ended")
    asked_at: int = Field(sa_type=BigInteger)
    until_at: int = Field(sa_type=BigInteger, description="What was agreed to before ends then")
    reminded: int = 0
    due_at: int | None = Field(default=None, sa_type=BigInteger, description="When to look again; None when it is over")
    answered_at: int | None = Field(default=None, sa_type=BigInteger)


class StatusPlace(SQLModel, table=True):
    """A place in a status list that was taken. By whom is sealed with the event; here nobody is named."""

    __tablename__ = "consent_status"
    __table_args__ = (Index("ix_consent_status_ended", "number", "ended"),)

    number: int = Field(primary_key=True, description="Which list")
    idx: int = Field(primary_key=True, description="Drawn at random")
    ended: bool = Field(description="The event that took it is not its record's last any more")


class Showing(SQLModel, table=True):
    """A receipt that its resident shows to somebody for a few minutes."""

    __tablename__ = "consent_showing"
    __table_args__ = (
        Index("uq_consent_showing_digest", "digest", unique=True),
        Index("uq_consent_showing_consent", "consent_id", unique=True),
    )

    id: str = Field(primary_key=True, max_length=40)
    digest: bytes = Field(
        sa_column=Column(LargeBinary, nullable=False), description="Keyed hash of the address's secret"
    )
    account_id: str = Field(index=True, max_length=40)
    consent_id: str = Field(max_length=40)
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False), description="The file and its name")
    until_at: int = Field(index=True, sa_type=BigInteger)


class Hold(SQLModel, table=True):
    """Sharing with a member is held (an incident): every decision refuses while the row is there."""

    __tablename__ = "consent_hold"

    member_id: str = Field(primary_key=True, max_length=40)
    since_at: int = Field(sa_type=BigInteger)
    reason: str = Field(max_length=80, description="A code or an incident id")


class Dummy(SQLModel, table=True):
    """A ledger entry that stands for nothing. Outside nobody can tell; inside, this row says so (invariant I2)."""

    __tablename__ = "consent_dummy"

    leaf_id: str = Field(primary_key=True, max_length=64)
    at: int = Field(sa_type=BigInteger)


class Stream(SQLModel, table=True):
    """A service follows the changes of consents: how it gets them, and whose."""

    __tablename__ = "consent_stream"

    client_id: str = Field(primary_key=True, max_length=40)
    member_id: str = Field(index=True, max_length=40)
    everyone: bool = Field(description="Changes of all recipients' consents, not only of those for its own member")
    endpoint: str | None = Field(default=None, sa_type=Text, description="Pushed there; without one the service polls")
    authorization: bytes | None = Field(
        default=None, sa_column=Column(LargeBinary), description="Header for the pushes, sealed"
    )
    opened_at: int = Field(sa_type=BigInteger)


class Ending(SQLModel, table=True):
    """A consent ended, and its recipient owes a confirmation: who was told when, who confirmed it, with what."""

    __tablename__ = "consent_ending"
    __table_args__ = (Index("ix_consent_ending_open", "confirmed_at", "escalated_at", "made_at"),)

    id: str = Field(primary_key=True, max_length=40)
    consent_id: str = Field(index=True, max_length=40)
    account_id: str = Field(index=True, max_length=40, description="Empty once the resident has left")
    member_id: str = Field(index=True, max_length=40)
    agreement_id: str = Field(max_length=40)
    cause: str = Field(max_length=16, description="withdrawn | expired | invalidated | ended")
    seq: int = Field(description="The place of the event that ended it")
    made_at: int = Field(sa_type=BigInteger)
    told_at: int | None = Field(default=None, sa_type=BigInteger, description="A service of the recipient took word")
    confirmed_at: int | None = Field(default=None, sa_type=BigInteger)
    confirmed_by: str | None = Field(default=None, max_length=40, description="The client that signed")
    data: str | None = Field(default=None, max_length=16, description="erased | kept")
    statement: str | None = Field(default=None, sa_type=Text, description="The recipient's JWS, as it was sent")
    statement_key: str | None = Field(default=None, sa_type=Text, description="The public key it verifies under (JWK)")
    escalated_at: int | None = Field(default=None, sa_type=BigInteger)
