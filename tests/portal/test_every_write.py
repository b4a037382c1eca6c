"""Every state-changing operation the application has, performed once: what it changed is in the audit trail (I8).

The list of operations comes from the application itself: a route of an unsafe method without a case here fails. Each
transaction along the way (also those of preparation) is compared: if any table changed that is no bookkeeping, the same
transaction must have written an audit entry, or the compact row that DESIGN names as the trail of issued tokens.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest

from consent.settings import ConsentSettings
from identity.settings import IdentitySettings
from kit.clock import FrozenClock
from kit.fetch import OutgoingSettings
from portal.app import Building, create_app
from portal.settings import Settings
from tests.portal.writes.base import CASES, NEIGHBOUR, World
from tests.portal.writes.oauth import registered
from tests.portal.writes.services import service_tokens
from tests.support.relying_party import advance
from tests.support.writes import Asked, Watch, Write

pytestmark = pytest.mark.anyio

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}

# Tables that remember nothing about what anybody decided. A transaction that changes these alone needs no audit entry.
BOOKKEEPING = {
    "kit_audit": "the trail itself",
    "kit_log_leaf": "the ledger is a trail of its own, and public; what it commits to is audited where it is decided",
    "kit_log_node": "hashes of the ledger's entries",
    "kit_log_checkpoint": "the ledger's signed head",
    "kit_counter": "change counters of caches",
    "kit_lease": "which process runs a job",
    "consent_reach": "how many people answered, in tens; made of answers that are audited",
    "cert_cursor": "how far the desk has read the audit trail",
    "kit_outbox": "word of a change on its way to a service; the change itself is audited",
    "identity_throttle": "how many tries a door has seen of late; a failed try is audited as such",
    "identity_client_key_use": "when a key was last used; what was done with it is audited where it was done",
    "identity_once": "names of proofs and assertions that may not come again; forgotten when they would expire anyway",
    "identity_attempt": "a sign-in or sign-up half way; lets nobody in, and its end is audited",
    "identity_passkey_challenge": "a question to a passkey; its answer is audited",
    "identity_par": "what a service asks, before anybody answered; the answer is audited",
    "identity_decoupled": "what a device asks, and that it polls; the answer is audited",
    "identity_interaction": "a question in front of a resident; the answer is audited",
}
# Rows of these are dead by the clock some time before a job removes them; how they began is in the trail, and who ended
# them if anybody did. A job may take them away, never add or change one.
SWEPT = {
    "identity_session", "identity_code", "identity_refresh", "identity_issued", "identity_revoked",
    "identity_initial_token", "identity_visit_code", "identity_verification", "consent_showing",
    "identity_email_change", "identity_browser",
}  # fmt: skip
# Compact rows that are the audit of issued tokens (DESIGN, I8), and the tables whose change they tell.
COMPACT = "identity_issued"
ISSUING = {COMPACT, "identity_code", "identity_refresh"}

# Questions by POST, because what is asked about must not stand in an address: they change nothing.
READS = {
    "POST /oauth/authorize", "POST /oauth/end-session",  # lead to a GET of their own
    "POST /console/request", "POST /console/clients/{client_id}/keys/look",
    "POST /federation/trust-mark-status", "POST /api/identity/federation/explain", "POST /console/federation/explain",
    "POST /oauth/introspect", "POST /oauth/userinfo", "POST /api/consent/decision", "POST /consent/decisions",
    "POST /api/cert/incidents/{incident_id}/containment/preview",
    # GovStack has these as changes; here they answer what is there (consent/README.md).
    "POST /govstack/config/individual/", "POST /govstack/service/individual/",
    "PUT /govstack/service/individual/{individual_id}/",
    "POST /govstack/service/individual/record/consent-record/draft/",
    "POST /govstack/service/individual/record/consent-record/{consent_id}/signature/",
    "PUT /govstack/service/individual/record/consent-record/{consent_id}/signature/",
}  # fmt: skip
# Declared by a standard, and meaningless here: refused whatever is sent.
REFUSED = {"POST /govstack/config/policy/"}
# Operations after which only bookkeeping has changed: they open a door half way.
HALF_WAY = {
    "POST /ssf/poll/",
    "POST /consent/stream/poll",
    "POST /oauth/par", "POST /oauth/device_authorization",
    "POST /oauth/backchannel-authentication", "POST /sign-in/passkey/begin", "POST /sign-up",
    "POST /sign-up/passkey/begin", "POST /sign-in/reset/passkey/begin",
    "POST /sign-in/reset", "POST /sign-in/recover", "POST /console/residents",
    "POST /safety/passkeys/begin", "POST /device", "POST /sign-in/with", "POST /safety/linked/new",
    "POST /sign-in/certificate", "POST /safety/linked/certificate",
}  # fmt: skip


@pytest.fixture(scope="module")
def started(empty_city: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Write]]:
    """A city that was opened once, so that it has its keys; and what its first start wrote."""
    data = tmp_path_factory.mktemp("started") / "data"
    shutil.copytree(empty_city, data)

    async def start() -> list[Write]:
        building = create_app(_settings(data), clock=FrozenClock())
        watch = Watch(building)
        async with building.running(jobs=False):
            pass
        watch.close()
        return watch.writes

    return data, asyncio.run(start())


def _settings(data: Path) -> Settings:
    """Registration is open and a neighbour's log is witnessed, so that their operations have something to do."""
    return Settings(
        data=data, issuer="http://localhost:8080", jobs=False, identity=IdentitySettings(registration="open"),
        consent=ConsentSettings(witness_logs=(NEIGHBOUR.vkey,)), outgoing=OutgoingSettings(allow=("127.0.0.1",)),
    )  # fmt: skip


@pytest.fixture
async def world(started: tuple[Path, list[Write]], tmp_path: Path, clock: FrozenClock) -> AsyncIterator[World]:
    """The building behind a watch."""
    data = tmp_path / "data"
    shutil.copytree(started[0], data)
    building = create_app(_settings(data), clock=clock)
    watch = Watch(building)
    async with building.running(jobs=False):
        transport = httpx2.ASGITransport(app=watch, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=building.settings.issuer) as http:
            yield World(building, http, watch)
    watch.close()


def operations(app: Building) -> dict[str, Callable[[str], object]]:
    """Every operation of an unsafe method that the application has, and which paths are its own."""
    found: dict[str, Callable[[str], object]] = {}
    for row in app.host.rows:
        if row.method in UNSAFE:
            found[f"{row.method} {row.path}"] = row.path.__eq__ if not row.prefix else _begins(row.path)
    for route in app.fastapi.routes:
        methods, path = getattr(route, "methods", None), getattr(route, "path", "")
        assert methods is not None, f"{path or route}: a mounted application hides its operations from this test"
        for method in methods & UNSAFE:
            found[f"{method} {path}"] = route.path_regex.match  # type: ignore[attr-defined]
    return found


def _begins(prefix: str) -> Callable[[str], bool]:
    return lambda path: path.startswith(prefix)


def untold(write: Write) -> set[str]:
    """What a transaction changed and did not tell."""
    told = {COMPACT} if COMPACT in write.changed else set()
    if write.actions:
        return set()
    return set(write.changed) - BOOKKEEPING.keys() - (ISSUING if told else set())


def require_told(writes: list[Write]) -> None:
    """Every one of these transactions says what it did."""
    for write in writes:
        assert not untold(write), f"{write.function} changed {sorted(untold(write))} and told nobody"


def test_what_the_first_start_writes_it_tells(started: tuple[Path, list[Write]]) -> None:
    assert started[1]
    require_told(started[1])


async def test_what_jobs_change_they_tell(world: World) -> None:
    """Each job, after a resident left, a consent ran out, an agreement ended and keys came of age."""
    home = await world.home()
    await service_tokens(home)
    other = await world.home()
    await other.give()
    await home.post("/leave/erase", {"confirm": "消す"})
    third = await world.home()
    await third.give()
    await registered(world)
    await (await world.staff()).api("POST", f"/api/consent/admin/agreements/{other.agreement_id}/withdraw")
    for days in (0, 1, 200, 800):
        advance(world.app, days * 86_400)
        for job in world.app.host.jobs:
            before = len(world.watch.writes)
            await job.run()
            for write in world.watch.writes[before:]:
                assert not untold(write) - (write.swept & SWEPT), f"{job.name} changed {sorted(untold(write))}"
    actions = {action for write in world.watch.writes for action in write.actions}
    assert {"consent.record.expired", "keys.audit_key.destroyed", "identity.client.swept"} <= actions, actions


async def test_every_operation_has_a_case(world: World) -> None:
    assert set(operations(world.app)) == set(CASES)
    assert set(CASES) >= READS | HALF_WAY


@pytest.mark.parametrize("operation", [each for each in CASES if "/govstack/" not in each])
async def test_what_an_operation_changes_it_tells_in_the_same_transaction(world: World, operation: str) -> None:
    await _judge(world, operation)


async def test_what_the_operations_of_govstack_change_they_tell_too(world: World) -> None:
    """One after the other in one building: they are many, and all end in functions that others reach alone."""
    for operation in CASES:
        if "/govstack/" in operation:
            await _judge(world, operation)


async def _judge(world: World, operation: str) -> None:
    await CASES[operation](world)
    require_told(world.watch.writes)
    for write in [write for one in world.watch.asked for write in one.writes]:
        assert not write.bare, f"{write.function} wrote audit entries without who, or in which request: {write.bare}"
    method, own = operation.split(" ")[0], operations(world.app)[operation]
    done: list[Asked] = [one for one in world.watch.asked if one.method == method and own(one.path)]
    if operation in REFUSED:
        assert done
        assert all(one.status == 400 and not one.writes for one in done)
        return
    assert any(one.status < 400 for one in done), f"the case did not succeed: {[one.status for one in done]}"
    last = next(one for one in reversed(done) if one.status < 400)
    changed = {table for write in last.writes for table in write.changed}
    if operation in READS:
        assert changed <= {"identity_once", "kit_audit"}  # at most it is told that somebody asked
    elif operation in HALF_WAY:
        assert changed
        assert changed <= set(BOOKKEEPING) | {COMPACT}
    else:
        assert changed - set(BOOKKEEPING), "the case changed nothing"
