"""Requests made on one device and answered on another: the rows they wait in.

RFC 8628 section 3 (device codes), CIBA Core 1.0 section 7 (backchannel authentication). pending -> approved | refused;
approved -> used, once, or outdated by another answer about the same grant; what is not answered in time runs out by the
clock. The secret that is polled with is kept as a keyed hash, and so is the short code a resident types. Who takes a
request up first, or was asked by name, is the only one who may answer it: typing somebody else's code gives the
typist's account to that device, so a second answer must never replace the first.
"""

import re
import secrets
import unicodedata
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from identity import pings
from identity.codes import Authorized
from identity.oauth.request import AuthorizationRequest
from kit.clock import SECOND, Millis
from kit.db import Quick

Status = Literal["pending", "approved", "refused", "outdated", "used"]

#: RFC 8628 section 6.1: no vowels, so no words; 20^8 codes are 34.5 bits, and typing is throttled (section 5.1).
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH = 8
#: What one poll too early adds, and where that ends (section 3.5).
STEP, SLOWEST = 5, 60
_SEPARATORS = re.compile(r"[\s\-‐-―−ー.・]+")

_ADD = Quick(
    "INSERT INTO identity_decoupled (digest, user_digest, chain, client_id, request, status, account_id, grant_id,"
    " authorized, interaction_id, ping, poll_seconds, polled_at, expires_at) VALUES (:digest,"
    " :user_digest, :chain, :client_id, :request, 'pending', :account_id, NULL, NULL, :interaction_id, :ping,"
    " :interval, NULL, :expires_at)"
    " ON CONFLICT (user_digest) DO NOTHING"
)
_BY_USER_CODE = Quick(
    "SELECT digest, client_id, request, account_id, expires_at FROM identity_decoupled"
    " WHERE user_digest = :user_digest AND status = 'pending' AND expires_at > :now"
)
_ASKED_OF = Quick(
    "SELECT interaction_id, client_id FROM identity_decoupled WHERE account_id = :account_id"
    " AND interaction_id IS NOT NULL AND status = 'pending' AND expires_at > :now ORDER BY expires_at"
)
_OF_CLIENT = Quick(
    "SELECT count(*) FROM identity_decoupled WHERE client_id = :client_id AND status = 'pending' AND expires_at > :now"
)
_REFUSED = Quick(
    "SELECT 1 FROM identity_decoupled WHERE account_id = :account_id AND client_id = :client_id"
    " AND status = 'refused' AND expires_at > :since LIMIT 1"
)
_WAITING_FOR = Quick(
    "SELECT interaction_id, account_id FROM identity_decoupled WHERE digest = :digest AND status = 'pending'"
    " AND expires_at > :now AND interaction_id IS NOT NULL AND account_id IS NOT NULL"
)
_TAKE_UP = Quick(
    "UPDATE identity_decoupled SET account_id = :account_id WHERE digest = :digest AND status = 'pending'"
    " AND expires_at > :now AND (account_id IS NULL OR account_id = :account_id)"
)
_APPROVE = Quick(
    "UPDATE identity_decoupled SET status = 'approved', grant_id = :grant_id, authorized = :authorized"
    " WHERE digest = :digest AND status = 'pending' AND account_id = :account_id AND expires_at > :now"
)
_REFUSE = Quick(
    "UPDATE identity_decoupled SET status = 'refused' WHERE digest = :digest AND status = 'pending'"
    " AND account_id = :account_id"
)
_PING = Quick("SELECT ping, client_id, expires_at FROM identity_decoupled WHERE digest = :digest AND ping IS NOT NULL")
_PINGED = Quick("UPDATE identity_decoupled SET ping = NULL WHERE digest = :digest")
_FIND = Quick(
    "SELECT d.chain, d.client_id, d.status, d.account_id, d.grant_id, d.authorized, d.poll_seconds, d.polled_at,"
    " d.expires_at, d.request,"
    " CASE WHEN g.status = 'active' AND a.status = 'active' THEN 1 ELSE 0 END FROM identity_decoupled d"
    " LEFT JOIN identity_grant g ON g.id = d.grant_id LEFT JOIN identity_account a ON a.id = d.account_id"
    " WHERE d.digest = :digest"
)
_POLLED = Quick("UPDATE identity_decoupled SET polled_at = :now, poll_seconds = :interval WHERE digest = :digest")
_USE = Quick("UPDATE identity_decoupled SET status = 'used' WHERE digest = :digest AND status = 'approved'")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that was found by its user code."""

    digest: bytes
    client_id: str
    request: str
    account_id: str | None
    expires_at: Millis


@dataclass(frozen=True, slots=True)
class Polled:
    """A request as the device that polls finds it."""

    chain: str
    client_id: str
    status: Status
    account_id: str
    grant_id: str
    authorized: str
    interval: int
    polled_at: Millis | None
    expires_at: Millis
    request: str
    stands: int  # whether grant and account are active

    def too_early(self, now: Millis) -> bool:
        """Whether the interval has not passed; half a second is the network's."""
        return self.polled_at is not None and now - self.polled_at < self.interval * SECOND - SECOND // 2


def new_user_code() -> str:
    """A fresh code, as it is shown: `WDJB-MJHT`."""
    return shown("".join(secrets.choice(ALPHABET) for _ in range(LENGTH)))


def normal(typed: str) -> str | None:
    """A code as somebody typed it (small letters, full width, other dashes or none), or None if it can't be one."""
    code = _SEPARATORS.sub("", unicodedata.normalize("NFKC", typed[:100])).upper()
    return code if len(code) == LENGTH and set(code) <= set(ALPHABET) else None


def shown(code: str) -> str:
    """A normal code with its hyphen."""
    return f"{code[:4]}-{code[4:]}"


def add(
    connection: Connection,
    *,
    digest: bytes,
    user_digest: bytes | None,
    chain: str,
    request: AuthorizationRequest,
    interval: int,
    expires_at: Millis,
    account_id: str | None = None,
    interaction_id: str | None = None,
    ping: bytes | None = None,
) -> bool:
    """A new waiting request; False if its user code is taken, by chance of one in billions."""
    added = _ADD.run(
        connection, digest=digest, user_digest=user_digest, chain=chain, client_id=request.client_id,
        request=request.pack(), interval=interval, expires_at=expires_at, account_id=account_id,
        interaction_id=interaction_id, ping=ping,
    )  # fmt: skip
    return added == 1


def by_user_code(connection: Connection, user_digest: bytes, now: Millis) -> Waiting | None:
    """The request that waits for this user code, if there is one."""
    row = _BY_USER_CODE.one(connection, user_digest=user_digest, now=now)
    return None if row is None else Waiting(bytes(row[0]), *row[1:])


def asked_of(connection: Connection, account_id: str, now: Millis) -> tuple[str, ...]:
    """The interactions in which this resident is asked by a service that waits (CIBA), soonest to end first."""
    return tuple(row[0] for row in _ASKED_OF.all(connection, account_id=account_id, now=now))


def askers_of(connection: Connection, account_id: str, now: Millis) -> tuple[str, ...]:
    """The clients that wait for this resident (CIBA), one for each question."""
    return tuple(row[1] for row in _ASKED_OF.all(connection, account_id=account_id, now=now))


def count_of_client(connection: Connection, client_id: str, now: Millis) -> int:
    """How many questions of a client wait, whether for somebody or for nobody."""
    found = _OF_CLIENT.one(connection, client_id=client_id, now=now)
    return 0 if found is None else int(found[0])


def refused_lately(connection: Connection, account_id: str, client_id: str, since: Millis) -> bool:
    """Whether this resident refused a question of this client that would have waited until after then."""
    return _REFUSED.one(connection, account_id=account_id, client_id=client_id, since=since) is not None


def waiting_for(connection: Connection, digest: bytes, now: Millis) -> tuple[str, str] | None:
    """The interaction in which a question waits, and whom it waits for."""
    found = _WAITING_FOR.one(connection, digest=digest, now=now)
    return None if found is None else (found[0], found[1])


def take_up(connection: Connection, digest: bytes, *, account_id: str, now: Millis) -> bool:
    """The first resident to come is the one who answers; False for every other."""
    return _TAKE_UP.run(connection, digest=digest, account_id=account_id, now=now) == 1


def approve(
    connection: Connection, digest: bytes, *, account_id: str, grant_id: str, authorized: Authorized, now: Millis
) -> bool:
    """The resident agreed; False if it was answered already, ran out, or is somebody else's."""
    values = {"account_id": account_id, "grant_id": grant_id, "authorized": authorized.pack(), "now": now}
    return _APPROVE.run(connection, digest=digest, **values) == 1 and _tell(connection, digest, now)


def refuse(connection: Connection, digest: bytes, *, account_id: str, now: Millis) -> bool:
    """The resident refused, or was refused; False if it was answered already."""
    return _REFUSE.run(connection, digest=digest, account_id=account_id) == 1 and _tell(connection, digest, now)


def _tell(connection: Connection, digest: bytes, now: Millis) -> bool:
    """Whoever waits for word of the answer gets it."""
    found = _PING.one(connection, digest=digest)
    if found is not None:
        pings.answered(connection, digest, bytes(found[0]), client_id=found[1], now=now, expires_at=found[2])
        _PINGED.run(connection, digest=digest)
    return True


def find(connection: Connection, digest: bytes) -> Polled | None:
    """The request behind a polled secret."""
    row = _FIND.one(connection, digest=digest)
    return None if row is None else Polled(*row)


def polled(connection: Connection, digest: bytes, *, interval: int, now: Millis) -> None:
    """The device asked; from now on it waits this long."""
    _POLLED.run(connection, digest=digest, interval=interval, now=now)


def use(connection: Connection, digest: bytes) -> bool:
    """True for the one poll that gets the tokens (invariant I7)."""
    return _USE.run(connection, digest=digest) == 1
