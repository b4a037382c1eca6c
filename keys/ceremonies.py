"""Key ceremonies: first start, rotation of signing keys, rotation of key-encryption keys, the list for
operators.

Each prepares outside the hallway (making and checking keys takes time), then changes everything in one
write with its audit entry, then refreshes the ring, so that the caller is answered when the new keys
sign. What a crash leaves unfinished the next run finishes: `finish_kek_rotation` is also a job.
"""

import asyncio
import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.exc import IntegrityError

from keys import store
from keys.auditseal import PREFIX, AuditSeal, month_of_owner, months_kept, owner_of
from keys.envelope import SYSTEM, TOPIC, Sealer
from keys.errors import RotationTooSoon
from keys.hashing import Passwords, TokenHasher, derive, same
from keys.lifecycle import State, check_promotion, is_due, move, verify_until
from keys.ring import KeyRing, private_context
from keys.root import RootKey, Stored, new_salt, unlock
from keys.settings import KeysSettings
from keys.signing import ALGS, EVERY, SEALED, generate, public_jwk, self_check, to_bytes
from kit import audit
from kit.clock import Clock, Millis
from kit.db import Database, Session, tx_of
from kit.host import SYSTEM as SYSTEM_ACTOR
from kit.host import Actor
from kit.ids import new_id

CHUNK = 100
VERIFIED = "tokens"  # the change counter that caches of verified tokens compare


def _millis(delta_seconds: float) -> Millis:
    return int(delta_seconds * 1000)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A signing key that passed its self-check, the private half already sealed."""

    kid: str
    alg: str
    jwk: dict[str, str]
    sealed_private: bytes


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """One key as an operator sees it: never any material."""

    id: str
    purpose: str  # signing, data (key-encryption key), derive
    alg: str
    state: str
    created_at: Millis
    activated_at: Millis | None
    retired_at: Millis | None
    verify_until: Millis | None
    data_keys: int | None


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation of one algorithm's set did."""

    alg: str
    retired: str
    active: str
    next: str


class KeyStore:
    """The package's services and the ceremonies over them; what `sekisho keys` and the console call."""

    def __init__(self, db: Database, clock: Clock, settings: KeysSettings) -> None:
        self._db = db
        self._clock = clock
        self._settings = settings
        self.sealer = Sealer(clock)
        self.ring = KeyRing(db, clock, self.sealer)
        self.hasher = TokenHasher()
        self.audit_seal = AuditSeal(clock)
        self.ring.follow(self._load_audit_keys)
        self.passwords = Passwords(workers=settings.password_workers, waiting=settings.password_queue)
        self._token_lifetime = settings.token_lifetime

    def __repr__(self) -> str:
        return "KeyStore()"

    # -- start -----------------------------

    async def open(self) -> None:
        """Unlock, create what is missing, load. Raises a RootKeyError whose text is for the operator."""
        for attempt in (1, 2, 3):
            row = await self._db.read(store.find_root)
            stored = Stored(salt=bytes(row.salt), check=bytes(row.key_check)) if row else None
            salt = new_salt()
            root = await asyncio.to_thread(unlock, self._settings, stored, salt=salt)
            self.sealer.take_root(root)
            try:
                if await self._create_missing(root, salt):
                    break
            except IntegrityError:
                if attempt == 3:
                    raise
            # Another process made its first start between our look and our write: look again.
        secret = await self._db.read(self.sealer.load)
        self.hasher.load(derive(secret, "digests"))
        self.passwords.load(derive(secret, "passwords"))
        self.ring.load_secret(derive(secret, "logs"))
        await self._create_missing_signing_keys()
        await self.tend_audit_keys()
        await self.ring.refresh()
        if self._db.trail is not None and self._db.trail.seal is None:
            self._db.trail.seal = self.audit_seal

    async def _create_missing(self, root: RootKey, salt: bytes) -> bool:
        """Whether everything is there, under this root key."""

        def complete(session: Session) -> bool:
            made = {row.purpose for row in store.list_keks(session) if row.state == State.ACTIVE}
            row = store.find_root(session)
            return row is not None and same(bytes(row.key_check), root.check_value) and made >= {"data", "derive"}

        return await self._db.read(complete) or await self._db.write(self._create, root, salt)

    def _create(self, session: Session, root: RootKey, salt: bytes) -> bool:
        row = store.find_root(session)
        if row is None:
            store.add_root(session, salt=salt, key_check=root.check_value, created_at=self._clock.ms())
        elif not same(bytes(row.key_check), root.check_value):
            return False
        for purpose in ("data", "derive"):
            if store.find_active_kek(session, purpose=purpose) is None:
                self._add_kek(session, purpose, SYSTEM_ACTOR)
        if store.find_data_key(session, SYSTEM) is None:
            self.sealer.create_owner(session, SYSTEM)
        return True

    def _add_kek(self, session: Session, purpose: str, actor: Actor) -> str:
        kek_id = new_id("kek")
        store.add_kek(
            session,
            id=kek_id,
            purpose=purpose,
            state=State.ACTIVE,
            wrapped=self.sealer.new_kek(kek_id),
            created_at=self._clock.ms(),
        )
        audit.record(session, "keys.kek.created", actor=actor, object=("kek", kek_id), detail={"purpose": purpose})
        return kek_id

    async def _create_missing_signing_keys(self) -> None:
        rows = await self._db.read(store.list_signing_keys)
        have = {(row.alg, row.state) for row in rows}
        wanted = [(alg, state) for alg in EVERY for state in (State.ACTIVE, State.NEXT)]
        missing = [(alg, state) for alg, state in wanted if (alg, str(state)) not in have]
        if not missing:
            return
        keys = await asyncio.gather(*(self._new_key(alg) for alg, _ in missing))  # RSA keys take a while each
        made = [(key, state) for key, (_, state) in zip(keys, missing, strict=True)]
        await self._db.write(self._add_first, made)

    def _add_first(self, session: Session, made: list[tuple[NewKey, State]]) -> None:
        now = self._clock.ms()  # one moment for the whole set: see lifecycle.check_promotion
        have = {(row.alg, row.state) for row in store.list_signing_keys(session)}
        for key, state in made:
            if (key.alg, str(state)) not in have:  # another process may have been quicker
                self._add_signing(session, key, state=state, actor=SYSTEM_ACTOR, now=now)
        tx_of(session).touch(TOPIC)

    async def _new_key(self, alg: str) -> NewKey:
        return await asyncio.to_thread(self._make, alg)

    def _make(self, alg: str) -> NewKey:
        private = generate(alg)
        jwk = public_jwk(private, alg)
        self_check(private, jwk)
        kid = jwk["kid"]
        return NewKey(kid, alg, jwk, self.sealer.system().seal(private_context(kid), to_bytes(private)))

    def _add_signing(self, session: Session, key: NewKey, *, state: State, actor: Actor, now: Millis) -> None:
        store.add_signing_key(
            session,
            kid=key.kid,
            alg=key.alg,
            state=state,
            public_jwk=key.jwk,
            sealed_private=key.sealed_private,
            published_at=now,
            activated_at=now if state is State.ACTIVE else None,
        )
        audit.record(
            session,
            "keys.signing_key.created",
            actor=actor,
            object=("signing_key", key.kid),
            detail={"alg": key.alg, "state": str(state)},
        )

    # -- signing keys -----------------------------

    def signs_for(self, lifetime: timedelta) -> None:
        """Told by each package that signs: how long a token of its is good. Retired keys verify at least as long."""
        self._token_lifetime = max(self._token_lifetime, lifetime)

    async def rotate_due(self) -> list[Rotated]:
        """Rotate every set whose active key has signed for its lifetime; a job. A set that may not be rotated waits.

        Several processes may run it: who comes second finds a young active key and leaves it.
        """
        now = self._clock.ms()
        rows = {(row.alg, row.state): row for row in await self._db.read(store.list_signing_keys)}
        due = []
        for alg in EVERY:
            active, following = rows.get((alg, State.ACTIVE)), rows.get((alg, State.NEXT))
            if active is None or following is None or not self._due(active, now):
                continue
            with contextlib.suppress(RotationTooSoon):
                self._check_promotion(active, following, now)
                due.append(alg)
        if not due:
            return []
        new = [await self._new_key(alg) for alg in due]
        done = await self._db.write(self._rotate, new, actor=SYSTEM_ACTOR, only_due=True)
        await self.ring.refresh()
        return done

    def _due(self, active: Row[Any], now: Millis) -> bool:
        lifetime = _millis(self._settings.signing_key_lifetime.total_seconds())
        return is_due(activated_at=active.activated_at, lifetime=lifetime, now=now)

    def _check_promotion(self, active: Row[Any], following: Row[Any], now: Millis) -> None:
        check_promotion(
            next_published_at=following.published_at,
            active_published_at=active.published_at,
            jwks_max_age=_millis(self._settings.jwks_max_age.total_seconds()),
            skew=_millis(self._settings.clock_skew.total_seconds()),
            now=now,
        )

    async def rotate_signing(
        self, *, actor: Actor, algs: Collection[str] = ALGS, compromised: bool = False
    ) -> list[Rotated]:
        """Next becomes active, active retires, a new next is published, all in one write.

        With `compromised` the active key verifies nothing from this moment: tokens it signed are refused
        everywhere the key set is read again. Raises RotationTooSoon.
        """
        unknown = set(algs) - set(EVERY)
        if unknown or not algs:
            raise ValueError(f"not an algorithm of ours: {', '.join(sorted(unknown)) or '(none)'}")
        new = [await self._new_key(alg) for alg in EVERY if alg in algs]
        done = await self._db.write(self._rotate, new, actor=actor, compromised=compromised)
        if compromised and SEALED in algs:
            # Of these two open at any time, the newer one in everybody's hands: neither is left.
            again = [await self._new_key(SEALED)]
            done += await self._db.write(self._rotate, again, actor=actor, compromised=True)
        await self.ring.refresh()
        return done

    def _rotate(
        self, session: Session, new: list[NewKey], *, actor: Actor, compromised: bool = False, only_due: bool = False
    ) -> list[Rotated]:
        now = self._clock.ms()
        rows = {(row.alg, row.state): row for row in store.list_signing_keys(session)}
        done: list[Rotated] = []
        for key in new:
            active, following = rows[key.alg, str(State.ACTIVE)], rows[key.alg, str(State.NEXT)]
            if only_due and not self._due(active, now):  # another process was quicker
                continue
            if not compromised:
                self._check_promotion(active, following, now)
            until = verify_until(
                retired_at=now,
                token_lifetime=_millis(self._token_lifetime.total_seconds()),
                skew=_millis(self._settings.clock_skew.total_seconds()),
            )
            # The old active first: at most one key of a set is active (unique index).
            store.set_signing_key(
                session,
                active.kid,
                state=move(State(active.state), State.COMPROMISED if compromised else State.RETIRED),
                sealed_private=None,  # it will never sign again
                retired_at=now,
                verify_until=now if compromised else until,
            )
            store.set_signing_key(
                session, following.kid, state=move(State(following.state), State.ACTIVE), activated_at=now
            )
            self._add_signing(session, key, state=State.NEXT, actor=actor, now=now)
            audit.record(
                session,
                "keys.signing_key.compromised" if compromised else "keys.signing_key.rotated",
                actor=actor,
                object=("signing_key", active.kid),
                detail={"alg": key.alg, "active": following.kid, "next": key.kid},
            )
            done.append(Rotated(alg=key.alg, retired=active.kid, active=following.kid, next=key.kid))
        tx_of(session).touch(TOPIC)
        if compromised:
            tx_of(session).touch(VERIFIED)
        return done

    # -- key-encryption keys -----------------------------

    async def rotate_kek(self, *, actor: Actor, chunk: int = CHUNK) -> int:
        """A new key-encryption key: data keys are wrapped anew in chunks, then the old one is destroyed.

        Sealed data does not change. Returns how many data keys were wrapped anew.
        """
        await self._db.write(self._replace_kek, actor=actor)
        return await self.finish_kek_rotation(chunk=chunk)

    def _replace_kek(self, session: Session, *, actor: Actor) -> None:
        now = self._clock.ms()
        old = store.find_active_kek(session)
        if old is not None:
            store.set_kek(session, old.id, state=move(State(old.state), State.RETIRED), retired_at=now)
            audit.record(session, "keys.kek.retired", actor=actor, object=("kek", old.id))
        self._add_kek(session, "data", actor)

    async def finish_kek_rotation(self, *, chunk: int = CHUNK) -> int:
        """Wrap what still hangs from retired key-encryption keys, then destroy those. Nothing if there are none."""

        def waiting(session: Session) -> bool:
            return any(row.state == State.RETIRED for row in store.list_keks(session))

        if not await self._db.read(waiting):
            return 0
        total = 0
        while moved := await self._db.bulk(self._rewrap, limit=chunk):
            total += moved
        await self._db.write(self._destroy_empty_keks)
        self.sealer.forget_keks()
        return total

    def _rewrap(self, session: Session, *, limit: int) -> int:
        active, moved = store.find_active_kek(session), self.sealer.rewrap(session, limit=limit)
        if active is not None and moved:
            told = {"data_keys": moved}
            audit.record(session, "keys.data_key.rewrapped", actor=SYSTEM_ACTOR, object=("kek", active.id), detail=told)
        return moved

    def _destroy_empty_keks(self, session: Session) -> None:
        for row in store.list_keks(session):
            if row.state == State.RETIRED and store.count_data_keys_under(session, row.id) == 0:
                move(State(row.state), State.DESTROYED)
                store.set_kek(session, row.id, state=State.DESTROYED, wrapped=None, destroyed_at=self._clock.ms())
                audit.record(session, "keys.kek.destroyed", actor=SYSTEM_ACTOR, object=("kek", row.id))

    # -- the audit trail's keys -------------------------------------------------

    async def tend_audit_keys(self) -> None:
        """Make this month's and the next month's key; destroy those whose retention has ended. Also a job."""
        wanted, found = self._audit_months(), await self._db.read(store.list_owners, prefix=PREFIX)
        latest = [owner_of(month) for month in wanted[-2:]]
        if set(latest) <= set(found) and found[0] >= owner_of(wanted[0]):
            return
        await self._db.write(self._tend, latest, owner_of(wanted[0]))
        await self.ring.refresh()

    def _audit_months(self) -> range:
        return months_kept(self._clock.ms(), _millis(self._settings.audit_retention.total_seconds()))

    def _tend(self, session: Session, latest: list[str], oldest: str) -> None:
        for owner in latest:
            if store.find_data_key(session, owner) is None:  # destroyed ones are found too: never made again
                self.sealer.create_owner(session, owner)
                audit.record(session, "keys.audit_key.created", actor=SYSTEM_ACTOR, object=("data_key", owner))
        for owner in store.list_owners(session, prefix=PREFIX):
            if owner < oldest:
                self.sealer.destroy_owner(session, owner)
                audit.record(session, "keys.audit_key.destroyed", actor=SYSTEM_ACTOR, object=("data_key", owner))
        tx_of(session).touch(TOPIC)

    def _load_audit_keys(self, session: Session) -> None:
        owners = store.list_owners(session, prefix=PREFIX)
        self.audit_seal.load({month_of_owner(owner): self.sealer.owner(session, owner) for owner in owners})

    # -- the list -----------------------------

    async def list_keys(self) -> list[KeyInfo]:
        """Every key, oldest first, without any material."""
        return await self._db.read(_list_keys)


def _list_keys(session: Session) -> list[KeyInfo]:
    found = [
        KeyInfo(
            id=row.id,
            purpose=row.purpose,
            alg="AES-256-GCM" if row.purpose == "data" else "HKDF-SHA-256",
            state=row.state,
            created_at=row.created_at,
            activated_at=row.created_at,
            retired_at=row.retired_at,
            verify_until=None,
            data_keys=store.count_data_keys_under(session, row.id) if row.purpose == "data" else None,
        )
        for row in store.list_keks(session)
    ]
    found += [
        KeyInfo(
            id=row.kid,
            purpose="signing",
            alg=row.alg,
            state=row.state,
            created_at=row.published_at,
            activated_at=row.activated_at,
            retired_at=row.retired_at,
            verify_until=row.verify_until,
            data_keys=None,
        )
        for row in store.list_signing_keys(session)
    ]
    return found
