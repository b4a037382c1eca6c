"""Where this package plugs in."""

from datetime import timedelta
from urllib.parse import urlsplit

from consent import (
    campaign_progress,
    campaigns,
    dummies,
    endings,
    errors,
    instructions,
    majority,
    public_entries,
    reach,
    records,
    showing,
    status,
)
from consent.acknowledgements import ACKNOWLEDGE_OPERATION, acknowledge_handler
from consent.decision_routes import DECISION_OPERATION, DECISIONS_OPERATION, decision_handler, decisions_handler
from consent.details import TYPE, DataUseChecker
from consent.gate import Decisions
from consent.govstack import errors as govstack_errors
from consent.govstack import plug as govstack
from consent.import_routes import import_router
from consent.instruction_routes import instruction_router
from consent.ledger_routes import (
    ADD_OPERATION,
    CHECKPOINT_OPERATION,
    POLICY_OPERATION,
    TEST_LOG,
    TILE_OPERATION,
    VKEY_OPERATION,
    add_handler,
    checkpoint_handler,
    policy_handler,
    tile_handler,
    vkey_handler,
)
from consent.operations import DELETE_OPERATION, POLL_OPERATION, PUT_OPERATION, SHOW_OPERATION
from consent.push import SCOPE_OF_OTHERS, Push
from consent.rebit import Uses
from consent.receipts import Receipts
from consent.routes import operator_router, public_router, recipient_router, resident_router, service_router
from consent.sensitivities import Sensitivities
from consent.settings import ConsentSettings
from consent.status import StatusLists
from consent.stream_routes import StreamEndpoints
from consent.view_routes import SCOPE_VIEWS, Views, recipient_views, resident_views
from consent.witness import (
    ADD_CHECKPOINT_OPERATION,
    WITNESS_OPERATION,
    Witness,
    add_checkpoint_handler,
    witness_handler,
)
from consent.witnessing import Witnesses
from identity.bearer import Bearer
from identity.client_keys import ClientKeys
from identity.clients import Clients
from identity.crowd import Crowd
from identity.oauth.details import DetailTypes
from identity.oauth.resource_metadata import ProtectedResource
from identity.tokens import Tokens
from keys.ceremonies import KeyStore
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from keys.ring import KeyRing
from kit.clock import SECOND
from kit.fetch import Fetcher
from kit.host import Host
from kit.problems import Invalid
from kit.tlog.errors import BadLog
from kit.tlog.log import MAIN, Logs
from kit.tlog.policy import parse_policy

SEQUENCE_EVERY = 0.25  # PostgreSQL: a leaf is in a signed tree well within a second
SWEEP_CHUNK = 50
PUSH_EVERY = 1
CLOSE_EVERY = 600
ESCALATE_EVERY = 60
TELL_EVERY = 60
SHOWINGS_EVERY = 60
REACH_EVERY = 3600
CAMPAIGNS_EVERY = 15


def log_origin(issuer: str, settings: ConsentSettings) -> str:
    """The ledger's origin line: the URL prefix without its scheme (c2sp.org/tlog-tiles, Parameters)."""
    return settings.log_origin or f"{urlsplit(issuer).netloc}/ledger"


def include(host: Host) -> None:
    """Provide Logs, Decisions, Receipts, Witnesses, StatusLists, Sensitivities, Push and Witness; serve the ledger and
    the API; sweep what ran out, tell who must know.
    """
    logs = Logs(host.db)
    host.provide(Logs, logs)
    witnesses = _witnesses(host, logs)
    _ledger(host, logs, witnesses)
    _witness(host)
    receipts = _receipts(host, witnesses)
    _decisions(host)
    _streams(host)
    _api(host, receipts)
    govstack.include(host)
    _jobs(host)
    _anchors(host)
    host.get(DetailTypes).register(TYPE, DataUseChecker(host.get(Sealer)))
    host.get(ProtectedResource).asks_for(SCOPE_OF_OTHERS)
    host.problems(*errors.ALL, govstack_errors.BadInput)


def _witnesses(host: Host, logs: Logs) -> Witnesses:
    """Who cosigns our ledger, by the policy file."""
    settings: ConsentSettings = host.settings.consent
    path = settings.witness_policy
    try:
        policy = None if path is None else parse_policy(path.read_bytes())
        seconds = settings.witness_timeout.total_seconds()
        witnesses = Witnesses(host.db, logs, policy, fetcher=host.get(Fetcher), timeout=seconds)
    except BadLog as bad:
        raise Invalid(f"The witness policy {path} does not hold: {bad}") from bad
    host.provide(Witnesses, witnesses)
    if policy is not None:
        host.job("ledger.witnesses", settings.witness_every.total_seconds(), witnesses.gather)
    return witnesses


def _ledger(host: Host, logs: Logs, witnesses: Witnesses) -> None:
    """The ledger, for anybody."""
    settings: ConsentSettings = host.settings.consent
    database, ring = host.db, host.get(KeyRing)
    origin = log_origin(host.issuer, settings)

    async def open_logs() -> None:  # after keys are loaded: registration order is floor order
        logs.add(MAIN, origin, ring.log_signer(origin))
        if settings.ledger_add_for_tests:
            logs.add(TEST_LOG, f"{origin}/test", ring.log_signer(f"{origin}/test"))
        await logs.start()
        if database.trail is not None:
            for action, echo in public_entries.ECHOES.items():
                database.trail.echo(action, echo)

    host.on_start(open_logs)
    if not database.single_writer:
        host.job("ledger.sequence", SEQUENCE_EVERY, logs.sequence)
    checkpoint = checkpoint_handler(logs, witnesses=witnesses)
    host.front("GET", "/ledger/checkpoint", "public", checkpoint, CHECKPOINT_OPERATION)
    host.front("GET", "/ledger/vkey", "public", vkey_handler(logs), VKEY_OPERATION)
    host.front("GET", "/ledger/policy", "public", policy_handler(logs, witnesses), POLICY_OPERATION)
    host.front("GET", "/ledger/tile/", "public", tile_handler(logs, "/ledger/"), TILE_OPERATION, prefix=True)
    if settings.ledger_add_for_tests:
        prefix = "/ledger/test/"
        host.front("POST", "/ledger/add", "public", add_handler(database, logs), ADD_OPERATION)
        host.front("GET", f"{prefix}checkpoint", "public", checkpoint_handler(logs, TEST_LOG), CHECKPOINT_OPERATION)
        host.front("GET", f"{prefix}vkey", "public", vkey_handler(logs, TEST_LOG), VKEY_OPERATION)
        tiles = tile_handler(logs, prefix, TEST_LOG)
        host.front("GET", f"{prefix}tile/", "public", tiles, TILE_OPERATION, prefix=True)


def _witness(host: Host) -> None:
    """We as a witness of other logs. Without configured logs every origin is unknown here."""
    settings: ConsentSettings = host.settings.consent
    name = settings.witness_name or f"{urlsplit(host.issuer).netloc}/witness"
    try:
        witness = Witness(host.db, host.clock, host.get(KeyRing), name=name, vkeys=settings.witness_logs)
    except BadLog as bad:
        raise Invalid(f"A verifier key in witness_logs does not hold: {bad}") from bad
    host.provide(Witness, witness)
    host.on_start(witness.start)
    adding = add_checkpoint_handler(witness, host.get(Crowd))
    host.front("POST", "/witness/add-checkpoint", "public", adding, ADD_CHECKPOINT_OPERATION)
    host.front("GET", "/witness/", "public", witness_handler(witness), WITNESS_OPERATION, prefix=True)


def _receipts(host: Host, witnesses: Witnesses) -> Receipts:
    """What a resident takes home, and the lists that say what became of it."""
    settings: ConsentSettings = host.settings.consent
    database, clock, ring = host.db, host.clock, host.get(KeyRing)
    every = settings.status_every.total_seconds()
    statuses = StatusLists(database, ring, clock, issuer=host.issuer, every=every)
    host.provide(StatusLists, statuses)
    host.get(KeyStore).signs_for(timedelta(seconds=statuses.life))
    host.front("GET", status.PATH, "public", status.aggregation_handler(statuses), status.AGGREGATION_OPERATION)
    lists = status.list_handler(statuses)
    host.front("GET", f"{status.PATH}/", "public", lists, status.LIST_OPERATION, prefix=True)
    receipts = Receipts(
        database, host.get(Sealer), ring, clock, issuer=host.issuer, witnesses=witnesses, statuses=statuses
    )
    host.provide(Receipts, receipts)
    return receipts


def _decisions(host: Host) -> None:
    """Whether it may be shared, for services."""
    settings: ConsentSettings = host.settings.consent
    bearer = host.get(Bearer)
    decisions = Decisions(host.db, host.clock, size=settings.decisions_kept)
    host.provide(Decisions, decisions)
    host.front("POST", "/api/consent/decision", "service", decision_handler(bearer, decisions), DECISION_OPERATION)
    several = decisions_handler(bearer, decisions, host.clock)
    host.front("POST", "/consent/decisions", "service", several, DECISIONS_OPERATION)


def _streams(host: Host) -> None:
    """Services that follow what changes."""
    database, clients, sealer, ring = host.db, host.get(Clients), host.get(Sealer), host.get(KeyRing)
    settings: ConsentSettings = host.settings.consent
    within = round(settings.acknowledge_within.total_seconds() * SECOND)
    push = Push(host.issuer, database, host.clock, clients, sealer, ring, host.get(Fetcher), acknowledge_within=within)
    host.provide(Push, push)
    endpoints = StreamEndpoints(
        host.issuer, database, host.clock, host.get(Bearer), clients, sealer, ring, host.get(Fetcher), push
    )
    host.front("GET", "/consent/stream", "service", endpoints.show, SHOW_OPERATION)
    host.front("PUT", "/consent/stream", "service", endpoints.put, PUT_OPERATION)
    host.front("DELETE", "/consent/stream", "service", endpoints.delete, DELETE_OPERATION)
    host.front("POST", "/consent/stream/poll", "service", endpoints.poll, POLL_OPERATION)
    acknowledge = acknowledge_handler(
        host.issuer, database, host.clock, host.get(Bearer), clients, host.get(ClientKeys)
    )
    host.front("POST", "/consent/acknowledgements", "service", acknowledge, ACKNOWLEDGE_OPERATION)

    async def escalate() -> int:
        now = host.clock.ms()
        return await database.bulk(endings.escalate, before=now - within, now=now)

    host.job("consent.endings.escalate", ESCALATE_EVERY, escalate)
    host.job("consent.streams.push", PUSH_EVERY, push.deliver)
    host.job("consent.streams.close", CLOSE_EVERY, push.close_dead)


def _api(host: Host, receipts: Receipts) -> None:
    """The JSON API, by audience."""
    settings: ConsentSettings = host.settings.consent
    database, clock, sealer, issuer = host.db, host.clock, host.get(Sealer), host.issuer
    clients, tokens = host.get(Clients), host.get(Tokens)
    host.routes("public", public_router())
    host.routes("resident", resident_router(database, sealer, receipts, clock, issuer=issuer))
    views = Views(database, sealer, host.get(KeyRing), clock, Uses(), issuer)
    host.provide(Uses, views.uses)
    host.get(ProtectedResource).asks_for(SCOPE_VIEWS)
    host.routes("resident", resident_views(views))
    host.routes("resident", import_router(database, sealer, host.get(TokenHasher), clock))
    host.routes("resident", instruction_router(database, sealer, clock))
    host.routes("service", service_router(database, clients))
    host.routes("service", recipient_views(views, clients, tokens))
    host.routes("service", recipient_router(database, sealer, clock, clients))
    sensitivities = Sensitivities()
    host.provide(Sensitivities, sensitivities)
    host.routes("operator", operator_router(database, sealer, clock, sensitivities, longest=settings.longest_consent))


def _jobs(host: Host) -> None:
    """What happens by the clock alone. Each takes a few at a time, so that nobody waits behind it."""
    settings: ConsentSettings = host.settings.consent
    database, clock, sealer = host.db, host.clock, host.get(Sealer)
    before = round(settings.notice_before.total_seconds() * SECOND)

    async def sweep() -> int:
        total = 0
        while done := await database.bulk(records.sweep, sealer, now=clock.ms(), limit=SWEEP_CHUNK):
            total += done
        while done := await database.bulk(instructions.sweep, sealer, now=clock.ms(), limit=SWEEP_CHUNK):
            total += done
        return total

    async def tell_people() -> int:
        total = 0
        while done := await database.bulk(
            records.tell_people, sealer, now=clock.ms(), before=before, limit=SWEEP_CHUNK
        ):
            total += done
        return total

    async def end_showings() -> int:
        return await database.bulk(showing.sweep, now=clock.ms())

    async def settle() -> None:
        while await host.db.bulk(majority.settle, host.get(Sealer), now=host.clock.ms()):
            pass

    host.job("consent.majority", settings.expiry_every.total_seconds(), settle)
    host.job("consent.sweep", settings.expiry_every.total_seconds(), sweep)
    host.job("consent.tell-people", TELL_EVERY, tell_people)
    host.job("consent.showings", SHOWINGS_EVERY, end_showings)
    host.job("consent.reach", REACH_EVERY, lambda: reach.run(database, clock))
    host.job("consent.campaigns", CAMPAIGNS_EVERY, lambda: campaigns.run(database, sealer, clock))
    host.job("consent.campaign-progress", REACH_EVERY, lambda: campaign_progress.run(database, clock))


def _anchors(host: Host) -> None:
    """The audit trail's hash into the ledger, and leaves that stand for nothing."""
    settings: ConsentSettings = host.settings.consent
    every = round(settings.audit_root_every.total_seconds() * SECOND)

    async def anchor() -> None:
        await host.db.write_core(public_entries.anchor, now=host.clock.ms(), every=every)

    host.job("ledger.audit-root", min(60.0, every / SECOND), anchor)
    if settings.dummies_an_hour:
        host.job("ledger.dummies", 0.05, lambda: dummies.run(host.db, host.clock, settings.dummies_an_hour))
