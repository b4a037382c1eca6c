"""Patience: how often one may try, per account and per source, asked before any hashing.

The generic cell rate algorithm (a token bucket kept as one number): `free_at` is the moment at which the bucket
is full again; a try is allowed while that is at most `burst` tries ahead. For an account the price of a try
doubles with each failure beyond the burst, up to an hour, and to a day from the hundredth on (NIST SP 800-63B-4,
section 3.2.2: at most 100 consecutive failures, with growing waits). Passkeys are not throttled by account, so a
stranger who exhausts somebody's patience for passwords can't lock them out.

A try is paid before it is checked and given back when it succeeds, so a hundred guesses sent at once pay a
hundred prices. Unknown login names have a bucket like everybody's: waiting tells nothing.
`charge` and `reward` are pure; `Throttles` keeps the numbers.
"""

import ipaddress
from dataclasses import dataclass

from sqlmodel import col, delete, select

from identity.models_account import Throttle
from keys.hashing import TokenHasher
from kit.clock import DAY, HOUR, MINUTE, SECOND, Millis
from kit.db import Session

HARD_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Limit:
    """`burst` tries at once, one more every `refill`; with `backoff` the price grows with failures."""

    burst: int
    refill: Millis
    backoff: bool = False

    def price(self, failures: int) -> Millis:
        """What the next try costs after this many failures in a row."""
        if not self.backoff or failures < self.burst:
            return self.refill
        if failures >= HARD_LIMIT:
            return DAY
        return min(self.refill << min(failures - self.burst + 1, 20), HOUR)


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits of a city."""

    account: Limit = Limit(burst=5, refill=30 * SECOND, backoff=True)
    source: Limit = Limit(burst=30, refill=5 * SECOND)
    sign_up: Limit = Limit(burst=10, refill=60 * SECOND)
    user_code: Limit = Limit(burst=5, refill=60 * SECOND)
    look_up: Limit = Limit(burst=30, refill=30 * SECOND)
    recovery: Limit = Limit(burst=5, refill=30 * SECOND, backoff=True)
    recoveries: Limit = Limit(burst=HARD_LIMIT, refill=MINUTE)
    letters: Limit = Limit(burst=5, refill=12 * MINUTE)
    address: Limit = Limit(burst=3, refill=HOUR)
    addresses: Limit = Limit(burst=6, refill=20 * MINUTE)
    one_letter: Limit = Limit(burst=1, refill=DAY)


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered of one account or source. A fresh one is `State(0, 0)`."""

    free_at: Millis
    failures: int


def charge(state: State, limit: Limit, now: Millis) -> State | Millis:
    """Pay for one try: the state after it, or how long to wait before asking again (nothing is paid then)."""
    start = max(state.free_at, now)
    # A price above the refill shrinks what the bucket holds: after a failure beyond the burst, wait for all of it.
    room = limit.refill * (limit.burst - 1)
    if start - now > room:
        return start - now - room
    return State(start + limit.price(state.failures), state.failures + 1)


def reward(state: State, limit: Limit, now: Millis) -> State:
    """The try succeeded: an account starts anew, a source gets back what this one try cost."""
    if limit.backoff:
        return State(now, 0)
    return State(max(now, state.free_at - limit.refill), max(0, state.failures - 1))


@dataclass(frozen=True, slots=True)
class Wait:
    """Refused for now; in `seconds` it is worth asking again."""

    seconds: int
    scope: str  # "account" | "source"


class Throttles:
    """The buckets, kept under keyed hashes of what they are for."""

    def __init__(self, hasher: TokenHasher, policy: Policy | None = None) -> None:
        self._hasher = hasher
        self.policy = policy or Policy()

    def charge(self, session: Session, *, login: bytes | None, source: str, now: Millis) -> Wait | None:
        """Pay for a try at `login` (a digest) from `source`: None when allowed. Neither pays if one refuses."""
        return self._pay(session, now, *self._buckets(login, source))

    def charge_recovery(self, session: Session, *, login: bytes, source: str, now: Millis) -> Wait | None:
        """Pay for a recovery code typed at `login` from `source`.

        Apart from the sign-in's bucket, and by network: who guesses somebody's password, or their codes, shuts nobody
        out of the way that is left to them. All networks together have a hundred tries and one a minute (NIST SP
        800-63B-4 section 3.1.2.2: look-up secrets of less than 64 bits), which one network alone can't use up.
        """
        here = f"{login.hex()}|{network(source)}"
        return self._pay(
            session, now, ("source", self._key("source", network(source)), self.policy.source),
            ("account", self._key("recovery", here), self.policy.recovery),
            ("account", self._key("recoveries", login.hex()), self.policy.recoveries),
        )  # fmt: skip

    def reward(self, session: Session, *, login: bytes | None, source: str, now: Millis) -> None:
        """The whole sign-in succeeded."""
        for _scope, key, limit in self._buckets(login, source):
            self._keep(session, key, reward(self._state(session, key), limit, now))

    def give_back(self, session: Session, *, source: str, now: Millis) -> None:
        """One step succeeded, the sign-in goes on: the source gets its try back, the account not yet.

        An account's count starts anew only when all factors were right; otherwise who knows the password could
        try codes for ever.
        """
        key = self._key("source", network(source))
        self._keep(session, key, reward(self._state(session, key), self.policy.source, now))

    def charge_sign_up(self, session: Session, *, source: str, now: Millis) -> Wait | None:
        """Pay for making an account from `source`."""
        return self._pay(session, now, ("source", self._key("sign-up", network(source)), self.policy.sign_up))

    def charge_look_up(self, session: Session, *, account_id: str, now: Millis) -> Wait | None:
        """Pay for looking for a resident: an operator's stolen session must not try out who lives here."""
        return self._pay(session, now, ("account", self._key("look-up", account_id), self.policy.look_up))

    def charge_letter(
        self, session: Session, *, account_id: str, address: str, source: str, now: Millis
    ) -> Wait | None:
        """Pay for a letter with a code to an address somebody typed: by account, by address and network, and by address
        whoever asks, so that nobody's mailbox is filled from here. Nothing is given back.

        Of the last bucket an account's first letter of the day to an address takes nothing: else strangers who ask for
        codes to somebody's address would keep its owner from ever getting one. Letters about what happened, and of a
        recovery, pay nothing here.
        """
        where = address.casefold()
        first = self._key("one-letter", f"{where}|{account_id}")
        fresh = charge(self._state(session, first), self.policy.one_letter, now)
        return self._pay(
            session, now, ("account", self._key("letters", account_id), self.policy.letters),
            ("account", self._key("address", f"{where}|{network(source)}"), self.policy.address),
            ("account", first, self.policy.one_letter) if isinstance(fresh, State)
            else ("account", self._key("addresses", where), self.policy.addresses),
        )  # fmt: skip

    def charge_user_code(self, session: Session, *, account_id: str, source: str, now: Millis) -> Wait | None:
        """Pay for typing a device's code (RFC 8628 section 5.1). Nothing is given back when it was right: else one's
        own good codes would pay for guessing others'."""
        return self._pay(
            session, now, ("source", self._key("user-code-source", network(source)), self.policy.source),
            ("account", self._key("user-code", account_id), self.policy.user_code),
        )  # fmt: skip

    def failures(self, session: Session, *, login: bytes) -> int:
        """How many tries in a row have failed for a login."""
        return self._state(session, self._key("account", login.hex())).failures

    def sweep(self, session: Session, *, now: Millis, limit: int = 1_000) -> int:
        """Forget buckets that have been full for a week."""
        old = select(Throttle.key).where(col(Throttle.free_at) < now - 7 * DAY).limit(limit)
        return session.exec(delete(Throttle).where(col(Throttle.key).in_(old))).rowcount

    def _pay(self, session: Session, now: Millis, *buckets: tuple[str, bytes, Limit]) -> Wait | None:
        """Pay at every bucket (whose wait it would be, its key, its limit), or at none."""
        paid: list[tuple[bytes, State]] = []
        for scope, key, limit in buckets:
            after = charge(self._state(session, key), limit, now)
            if isinstance(after, int):
                return Wait(seconds=-(-after // SECOND), scope=scope)
            paid.append((key, after))
        for key, after in paid:
            self._keep(session, key, after)
        return None

    def _buckets(self, login: bytes | None, source: str) -> list[tuple[str, bytes, Limit]]:
        found = [("source", self._key("source", network(source)), self.policy.source)]
        if login is not None:
            found.append(("account", self._key("account", login.hex()), self.policy.account))
        return found

    def _key(self, scope: str, name: str) -> bytes:
        return self._hasher.digest(f"throttle-{scope}", name)

    def _state(self, session: Session, key: bytes) -> State:
        row = session.get(Throttle, key)
        return State(0, 0) if row is None else State(row.free_at, row.failures)

    def _keep(self, session: Session, key: bytes, state: State) -> None:
        row = session.get(Throttle, key)
        if row is None:
            row = Throttle(key=key, free_at=0)
        row.free_at, row.failures = state.free_at, state.failures
        session.add(row)
        session.flush()


def network(source: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 an IPv6 address is in (one home has 2^64 of them)."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return source
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
