"""An information bank with two residents, a clinic, a bus operator and an agreement; tokens made by the real ring."""

from dataclasses import dataclass, field
from typing import Any

import httpx2

from consent import agreements, records
from consent.proposal import Category, NoticeText, NoticeTexts, Proposal
from identity import grants, members
from identity.accounts import Profile, create_account
from identity.clients import Client, Clients
from identity.codes import Authorized
from identity.oauth.holder import Holder
from identity.registration import Registration
from identity.sessions import Sessions, session_cookie
from identity.tokens import Tokens, new_jti
from infobank import items, vault
from infobank.catalogue import Catalogue
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.clock import Millis
from kit.db import Session
from kit.host import SYSTEM, Actor
from portal.app import Building
from tests.support.catalogue import ANY

CHECKUP = {"date": "2026-10-02", "facility": "みなと診療所", "systolic": 118, "diastolic": 74, "hba1c": 5.4}
JOURNEY = {
    "boarded_at": "2026-11-02T08:10:00+09:00",
    "mode": "bus",
    "origin": "汐見町二丁目",
    "destination": "みなと診療所前",
    "minutes": 14,
}
OFFERED = ("health_checkup", "vaccination", "mobility")


def _words(lang: str) -> NoticeText:
    return NoticeText(
        title="t", short="s", full=f"full {lang}", benefit="b", if_refused="nothing changes", forbidden="nothing else"
    )


PROPOSAL = Proposal(
    purpose="ImproveHealthcare",
    categories=tuple(Category(category=name, required=name == "health_checkup", sensitivity=2) for name in OFFERED),
    retention="P30D",
    duration="P180D",
    contact="desk@clinic.minatohama.example",
    text=NoticeTexts(ja=_words("ja"), en=_words("en")),
)


@dataclass(slots=True)
class Bank:
    """Everything at hand. `hana` and `taro` are account ids, `clinic` and `bus` clients."""

    app: Building
    http: httpx2.AsyncClient
    hana: str = ""
    taro: str = ""
    clinic: Client = field(init=False)
    bus: Client = field(init=False)
    revision: str = ""

    @property
    def db(self) -> Any:
        return self.app.host.db

    @property
    def sealer(self) -> Sealer:
        return self.app.host.get(Sealer)

    @property
    def catalogue(self) -> Catalogue:
        return self.app.host.get(Catalogue)

    @property
    def now(self) -> Millis:
        return self.app.host.clock.ms()

    def resident(self, account_id: str) -> Actor:
        return Actor("resident", account_id)

    async def open(self) -> "Bank":
        """People, organisations, the agreement."""

        def build(session: Session) -> tuple[str, str, Client, Client, str]:
            hasher = self.app.host.get(TokenHasher)
            people = [
                create_account(session, self.sealer, hasher, login=login, profile=Profile(name=name), now=self.now)
                for login, name in (("hana", "湊 花"), ("taro", "浜 太郎"))
            ]
            made = []
            for name, sources in (("clinic", ("health_checkup", "vaccination")), ("bus", ("mobility",))):
                member = members.apply(
                    session, name_ja=name, name_en=name, actor=SYSTEM, now=self.now, source_categories=sources,
                    member_id=f"mem_{name}",
                )  # fmt: skip
                members.approve(session, member.id, actor=SYSTEM, now=self.now)
                client, _secret = self.app.host.get(Clients).create(
                    session,
                    Registration(
                        name_ja=name,
                        name_en=name,
                        member_id=member.id,
                        redirect_uris=[f"https://{name}.example/cb"],
                        scope="openid bank:deposit",
                    ),
                    actor=SYSTEM,
                    client_id=name,
                )
                made.append(client)
            revision = agreements.propose(
                session,
                member_id="mem_clinic",
                proposal=PROPOSAL,
                sensitivities=ANY,
                actor=SYSTEM,
                now=self.now,
                agreement_id="agr_one",
            )
            agreements.approve(session, revision.id, actor=SYSTEM, now=self.now, sealer=None)
            return people[0], people[1], made[0], made[1], revision.id

        self.hana, self.taro, self.clinic, self.bus, self.revision = await self.db.write(build)
        return self

    async def put(self, account_id: str, category: str, *data: dict[str, Any], source: str = "self") -> list[str]:
        """Records in the vault; their ids."""
        drafts = [items.draft(self.catalogue, category, one, now=self.now, limit=16_384) for one in data]
        taken = await self.db.write_core(
            vault.deposit, self.sealer, drafts, account_id=account_id, source=source, client_id=None,
            actor=self.resident(account_id), now=self.now,
        )  # fmt: skip
        return [one.id for one in taken]

    async def agree(self, account_id: str, *categories: str) -> str:
        """A consent to the agreement; its id."""
        ref = await self.db.write(
            records.give, self.sealer, account_id=account_id, revision_id=self.revision, categories=categories,
            notice_lang="ja", actor=self.resident(account_id), now=self.now,
        )  # fmt: skip
        return str(ref.consent_id)

    async def withdraw(self, account_id: str, consent_id: str) -> None:
        """The resident withdraws."""
        await self.db.write(
            records.withdraw, self.sealer, consent_id=consent_id, account_id=account_id,
            actor=self.resident(account_id), now=self.now,
        )  # fmt: skip

    async def token(
        self,
        account_id: str | None,
        consent_id: str | None,
        *datatypes: str,
        client: Client | None = None,
        scopes: tuple[str, ...] = ("openid",),
        purpose: str = "ImproveHealthcare",
        more: tuple[dict[str, Any], ...] = (),
    ) -> str:
        """An access token of the clinic (or another client) under a grant that rests on the consent."""
        client = client or self.clinic
        tokens = self.app.host.get(Tokens)
        if account_id is None:
            return tokens.access_token(
                client, jti=new_jti(), audience=tokens.issuer, scopes=scopes, now=self.now, holder=Holder()
            )
        details: tuple[dict[str, Any], ...] = more
        if consent_id is not None:
            details = (
                {"type": "data_use", "agreement": "agr_one", "purpose": purpose, "datatypes": list(datatypes),
                 "actions": ["read"], "consent": consent_id},
                *more,
            )  # fmt: skip
        consents = [detail["consent"] for detail in details]
        grant = await self.db.write(
            grants.give, account_id=account_id, client_id=client.id, scopes=scopes, details=details,
            consent_ids=consents, actor=self.resident(account_id), now=self.now,
        )  # fmt: skip
        authorized = Authorized(
            scopes=scopes, details=details, resources=(), redirect_uri=client.redirect_uris[0], challenge="",
            nonce=None, session_id="ses_test", auth_at=self.now, acr="", amr=("pwd",), dpop_jkt=None,
        )  # fmt: skip
        return tokens.access_token(
            client, jti=new_jti(), audience=tokens.issuer, scopes=scopes, now=self.now, holder=Holder(),
            account_id=account_id, grant_id=grant.id, authorized=authorized,
        )  # fmt: skip

    async def fetch(self, token: str, **query: Any) -> httpx2.Response:
        """`GET /api/bank/records` with a token."""
        return await self.http.get("/api/bank/records", params=query, headers={"authorization": f"Bearer {token}"})

    async def send(self, token: str, body: Any, **headers: str) -> httpx2.Response:
        """`POST /api/bank/records` with a token."""
        given = {"authorization": f"Bearer {token}", "content-type": "application/json", **headers}
        if isinstance(body, bytes):
            return await self.http.post("/api/bank/records", content=body, headers=given)
        return await self.http.post("/api/bank/records", json=body, headers=given)

    async def sign_in(self, account_id: str) -> dict[str, str]:
        """Headers of a browser in which the resident is signed in."""

        def begin(session: Session) -> str:
            token, _found = self.app.host.get(Sessions).begin(
                session, account_id, acr="urn:sekisho:acr:2", amr=("pwd", "otp")
            )
            return token

        token = await self.db.write(begin)
        return {
            "cookie": f"{session_cookie(self.app.settings.issuer)}={token}",
            "origin": self.app.settings.issuer,
            "sec-fetch-site": "same-origin",
        }
