"""Tables of members, clients, grants and everything OAuth keeps.

Secrets are keyed hashes. Nothing here names a person: an account id is opaque. Hot rows carry their small lists as
space-separated text and their requests as JSON text, so that a hot path moves plain strings. Rows that expire are
indexed by `expires_at` and swept by `identity.oauth.housekeeping`.
"""

from sqlalchemy import JSON, BigInteger, Column, Integer, LargeBinary, Text
from sqlmodel import Field, Index, SQLModel

_ROWID = BigInteger().with_variant(Integer, "sqlite")


class Member(SQLModel, table=True):
    """An organisation that may hold clients and, once approved, agreements."""

    __tablename__ = "identity_member"

    id: str = Field(primary_key=True)
    name_ja: str
    name_en: str
    status: str = Field(default="applied", description="applied | approved | suspended")
    site: str | None = Field(default=None, description="Public web address")
    accreditation: dict[str, object] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    source_categories: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    created_at: int = Field(sa_type=BigInteger)
    changed_at: int = Field(sa_type=BigInteger)


class ClientRow(SQLModel, table=True):
    """An OAuth client. `settings` holds its validated metadata (see identity.clients)."""

    __tablename__ = "identity_client"

    id: str = Field(primary_key=True)
    member_id: str | None = Field(default=None, foreign_key="identity_member.id", index=True)
    name_ja: str
    name_en: str
    status: str = Field(default="active", description="active | suspended | removed")
    secret_digest: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    secret_expires_at: int | None = Field(default=None, sa_type=BigInteger)
    former_digest: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    former_until: int | None = Field(default=None, sa_type=BigInteger, description="Two secrets overlap until then")
    former_keys: dict[str, object] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True), nullable=True), description="`jwks` or `jwks_uri`"
    )
    former_keys_until: int | None = Field(default=None, sa_type=BigInteger, description="Both sets are good until then")
    settings: dict[str, object] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    created_at: int = Field(sa_type=BigInteger)
    changed_at: int = Field(sa_type=BigInteger)


class ClientKeyUse(SQLModel, table=True):
    """When a client last proved itself with a key of its own, by thumbprint (RFC 7638), to within ten minutes."""

    __tablename__ = "identity_client_key_use"

    client_id: str = Field(primary_key=True)
    thumbprint: str = Field(primary_key=True)
    used_at: int = Field(sa_type=BigInteger)


class ClientChange(SQLModel, table=True):
    """New keys or a new secret for a client that one operator wants, where a second one must want them too."""

    __tablename__ = "identity_client_change"

    client_id: str = Field(primary_key=True, foreign_key="identity_client.id")
    id: str = Field(description="What was looked at is what is approved")
    kind: str = Field(description="keys | secret")
    keys: dict[str, object] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    overlap_seconds: int
    proposed_by: str
    proposed_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)


class ClientLogo(SQLModel, table=True):
    """A client's logo as it was fetched from `logo_uri`, served by the hash of its bytes."""

    __tablename__ = "identity_client_logo"

    client_id: str = Field(primary_key=True, foreign_key="identity_client.id")
    uri: str = Field(sa_type=Text)
    status: str = Field(default="waiting", description="waiting | shown | refused")
    reason: str = Field(default="", description="Why it is not shown, or could not be looked at again")
    digest: str | None = Field(default=None, index=True)
    media_type: str | None = None
    body: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    fetched_at: int | None = Field(default=None, sa_type=BigInteger)
    next_at: int = Field(sa_type=BigInteger, index=True, description="When it is looked at again")


class InitialToken(SQLModel, table=True):
    """An initial access token (RFC 7591 section 1.2): an operator's leave to register so many clients."""

    __tablename__ = "identity_initial_token"

    id: str = Field(primary_key=True)
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    member_id: str | None = Field(default=None, foreign_key="identity_member.id")
    scope: str = Field(description="Scopes its clients may register, space-separated")
    uses_left: int
    created_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)


class ClientEnrolment(SQLModel, table=True):
    """How a client came by itself, and the registration access token (RFC 7592) it manages itself with."""

    __tablename__ = "identity_client_enrolment"

    client_id: str = Field(primary_key=True, foreign_key="identity_client.id")
    kind: str = Field(description="open | token")
    scope: str = Field(description="Scopes it may register, space-separated")
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    former_digest: bytes | None = Field(
        default=None, sa_column=Column(LargeBinary, nullable=True), description="Good until the newer one is used"
    )
    created_at: int = Field(sa_type=BigInteger)
    seen_at: int = Field(sa_type=BigInteger, index=True, description="When it last managed itself")
    sector_rule: int = Field(
        default=0, sa_column_kwargs={"server_default": "0"}, description="By which rule its sector was judged"
    )


class SessionClient(SQLModel, table=True):
    """Which clients a browser session signed in at: whom its end is told. `named` is the session they know it as."""

    __tablename__ = "identity_session_client"

    session_id: str = Field(primary_key=True)
    client_id: str = Field(primary_key=True)
    named: str = Field(primary_key=True)
    account_id: str
    created_at: int = Field(sa_type=BigInteger, index=True)


class GrantRow(SQLModel, table=True):
    """What one resident lets one client do.

    Kind `sign-in` is remembered, `data` is tied to consents; `managed` was asked for apart (Grant Management) and holds
    scopes alone.
    """

    __tablename__ = "identity_grant"
    __table_args__ = (Index("ix_identity_grant_account_client", "account_id", "client_id"),)

    id: str = Field(primary_key=True)
    account_id: str
    client_id: str = Field(index=True)
    kind: str = Field(description="sign-in | data | managed")
    scopes: str = Field(description="Space-separated")
    details: str = Field(default="", sa_type=Text, description="JSON array of granted authorization details, or empty")
    status: str = Field(default="active", description="active | revoked")
    generation: int = Field(
        default=0, sa_column_kwargs={"server_default": "0"}, description="Grows when it is replaced: older tokens end"
    )
    created_at: int = Field(sa_type=BigInteger)
    changed_at: int = Field(sa_type=BigInteger)


class GrantConsent(SQLModel, table=True):
    """Which consent records a grant rests on."""

    __tablename__ = "identity_grant_consent"

    grant_id: str = Field(primary_key=True, foreign_key="identity_grant.id")
    consent_id: str = Field(primary_key=True, index=True)


class InteractionRow(SQLModel, table=True):
    """An authorization request that waits for a person."""

    __tablename__ = "identity_interaction"

    id: str = Field(primary_key=True)
    client_id: str
    account_id: str | None = None
    par: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    request: str = Field(sa_type=Text, description="JSON of the checked request")
    status: str = Field(default="open", description="open | approved | refused")
    created_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)


class Code(SQLModel, table=True):
    """An authorization code, by its keyed hash. `used_at` is set by the one exchange that wins."""

    __tablename__ = "identity_code"

    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    chain: str = Field(description="Names everything issued from this code")
    client_id: str
    account_id: str
    grant_id: str
    request: str = Field(sa_type=Text, description="JSON of what the exchange needs")
    used_at: int | None = Field(default=None, sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)


class PushedRequest(SQLModel, table=True):
    """A pushed authorization request, by its keyed hash. Spent when its authorization completes."""

    __tablename__ = "identity_par"

    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    client_id: str
    request: str = Field(sa_type=Text)
    used_at: int | None = Field(default=None, sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)


class DecoupledRow(SQLModel, table=True):
    """A request made on one device and answered on another (RFC 8628, CIBA), by the keyed hash of its secret."""

    __tablename__ = "identity_decoupled"

    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    user_digest: bytes | None = Field(
        default=None, sa_column=Column(LargeBinary, nullable=True, unique=True), description="Of the user code"
    )
    chain: str = Field(description="Names everything issued from it")
    client_id: str = Field(index=True)
    request: str = Field(sa_type=Text, description="JSON of the checked request")
    status: str = Field(default="pending", description="pending | approved | refused | outdated | used")
    account_id: str | None = Field(
        default=None, index=True, description="Who took it up, or was asked: nobody else answers it"
    )
    interaction_id: str | None = Field(default=None, description="Where who was asked answers it (CIBA)")
    ping: bytes | None = Field(
        default=None,
        sa_column=Column(LargeBinary, nullable=True),
        description="Sealed: how to tell the service; gone when it is answered",
    )
    grant_id: str | None = None
    authorized: str | None = Field(default=None, sa_type=Text, description="JSON of what the exchange needs")
    poll_seconds: int = Field(description="Seconds between two polls")
    polled_at: int | None = Field(default=None, sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)


class RefreshFamily(SQLModel, table=True):
    """One line of refresh tokens, of which only the newest is good. One row, however often it rotates."""

    __tablename__ = "identity_refresh"

    id: str = Field(primary_key=True, description="The chain of the code it came from")
    client_id: str
    account_id: str
    grant_id: str = Field(index=True)
    current: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    generation: int = 0
    request: str = Field(sa_type=Text, description="JSON of what a refresh needs")
    status: str = Field(default="active", description="active | revoked")
    ends_at: int = Field(sa_type=BigInteger, description="The family dies, used or not")
    expires_at: int = Field(sa_type=BigInteger, index=True, description="The current token dies if not used")


class Issued(SQLModel, table=True):
    """Every token we gave out, one compact row each; append-only, swept after expiry."""

    __tablename__ = "identity_issued"

    id: int | None = Field(default=None, sa_column=Column(_ROWID, primary_key=True, autoincrement=True))
    jti: str
    client_id: str
    grant_id: str | None = None
    kind: str = Field(description="access | refresh | id | code | par | device | ciba")
    issued_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)


class Revoked(SQLModel, table=True):
    """A token (`jti`) or a whole chain that must not be honoured any more, until it would have expired anyway."""

    __tablename__ = "identity_revoked"

    id: str = Field(primary_key=True)
    expires_at: int = Field(sa_type=BigInteger, index=True)


class Once(SQLModel, table=True):
    """A `jti` that was seen: client assertions (RFC 7523) and DPoP proofs (RFC 9449)."""

    __tablename__ = "identity_once"

    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    expires_at: int = Field(sa_type=BigInteger, index=True)


class SignalStream(SQLModel, table=True):
    """A service is told of what happens to residents it knows (Shared Signals): how, of what, and whether now."""

    __tablename__ = "identity_signal_stream"

    id: str = Field(primary_key=True)
    client_id: str = Field(unique=True)
    status: str = Field(default="enabled", description="enabled | paused | disabled")
    reason: str = Field(default="", description="Why it is not enabled, in the words of whoever changed it")
    requested: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    endpoint: str | None = Field(default=None, sa_type=Text, description="Pushed there; without one it is polled")
    authorization: bytes | None = Field(
        default=None, sa_column=Column(LargeBinary, nullable=True), description="Sealed"
    )
    description: str = ""
    held_by_us: bool = Field(default=False, description="Paused by the office: the receiver can't end that")
    created_at: int = Field(sa_type=BigInteger)
    verified_at: int | None = Field(
        default=None, sa_type=BigInteger, description="When it last asked for proof of life"
    )


class SignalLeft(SQLModel, table=True):
    """A subject that a receiver took out of its stream, as a keyed hash of what it called it: nobody is looked up."""

    __tablename__ = "identity_signal_left"

    stream_id: str = Field(primary_key=True, foreign_key="identity_signal_stream.id")
    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    person: bytes | None = Field(
        default=None, sa_column=Column(LargeBinary, nullable=True), description="Of a person in a session: the person"
    )
    ends_at: int | None = Field(default=None, sa_type=BigInteger, index=True, description="Of a session: swept then")
