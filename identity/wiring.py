"""Where this package plugs in: accounts and sessions first, then clients, grants, OAuth and OpenID Connect."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from identity import accounts_wiring, endpoints, errors, levels, logout
from identity.assurance.electronic import ElectronicProofs
from identity.assurance.telling import Telling
from identity.assurance.verifications import Verifications
from identity.attempts import Attempts
from identity.bearer import AccessTokens, Bearer
from identity.certificates.authorities import load
from identity.certificates.check import Certificates
from identity.certificates.sign_in import SHOW_PATH, CertificateSignIn
from identity.certificates.status import CertificateStatus
from identity.client_keys import ClientKeys
from identity.clients import Clients
from identity.crowd import Crowd
from identity.encryption import Envelopes
from identity.enrolment_routes import enrolment_router
from identity.enrolments import Enrolments
from identity.federation import admission
from identity.federation.admission import Admission
from identity.federation.changes import FederationChanges
from identity.federation.city import City
from identity.federation.endpoints import FederationEndpoints
from identity.federation.explain import Explaining
from identity.federation.explicit import ExplicitRegistration
from identity.federation.keyset import FederationKeys
from identity.federation.proof import Proof
from identity.federation.routes import federation_router
from identity.federation.service import Federation
from identity.federation.settings import FederationSettings
from identity.interaction import Interactions
from identity.judged_again import judge_again
from identity.key_changes import KeyChanges
from identity.logos import PATH as LOGO_PATH
from identity.logos import Logos
from identity.oauth import housekeeping, metadata
from identity.oauth.answers import Answers
from identity.oauth.authorize import Authorize
from identity.oauth.backchannel import BackchannelAuthentication
from identity.oauth.client_auth import ClientAuth
from identity.oauth.details import DetailTypes
from identity.oauth.device import DeviceAuthorization
from identity.oauth.dpop import Dpop
from identity.oauth.grant_actions import QUERY, REVOKE
from identity.oauth.grant_management import GrantManagement
from identity.oauth.grants.authorization_code import AuthorizationCode
from identity.oauth.grants.client_credentials import ClientCredentials
from identity.oauth.grants.jwt_bearer import JwtBearer
from identity.oauth.grants.polling import Polling
from identity.oauth.grants.refresh_token import RefreshToken
from identity.oauth.grants.token_exchange import TokenExchange
from identity.oauth.introspection import Introspection
from identity.oauth.pages import ErrorPage, FormPost
from identity.oauth.par import PushedRequests
from identity.oauth.registration import ClientRegistration
from identity.oauth.rehearsal import PATH as REHEARSAL_PATH
from identity.oauth.rehearsal import Rehearsal
from identity.oauth.request_objects import RequestObjects
from identity.oauth.resource_metadata import ProtectedResource
from identity.oauth.revocation import Revocation
from identity.oauth.token import TokenEndpoint
from identity.oauth.trial import Trial
from identity.oidc import userinfo
from identity.oidc.backchannel_logout import LIFE_SECONDS, BackChannelLogout
from identity.oidc.check_session import PATH as CHECK_PATH
from identity.oidc.check_session import BrowserState
from identity.oidc.end_session import EndSession
from identity.oidc.hints import IdTokenHints
from identity.oidc.id_token_claims import IdTokenClaims
from identity.oidc.initiate import Initiate
from identity.oidc.pages import SignedOutPage
from identity.oidc.userinfo import UserInfo
from identity.operations.openid import CHECK_SESSION, SHOW_CERTIFICATE
from identity.operations.registration import LOGO
from identity.operations.tokens import REHEARSAL
from identity.pings import Pings
from identity.registration import CIBA, DEVICE, EXCHANGE, JWT_BEARER
from identity.remote_keys import RemoteKeys
from identity.routes import operator_router
from identity.sessions import Sessions
from identity.settings import IdentitySettings
from identity.signals.endpoints import MANAGE, READ, SignalEndpoints
from identity.signals.feed import Feed
from identity.signals.left import sweep as sweep_left
from identity.software import SoftwareStatements
from identity.step_up import Minimums
from identity.throttle import Throttles
from identity.tokens import Tokens
from identity.upstream.entrance import Entrance
from identity.upstream.flow import Upstreams
from identity.upstream.links import Links
from identity.upstream.profiles import relying_party, resolve
from identity.upstream.provider import Provider
from keys.ceremonies import KeyStore
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from keys.ring import KeyRing
from kit import outbox
from kit.clock import DAY, SECOND, Millis
from kit.fetch import Fetcher
from kit.host import Host
from kit.problems import Invalid

# OpenID Connect Core section 2: RS256 unless the client registered otherwise.
ID_TOKEN_ALGS = ("RS256", "PS256", "ES256", "EdDSA")
SWEEP_SECONDS = 60
TELL_SECONDS = 2
LOOPBACK = ("localhost", "127.0.0.1", "::1")
CLOSE_SECONDS = 600
LOGO_SECONDS = 60
SESSION_CLIENTS_KEPT: Millis = 8 * DAY


def include(host: Host) -> None:
    """Provide what other packages and the pages use (Clients, Interactions, DetailTypes, Tokens, AccessTokens, Bearer,
    EndSession, BackChannelLogout, DeviceAuthorization, Pings, and the pages ErrorPage, FormPost, SignedOutPage) and
    what the endpoints share; serve them; sweep; tell clients what they asked to be told.
    """
    accounts_wiring.include(host)
    _clients(host)
    _tokens(host)
    _requests(host)
    _logout(host)
    issuer, db, clock = host.issuer, host.db, host.clock
    settings: IdentitySettings = host.settings.identity
    auth, tokens, ring, clients = host.get(ClientAuth), host.get(Tokens), host.get(KeyRing), host.get(Clients)
    limit, envelopes = Crowd(clock, userinfo.LIMIT), host.get(Envelopes)
    endpoints.register(
        host,
        authorize=_authorize(host),
        token=_token_endpoint(host),
        pushed=host.get(PushedRequests),
        device=_device(host),
        backchannel=_backchannel(host),
        introspection=Introspection(
            auth, host.get(AccessTokens), tokens, ring, db, clock, envelopes, host.get(Certificates)
        ),
        revocation=Revocation(settings, auth, tokens, ring, db, clock),
        managing=GrantManagement(host.get(Bearer), clients, host.get(DetailTypes), db, clock),
        userinfo=UserInfo(
            host.get(Bearer), clients, tokens, host.get(Sealer), db, ring, limit, envelopes, _telling(host)
        ),
        registering=_registration(host),
        answers=host.get(Answers),
        end_session=host.get(EndSession),
        initiate=Initiate(issuer, clients, host.get(ErrorPage)),
        document=metadata.handler(_document(host)),
        resource=metadata.handler(_resource(host)),
    )
    _signals(host)
    _federation(host)
    _upstreams(host)
    state = host.get(BrowserState)
    if state.on:
        host.front("GET", CHECK_PATH, "public", state.frame, CHECK_SESSION)
    host.routes("operator", operator_router(db, clock, clients, host.get(Fetcher), envelopes))
    host.routes("operator", enrolment_router(db, host.get(Enrolments)))
    host.problems(*errors.ALL)
    _sweep(host)


def _clients(host: Host) -> None:
    """Who asks, and how it proves that."""
    settings: IdentitySettings = host.settings.identity
    hasher, clock = host.get(TokenHasher), host.clock
    certificates = _certificates(host)
    clients = Clients(host.db, hasher, clock, settings)
    remote = RemoteKeys(host.get(Fetcher), clock)
    keys = ClientKeys(remote, host.db, clock)
    host.provide(Clients, clients)
    host.provide(RemoteKeys, remote)
    host.provide(ClientKeys, keys)
    host.provide(KeyChanges, KeyChanges(clients, host.get(Sealer), clock, settings))
    host.provide(Envelopes, Envelopes(remote))
    host.provide(Enrolments, Enrolments(hasher, clock))
    logos = Logos(host.db, host.get(Fetcher), clock)
    host.provide(Logos, logos)
    host.front("GET", LOGO_PATH, "public", logos.endpoint, LOGO, prefix=True)
    host.job("identity.logos.fetch", LOGO_SECONDS, logos.fetch_due)
    host.provide(Dpop, Dpop(host.issuer, settings, hasher))
    host.provide(Admission, _admission(host))
    auth = ClientAuth(host.issuer, settings, clients, keys, hasher, host.db, clock, certificates, host.get(Admission))
    host.provide(ClientAuth, auth)


def _certificates(host: Host) -> Certificates:
    """Whose certificates are believed."""
    settings: IdentitySettings = host.settings.identity
    authorities = [load(one) for one in settings.certificate_authorities]
    status = CertificateStatus(host.get(Fetcher), host.clock, authorities, host.db)
    certificates = Certificates(authorities, status, host.clock)
    host.provide(CertificateStatus, status)
    host.provide(Certificates, certificates)
    host.on_start(certificates.warn)
    return certificates


def _admission(host: Host) -> Admission:
    """Who may come by a federation. The city's own metadata is asked for when a statement is made."""
    settings: FederationSettings = host.settings.identity.federation
    db, clock, fetcher = host.db, host.clock, host.get(Fetcher)
    keys = FederationKeys(db, clock, host.get(Sealer), statement_seconds=settings.statement_seconds)
    city = City(
        host.issuer,
        settings,
        keys,
        db,
        clock,
        provider=lambda: _document(host)(),
        relying_party=lambda: relying_party(host.get(Upstreams).all, settings.organization_name),
    )
    federation = Federation(settings, city, keys, fetcher, clock)
    host.provide(Federation, federation)
    host.provide(Explaining, Explaining(federation, clock))
    host.provide(FederationChanges, FederationChanges(host.issuer, host.get(Sealer), clock, host.settings.identity))
    if settings.on:
        host.on_start(keys.open)
    proof = Proof(host.issuer, host.get(RemoteKeys), host.get(KeyRing), clock)
    return Admission(federation, host.get(Clients), db, clock, fetcher, host.get(Crowd), proof)


def _federation(host: Host) -> None:
    """What other members of the federation ask."""
    entrance, federation = host.get(Admission), host.get(Federation)
    explicit = ExplicitRegistration(entrance, federation.city, host.get(Clients), host.db, host.clock, host.get(Crowd))
    endpoints.register_federation(host, FederationEndpoints(federation, explicit, host.db, host.clock))
    changes, explaining = host.get(FederationChanges), host.get(Explaining)
    host.routes("operator", federation_router(host.db, host.clock, federation, changes, explaining))


def _tokens(host: Host) -> None:
    """What a client gets, and what it is worth at the door of an API."""
    settings: IdentitySettings = host.settings.identity
    issuer, db, clock, ring = host.issuer, host.db, host.clock, host.get(KeyRing)
    longest = max(settings.access_token_seconds, settings.id_token_seconds, LIFE_SECONDS)
    host.get(KeyStore).signs_for(timedelta(seconds=longest))
    access_tokens = AccessTokens(issuer, db, ring, host.get(Clients), clock)
    resource = ProtectedResource(issuer)
    resource.asks_for(QUERY, REVOKE)
    minimums = Minimums(settings.step_up_acr, settings.step_up_max_age)
    certificates = host.get(Certificates)
    host.provide(Tokens, Tokens(issuer, settings, ring, host.get(TokenHasher), ID_TOKEN_ALGS[0]))
    host.provide(AccessTokens, access_tokens)
    host.provide(ProtectedResource, resource)
    host.provide(
        Bearer, Bearer(issuer, access_tokens, host.get(Dpop), db, clock, minimums, resource.address, certificates)
    )
    host.provide(IdTokenHints, IdTokenHints(issuer, ring))


def _requests(host: Host) -> None:
    """A request on its way: pushed or signed, waiting for a person, answered."""
    settings: IdentitySettings = host.settings.identity
    issuer, db, clock = host.issuer, host.db, host.clock
    hasher, sealer, crowd = host.get(TokenHasher), host.get(Sealer), host.get(Crowd)
    page, form, types = ErrorPage(), FormPost(), DetailTypes()
    state = BrowserState(issuer, settings, hasher)
    answers = Answers(
        issuer, sealer, host.get(KeyRing), host.get(Clients), clock, form, page, state, host.get(Envelopes)
    )
    objects = RequestObjects(issuer, host.get(ClientKeys), host.get(KeyRing), host.get(Fetcher), clock, crowd)
    auth, hints, dpop = host.get(ClientAuth), host.get(IdTokenHints), host.get(Dpop)
    pushed = PushedRequests(settings, db, clock, hasher, sealer, auth, objects, hints, dpop, types, crowd)
    host.provide(ErrorPage, page)
    host.provide(FormPost, form)
    host.provide(DetailTypes, types)
    host.provide(BrowserState, state)
    host.provide(Answers, answers)
    host.provide(Interactions, Interactions(settings, hasher, sealer, clock, answers))
    host.provide(RequestObjects, objects)
    host.provide(PushedRequests, pushed)


def _authorize(host: Host) -> Authorize:
    authorize = Authorize(
        host.issuer,
        host.db,
        host.clock,
        host.get(Clients),
        host.get(Sessions),
        host.get(Interactions),
        host.get(Answers),
        host.get(RequestObjects),
        host.get(PushedRequests),
        host.get(DetailTypes),
        host.get(Tokens),
        host.get(IdTokenHints),
        host.get(ErrorPage),
        host.get(Crowd),
        host.get(Admission),
    )
    trial = Trial(
        host.db,
        host.get(Clients),
        authorize,
        host.get(PushedRequests),
        host.get(RequestObjects),
        host.get(IdTokenHints),
        host.get(DetailTypes),
    )
    host.provide(Trial, trial)
    return authorize


def _device(host: Host) -> DeviceAuthorization:
    device = DeviceAuthorization(
        host.issuer,
        host.settings.identity,
        host.db,
        host.clock,
        host.get(TokenHasher),
        host.get(ClientAuth),
        host.get(Dpop),
        host.get(DetailTypes),
        host.get(Interactions),
        host.get(Throttles),
        host.get(Crowd),
    )
    host.provide(DeviceAuthorization, device)
    return device


def _backchannel(host: Host) -> BackchannelAuthentication:
    pings = Pings(host.db, host.clock, host.get(Clients), host.get(Sealer), host.get(Fetcher))
    host.provide(Pings, pings)
    host.job("identity.backchannel.ping", TELL_SECONDS, pings.deliver)
    _rehearsal(host)
    return BackchannelAuthentication(
        host.issuer,
        host.settings.identity,
        host.db,
        host.clock,
        host.get(TokenHasher),
        host.get(Sealer),
        host.get(ClientAuth),
        host.get(ClientKeys),
        host.get(Dpop),
        host.get(DetailTypes),
        host.get(IdTokenHints),
        host.get(Interactions),
    )


def _rehearsal(host: Host) -> None:
    """For a conformance suite: somebody who answers. Refused where residents could be meant."""
    settings: IdentitySettings = host.settings.identity
    if settings.backchannel_rehearsal == "off":
        return
    if settings.backchannel_rehearsal == "loopback" and urlsplit(host.issuer).hostname not in LOOPBACK:
        raise Invalid("backchannel_rehearsal answers for residents: on loopback issuers only, unless it says so.")
    answers = Rehearsal(host.db, host.clock, host.get(TokenHasher), host.get(Interactions))
    host.front("POST", REHEARSAL_PATH, "public", answers.endpoint, REHEARSAL)
    host.on_start(answers.warn)


def _token_endpoint(host: Host) -> TokenEndpoint:
    """A grant is a module and a row here."""
    settings: IdentitySettings = host.settings.identity
    db, clock, hasher, ring = host.db, host.clock, host.get(TokenHasher), host.get(KeyRing)
    tokens, claims = host.get(Tokens), IdTokenClaims(db, host.get(Sealer), _telling(host))
    return TokenEndpoint(
        host.get(ClientAuth),
        host.get(Dpop),
        {
            "authorization_code": AuthorizationCode(db, clock, settings, hasher, tokens, claims),
            "refresh_token": RefreshToken(db, clock, settings, tokens, claims),
            "client_credentials": ClientCredentials(db, clock, settings, tokens),
            EXCHANGE: TokenExchange(db, clock, settings, tokens, host.get(AccessTokens), ring),
            JWT_BEARER: JwtBearer(db, clock, settings, tokens, host.get(RemoteKeys)),
            DEVICE: Polling(db, clock, settings, hasher, tokens, claims, "device_code"),
            CIBA: Polling(db, clock, settings, hasher, tokens, claims, "auth_req_id"),
        },
        ring,
        db,
        clock,
        host.get(Envelopes),
    )


def _telling(host: Host) -> Telling:
    settings: IdentitySettings = host.settings.identity
    return Telling(
        host.db, host.clock, host.get(Verifications), framework=settings.trust_framework,
        electronic_framework=settings.electronic_framework,
    )  # fmt: skip


def _registration(host: Host) -> ClientRegistration:
    settings: IdentitySettings = host.settings.identity
    return ClientRegistration(
        host.issuer,
        settings,
        host.db,
        host.clock,
        host.get(TokenHasher),
        host.get(Clients),
        host.get(Enrolments),
        SoftwareStatements(settings.software_statement_issuers, host.get(RemoteKeys), host.clock),
        host.get(Fetcher),
        host.get(Crowd),
        host.get(Envelopes),
    )


def _logout(host: Host) -> None:
    """Signing out at the wish of a service, and telling the others that a session ended."""
    issuer, db, clock, clients, tokens = host.issuer, host.db, host.clock, host.get(Clients), host.get(Tokens)
    signed_out = SignedOutPage()
    end_session = EndSession(
        issuer,
        db,
        clock,
        clients,
        host.get(Sessions),
        tokens,
        host.get(IdTokenHints),
        host.get(Sealer),
        signed_out,
        host.get(ErrorPage),
        host.get(BrowserState),
    )
    back_channel = BackChannelLogout(
        issuer, db, clock, clients, tokens, host.get(KeyRing), host.get(Fetcher), ID_TOKEN_ALGS[0]
    )
    host.provide(SignedOutPage, signed_out)
    host.provide(EndSession, end_session)
    host.provide(BackChannelLogout, back_channel)
    host.job("identity.logout.deliver", TELL_SECONDS, back_channel.deliver)


def _signals(host: Host) -> None:
    """Telling services what happened to the residents they know; it rests on all that can happen."""
    settings: IdentitySettings = host.settings.identity
    issuer, db, clock, clients, sealer = host.issuer, host.db, host.clock, host.get(Clients), host.get(Sealer)
    feed = Feed(
        issuer,
        db,
        clock,
        clients,
        host.get(Tokens),
        host.get(KeyRing),
        sealer,
        host.get(TokenHasher),
        host.get(Fetcher),
        ID_TOKEN_ALGS[0],
    )
    host.provide(Feed, feed)
    bearer, every = host.get(Bearer), settings.signal_verification_seconds
    streams = SignalEndpoints(issuer, db, clock, bearer, clients, sealer, host.get(Fetcher), feed, every)
    endpoints.register_signals(host, streams, metadata.handler(streams.metadata))
    host.get(ProtectedResource).asks_for(MANAGE, READ)
    host.on_start(feed.start)
    host.job("identity.signals.deliver", TELL_SECONDS, feed.deliver)
    host.job("identity.signals.close", CLOSE_SECONDS, feed.close_dead)


def _upstreams(host: Host) -> None:
    """Signing in by others, and by certificates: one door behind both."""
    settings: IdentitySettings = host.settings.identity
    attempts, throttles, certificates = host.get(Attempts), host.get(Throttles), host.get(Certificates)
    entrance = Entrance(
        host.clock,
        links=Links(host.get(Sealer), host.get(TokenHasher)),
        hasher=host.get(TokenHasher),
        attempts=attempts,
        throttles=throttles,
        sessions=host.get(Sessions),
        proofs=ElectronicProofs(
            host.get(Verifications), host.get(Sealer), host.clock, life=settings.verification_seconds * SECOND
        ),
    )
    upstreams = Upstreams(
        host.db,
        host.clock,
        [resolve(upstream, issuer=host.issuer) for upstream in settings.upstreams],
        provider=Provider(host.get(Fetcher), host.get(RemoteKeys), host.clock, host.get(Federation)),
        entrance=entrance,
        attempts=attempts,
        throttles=throttles,
    )
    by_certificate = CertificateSignIn(
        host.issuer,
        settings.mtls_url,
        host.db,
        host.clock,
        certificates=certificates,
        entrance=entrance,
        attempts=attempts,
        throttles=throttles,
    )
    host.provide(Entrance, entrance)
    host.provide(Upstreams, upstreams)
    host.provide(CertificateSignIn, by_certificate)
    host.front("GET", SHOW_PATH, "public", by_certificate.show, SHOW_CERTIFICATE)


def _document(host: Host) -> Callable[[], dict[str, Any]]:
    """What we say of ourselves: asked when it is served, since packages above register types of details."""
    settings: IdentitySettings = host.settings.identity
    types, state = host.get(DetailTypes), host.get(BrowserState)
    return lambda: metadata.build(
        host.issuer,
        id_token_algs=ID_TOKEN_ALGS,
        detail_types=types.names,
        registration=settings.registration != "off",
        mtls_url=settings.mtls_url,
        check_session=f"{host.issuer}{CHECK_PATH}" if state.on else None,
        acr_values=levels.reachable(trusted_hardware=settings.aal3_passkeys),
        trust_framework=settings.trust_framework,
        electronic=_electronic(settings),
    )


def _electronic(settings: IdentitySettings) -> metadata.ElectronicProof | None:
    """What of the settings can verify somebody without a clerk."""
    cards = [one for one in settings.certificate_authorities if (one.ial or one.ial_policies) and settings.mtls_url]
    records = {one.record: None for one in cards} | {one.record: None for one in settings.upstreams if one.ial}
    if not records:
        return None
    return metadata.ElectronicProof(settings.electronic_framework, tuple(records), bool(cards))


def _resource(host: Host) -> Callable[[], dict[str, Any]]:
    settings: IdentitySettings = host.settings.identity
    resource, types = host.get(ProtectedResource), host.get(DetailTypes)
    return lambda: resource.document(detail_types=list(types.names), mtls=settings.mtls_url is not None)


def _sweep(host: Host) -> None:
    settings: IdentitySettings = host.settings.identity
    db, clock, enrolments = host.db, host.clock, host.get(Enrolments)

    async def tidy() -> int:
        swept = await housekeeping.sweep_all(db, clock)
        swept += await db.bulk(sweep_left, clock.ms())
        swept += await db.bulk(logout.sweep, clock.ms() - SESSION_CLIENTS_KEPT)
        idle = clock.ms() - settings.registration_idle_seconds * SECOND
        swept += await db.bulk(enrolments.sweep, idle)
        return swept + await db.bulk(admission.sweep, idle)

    async def judge() -> None:
        await judge_again(db, clock)

    host.on_start(judge)  # behind the feed: receivers of signals hear of grants that end by it
    host.job("identity.oauth.sweep", SWEEP_SECONDS, tidy)
    host.job("kit.outbox.sweep", SWEEP_SECONDS, lambda: db.bulk(outbox.sweep, clock.ms()))
