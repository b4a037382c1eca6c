"""The part of the building that knows people: keys and accounts on a real database, without the portal."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace

from pydantic import SecretStr

from identity import accounts_wiring, totp
from identity.accounts import Kind, Profile, create_account
from identity.attempts import Attempts
from identity.credentials import CodeNeeded, Credentials
from identity.passkeys import Passkeys
from identity.sessions import Sessions
from identity.settings import IdentitySettings
from identity.sign_ins import Browser, SignedIn
from identity.throttle import Throttles
from keys import wiring as keys_wiring
from keys.envelope import Sealer
from keys.hashing import Passwords, TokenHasher
from keys.root import new_text
from keys.settings import KeysSettings
from kit.audit import AuditEntry, AuditTrail, entries, seal_pending
from kit.clock import FrozenClock
from kit.db import Database, Session
from kit.host import ANONYMOUS, Actor, Host
from kit.mail import Mailbox
from tests.support.letterbox import Letterbox

PASSWORD = "correct horse battery staple"
ISSUER = "http://localhost:8080"
HANA = Profile(name="湊 花", name_kana="ミナト ハナ", birthdate="1951-04-02", login="hana")


@dataclass
class Office:
    """Everything at hand."""

    db: Database
    clock: FrozenClock
    host: Host
    trail: AuditTrail
    _hashed: str = ""

    @property
    def sealer(self) -> Sealer:
        return self.host.get(Sealer)

    @property
    def hasher(self) -> TokenHasher:
        return self.host.get(TokenHasher)

    @property
    def sessions(self) -> Sessions:
        return self.host.get(Sessions)

    @property
    def credentials(self) -> Credentials:
        return self.host.get(Credentials)

    @property
    def passkeys(self) -> Passkeys:
        return self.host.get(Passkeys)

    @property
    def attempts(self) -> Attempts:
        return self.host.get(Attempts)

    @property
    def throttles(self) -> Throttles:
        return self.host.get(Throttles)

    async def add(
        self,
        login: str = "hana",
        *,
        password: str | None = PASSWORD,
        kind: Kind = "resident",
        roles: tuple[str, ...] = (),
    ) -> str:
        """A person with a password."""
        if password is None:
            hashed = None
        else:
            if not self._hashed or password != PASSWORD:
                self._hashed = await self.host.get(Passwords).hash(password)
            hashed = self._hashed
        return await self.db.write(
            create_account,
            self.sealer,
            self.hasher,
            login=login,
            profile=HANA,
            now=self.clock.ms(),
            kind=kind,
            roles=roles,
            password_hash=hashed,
            actor=ANONYMOUS,
        )

    async def add_totp(self, account_id: str) -> str:
        """Turn an authenticator app on; returns its secret."""
        secret = totp.new_secret()
        await self.db.write(
            totp.turn_on, self.sealer, account_id, secret=secret, now=self.clock.ms(), actor=person(account_id)
        )
        return secret

    async def sign_in(self, login: str = "hana", password: str = PASSWORD, *, source: str = "192.0.2.1") -> SignedIn:
        """By password, for an account without a second factor."""
        outcome = await self.credentials.sign_in(login, password, Browser(source))
        assert isinstance(outcome, SignedIn), outcome
        return outcome

    async def half_in(self, login: str = "hana", *, source: str = "192.0.2.1", next: str = "/home") -> str:
        """By password, for an account with a second factor: the attempt's token."""
        outcome = await self.credentials.sign_in(login, PASSWORD, Browser(source), next=next)
        assert isinstance(outcome, CodeNeeded), outcome
        return outcome.token

    async def audit(self, action: str) -> list[AuditEntry]:
        """Entries of one action, oldest first."""

        if not self.db.single_writer:
            await self.db.write_core(seal_pending)

        def read(session: Session) -> list[AuditEntry]:
            return entries(session, action=action)

        return await self.db.read(read)


def person(account_id: str) -> Actor:
    """A resident as the author of something."""
    return Actor("resident", account_id)


@asynccontextmanager
async def open_office(db: Database, clock: FrozenClock, *, issuer: str = ISSUER) -> AsyncIterator[Office]:
    """Compose keys and accounts over a started database."""
    settings = SimpleNamespace(keys=KeysSettings(root_key=SecretStr(new_text())), identity=IdentitySettings())
    host = Host(db, clock, settings, issuer)
    trail = AuditTrail(db, clock)
    host.provide(Mailbox, Letterbox())
    for package, include in (("keys", keys_wiring.include), ("identity", accounts_wiring.include)):
        host.package = package
        include(host)
    for start in host.starters:
        await start()
    yield Office(db, clock, host, trail)
    for stop in reversed(host.stoppers):
        await stop()
