"""How clients come by themselves: initial access tokens, registration access tokens, and the sweeping of the forgotten.

RFC 7591 section 1.2 and RFC 7592 sections 2 and 3. Both kinds of token are 256 random bits, kept as keyed hashes. A
registration access token is replaced at each update; the former one stays good until the new one is used, so an answer
that was lost on its way locks nobody out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Table, delete, select, update
from sqlmodel import SQLModel, col
from sqlmodel import select as select_row

from identity import members
from identity.errors import UnknownRegistrationToken
from identity.forgotten import forget, met_a_resident
from identity.judged_again import RULE
from identity.models import ClientEnrolment, InitialToken
from identity.registration import STANDARD_SCOPES
from keys.hashing import TokenHasher, same
from kit import audit
from kit.clock import SECOND, Clock, Millis
from kit.db import Session
from kit.host import Actor
from kit.ids import new_id, secret

CHUNK = 100
_NOBODY = bytes(32)
_clients: Table = SQLModel.metadata.tables["identity_client"]
_enrolments: Table = SQLModel.metadata.tables["identity_client_enrolment"]
_tokens: Table = SQLModel.metadata.tables["identity_initial_token"]


@dataclass(frozen=True, slots=True)
class Leave:
    """Under which authority a client registers: openly, or with an initial access token for a member or for nobody."""

    kind: str
    scopes: frozenset[str]
    member_id: str | None = None
    token_id: str | None = None


@dataclass(frozen=True, slots=True)
class Initial:
    """An initial access token as operators see it."""

    id: str
    member_id: str | None
    scopes: tuple[str, ...]
    uses_left: int
    created_at: Millis
    expires_at: Millis


#: Anybody: the standard scopes, no organisation, so never data (Clients: `may_use_data`).
OPEN = Leave("open", frozenset(STANDARD_SCOPES))


class Enrolments:
    """The tokens and their rows."""

    def __init__(self, hasher: TokenHasher, clock: Clock) -> None:
        self._hasher = hasher
        self._clock = clock

    # -- initial access tokens -----------------------------

    def issue_initial(
        self,
        session: Session,
        *,
        member_id: str | None,
        scopes: Sequence[str],
        uses: int,
        lifetime: int,
        actor: Actor,
    ) -> tuple[Initial, str]:
        """A token that lets somebody register `uses` clients; shown this once. Raises UnknownMember."""
        if member_id is not None:
            members.get(session, member_id)
        now, token = self._clock.ms(), secret("sit")
        row = InitialToken(
            id=new_id("irt"),
            digest=self._hasher.digest("initial-token", token),
            member_id=member_id,
            scope=" ".join(scopes),
            uses_left=uses,
            created_at=now,
            expires_at=now + lifetime * SECOND,
        )
        session.add(row)
        session.flush()
        audit.record(
            session,
            "identity.registration_token.issued",
            actor=actor,
            object=("registration_token", row.id),
            detail={"member": member_id or "", "uses": uses},
        )
        return _initial(row), token

    def list_initial(self, session: Session) -> tuple[Initial, ...]:
        """Those that can still be used, oldest first."""
        query = (
            select_row(InitialToken)
            .where(col(InitialToken.expires_at) > self._clock.ms(), col(InitialToken.uses_left) > 0)
            .order_by(col(InitialToken.id))
            .limit(500)
        )
        return tuple(_initial(row) for row in session.exec(query))

    def withdraw_initial(self, session: Session, token_id: str, *, actor: Actor) -> None:
        """It registers nothing more. Raises UnknownRegistrationToken."""
        gone = session.connection().execute(delete(_tokens).where(_tokens.c.id == token_id))
        if gone.rowcount != 1:
            raise UnknownRegistrationToken("No registration token has this id.")
        audit.record(
            session, "identity.registration_token.withdrawn", actor=actor, object=("registration_token", token_id)
        )

    def find_initial(self, session: Session, token: str) -> Leave | None:
        """What an initial access token allows now, or None."""
        digest = self._hasher.digest("initial-token", token)
        row = session.exec(select_row(InitialToken).where(col(InitialToken.digest) == digest)).first()
        if row is None or row.uses_left < 1 or row.expires_at <= self._clock.ms():
            return None
        return Leave("token", frozenset(row.scope.split()), row.member_id, row.id)

    def spend(self, session: Session, leave: Leave) -> bool:
        """Use a token once; False if somebody was quicker with its last use (invariant I7)."""
        if leave.token_id is None:
            return True
        spent = session.connection().execute(
            update(_tokens)
            .where(_tokens.c.id == leave.token_id, _tokens.c.uses_left > 0, _tokens.c.expires_at > self._clock.ms())
            .values(uses_left=_tokens.c.uses_left - 1)
        )
        return bool(spent.rowcount == 1)

    # -- registration access tokens -----------------------------

    def begin(self, session: Session, client_id: str, leave: Leave) -> str:
        """The registration access token of a new client."""
        now, token = self._clock.ms(), secret("srt")
        session.add(
            ClientEnrolment(
                client_id=client_id,
                kind=leave.kind,
                scope=" ".join(sorted(leave.scopes)),
                digest=self._digest(token),
                created_at=now,
                seen_at=now,
                sector_rule=RULE,
            )
        )
        session.flush()
        return token

    def find(self, session: Session, client_id: str, token: str) -> Leave | None:
        """What the client may be, if the token is its own now; the same work for every client id."""
        row = session.get(ClientEnrolment, client_id)
        digest = self._digest(token)
        current = same(digest, row.digest if row is not None else _NOBODY)
        former = same(digest, row.former_digest if row is not None and row.former_digest is not None else _NOBODY)
        if row is None or not (current or former):
            return None
        row.seen_at = self._clock.ms()
        if current and row.former_digest is not None:
            row.former_digest = None  # the new one arrived
        session.add(row)
        session.flush()
        return Leave(row.kind, frozenset(row.scope.split()))

    def rotate(self, session: Session, client_id: str) -> str:
        """A new registration access token; the one before stays good until this one is used."""
        row = session.get_one(ClientEnrolment, client_id)
        token = secret("srt")
        # Of two tokens the newer was never used: the older is the one the client holds.
        row.former_digest, row.digest = row.former_digest or row.digest, self._digest(token)
        session.add(row)
        session.flush()
        return token

    def end(self, session: Session, client_id: str) -> None:
        """The client was removed; its token with it."""
        session.connection().execute(delete(_enrolments).where(_enrolments.c.client_id == client_id))

    def _digest(self, token: str) -> bytes:
        return self._hasher.digest("registration-token", token)

    # -- the forgotten -----------------------------

    def sweep(self, session: Session, before: Millis) -> int:
        """Delete one chunk of clients that registered openly, never met a resident, and were not seen since."""
        waiting = (
            select(_enrolments.c.client_id)
            .join(_clients, _clients.c.id == _enrolments.c.client_id)
            .where(
                _clients.c.status == "active",  # a suspended one stays: somebody looks into it
                _enrolments.c.kind == "open",
                _enrolments.c.seen_at < before,
                ~met_a_resident(_enrolments.c.client_id),
            )
            .order_by(_enrolments.c.seen_at)
            .limit(CHUNK)
        )
        found = list(session.connection().execute(waiting).scalars())
        forget(session, found)
        return len(found)


def _initial(row: InitialToken) -> Initial:
    return Initial(row.id, row.member_id, tuple(row.scope.split()), row.uses_left, row.created_at, row.expires_at)
