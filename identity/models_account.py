"""Tables of accounts, credentials and browser sessions.

What identifies a person is sealed under the account's own data key (`profile`, `password`, `secret`, `name`,
`device`); what must be looked up is a keyed hash (`login_hash`, `token_hash`, `code_hash`). Destroying the
account's key therefore forgets the person and every credential at once.
"""

from sqlalchemy import JSON, BigInteger, Column, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from kit.db import metadata as _metadata  # the naming rules must be set before the first table

assert _metadata is SQLModel.metadata


class Account(SQLModel, table=True):
    """One person who can sign in: a resident or a member of staff."""

    __tablename__ = "identity_account"

    id: str = Field(primary_key=True)
    kind: str  # "resident" | "staff"
    roles: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    status: str = "active"  # "active" | "suspended" | "closed"
    login_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary, unique=True, nullable=True))
    profile: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    # The argon2id string, sealed: a stolen table can't be guessed against without the key manager.
    password: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    password_at: int | None = Field(default=None, sa_type=BigInteger)
    created_at: int = Field(sa_type=BigInteger)
    closed_at: int | None = Field(default=None, sa_type=BigInteger)


class Passkey(SQLModel, table=True):
    """A WebAuthn credential: public key and counter; the private key never leaves the resident's device."""

    __tablename__ = "identity_passkey"

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="identity_account.id", index=True)
    credential_id: bytes = Field(sa_column=Column(LargeBinary, unique=True, nullable=False))
    public_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sign_count: int = Field(sa_type=BigInteger)
    transports: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    aaguid: str
    synced: bool  # kept by a password manager on several devices, or on one piece of hardware
    name: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    status: str = "active"  # "active" | "suspended" (its counter went backwards)
    created_at: int = Field(sa_type=BigInteger)
    used_at: int | None = Field(default=None, sa_type=BigInteger)


class PasskeyChallenge(SQLModel, table=True):
    """A WebAuthn challenge that waits for its one answer."""

    __tablename__ = "identity_passkey_challenge"

    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    purpose: str  # "sign-in" | "register"
    holder: str  # the account or the sign-up it was made for; "" for a sign-in, where nobody is known yet
    expires_at: int = Field(sa_type=BigInteger, index=True)


class Totp(SQLModel, table=True):
    """The time-based one-time password of an account: one confirmed secret, and one being set up."""

    __tablename__ = "identity_totp"

    account_id: str = Field(primary_key=True, foreign_key="identity_account.id")
    secret: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    # The last time step that was accepted: RFC 6238 section 5.2, a code is accepted once.
    last_step: int = Field(default=0, sa_type=BigInteger)
    confirmed_at: int | None = Field(default=None, sa_type=BigInteger)
    pending: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    pending_at: int | None = Field(default=None, sa_type=BigInteger)


class RecoveryCode(SQLModel, table=True):
    """One look-up secret, kept as a keyed hash, usable once."""

    __tablename__ = "identity_recovery_code"
    __table_args__ = (UniqueConstraint("account_id", "code_hash", name="uq_identity_recovery_code"),)

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="identity_account.id", index=True)
    code_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: int = Field(sa_type=BigInteger)
    used_at: int | None = Field(default=None, sa_type=BigInteger)


class SessionRow(SQLModel, table=True):
    """A browser that is signed in. The cookie's token is kept only as a keyed hash."""

    __tablename__ = "identity_session"

    id: str = Field(primary_key=True)
    token_hash: bytes = Field(sa_column=Column(LargeBinary, unique=True, nullable=False))
    account_id: str = Field(foreign_key="identity_account.id", index=True)
    acr: str
    amr: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    device: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    auth_at: int = Field(sa_type=BigInteger)
    seen_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    mandate_id: str | None = None  # for whom this browser acts at the moment, under which mandate


class Attempt(SQLModel, table=True):
    """A sign-in or sign-up that is half done: what was proved or written so far, for a few minutes."""

    __tablename__ = "identity_attempt"

    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    purpose: str  # "sign-in" | "sign-up" | "reset"
    account_id: str | None = Field(default=None, index=True)
    notes: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    tries: int = 0
    expires_at: int = Field(sa_type=BigInteger, index=True)


class Throttle(SQLModel, table=True):
    """How much patience is left for one account or one source (keyed hash of its name)."""

    __tablename__ = "identity_throttle"

    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    free_at: int = Field(sa_type=BigInteger, index=True)
    failures: int = 0


class EmailChange(SQLModel, table=True):
    """An e-mail address on its way: proved by the code sent to it, then waiting if another is proved already."""

    __tablename__ = "identity_email_change"

    account_id: str = Field(primary_key=True, foreign_key="identity_account.id")
    address: bytes = Field(sa_column=Column(LargeBinary, nullable=False))  # sealed; "" takes the address away
    code_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    tries: int = 0
    asked_at: int = Field(sa_type=BigInteger)
    ready_at: int | None = Field(default=None, sa_type=BigInteger, index=True)
    expires_at: int = Field(sa_type=BigInteger, index=True)


class KnownBrowser(SQLModel, table=True):
    """A browser that somebody signed in with before: keyed hash of its own random number and the account."""

    __tablename__ = "identity_browser"

    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    account_id: str = Field(foreign_key="identity_account.id", index=True)
    seen_at: int = Field(sa_type=BigInteger, index=True)


class Mandate(SQLModel, table=True):
    """Who may act for whom: agreed by both, or a guardian's, checked at the counter by two."""

    __tablename__ = "identity_mandate"

    id: str = Field(primary_key=True)
    kind: str  # "guardian" | "delegate"
    subject_id: str = Field(foreign_key="identity_account.id", index=True)
    holder_id: str | None = Field(default=None, foreign_key="identity_account.id", index=True)
    status: str  # "offered" | "accepted" | "checked" | "active" | "ended"
    actions: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    purposes: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))  # none: all
    proof: str  # "both", or the document that was seen
    opened_by: str
    opened_at: int = Field(sa_type=BigInteger)
    until_at: int = Field(sa_type=BigInteger, index=True)
    # The code that the person gives away, as a keyed hash; empty once it is used.
    code_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary, unique=True, nullable=True))
    code_until: int | None = Field(default=None, sa_type=BigInteger)
    changed_at: int | None = Field(default=None, sa_type=BigInteger)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    why: str = ""


class Reset(SQLModel, table=True):
    """A new way in for a resident who lost all: opened by one operator, approved by another, used once."""

    __tablename__ = "identity_reset"

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="identity_account.id", index=True)
    status: str = "open"  # "open" | "approved" | "used" | "withdrawn"
    reason: str
    evidence: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    # The code that operator B hands over, as a keyed hash; empty before the approval and after the end.
    code_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary, unique=True, nullable=True))
    opened_by: str
    opened_at: int = Field(sa_type=BigInteger)
    approved_by: str | None = None
    approved_at: int | None = Field(default=None, sa_type=BigInteger)
    closed_by: str | None = None
    closed_at: int | None = Field(default=None, sa_type=BigInteger)
    # The code counts from then on, so that whoever is warned can stop it; empty: at once.
    ready_at: int | None = Field(default=None, sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)
