"""Passkeys: WebAuthn credentials that live on the resident's device and are unlocked by it.

Web Authentication Level 3, sections 7.1 (registration) and 7.2 (sign-in), by the `webauthn` library. Always
discoverable (no name to type) and always with user verification, so one touch is two factors. What the library
leaves to us is here: a challenge is kept as a keyed hash, belongs to one purpose and one holder, runs out after five
minutes and is deleted by the write that accepts it; the user handle is a keyed hash, so the authenticator learns no
id of ours; a counter that goes backwards means a copy, and stops the passkey (section 6.1.1). Counters that
stay at zero are normal for synchronised passkeys.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import col, delete, select, update

from identity import levels, sign_ins, totp
from identity.accounts import Profile, create_account, profile
from identity.credentials import Throttled
from identity.crowd import Crowd
from identity.errors_account import LastWayIn, PasskeyKnown, PasskeyRefused, PasskeySuspended
from identity.models_account import Account, Passkey, PasskeyChallenge
from identity.sessions import Sessions
from identity.sign_ins import Browser, SignedIn
from identity.throttle import Throttles
from keys.envelope import Sealer
from keys.hashing import TokenHasher, same
from kit import audit
from kit.clock import MINUTE, Clock, Millis
from kit.db import Database, Session, tx_of
from kit.encoding import b64url, b64url_decode
from kit.host import ANONYMOUS, Actor
from kit.ids import new_id
from kit.problems import Conflict, NotFound, TooMany, Unavailable

CHALLENGE_FOR: Millis = 5 * MINUTE
MOST = 20
NAME_LENGTH = 60
_BODY_LIMIT = 32_768


@dataclass(frozen=True, slots=True)
class PasskeyView:
    """One line of the list a resident sees."""

    id: str
    name: str
    synced: bool
    active: bool
    created_at: Millis
    used_at: Millis | None


@dataclass(frozen=True, slots=True)
class _New:
    """A registration that verified."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]
    aaguid: str
    synced: bool


class Passkeys:
    """Registers passkeys and signs in with them, for one web origin."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        sealer: Sealer,
        hasher: TokenHasher,
        sessions: Sessions,
        throttles: Throttles,
        crowd: Crowd,
        issuer: str,
        city: str = "Sekisho",
        trusted_hardware: bool = False,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._hasher = hasher
        self._sessions = sessions
        self._throttles = throttles
        self._crowd = crowd
        parts = urlsplit(issuer)
        self._rp_id = parts.hostname or ""
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._city = city
        self._trusted_hardware = trusted_hardware

    @property
    def available(self) -> bool:
        """Whether browsers will do WebAuthn here: https, or http on localhost; never on a bare IP address."""
        bare_address = self._rp_id.replace(".", "").isdigit() or ":" in self._rp_id
        return not bare_address and (self._origin.startswith("https://") or self._rp_id == "localhost")

    # -- sign-in --------------------------------------------------------------------------------------------------

    async def begin_sign_in(self, source: str = "") -> str:
        """Options for `navigator.credentials.get`, as JSON. Names nobody: the browser offers what it has.

        Raises TooMany when this source asks without end: each challenge is a row.
        """
        from webauthn import generate_authentication_options, options_to_json
        from webauthn.helpers.structs import UserVerificationRequirement

        self._require_available()
        if seconds := self._crowd.wait(source):
            raise TooMany("Too many tries from here.", retry_after=seconds)
        options = generate_authentication_options(
            rp_id=self._rp_id,
            timeout=CHALLENGE_FOR,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        await self._database.write(self._keep_challenge, options.challenge, "sign-in", "")
        return options_to_json(options)

    async def finish_sign_in(self, answer: bytes, browser: Browser, *, next: str = "") -> SignedIn | Throttled:
        """Verify the assertion and begin a session; raises PasskeyRefused or PasskeySuspended."""
        from webauthn import verify_authentication_response

        credential, challenge = _read(answer)
        try:
            credential_id = b64url_decode(str(credential.get("id", "")))
        except ValueError as error:
            raise _refused("id is not base64url") from error
        found = await self._database.write(self._prepare_sign_in, challenge, credential_id, browser)
        if isinstance(found, Throttled):
            return found
        reason, new_count = "unknown", 0
        if isinstance(found, _Known):
            try:
                if not same(_user_handle(credential), self._handle(found.account_id)):
                    raise ValueError("the user handle is not the owner's")
                verified = verify_authentication_response(
                    credential=credential,
                    expected_challenge=challenge,
                    expected_rp_id=self._rp_id,
                    expected_origin=self._origin,
                    credential_public_key=found.public_key,
                    # The library would refuse a low counter with the same error as a bad signature; we want to
                    # tell the two apart, and only after the signature has proved that it is this key.
                    credential_current_sign_count=0,
                    require_user_verification=True,
                )
                reason, new_count = "", verified.new_sign_count
            except Exception as error:  # the library raises many kinds for malformed input
                reason = type(error).__name__
        outcome = await self._database.write(self._finish_sign_in, found, reason, new_count, browser, next)
        if isinstance(outcome, SignedIn):
            return outcome
        if outcome == "suspended":
            raise PasskeySuspended(
                "Its counter went backwards, as if it had been copied. Sign in another way and remove this passkey.",
            )
        raise _refused(outcome)

    # -- adding ---------------------------------------------------------------------------------------------------

    async def begin_add(self, account_id: str) -> str:
        """Options for `navigator.credentials.create` for somebody who is signed in, as JSON."""
        person, known = await self._database.read(self._owner_and_credentials, account_id)
        return await self._begin_registration(account_id, person, known)

    async def finish_add(self, account_id: str, answer: bytes, *, name: str, actor: Actor) -> str:
        """Verify and store a new passkey; returns its id. Raises PasskeyRefused, PasskeyKnown, Conflict."""
        new = await self._verify_registration(account_id, answer)
        return await self._database.write(self._add, account_id, new, name, actor)

    async def begin_reset(self, account_id: str) -> str:
        """The same for somebody with a reset code: what they had before is about to go, so nothing is excluded."""
        person, _known = await self._database.read(self._owner_and_credentials, account_id)
        return await self._begin_registration(account_id, person, ())

    async def finish_reset(
        self, account_id: str, answer: bytes, browser: Browser, *, name: str, spend: Callable[[Session], bool]
    ) -> SignedIn | None:
        """Verify, then in one write: `spend` the reset, store the passkey, begin a session. None: it was not spent."""
        new = await self._verify_registration(account_id, answer)

        def make(session: Session) -> SignedIn | None:
            if not spend(session):
                return None
            self._add(session, account_id, new, name, Actor("resident", account_id))
            return self._begin(session, account_id, new.synced, browser, "")

        return await self._database.write(make)

    async def begin_sign_up(self, account_id: str, person: Profile) -> str:
        """The same for somebody whose account (with this id) will be made when the passkey is there."""
        return await self._begin_registration(account_id, person, ())

    async def finish_sign_up(
        self, account_id: str, person: Profile, answer: bytes, browser: Browser, *, name: str, next: str = ""
    ) -> SignedIn:
        """Make the account, its passkey and its first session in one write. Raises LoginTaken, PasskeyRefused."""
        new = await self._verify_registration(account_id, answer)
        return await self._database.write(self._sign_up, account_id, person, new, browser, name, next)

    # -- the list -------------------------------------------------------------------------------------------------

    def list_for(self, session: Session, account_id: str) -> tuple[PasskeyView, ...]:
        """The account's passkeys, oldest first."""
        rows = session.exec(select(Passkey).where(Passkey.account_id == account_id).order_by(col(Passkey.id))).all()
        if not rows:
            return ()
        key = self._sealer.owner(session, account_id)
        return tuple(
            PasskeyView(
                id=row.id,
                name=key.open(f"identity_passkey|name|{row.id}", row.name).decode(),
                synced=row.synced,
                active=row.status == "active",
                created_at=row.created_at,
                used_at=row.used_at,
            )
            for row in rows
        )

    def rename(self, session: Session, account_id: str, passkey_id: str, name: str, *, actor: Actor) -> None:
        """Give it another name; raises NotFound."""
        row = self._own(session, account_id, passkey_id)
        row.name = self._seal_name(session, account_id, row.id, name)
        session.add(row)
        audit.record(session, "identity.passkey.renamed", actor=actor, object=("passkey", row.id))

    def remove(self, session: Session, account_id: str, passkey_id: str, *, actor: Actor) -> None:
        """Forget it; raises NotFound, or LastWayIn when nothing complete would be left to sign in with."""
        row = self._own(session, account_id, passkey_id)
        if not self.may_remove(session, account_id, passkey_id):
            raise LastWayIn("Add another passkey, or a password with an authenticator app, before removing this one.")
        platform = "internal" in row.transports
        session.delete(row)
        session.flush()
        audit.record(
            session,
            "identity.passkey.removed",
            actor=actor,
            object=("account", account_id),
            detail={"passkey": passkey_id, "platform": platform},
        )

    def may_remove(self, session: Session, account_id: str, passkey_id: str) -> bool:
        """Whether something complete would be left: another passkey, or a password with an app."""
        others = session.exec(
            select(Passkey.id).where(
                Passkey.account_id == account_id, Passkey.id != passkey_id, Passkey.status == "active"
            )
        ).first()
        account = session.get(Account, account_id)
        by_password = account is not None and account.password is not None and totp.is_on(session, account_id)
        return others is not None or by_password

    def sweep(self, session: Session, *, limit: int = 1_000) -> int:
        """Delete challenges that ran out."""
        old = select(PasskeyChallenge.digest).where(col(PasskeyChallenge.expires_at) < self._clock.ms()).limit(limit)
        return session.exec(delete(PasskeyChallenge).where(col(PasskeyChallenge.digest).in_(old))).rowcount

    # -- challenges -----------------------------------------------------------------------------------------------

    def _keep_challenge(self, session: Session, challenge: bytes, purpose: str, holder: str) -> None:
        session.add(
            PasskeyChallenge(
                digest=self._hasher.digest("passkey-challenge", b64url(challenge)),
                purpose=purpose,
                holder=holder,
                expires_at=self._clock.ms() + CHALLENGE_FOR,
            )
        )
        session.flush()

    def _take_challenge(self, session: Session, challenge: bytes, purpose: str, holder: str) -> bool:
        """Use it up: True for exactly one caller (invariant I7)."""
        taken = session.exec(
            delete(PasskeyChallenge)
            .where(
                col(PasskeyChallenge.digest) == self._hasher.digest("passkey-challenge", b64url(challenge)),
                col(PasskeyChallenge.purpose) == purpose,
                col(PasskeyChallenge.holder) == holder,
                col(PasskeyChallenge.expires_at) > self._clock.ms(),
            )
            .execution_options(synchronize_session=False)
        )
        return taken.rowcount == 1

    # -- inside writes --------------------------------------------------------------------------------------------

    def _prepare_sign_in(
        self, session: Session, challenge: bytes, credential_id: bytes, browser: Browser
    ) -> "_Known | Throttled | None":
        now = self._clock.ms()
        wait = self._throttles.charge(session, login=None, source=browser.source, now=now)
        if wait is not None:
            if self._crowd.is_news(b"source", browser.source):
                audit.record(
                    session,
                    "identity.signin.throttled",
                    actor=ANONYMOUS,
                    object=("signin", "passkey"),
                    detail={"scope": wait.scope, "seconds": wait.seconds},
                    outcome="refused",
                )
                tx_of(session).after_commit(lambda: self._crowd.told(b"source", browser.source))
            return Throttled(wait.seconds)
        if not self._take_challenge(session, challenge, "sign-in", ""):
            return None
        row = session.exec(select(Passkey).where(Passkey.credential_id == credential_id)).first()
        return None if row is None else _Known(row.id, row.account_id, row.public_key, row.synced)

    def _finish_sign_in(
        self, session: Session, found: "_Known | None", reason: str, new_count: int, browser: Browser, next: str
    ) -> SignedIn | str:
        now = self._clock.ms()
        row = session.get(Passkey, found.id) if found is not None else None
        account = session.get(Account, found.account_id) if found is not None else None
        if not reason and (row is None or account is None or account.status != "active"):
            reason = "unknown"
        if not reason and row is not None and row.status != "active":
            reason = "suspended"
        if not reason and row is not None and not self._advance(session, row.id, new_count, now):
            reason = "suspended"
            row.status = "suspended"
            session.add(row)
            audit.record(
                session,
                "identity.passkey.suspended",
                actor=ANONYMOUS,
                object=("account", row.account_id),
                detail={"reason": "counter", "passkey": row.id, "platform": "internal" in row.transports},
            )
        if reason or found is None or row is None or account is None:
            about = ("account", found.account_id) if found is not None else ("signin", "passkey")
            sign_ins.note_failure(session, browser, about=about, detail={"method": "passkey", "reason": reason})
            return reason or "unknown"
        return self._begin(session, account.id, row.synced, browser, next)

    def _advance(self, session: Session, passkey_id: str, new_count: int, now: Millis) -> bool:
        """Store the counter, unless it did not grow. Zero and zero is an authenticator that does not count."""
        grew = col(Passkey.sign_count) < new_count
        if new_count == 0:
            grew = col(Passkey.sign_count) == 0
        moved = session.exec(
            update(Passkey)
            .where(col(Passkey.id) == passkey_id, col(Passkey.status) == "active", grew)
            .values(sign_count=new_count, used_at=now)
            .execution_options(synchronize_session=False)
        )
        return moved.rowcount == 1

    def _begin(self, session: Session, account_id: str, synced: bool, browser: Browser, next: str) -> SignedIn:
        level = levels.of(["passkey"], key_stays_in_hardware=not synced, trusted_hardware=self._trusted_hardware)
        self._throttles.reward(session, login=None, source=browser.source, now=self._clock.ms())
        return sign_ins.begin(
            session,
            self._sessions,
            self._hasher,
            account_id,
            browser,
            level=level,
            detail={"method": "passkey"},
            next=next,
            now=self._clock.ms(),
        )

    def _add(self, session: Session, account_id: str, new: _New, name: str, actor: Actor) -> str:
        if session.exec(select(Passkey.id).where(Passkey.credential_id == new.credential_id)).first() is not None:
            raise PasskeyKnown("This device has a passkey here already; you can use it as it is.")
        if len(session.exec(select(Passkey.id).where(Passkey.account_id == account_id)).all()) >= MOST:
            raise Conflict(f"At most {MOST} passkeys. Remove one that you no longer use.")
        passkey_id = new_id("pky")
        session.add(
            Passkey(
                id=passkey_id,
                account_id=account_id,
                credential_id=new.credential_id,
                public_key=new.public_key,
                sign_count=new.sign_count,
                transports=list(new.transports),
                aaguid=new.aaguid,
                synced=new.synced,
                name=self._seal_name(session, account_id, passkey_id, name),
                created_at=self._clock.ms(),
            )
        )
        session.flush()
        audit.record(
            session,
            "identity.passkey.added",
            actor=actor,
            object=("account", account_id),
            detail={"passkey": passkey_id, "synced": new.synced, "platform": "internal" in new.transports},
        )
        return passkey_id

    def _sign_up(
        self, session: Session, account_id: str, person: Profile, new: _New, browser: Browser, name: str, next: str
    ) -> SignedIn:
        by = Actor("resident", account_id)
        create_account(
            session,
            self._sealer,
            self._hasher,
            login=person.login,
            profile=person,
            now=self._clock.ms(),
            actor=by,
            account_id=account_id,
        )
        self._add(session, account_id, new, name, by)
        return self._begin(session, account_id, new.synced, browser, next)

    def _own(self, session: Session, account_id: str, passkey_id: str) -> Passkey:
        row = session.get(Passkey, passkey_id)
        if row is None or row.account_id != account_id:
            raise NotFound("There is no such passkey.")
        return row

    def _seal_name(self, session: Session, account_id: str, passkey_id: str, name: str) -> bytes:
        clean = " ".join(name.split())[:NAME_LENGTH]
        return self._sealer.owner(session, account_id).seal(f"identity_passkey|name|{passkey_id}", clean.encode())

    # -- registration ---------------------------------------------------------------------------------------------

    def _owner_and_credentials(
        self, session: Session, account_id: str
    ) -> tuple[Profile, tuple[tuple[bytes, tuple[str, ...]], ...]]:
        rows = session.exec(select(Passkey).where(Passkey.account_id == account_id)).all()
        known = tuple((row.credential_id, tuple(row.transports)) for row in rows)
        return profile(session, self._sealer, account_id), known

    async def _begin_registration(
        self, account_id: str, person: Profile, known: tuple[tuple[bytes, tuple[str, ...]], ...]
    ) -> str:
        from webauthn import generate_registration_options, options_to_json
        from webauthn.helpers.structs import (
            AttestationConveyancePreference,
            AuthenticatorSelectionCriteria,
            AuthenticatorTransport,
            PublicKeyCredentialDescriptor,
            ResidentKeyRequirement,
            UserVerificationRequirement,
        )

        self._require_available()
        words = {transport.value for transport in AuthenticatorTransport}
        options = generate_registration_options(
            rp_id=self._rp_id,
            rp_name=self._city,
            user_id=self._handle(account_id),
            user_name=person.login,
            user_display_name=person.name,
            timeout=CHALLENGE_FOR,
            attestation=AttestationConveyancePreference.NONE,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(
                    id=credential_id,
                    transports=[AuthenticatorTransport(word) for word in transports if word in words],
                )
                for credential_id, transports in known
            ],
        )
        await self._database.write(self._keep_challenge, options.challenge, "register", account_id)
        return options_to_json(options)

    async def _verify_registration(self, account_id: str, answer: bytes) -> _New:
        from webauthn import verify_registration_response
        from webauthn.helpers.structs import CredentialDeviceType

        credential, challenge = _read(answer)
        if not await self._database.write(self._take_challenge, challenge, "register", account_id):
            raise _refused("challenge unknown, used or too old")
        try:
            verified = verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self._rp_id,
                expected_origin=self._origin,
                require_user_verification=True,
            )
        except Exception as error:  # the library raises many kinds for malformed input
            raise _refused(f"{type(error).__name__}: {error}") from error
        response = credential.get("response")
        transports = response.get("transports") if isinstance(response, dict) else None
        return _New(
            credential_id=verified.credential_id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            transports=tuple(str(item)[:20] for item in transports[:8]) if isinstance(transports, list) else (),
            aaguid=verified.aaguid,
            synced=verified.credential_device_type == CredentialDeviceType.MULTI_DEVICE,
        )

    def _handle(self, account_id: str) -> bytes:
        return self._hasher.digest("passkey-user", account_id)

    def _require_available(self) -> None:
        if not self.available:
            raise Unavailable(
                "Passkeys need https, or http://localhost. Sign in with your password here.",
                private=f"issuer {self._origin} can't be a WebAuthn relying party",
            )


@dataclass(frozen=True, slots=True)
class _Known:
    id: str
    account_id: str
    public_key: bytes
    synced: bool


def _read(answer: bytes) -> tuple[dict[str, Any], bytes]:
    """The credential and the challenge its client data claims (unproved until verified); raises PasskeyRefused."""
    if len(answer) > _BODY_LIMIT:
        raise _refused("too large")
    try:
        credential = json.loads(answer)
        client_data = json.loads(b64url_decode(credential["response"]["clientDataJSON"]))
        challenge = b64url_decode(client_data["challenge"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _refused(f"malformed: {type(error).__name__}") from error
    if not isinstance(credential, dict) or not challenge:
        raise _refused("malformed")
    return credential, challenge


def _user_handle(credential: dict[str, Any]) -> bytes:
    return b64url_decode(str(credential["response"]["userHandle"]))


def _refused(private: str) -> PasskeyRefused:
    return PasskeyRefused("The passkey was not accepted. Try again from the beginning.", private=private)
