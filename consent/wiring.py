"""Where this package plugs in."""

from urllib.parse import urlsplit

from consent import errors, records
from consent.decision_routes import DECISION_OPERATION, decision_handler
from consent.details import TYPE, DataUseChecker
from consent.gate import Decisions
from consent.ledger_routes import (
    ADD_OPERATION,
    CHECKPOINT_OPERATION,
    TEST_LOG,
    TILE_OPERATION,
    VKEY_OPERATION,
    add_handler,
    checkpoint_handler,
    tile_handler,
    vkey_handler,
)
from consent.receipts import Receipts
from consent.routes import operator_router, public_router, resident_router, service_router
from consent.settings import ConsentSettings
from identity.bearer import Bearer
from identity.clients import Clients
from identity.oauth.details import DetailTypes
from keys.envelope import Sealer
from keys.ring import KeyRing
from kit.host import Host
from kit.tlog.log import MAIN, Logs

SEQUENCE_EVERY = 0.25  # PostgreSQL: a leaf is in a signed tree well within a second
SWEEP_CHUNK = 50


def log_origin(issuer: str, settings: ConsentSettings) -> str:
    """The ledger's origin line: the URL prefix without its scheme (c2sp.org/tlog-tiles, Parameters)."""
    return settings.log_origin or f"{urlsplit(issuer).netloc}/ledger"


def include(host: Host) -> None:
    """Provide Logs, Decisions and Receipts; serve the ledger and the API; sweep what ran out."""
    settings: ConsentSettings = host.settings.consent
    database, clock, sealer, ring = host.db, host.clock, host.get(Sealer), host.get(KeyRing)
    origin = log_origin(host.issuer, settings)
    logs = Logs(database)
    decisions = Decisions(database, clock, size=settings.decisions_kept)
    receipts = Receipts(database, sealer, ring, clock, issuer=host.issuer)
    host.provide(Logs, logs)
    host.provide(Decisions, decisions)
    host.provide(Receipts, receipts)
    host.get(DetailTypes).register(TYPE, DataUseChecker())

    async def open_logs() -> None:  # after keys are loaded: registration order is floor order
        logs.add(MAIN, origin, ring.log_signer(origin))
        if settings.ledger_add_for_tests:
            logs.add(TEST_LOG, f"{origin}/test", ring.log_signer(f"{origin}/test"))
        await logs.start()

    host.on_start(open_logs)

    host.front("GET", "/ledger/checkpoint", "public", checkpoint_handler(logs), CHECKPOINT_OPERATION)
    host.front("GET", "/ledger/vkey", "public", vkey_handler(logs), VKEY_OPERATION)
    host.front("GET", "/ledger/tile/", "public", tile_handler(logs, "/ledger/"), TILE_OPERATION, prefix=True)
    if settings.ledger_add_for_tests:
        prefix = "/ledger/test/"
        host.front("POST", "/ledger/add", "public", add_handler(database, logs), ADD_OPERATION)
        host.front("GET", f"{prefix}checkpoint", "public", checkpoint_handler(logs, TEST_LOG), CHECKPOINT_OPERATION)
        host.front("GET", f"{prefix}vkey", "public", vkey_handler(logs, TEST_LOG), VKEY_OPERATION)
        tiles = tile_handler(logs, prefix, TEST_LOG)
        host.front("GET", f"{prefix}tile/", "public", tiles, TILE_OPERATION, prefix=True)
    decide = decision_handler(host.get(Bearer), decisions)
    host.front("POST", "/api/consent/decision", "service", decide, DECISION_OPERATION)

    host.routes("public", public_router())
    host.routes("resident", resident_router(database, sealer, receipts, clock))
    host.routes("service", service_router(database, host.get(Clients)))
    host.routes("operator", operator_router(database, clock, longest=settings.longest_consent))

    async def sweep() -> int:
        total = 0
        while done := await database.bulk(records.sweep, sealer, now=clock.ms(), limit=SWEEP_CHUNK):
            total += done
        return total

    host.job("consent.sweep", settings.expiry_every.total_seconds(), sweep)
    if not database.single_writer:
        host.job("ledger.sequence", SEQUENCE_EVERY, logs.sequence)
    host.problems(
        errors.UnknownAgreement,
        errors.UnknownConsent,
        errors.BadAgreement,
        errors.AgreementState,
        errors.ConsentState,
        errors.BadConsent,
        errors.ReceiptNotReady,
    )
