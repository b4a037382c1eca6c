"""This city's federation keys: what signs its statements, and nothing else (section 3.1.1).

OpenID Federation 1.0 sections 3, 8.7, 11.1 and 11.2. Apart from the ring of keys.ring, because they are changed
otherwise: a superior has to hear of the next key before it signs, so an operator rotates them and no clock does. The
next key is published beside the active one from the first day; a retired one stays until the last statement it signed
has expired, and then in the historical keys for good.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection
from sqlmodel import col, select

from identity.federation.models import FederationKey
from keys.envelope import Sealer
from keys.errors import RotationTooSoon
from keys.jose import verify_with_jwks
from keys.lifecycle import State, check_promotion, move
from keys.signing import Signer, from_bytes, generate, header, public_jwk, self_check, to_bytes
from kit import audit
from kit.clock import MINUTE, SECOND, Clock, Millis
from kit.db import CheckedCache, Database, Session, tx_of
from kit.encoding import b64url
from kit.host import SYSTEM, Actor

ALG = "ES256"
TOPIC = "federation-keys"
_SKEW: Millis = MINUTE
_COLUMNS = tuple(FederationKey.__table__.c)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Key:
    """One key as it stands; never any private half in clear."""

    kid: str
    state: str
    jwk: Mapping[str, Any]
    sealed: bytes | None
    published_at: Millis
    activated_at: Millis | None
    retired_at: Millis | None
    verify_until: Millis | None


class FederationKeys:
    """The set. `open` makes the first two keys."""

    def __init__(self, database: Database, clock: Clock, sealer: Sealer, *, statement_seconds: int) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._life: Millis = statement_seconds * SECOND
        self._kept: CheckedCache[str, tuple[Key, ...]] = CheckedCache(database, TOPIC)
        self._signer: Signer | None = None

    async def open(self) -> None:
        """An active and a next key, if there are none yet; both published at once, so that either may sign."""
        if {State.ACTIVE, State.NEXT} <= {key.state for key in await self.all()}:
            return
        made = [self._make(), self._make()]

        def add(session: Session) -> None:
            there = {row.state for row in session.exec(select(FederationKey))}
            for row, state in zip(made, (State.ACTIVE, State.NEXT), strict=True):
                if str(state) not in there:
                    self._add(session, row, state, actor=SYSTEM)

        await self._database.write(add)

    async def all(self) -> tuple[Key, ...]:
        """Every key there ever was, oldest first."""
        return await self._kept.get("all", self._load)

    async def jwks(self) -> dict[str, Any]:
        """What verifies our statements now: active, next, and retired ones whose statements may still be around."""
        now, order = self._clock.ms(), {State.ACTIVE: 0, State.NEXT: 1}
        shown = [key for key in await self.all() if key.state in order or (key.verify_until or 0) > now]
        shown.sort(key=lambda key: order.get(State(key.state), 2))
        return {"keys": [dict(key.jwk) for key in shown]}

    async def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """A JWT under the active key."""
        active = next(key for key in await self.all() if key.state == State.ACTIVE)
        if self._signer is None or self._signer.kid != active.kid:
            assert active.sealed is not None
            private = self._sealer.system().open(_context(active.kid), active.sealed)
            self._signer = Signer(from_bytes(private), kid=active.kid, alg=ALG)
        signed = f"{header(typ=typ, alg=ALG, kid=active.kid)}.{b64url(orjson.dumps(claims))}"
        return f"{signed}.{b64url(self._signer.sign(signed.encode()))}"

    async def verify(self, token: str, *, typ: str) -> dict[str, Any]:
        """The claims of something we signed once, by whichever key that was not compromised. Raises BadToken."""
        good = [dict(key.jwk) for key in await self.all() if key.state != State.COMPROMISED]
        return verify_with_jwks(token, {"keys": good[-32:]}, algs=(ALG,), typ=typ)[1]

    async def history(self) -> list[dict[str, Any]]:
        """Keys that sign no more, and why (section 8.7.2)."""
        found = []
        for key in await self.all():
            if key.retired_at is None or key.verify_until is None:
                continue
            told = {**key.jwk, "iat": key.published_at // SECOND, "exp": key.verify_until // SECOND}
            if key.state == State.COMPROMISED:
                told["revoked"] = {"revoked_at": key.retired_at // SECOND, "reason": "compromised"}
            found.append(told)
        return found

    async def rotate(self, *, actor: Actor, compromised: bool = False) -> str:
        """The next key signs from now on; returns its kid. Raises RotationTooSoon while a copy of our configuration
        may be about that lacks it. With `compromised` the old key is published no longer, at once.
        """
        following = self._make()
        kid = await self._database.write(self._rotate, following, actor=actor, compromised=compromised)
        self._signer = None
        return kid

    def _rotate(self, session: Session, following: FederationKey, *, actor: Actor, compromised: bool) -> str:
        now = self._clock.ms()
        rows = {row.state: row for row in session.exec(select(FederationKey))}
        active, successor = rows[State.ACTIVE], rows[State.NEXT]
        if not compromised:
            check_promotion(
                next_published_at=successor.published_at,
                active_published_at=active.published_at,
                jwks_max_age=self._life,
                skew=_SKEW,
                now=now,
            )
        active.state = str(move(State(active.state), State.COMPROMISED if compromised else State.RETIRED))
        active.sealed_private, active.retired_at = None, now
        active.verify_until = now if compromised else now + self._life + _SKEW
        session.add(active)
        session.flush()
        successor.state, successor.activated_at = str(move(State(successor.state), State.ACTIVE)), now
        session.add(successor)
        session.flush()
        self._add(session, following, State.NEXT, actor=actor)
        audit.record(
            session,
            "identity.federation.key_compromised" if compromised else "identity.federation.key_rotated",
            actor=actor,
            object=("federation_key", active.kid),
            detail={"active": successor.kid, "next": following.kid},
        )
        return successor.kid

    def _make(self) -> FederationKey:
        private = generate(ALG)
        jwk = public_jwk(private, ALG)
        self_check(private, jwk)
        sealed = self._sealer.system().seal(_context(jwk["kid"]), to_bytes(private))
        return FederationKey(kid=jwk["kid"], state="", public_jwk=jwk, sealed_private=sealed, published_at=0)

    def _add(self, session: Session, made: FederationKey, state: State, *, actor: Actor) -> None:
        now = self._clock.ms()
        # A fresh row each time: a write may run more than once.
        row = FederationKey(**(made.model_dump() | {"state": str(state), "published_at": now}))
        row.activated_at = now if state is State.ACTIVE else None
        session.add(row)
        session.flush()
        tx_of(session).touch(TOPIC)
        told = {"state": str(state)}
        audit.record(
            session, "identity.federation.key_created", actor=actor, object=("federation_key", row.kid), detail=told
        )

    async def _load(self, _: str) -> tuple[Key, ...]:
        return await self._database.peek(_read)


def _read(connection: Connection) -> tuple[Key, ...]:
    query = select(*_COLUMNS).order_by(col(FederationKey.published_at), col(FederationKey.kid))
    return tuple(
        Key(
            row.kid,
            row.state,
            row.public_jwk,
            None if row.sealed_private is None else bytes(row.sealed_private),
            row.published_at,
            row.activated_at,
            row.retired_at,
            row.verify_until,
        )
        for row in connection.execute(query)
    )


def _context(kid: str) -> str:
    return f"identity_federation_key|sealed_private|{kid}"


__all__ = ["FederationKeys", "Key", "RotationTooSoon"]
