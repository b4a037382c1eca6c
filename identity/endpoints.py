"""The front rows of OAuth and OpenID Connect: path, handler, OpenAPI operation."""

from identity.federation import city
from identity.federation.endpoints import FederationEndpoints
from identity.oauth.answers import PATH as ANSWER_PATH
from identity.oauth.answers import Answers
from identity.oauth.authorize import Authorize
from identity.oauth.backchannel import PATH as BACKCHANNEL_PATH
from identity.oauth.backchannel import BackchannelAuthentication
from identity.oauth.device import PATH as DEVICE_PATH
from identity.oauth.device import QR_PATH, DeviceAuthorization
from identity.oauth.grant_management import PATH as GRANTS_PATH
from identity.oauth.grant_management import GrantManagement
from identity.oauth.introspection import Introspection
from identity.oauth.par import PushedRequests
from identity.oauth.registration import PATH as REGISTER_PATH
from identity.oauth.registration import ClientRegistration
from identity.oauth.resource_metadata import PATH as RESOURCE_PATH
from identity.oauth.revocation import Revocation
from identity.oauth.token import TokenEndpoint
from identity.oidc.end_session import DONE as DONE_PATH
from identity.oidc.end_session import PATH as END_PATH
from identity.oidc.end_session import EndSession
from identity.oidc.initiate import PATH as START_PATH
from identity.oidc.initiate import Initiate
from identity.oidc.userinfo import UserInfo
from identity.operations import browsers, federation, openid, registration, signals, tokens
from identity.signals import endpoints as ssf
from kit.front import Handler
from kit.host import Host


def register(
    host: Host,
    *,
    authorize: Authorize,
    token: TokenEndpoint,
    pushed: PushedRequests,
    device: DeviceAuthorization,
    backchannel: BackchannelAuthentication,
    introspection: Introspection,
    revocation: Revocation,
    managing: GrantManagement,
    userinfo: UserInfo,
    registering: ClientRegistration,
    answers: Answers,
    end_session: EndSession,
    initiate: Initiate,
    document: Handler,
    resource: Handler,
) -> None:
    """Put the rows into the front table. The callers prove themselves here, so the audience is `public`."""
    provider = openid.metadata("openid_configuration", "OpenID Connect discovery")
    server = openid.metadata("authorization_server", "Authorization server metadata (RFC 8414)")
    host.front("GET", "/.well-known/openid-configuration", "public", document, provider, cors=True)
    host.front("GET", "/.well-known/oauth-authorization-server", "public", document, server, cors=True)
    described = openid.metadata("protected_resource", "Protected resource metadata (RFC 9728)", "resource")
    host.front("GET", RESOURCE_PATH, "public", resource, described, cors=True)
    host.front("GET", "/oauth/authorize", "public", authorize.get, browsers.AUTHORIZE)
    host.front("POST", "/oauth/authorize", "public", authorize.post, browsers.AUTHORIZE_POST)
    host.front("GET", ANSWER_PATH, "public", answers.endpoint, browsers.ANSWER)
    host.front("GET", END_PATH, "public", end_session.get, openid.end_session("get"))
    host.front("POST", END_PATH, "public", end_session.post, openid.end_session("post"))
    host.front("GET", START_PATH, "public", initiate.get, openid.START)
    host.front("GET", DONE_PATH, "public", end_session.done, openid.SIGNED_OUT)
    host.front("POST", "/oauth/token", "public", token.endpoint, tokens.TOKEN, cors=True)
    host.front("POST", "/oauth/par", "public", pushed.endpoint, tokens.PAR, cors=True)
    host.front("POST", DEVICE_PATH, "public", device.endpoint, tokens.DEVICE, cors=True)
    host.front("POST", BACKCHANNEL_PATH, "public", backchannel.endpoint, tokens.BACKCHANNEL)
    host.front("GET", QR_PATH, "public", device.picture, tokens.QR)
    host.front("POST", "/oauth/introspect", "public", introspection.endpoint, tokens.INTROSPECT)
    host.front("POST", "/oauth/revoke", "public", revocation.endpoint, tokens.REVOKE, cors=True)
    host.front("GET", f"{GRANTS_PATH}/", "public", managing.query, tokens.GRANT, prefix=True)
    host.front("DELETE", f"{GRANTS_PATH}/", "public", managing.revoke, tokens.REVOKE_GRANT, prefix=True)
    host.front("POST", REGISTER_PATH, "public", registering.register, registration.REGISTER)
    below = REGISTER_PATH + "/"
    host.front("GET", below, "public", registering.read, registration.REGISTERED, prefix=True)
    host.front("PUT", below, "public", registering.update, registration.REREGISTER, prefix=True)
    host.front("DELETE", below, "public", registering.delete, registration.UNREGISTER, prefix=True)
    host.front("GET", "/oauth/userinfo", "public", userinfo.endpoint, openid.userinfo("get"), cors=True)
    host.front("POST", "/oauth/userinfo", "public", userinfo.endpoint, openid.userinfo("post"), cors=True)


def register_federation(host: Host, entity: FederationEndpoints) -> None:
    """The rows of OpenID Federation: public, and 404 where this city takes part in none."""
    for method, path, handler, operation in (
        ("GET", city.CONFIGURATION_PATH, entity.configuration, federation.CONFIGURATION),
        ("GET", city.FETCH_PATH, entity.fetch, federation.FETCH),
        ("GET", city.LIST_PATH, entity.listing, federation.LIST),
        ("GET", city.RESOLVE_PATH, entity.resolve, federation.RESOLVE),
        ("GET", city.HISTORY_PATH, entity.history, federation.HISTORY),
        ("GET", city.MARK_PATH, entity.mark, federation.MARK),
        ("POST", city.MARK_STATUS_PATH, entity.mark_status, federation.MARK_STATUS),
        ("GET", city.MARKED_PATH, entity.marked, federation.MARKED),
        ("POST", city.REGISTER_PATH, entity.register, federation.REGISTER),
    ):
        # Anybody's page may look at a federation; registering is for servers.
        host.front(method, path, "public", entity.told(handler), operation, cors=path != city.REGISTER_PATH)


def register_signals(host: Host, streams: ssf.SignalEndpoints, document: Handler) -> None:
    """The rows of Shared Signals: called by services with an access token."""
    described = openid.metadata("ssf_configuration", "Transmitter configuration (SSF 1.0 section 7)")
    host.front("GET", "/.well-known/ssf-configuration", "public", document, described, cors=True)
    for method, path, handler, operation in (
        ("GET", ssf.STREAM_PATH, streams.show, signals.SHOW),
        ("POST", ssf.STREAM_PATH, streams.create, signals.CREATE),
        ("PATCH", ssf.STREAM_PATH, streams.update, signals.UPDATE),
        ("PUT", ssf.STREAM_PATH, streams.replace, signals.REPLACE),
        ("DELETE", ssf.STREAM_PATH, streams.delete, signals.DELETE),
        ("GET", ssf.STATUS_PATH, streams.status, signals.STATUS),
        ("POST", ssf.STATUS_PATH, streams.set_status, signals.SET_STATUS),
        ("POST", ssf.ADD_PATH, streams.add_subject, signals.ADD),
        ("POST", ssf.REMOVE_PATH, streams.remove_subject, signals.REMOVE),
        ("POST", ssf.VERIFY_PATH, streams.verify, signals.VERIFY),
    ):
        host.front(method, path, "service", handler, operation)
    host.front("POST", ssf.POLL_PATH, "service", streams.poll, signals.POLL, prefix=True)
