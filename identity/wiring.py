"""Where this package plugs in: accounts and sessions first, then clients, grants, OAuth and OpenID Connect."""

from datetime import timedelta
from typing import Any

from identity import accounts_wiring, endpoints, errors, logout
from identity.bearer import AccessTokens, Bearer
from identity.client_keys import ClientKeys
from identity.clients import Clients
from identity.crowd import Crowd
from identity.enrolment_routes import enrolment_router
from identity.enrolments import Enrolments
from identity.interaction import Interactions
from identity.oauth import housekeeping, metadata
from identity.oauth.answers import Answers
from identity.oauth.authorize import Authorize
from identity.oauth.backchannel import BackchannelAuthentication
from identity.oauth.client_auth import ClientAuth
from identity.oauth.details import DetailTypes
from identity.oauth.device import DeviceAuthorization
from identity.oauth.dpop import Dpop
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
from identity.oauth.request_objects import RequestObjects
from identity.oauth.resource_metadata import ProtectedResource
from identity.oauth.revocation import Revocation
from identity.oauth.token import TokenEndpoint
from identity.oidc import userinfo
from identity.oidc.backchannel import LIFE_SECONDS, BackChannel
from identity.oidc.check_session import PATH as CHECK_PATH
from identity.oidc.check_session import BrowserState
from identity.oidc.end_session import EndSession
from identity.oidc.hints import IdTokenHints
from identity.oidc.id_token_claims import IdTokenClaims
from identity.oidc.initiate import Initiate
from identity.oidc.pages import SignedOutPage
from identity.oidc.userinfo import UserInfo
from identity.operations.openid import CHECK_SESSION
from identity.pings import Pings
from identity.registration import CIBA, DEVICE, EXCHANGE, JWT_BEARER
from identity.remote_keys import RemoteKeys
from identity.routes import operator_router
from identity.sessions import Sessions
from identity.settings import IdentitySettings
from identity.software import SoftwareStatements
from identity.step_up import Minimums
from identity.throttle import Throttles
from identity.tokens import Tokens
from keys.ceremonies import KeyStore
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from keys.ring import KeyRing
from kit.clock import DAY, SECOND
from kit.fetch import Fetcher
from kit.host import Host

# OpenID Connect Core section 2: RS256 unless the client registered otherwise.
ID_TOKEN_ALGS = ("RS256", "PS256", "ES256", "EdDSA")
SWEEP_SECONDS = 60
LOGOUT_SECONDS = 2


def include(host: Host) -> None:
    """Provide Clients, Interactions, DetailTypes, Tokens, AccessTokens, Bearer, EndSession, BackChannel and the pages
    ErrorPage, FormPost, SignedOutPage; serve the endpoints; sweep; tell clients of sessions that ended.
    """
    accounts_wiring.include(host)
    db, clock, issuer = host.db, host.clock, host.issuer
    settings: IdentitySettings = host.settings.identity
    hasher, ring, sealer = host.get(TokenHasher), host.get(KeyRing), host.get(Sealer)

    clients = Clients(db, hasher, clock, settings)
    types = DetailTypes()
    page, form = ErrorPage(), FormPost()
    state = BrowserState(issuer, settings, hasher)
    host.provide(BrowserState, state)
    answers = Answers(issuer, sealer, ring, clients, clock, form, page, state)
    interactions = Interactions(settings, hasher, sealer, clock, answers)
    tokens = Tokens(issuer, settings, ring, hasher, ID_TOKEN_ALGS[0])
    longest = max(settings.access_token_seconds, settings.id_token_seconds, LIFE_SECONDS)
    host.get(KeyStore).signs_for(timedelta(seconds=longest))
    dpop = Dpop(issuer, settings, hasher)
    access_tokens = AccessTokens(issuer, db, ring, clients, clock)
    resource = ProtectedResource(issuer)
    minimums = Minimums(settings.step_up_acr, settings.step_up_max_age)
    bearer = Bearer(issuer, access_tokens, dpop, db, clock, minimums, resource.address)
    host.provide(ProtectedResource, resource)
    host.provide(Clients, clients)
    host.provide(DetailTypes, types)
    host.provide(Interactions, interactions)
    host.provide(Tokens, tokens)
    host.provide(AccessTokens, access_tokens)
    host.provide(Bearer, bearer)
    host.provide(ErrorPage, page)
    host.provide(FormPost, form)

    remote = RemoteKeys(host.get(Fetcher), clock)
    client_keys = ClientKeys(remote)
    host.provide(ClientKeys, client_keys)
    hints = IdTokenHints(issuer, ring)
    objects = RequestObjects(issuer, client_keys, host.get(Fetcher), clock, host.get(Crowd))
    auth = ClientAuth(issuer, settings, clients, client_keys, hasher, db, clock)
    pushed = PushedRequests(settings, db, clock, hasher, sealer, auth, objects, hints, dpop, types, host.get(Crowd))
    authorize = Authorize(
        issuer,
        db,
        clock,
        clients,
        host.get(Sessions),
        interactions,
        answers,
        objects,
        pushed,
        types,
        tokens,
        hints,
        page,
        host.get(Crowd),
    )
    device = DeviceAuthorization(
        issuer,
        settings,
        db,
        clock,
        hasher,
        auth,
        dpop,
        types,
        interactions,
        host.get(Throttles),
        host.get(Crowd),
    )
    host.provide(DeviceAuthorization, device)
    backchannel = BackchannelAuthentication(
        issuer, settings, db, clock, hasher, sealer, auth, client_keys, dpop, types, hints, interactions
    )
    pings = Pings(db, clock, clients, sealer, host.get(Fetcher))
    host.provide(Pings, pings)
    host.job("identity.backchannel.ping", LOGOUT_SECONDS, pings.deliver)
    told = IdTokenClaims(db, sealer)
    token = TokenEndpoint(
        auth,
        dpop,
        {
            "authorization_code": AuthorizationCode(db, clock, settings, hasher, tokens, told),
            "refresh_token": RefreshToken(db, clock, settings, tokens, told),
            "client_credentials": ClientCredentials(db, clock, settings, tokens),
            EXCHANGE: TokenExchange(db, clock, settings, tokens, access_tokens, ring),
            JWT_BEARER: JwtBearer(db, clock, settings, tokens, remote),
            DEVICE: Polling(db, clock, settings, hasher, tokens, told, "device_code"),
            CIBA: Polling(db, clock, settings, hasher, tokens, told, "auth_req_id"),
        },
        ring,
        db,
        clock,
    )

    enrolments = Enrolments(hasher, clock)
    registration = ClientRegistration(
        issuer,
        settings,
        db,
        clock,
        hasher,
        clients,
        enrolments,
        SoftwareStatements(settings.software_statement_issuers, remote, clock),
        host.get(Fetcher),
        host.get(Crowd),
    )

    signed_out = SignedOutPage()
    end_session = EndSession(
        issuer, db, clock, clients, host.get(Sessions), tokens, hints, sealer, signed_out, page, state
    )
    host.provide(SignedOutPage, signed_out)
    host.provide(EndSession, end_session)
    back_channel = BackChannel(issuer, db, clock, clients, tokens, ring, host.get(Fetcher), ID_TOKEN_ALGS[0])
    host.provide(BackChannel, back_channel)
    host.job("identity.logout.deliver", LOGOUT_SECONDS, back_channel.deliver)

    def document() -> dict[str, Any]:
        return metadata.build(
            issuer,
            id_token_algs=ID_TOKEN_ALGS,
            detail_types=types.names,
            registration=settings.registration != "off",
            mtls_url=settings.mtls_url,
            check_session=f"{issuer}{CHECK_PATH}" if state.on else None,
        )

    endpoints.register(
        host,
        authorize=authorize,
        token=token,
        pushed=pushed,
        device=device,
        backchannel=backchannel,
        introspection=Introspection(auth, access_tokens, tokens, ring, db, clock),
        revocation=Revocation(settings, auth, tokens, ring, db, clock),
        userinfo=UserInfo(bearer, clients, tokens, sealer, db, ring, Crowd(clock, userinfo.LIMIT)),
        registering=registration,
        answers=answers,
        end_session=end_session,
        initiate=Initiate(issuer, clients, page),
        document=metadata.handler(document),
        resource=metadata.handler(
            lambda: resource.document(detail_types=list(types.names), mtls=settings.mtls_url is not None)
        ),
    )
    if state.on:
        host.front("GET", CHECK_PATH, "public", state.frame, CHECK_SESSION)
    host.routes("operator", operator_router(db, clock, clients, host.get(Fetcher)))
    host.routes("operator", enrolment_router(db, enrolments))
    host.problems(*errors.ALL)

    async def tidy() -> int:
        swept = await housekeeping.sweep_all(db, clock)
        swept += await db.bulk(logout.sweep, clock.ms() - 8 * DAY)
        return swept + await db.bulk(enrolments.sweep, clock.ms() - settings.registration_idle_seconds * SECOND)

    host.job("identity.oauth.sweep", SWEEP_SECONDS, tidy)
