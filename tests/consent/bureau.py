"""Keys, identity and consent on a real database, without the portal; with a member, an agreement and residents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import httpx2
from pydantic import SecretStr
from sqlalchemy import Connection, text

from consent import agreements, records
from consent import wiring as consent_wiring
from consent.changes import ConsentRef
from consent.gate import Decisions
from consent.proposal import Proposal
from consent.receipts import Receipts
from consent.revisions import Revision
from consent.settings import ConsentSettings
from identity import members
from identity import wiring as identity_wiring
from identity.accounts import Profile, create_account
from identity.clients import Clients
from identity.registration import Registration
from identity.settings import IdentitySettings
from keys import wiring as keys_wiring
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from keys.notes import NoteVerifier
from keys.ring import KeyRing
from keys.root import new_text
from keys.settings import KeysSettings
from kit.audit import AuditEntry, AuditTrail, entries, seal_pending
from kit.clock import FrozenClock
from kit.db import Database, Session
from kit.fetch import Fetcher, OutgoingSettings
from kit.front import FrontTable
from kit.host import ANONYMOUS, Actor, Host
from kit.mail import Mailbox
from kit.tlog import reading
from kit.tlog.client import Audit, audit
from kit.tlog.log import Logs
from kit.tlog.tables import leaves
from kit.tlog.tiles import Tile, bundles_of, decode_bundle
from tests.support.catalogue import ANY
from tests.support.tiles import tiles_of

ISSUER = "http://localhost:8080"
STAFF = Actor("operator", "acc_staff", frozenset({"operator"}))
BOARD = Actor("operator", "acc_board", frozenset({"ethics"}))
NAME = "湊 花子"


def proposal(**changed: Any) -> Proposal:
    """A proposal by the bus operator: mobility is required, household and energy use are optional."""
    words = {
        "ja": {
            "title": "もっと便利なバスの時刻",
            "short": "あなたの乗車の記録を見て、バスの本数を増やします。",
            "full": "バス会社は、最近90日の乗車の記録を、お名前なしで受け取ります。",
            "benefit": "必要な時間にバスが増えます。",
            "if_refused": "何も変わりません。これまでどおり乗れます。",
            "forbidden": "バス会社は、ほかの人に渡したり、あなたが誰かを調べたりできません。",
        },
        "en": {
            "title": "Better bus times",
            "short": "We look at your trips to plan more buses.",
            "full": "The bus operator receives your trips of the last 90 days, without your name.",
            "benefit": "More buses at the times you need them.",
            "if_refused": "Nothing changes for you. You can ride as before.",
            "forbidden": "The operator may not pass the data on, nor find out who you are.",
        },
    }
    content: dict[str, Any] = {
        "purpose": "ImproveTransportMobility",
        "categories": [
            {"category": "mobility", "required": True, "sensitivity": 1},
            {"category": "household", "required": False, "sensitivity": 1},
            {"category": "energy_use", "required": False},
        ],
        "retention": "P90D",
        "duration": "P180D",
        "contact": "data@bus.example",
        "text": words,
        **changed,
    }
    return Proposal.model_validate(content)


def person(account_id: str) -> Actor:
    """A resident as the author of something."""
    return Actor("resident", account_id)


@dataclass
class Bureau:
    """Everything at hand."""

    db: Database
    clock: FrozenClock
    host: Host
    trail: AuditTrail
    member: str = ""
    agreement: str = ""
    revision: str = ""

    @property
    def sealer(self) -> Sealer:
        return self.host.get(Sealer)

    @property
    def logs(self) -> Logs:
        return self.host.get(Logs)

    @property
    def decisions(self) -> Decisions:
        return self.host.get(Decisions)

    @property
    def receipts(self) -> Receipts:
        return self.host.get(Receipts)

    @property
    def vkey(self) -> str:
        return self.logs.get().vkey

    @property
    def jwks(self) -> dict[str, Any]:
        found: dict[str, Any] = self.host.get(KeyRing).archive()
        return found

    @property
    def front(self) -> FrontTable:
        async def nobody(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        return FrontTable(self.host.rows, nobody)

    async def resident(self, login: str = "hanako") -> str:
        """A resident with a data key."""
        return await self.db.write(
            create_account,
            self.sealer,
            self.host.get(TokenHasher),
            login=login,
            profile=Profile(name=NAME, name_kana="ミナト ハナコ", birthdate="1990-01-02", login=login),
            now=self.clock.ms(),
            kind="resident",
            password_hash=None,
            actor=ANONYMOUS,
        )

    async def add_member(self, name: str = "Minato Bus") -> str:
        """An approved member."""

        def make(session: Session) -> str:
            now = self.clock.ms()
            member = members.apply(session, name_ja="みなとバス", name_en=name, actor=STAFF, now=now)
            members.approve(session, member.id, actor=STAFF, now=now)
            return member.id

        return await self.db.write(make)

    async def offer(self, member_id: str | None = None, **changed: Any) -> Revision:
        """A proposed agreement."""
        return await self.db.write(
            agreements.propose,
            member_id=member_id or self.member,
            proposal=proposal(**changed),
            sensitivities=ANY,
            actor=STAFF,
            now=self.clock.ms(),
        )

    async def approve(self, revision_id: str) -> Revision:
        """The ethics board says yes."""
        return await self.db.write(
            agreements.approve, revision_id, actor=BOARD, now=self.clock.ms(), sealer=self.sealer
        )

    async def give(self, account_id: str, *categories: str, lang: str = "ja", **more: Any) -> ConsentRef:
        """Agree to the bus operator's agreement."""
        return await self.db.write(
            records.give,
            self.sealer,
            account_id=account_id,
            revision_id=more.pop("revision_id", self.revision),
            categories=categories or ("mobility",),
            notice_lang=lang,
            actor=person(account_id),
            now=self.clock.ms(),
            **more,
        )

    async def withdraw(self, account_id: str, consent_id: str) -> ConsentRef:
        """Withdraw."""
        return await self.db.write(
            records.withdraw,
            self.sealer,
            consent_id=consent_id,
            account_id=account_id,
            actor=person(account_id),
            now=self.clock.ms(),
        )

    async def sweep(self) -> int:
        """What the job does."""
        return await self.db.bulk(records.sweep, self.sealer, now=self.clock.ms())

    async def lay(self) -> None:
        """Let the sequencer and the audit sealer run where they are jobs."""
        await self.logs.sequence()
        if not self.db.single_writer:
            await self.db.write_core(seal_pending)

    async def log_entries(self) -> list[bytes]:
        """Every entry of the ledger in order, after a check of the whole log from outside."""
        await self.lay()
        found: dict[str, bytes] = {"checkpoint": (await self.logs.published()).note}
        size = (await self.logs.published()).size
        for tile in [*tiles_of(size), *bundles_of(size)]:
            content = await self.logs.tile(tile)
            assert content is not None
            found[tile.path()] = content
        verifier = NoteVerifier(self.vkey)
        checked: Audit = audit(found.__getitem__, origin=verifier.name, verifiers=[verifier])
        assert checked.checkpoint.size == size
        return [entry for bundle in bundles_of(size) for entry in decode_bundle(found[bundle.path()], bundle.width)]

    async def audit(self, action: str) -> list[AuditEntry]:
        """Entries of one action."""
        await self.lay()

        def read(session: Session) -> list[AuditEntry]:
            return entries(session, action=action)

        return await self.db.read(read)

    async def rows(self, table: str) -> list[dict[str, Any]]:
        """A whole table, raw."""

        def read(connection: Connection) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()]

        return await self.db.read_core(read)

    async def index_of(self, leaf_id: str) -> int | None:
        """Where a leaf lies."""
        await self.lay()
        return await self.db.read_core(reading.index_of, leaf_id)


@asynccontextmanager
async def open_bureau(
    db: Database, clock: FrozenClock, *, load_tests: bool = False, **consent: Any
) -> AsyncIterator[Bureau]:
    """Compose keys, identity and consent over a started database, with one approved agreement."""
    settings = SimpleNamespace(
        keys=KeysSettings(root_key=SecretStr(new_text())),
        identity=IdentitySettings(),
        consent=ConsentSettings(ledger_add_for_tests=load_tests, **consent),
    )
    host = Host(db, clock, settings, ISSUER)
    host.provide(Fetcher, Fetcher(OutgoingSettings(allow=("127.0.0.1",))))
    host.provide(Mailbox, Mailbox())  # nobody here writes a letter
    trail = AuditTrail(db, clock)
    parts = (("keys", keys_wiring.include), ("identity", identity_wiring.include), ("consent", consent_wiring.include))
    for package, include in parts:
        host.package = package
        include(host)
    for start in host.starters:
        await start()
    bureau = Bureau(db, clock, host, trail)
    bureau.member = await bureau.add_member()
    revision = await bureau.offer()
    bureau.agreement, bureau.revision = revision.agreement_id, revision.id
    await bureau.approve(revision.id)
    yield bureau
    for stop in reversed(host.stoppers):
        await stop()


@dataclass(frozen=True)
class Service:
    """A registered client with a token of its own."""

    client_id: str
    headers: dict[str, str]
    secret: str


async def service(
    bureau: Bureau, web: httpx2.AsyncClient, *, member: str | None, scope: str = "", **registration: Any
) -> Service:
    """A member's service and its access token, by client credentials."""
    asked = Registration(
        name_ja="バスの時刻",
        name_en="Bus times",
        member_id=member,
        grant_types=["client_credentials"],
        scope=scope,
        **registration,
    )
    made, secret = await bureau.db.write(bureau.host.get(Clients).create, asked, actor=STAFF)
    answer = await web.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=(made.id, secret or ""))
    assert answer.status_code == 200, answer.text
    return Service(made.id, {"authorization": f"Bearer {answer.json()['access_token']}"}, secret or "")


async def token(bureau: Bureau, web: httpx2.AsyncClient, *, member: str | None, scope: str = "") -> dict[str, str]:
    """The headers of a service."""
    return (await service(bureau, web, member=member, scope=scope)).headers


__all__ = ["Bureau", "Service", "Tile", "leaves", "open_bureau", "person", "proposal", "service", "token"]
