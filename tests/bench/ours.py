"""Our side of `make bench`: the fictional city with a client and residents for measuring, served by the real command.

Everything is durable and audited as in production; only the test-only door POST /ledger/add is opened.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from identity import grants
from identity.clients import Clients
from identity.registration import Registration
from identity.sessions import Sessions, session_cookie
from kit.db import Session
from kit.host import Actor
from portal.app import Building, create_app
from portal.settings import Settings
from tests.support.server import CITY_ENVIRON, Served, free_port
from tests.support.service import Resident, Service, consent_of, credentials

BENCH = Actor("system", "bench")
USERS = 16
ENVIRON = CITY_ENVIRON | {
    "SEKISHO_CONSENT__LEDGER_ADD_FOR_TESTS": "true",
    "SEKISHO_IDENTITY__ACCESS_TOKEN_SECONDS": "3600",
    "PYTHONDONTWRITEBYTECODE": "",  # a start is measured as an operator has it: compiled before
}
SCOPE = "openid offline_access"


@dataclass
class Ours:
    """What the cases need to ask our server."""

    served: Served
    secrets: dict[str, str]  # client id -> secret
    session: str
    access: str  # access token of a service that stands on a consent and may deposit
    decision: dict[str, Any]  # body of a decision request

    @property
    def side(self) -> dict[str, Any]:
        """For tests.bench.load."""
        return {
            "url": self.served.url.replace("localhost", "127.0.0.1"), "client_id": "bench",
            "client_secret": self.secrets["bench"], "scope": SCOPE, "redirect_uri": "https://client.example/cb",
            "authorize": "/oauth/authorize", "token": "/oauth/token",
            "cookies": {session_cookie(self.served.url): self.session},
        }  # fmt: skip


def _plant(session: Session, building: Building, account_id: str, member_id: str) -> tuple[dict[str, str], str]:
    clients, sessions = building.host.get(Clients), building.host.get(Sessions)
    secrets = {}
    for client_id, alg in (("bench", "EdDSA"), ("bench-es256", "ES256")):
        registration = Registration(
            name_ja="計測", name_en="Bench", member_id=member_id, redirect_uris=["https://client.example/cb"],
            grant_types=["authorization_code", "refresh_token", "client_credentials"],
            scope=f"{SCOPE} read", access_token_signed_alg=alg, id_token_signed_response_alg="EdDSA",
            first_party=True,
        )  # fmt: skip
        _, secret = clients.create(session, registration, actor=BENCH, client_id=client_id)
        assert secret is not None
        secrets[client_id] = secret
    grants.give(
        session, account_id=account_id, client_id="bench", scopes=tuple(SCOPE.split()), actor=BENCH,
        now=building.host.clock.ms(),
    )  # fmt: skip
    token, _ = sessions.begin(session, account_id, acr="urn:sekisho:aal:2", amr=["pwd", "otp", "mfa"])
    return secrets, token


def prepare(data: Path) -> Ours:
    """Seed the city and the bench's own client, start the server on core 0, get tokens through its doors."""
    environ = os.environ | ENVIRON
    command = [sys.executable, "-m", "portal", "demo", "--data", str(data), "--seed-only"]
    subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    known = credentials(data)
    account = known["residents"]["hanako"]["account_id"]
    registration = known["clients"]["minatohama-transit"]
    port = free_port()
    issuer = f"http://localhost:{port}"

    async def plant() -> tuple[dict[str, str], str]:
        building = create_app(Settings(data=data, issuer=issuer, jobs=False))
        async with building.running(jobs=False):
            return await building.host.db.write(_plant, building, account, registration["member"])

    secrets, session = asyncio.run(plant())
    served = Served(data, port=port, environ=ENVIRON).start(prefix=("nice", "-n", "-10", "taskset", "-c", "0"))

    async def tokens() -> tuple[str, str]:
        resident = Resident.with_session(issuer, "hanako", account, session)
        service = Service(issuer, registration)
        address, verifier = await service.ask(scope="openid bank:deposit", prompt="consent")
        token = await service.exchange(await resident.agree(address), verifier)
        return token["access_token"], consent_of(token)

    access, consent = asyncio.run(tokens())
    decision = {"consent": consent, "categories": ["mobility"]}
    return Ours(served, secrets, session, access, decision)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its waited-for children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(value) for value in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def start_to_first_answer(data: Path) -> float:
    """Seconds from exec to the first answer, on one core."""
    began = time.perf_counter()
    served = Served(data, environ=ENVIRON).start(prefix=("taskset", "-c", "0"))
    took = time.perf_counter() - began
    served.stop()
    return took


def deposit() -> str:
    """A deposit of about 1 KiB: five journeys."""
    stops = ("港町一丁目", "市民病院前", "湊浜駅", "海岸通り", "役所前")
    journeys = [
        {"boarded_at": f"2026-11-{day:02}T08:12:00+09:00", "mode": "bus", "origin": stops[day % 5]}
        for day in range(1, 6)
    ]
    return json.dumps({"records": [{"category": "mobility", "data": journey} for journey in journeys]})
