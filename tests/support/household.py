"""A resident with data, a service with an agreement, and what they do with each other; for tests of the pages."""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx2

from consent import agreements
from consent.proposal import Proposal
from identity.sessions import BrowserSession
from infobank import items, vault
from infobank.catalogue import Catalogue
from keys.envelope import Sealer
from kit.clock import DAY
from kit.db import Session
from kit.host import SYSTEM
from portal.app import Building
from tests.support.catalogue import ANY
from tests.support.relying_party import Party, join, location

CHECKUPS = (
    {"date": "2024-04-18", "systolic": 121, "weight": 62.4, "hba1c": 5.5, "judgement": "A"},
    {"date": "2025-04-17", "systolic": 131, "weight": 63.0, "hba1c": 5.7, "judgement": "B"},
    {"date": "2026-04-16", "systolic": 128, "weight": 61.2, "hba1c": 5.6, "judgement": "B"},
)
RIDES = (
    {"boarded_at": "2026-11-10T08:15:00+09:00", "mode": "bus", "origin": "湊浜駅前", "destination": "市民病院"},
    {"boarded_at": "2026-11-12T17:40:00+09:00", "mode": "bus", "origin": "市民病院", "destination": "湊浜駅前"},
)
_WORDS = {
    "ja": {
        "title": "健康相談のための健診結果の利用",
        "short": "健診結果の変化を見て、生活習慣病の予防について相談に乗ります。",
        "full": "湊浜診療所は、健診結果を健康相談のために見ます。\nあなたはいつでも取り消せます。",
        "benefit": "紙を持って行かなくても、前の結果と比べた相談を無料で受けられます。",
        "if_refused": "何も変わりません。診療はこれまでどおり受けられます。",
        "forbidden": "ほかの会社や人に渡すこと\n広告や保険の審査に使うこと",
    },
    "en": {
        "title": "Using your check-up results for health advice",
        "short": "We look at how your results change and advise you.",
        "full": "Minato-hama Clinic looks at your check-up results to advise you.\nYou can take it back at any time.",
        "benefit": "Free advice that compares your results, without bringing paper.",
        "if_refused": "Nothing changes. You are treated as before.",
        "forbidden": "Passing it on to other companies or people\nUsing it for advertising or insurance",
    },
}


def proposal(**changed: Any) -> Proposal:
    """Check-up results are needed; vaccinations and bus rides are optional."""
    content: dict[str, Any] = {
        "purpose": "ImproveHealthcare",
        "categories": [
            {"category": "health_checkup", "required": True, "sensitivity": 3},
            {"category": "vaccination", "required": False, "sensitivity": 3},
            {"category": "mobility", "required": False, "sensitivity": 2},
        ],
        "retention": "P30D",
        "duration": "P180D",
        "contact": "data@clinic.example",
        "text": _WORDS,
        **changed,
    }
    return Proposal.model_validate(content)


@dataclass
class Household:
    """The resident's browser and the service's client."""

    party: Party
    agreement_id: str
    sent: dict[str, str] = field(default_factory=dict)

    @property
    def http(self) -> httpx2.AsyncClient:
        return self.party.http

    @property
    def building(self) -> Building:
        return self.party.building

    @property
    def session(self) -> BrowserSession:
        assert self.party.session is not None
        return self.party.session

    def _headers(self, lang: str, signed_in: bool) -> dict[str, str]:
        cookie = f"sekisho-lang={lang}" + (f"; sekisho-local={self.party.cookie}" if signed_in else "")
        return {"cookie": cookie, "accept": "text/html"}

    async def get(self, path: str, *, lang: str = "ja", signed_in: bool = True) -> httpx2.Response:
        """Open a page."""
        return await self.http.get(path, headers=self._headers(lang, signed_in))

    async def post(
        self, path: str, values: dict[str, Any] | None = None, *, lang: str = "ja", signed_in: bool = True
    ) -> httpx2.Response:
        """Send a form, as a browser does from our own page."""
        headers = self._headers(lang, signed_in) | {
            "origin": self.party.issuer,
            "content-type": "application/x-www-form-urlencoded",
        }
        return await self.http.post(path, content=urlencode(values or {}, doseq=True), headers=headers)

    async def upload(self, path: str, content: bytes, *, name: str = "records.json") -> httpx2.Response:
        """Send a file."""
        headers = self._headers("ja", True) | {"origin": self.party.issuer}
        return await self.http.post(path, files={"file": (name, content, "application/json")}, headers=headers)

    async def ask(self, **changes: str | None) -> str:
        """The service asks for data; the address of the page the resident is sent to."""
        details = json.dumps([{"type": "data_use", "agreement": self.agreement_id}])
        request = self.party.request(**{"authorization_details": details, **changes})
        base, _query = location(await self.party.authorize(request))
        assert "/interaction/" in base, base
        return base.removeprefix(self.party.issuer)

    async def answer(self, page: str, values: dict[str, Any], *, lang: str = "ja") -> httpx2.Response:
        """Read the page and answer it, with the fields the page itself carries."""
        shown = await self.get(page, lang=lang)
        if shown.status_code == 303:  # nothing had to be asked
            return shown
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', shown.text))
        return await self.post(page, hidden | values, lang=lang)

    async def give(self, *ticked: str) -> str:
        """Ask and agree on the page; the consent's id."""
        page = await self.ask()
        answer = await self.answer(page, {"answer": "agree", "category": list(ticked)})
        assert answer.status_code == 303, answer.text
        return (await self.consents())[0]

    async def known(self) -> None:
        """The resident signs in at the service: it is known from now on, without any data."""
        page = await self.ask(authorization_details=None, scope="openid profile")
        assert "code" in location(await self.answer(page, {"answer": "agree"}))[1]

    async def sent_on(self, **changes: str | None) -> dict[str, str]:
        """The service asks for data and gets its answer without a page: the answer's parameters."""
        page = await self.get(await self.ask(**changes))
        return location(page)[1]

    async def consents(self) -> list[str]:
        """The ids of the resident's consents, newest first."""
        from consent import records

        now = self.building.host.clock.ms()
        found = await self.building.host.db.read(records.list_for, self.party.account_id, now=now)
        return [each.id for each in found]

    async def deposit(self, category: str, *rows: dict[str, Any], source: str = "self") -> list[str]:
        """Put records into the bank."""
        host = self.building.host
        now = host.clock.ms()
        drafts = [items.draft(host.get(Catalogue), category, row, now=now, limit=16_384) for row in rows]
        taken = await host.db.write_core(
            vault.deposit,
            host.get(Sealer),
            drafts,
            account_id=self.party.account_id,
            source=source,
            client_id=None,
            actor=SYSTEM,
            now=now,
        )
        return [each.id for each in taken]


async def settle(building: Building, http: httpx2.AsyncClient, **registration: Any) -> Household:
    """Move in: resident, records, service, approved agreement."""
    party = await join(building, http, **registration)
    now = building.host.clock.ms()

    def agree(session: Session) -> str:
        offered = agreements.propose(
            session,
            member_id=str(party.client.member_id),
            proposal=proposal(),
            sensitivities=ANY,
            actor=SYSTEM,
            now=now - 30 * DAY,
        )
        return agreements.approve(session, offered.id, actor=SYSTEM, now=now - 20 * DAY, sealer=None).agreement_id

    home = Household(party, await building.host.db.write(agree))
    await home.deposit("health_checkup", *CHECKUPS, source=str(party.client.member_id))
    await home.deposit("mobility", *RIDES)
    return home
