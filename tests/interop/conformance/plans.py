"""What the suite is told about us: its test configurations, and which plan takes which in what variant.

Of the suite's own words: `match` is where its browser is, `commands` what it does there by our pages' ids,
`update-image-placeholder` that a page a person would photograph was seen. Pure but for the clients that are made.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from tests.interop.conformance.city import Clients

ALIAS = "sekisho"
PASSWORD = "hama-no-shiokaze-1951"
#: Who signs in and agrees; who always says no, and so is asked each time; whom a clerk has verified.
LOGIN, REFUSER, VERIFIED = "tester", "refuser", "verified"
_SEEN = "update-image-placeholder"
_SEEN_OPTIONAL = "update-image-placeholder-optional"


def _task(task: str, match: str, *commands: list[Any], optional: bool = False) -> dict[str, Any]:
    return {"task": task, "match": match, "commands": list(commands)} | ({"optional": True} if optional else {})


def _look(where: str, words: str, how: str) -> list[Any]:
    return ["wait", "id", where, 10, words, how]


def browser(issuer: str) -> list[dict[str, Any]]:
    """Signing in, agreeing, signing out."""
    return [_answering(issuer), {
        "match": f"{issuer}/oauth/end-session*",
        "tasks": [
            _task("Sign out", f"{issuer}/sign-out*", ["click", "id", "sign-out-submit", "optional"], optional=True),
            _task("See where it ended", "*", ["wait", "css", "body", 10, "(?s).*", _SEEN_OPTIONAL]),
        ],
    }]  # fmt: skip


def _answering(
    issuer: str, *, sign_in: str = "", agree: str = "", answer: str = "agree", login: str = LOGIN
) -> dict[str, Any]:
    """An authorization request, with what to look at on the way."""
    form = [["text", "id", "login", login], ["text", "id", "password", PASSWORD], ["click", "id", "sign-in-submit"]]
    seen = [_look("main", ".*", sign_in)] if sign_in else []
    asked = [_look("main", ".*", agree)] if agree else []
    return {
        "match": f"{issuer}/oauth/authorize*",
        "tasks": [
            _task("Sign in", f"{issuer}/sign-in*", *seen, *form, optional=True),
            _task("Agree", f"{issuer}/interaction/*", *asked, ["click", "id", answer], optional=True),
            _task("Come back", "*/test/*/callback*", ["wait", "id", "submission_complete", 10]),
        ],
    }


def _refused(issuer: str, path: str = "/oauth/authorize") -> dict[str, Any]:
    """A request that ends on a page of ours and nowhere else."""
    return {
        "match": f"{issuer}{path}*",
        "tasks": [_task("See the error", f"{issuer}/*", _look("main", "(?s).*", _SEEN))],
    }


_ERROR_PAGES = (
    "oidcc-ensure-registered-redirect-uri", "oidcc-ensure-redirect-uri-in-authorization-request",
    "oidcc-redirect-uri-query-added", "oidcc-redirect-uri-query-mismatch",
)  # fmt: skip
_SECOND_SIGN_INS = ("oidcc-prompt-login", "oidcc-max-age-1")
_ADDRESSES_SHOWN = ("oidcc-registration-logo-uri", "oidcc-registration-policy-uri", "oidcc-registration-tos-uri")


def configurations(issuer: str, mtls_port: int, suite: str, clients: "Clients") -> dict[str, dict[str, Any]]:
    """Each configuration of the suite by its name."""
    base = {
        "description": "Sekisho",
        "alias": ALIAS,
        "server": {"discoveryUrl": f"{issuer}/.well-known/openid-configuration", "login_hint": LOGIN},
        "browser": browser(issuer),
        "options": {"browsercontrol_css_enable": False},
    }
    found = {"oidcc": base | {"client": {"client_name": "first"}, "client2": {"client_name": "second"},
                              "override": _oidcc_overrides(issuer)}}  # fmt: skip
    # One browser for all of it, a person's: the suite's own can't ask the frame.
    found["session"] = found["oidcc"] | {"alias": f"{ALIAS}-session", "browser": [], "override": {}}
    found |= _fapi(base, issuer, mtls_port, clients)
    found |= _machines(base, issuer, mtls_port, clients)
    found |= _ciba(base, issuer, mtls_port, clients)
    found |= _signals(base, issuer, clients)
    # Nothing of `browser`: verified claims need two factors, so a person goes there (`run` plays one).
    two = _two(clients, "ekyc", scope=_STANDARD, verified_claims="evidence", require_pkce=False)
    found["ekyc"] = base | two | {"browser": [], "ekyc": _EKYC}
    return found


_VERIFIED_REQUEST = {
    "verification": {
        "trust_framework": None,
        "evidence": [{"type": {"value": "document"}, "document_details": {"type": None}}],
    },
    "claims": {"name": None, "birthdate": None},
}
#: What stands of the person, by the visit that the city plays; and what no city of ours has.
_STANDS = {
    "verification": {"trust_framework": "urn:sekisho:trust-framework:counter", "assurance_level": "urn:sekisho:ial:3"},
    "claims": {"name": "浦 千代", "birthdate": "1951-04-02"},
}
_NEVER = {"verification": {"trust_framework": "de_aml"}, "claims": {"nationalities": ["JP"]}}
_EKYC = {
    "userinfo": {"verified_claims": [_STANDS, _NEVER]},
    "verified_claims_names": ["name", "birthdate"],
    "unverified_claims_names": ["name", "birthdate"],
    "verified_claims_request_list": [{"userinfo": {"verified_claims": _VERIFIED_REQUEST}}],
}
_STANDARD = "openid profile email address phone offline_access"


def _two(clients: "Clients", name: str, **metadata: Any) -> dict[str, Any]:
    """The two clients of a plan, with a key each."""
    made: dict[str, Any] = {"alias": f"{ALIAS}-{name}"}
    for number, redirect in enumerate(clients.redirects(made["alias"]), 1):
        said = {"token_endpoint_auth_method": "private_key_jwt", "redirect_uris": [redirect], **metadata}
        made["client" if number == 1 else "client2"] = clients.keyed(f"{name}-{number}", **said) | {"scope": "openid"}
    return made


def _ciba(base: dict[str, Any], issuer: str, mtls_port: int, clients: "Clients") -> dict[str, dict[str, Any]]:
    """FAPI-CIBA: tokens bound to certificates, requests signed; the answers come by the rehearsal's address."""
    found = {}
    for mode in ("poll", "ping"):
        for auth in ("private_key_jwt", "mtls"):
            made: dict[str, Any] = {"alias": f"{ALIAS}-ciba-{mode}-{auth}"}
            alg = "PS256" if mode == "ping" else "ES256"
            for suffix in ("", "2"):
                who = f"ciba-{mode}-{auth}{suffix}".replace("_", "-")
                metadata: dict[str, Any] = {
                    "grant_types": ["urn:openid:params:grant-type:ciba", "refresh_token"], "scope": _STANDARD,
                    "token_endpoint_auth_method": "tls_client_auth" if auth == "mtls" else auth,
                    "tls_client_certificate_bound_access_tokens": True, "use_mtls_endpoint_aliases": True,
                    "backchannel_token_delivery_mode": mode, "backchannel_authentication_request_signing_alg": alg,
                    "id_token_signed_response_alg": "ES256",
                }  # fmt: skip
                if auth == "mtls":
                    metadata["tls_client_auth_san_dns"] = f"{who}.example"
                if mode == "ping":
                    place = f"{clients.suite}/test/a/{made['alias']}/ciba-notification-endpoint"
                    metadata["backchannel_client_notification_endpoint"] = place
                told = {
                    "hint_type": "login_hint",
                    "hint_value": LOGIN,
                    "scope": "openid profile offline_access",
                    "acr_value": "urn:sekisho:aal:2",
                }
                made[f"client{suffix}"] = clients.keyed(who, alg, **metadata) | told
                made[f"mtls{suffix}"] = clients.certificate(who)
            answers = (
                f"{issuer}/oauth/backchannel-authentication/rehearsal?auth_req_id={{auth_req_id}}&action={{action}}"
            )
            found[f"ciba-{mode}-{auth}"] = base | made | {
                "automated_ciba_approval_url": answers,
                "resource": {"resourceUrl": f"https://localhost:{mtls_port}/oauth/userinfo"},
            }  # fmt: skip
    return found


def _signals(base: dict[str, Any], issuer: str, clients: "Clients") -> dict[str, dict[str, Any]]:
    """Shared Signals: a receiver with a token of its own; to be told of residents it is a service they agreed to."""
    place = clients.redirects(f"{ALIAS}-resident")[0]  # no test's: a test fails by a visit it didn't ask for
    made = clients.make(
        "receiver",
        grant_types=["client_credentials", "authorization_code"],
        redirect_uris=[place],
        token_endpoint_auth_method="client_secret_basic",
        scope="openid ssf.manage",
        require_pkce=False,
    ) | {"scope": "ssf.manage", "redirect_uri": place}
    transmitter = {"issuer": issuer, "metadata_suffix": "", "push_endpoint_authorization_header": "Bearer pushed"}
    subjects = {
        "valid": {"format": "email", "email": "tester@example.com"},
        "invalid": {"format": "opaque", "id": "none"},
    }
    return {
        "ssf": base
        | {"alias": f"{ALIAS}-ssf", "client": made, "ssf": {"transmitter": transmitter, "subjects": subjects}}
    }


def service(issuer: str, configuration: dict[str, Any]) -> str:
    """Where somebody begins to use the service of a configuration."""
    made = configuration["client"]
    query = {name: made[name] for name in ("client_id", "redirect_uri")} | {"response_type": "code", "scope": "openid"}
    return f"{issuer}/oauth/authorize?{urlencode(query)}"


def _oidcc_overrides(issuer: str) -> dict[str, Any]:
    seen = {name: [_refused(issuer)] for name in _ERROR_PAGES}
    seen |= {name: [_answering(issuer, sign_in=_SEEN_OPTIONAL)] for name in _SECOND_SIGN_INS}
    seen |= {name: [_answering(issuer, agree=_SEEN)] for name in _ADDRESSES_SHOWN}
    return {name: {"browser": tasks} for name, tasks in seen.items()}


CIBA_WAYS = tuple(f"{mode}-{auth}" for mode in ("poll", "ping") for auth in ("private_key_jwt", "mtls"))
_FAPI_PROFILES = ("fapi2-security", "fapi2-message-signing")
_FAPI_PLANS = ("fapi2-security-profile-final", "fapi2-message-signing-final")
#: How the two clients prove themselves and bind their tokens: the four ways of FAPI 2.0.
FAPI_WAYS = {f"{auth}-{bound}": (auth, bound) for auth in ("private_key_jwt", "mtls") for bound in ("dpop", "mtls")}


def _fapi(base: dict[str, Any], issuer: str, mtls_port: int, clients: "Clients") -> dict[str, dict[str, Any]]:
    found = {}
    looking = {
        "match": f"{issuer}/oauth/authorize*",
        "tasks": [_task("Only look", f"{issuer}/*", _look("main", "(?s).*", _SEEN_OPTIONAL))],
    }
    once = {"match-limit": 1}
    special = {
        "user-rejects-authentication": [_answering(issuer, answer="refuse", login=REFUSER)],
        "par-ensure-reused-request-uri-prior-to-auth-completion-succeeds": [looking | once, _answering(issuer)],
        "par-attempt-reuse-request_uri": [_answering(issuer) | once, _refused(issuer)],
        "par-attempt-to-use-expired-request_uri": [_refused(issuer)],
        "par-attempt-to-use-request_uri-for-different-client": [_refused(issuer)],
    }
    for profile in _FAPI_PROFILES:
        for name, (auth, bound) in FAPI_WAYS.items():
            made: dict[str, Any] = {"alias": f"{ALIAS}-{profile}-{name}"}
            for number, redirect in enumerate(clients.redirects(made["alias"]), 1):
                who = f"{profile}-{name}-{number}".replace("_", "-")
                metadata = _proof(who, auth, bound) | {
                    "profile": profile, "redirect_uris": [redirect], "scope": _STANDARD,
                }  # fmt: skip
                suffix = "" if number == 1 else "2"
                alg = "PS256" if bound == "mtls" else "ES256"
                told = {"scope": "openid profile offline_access"}
                made[f"client{suffix}"] = clients.keyed(who, alg, **metadata) | told
                if "mtls" in (auth, bound):
                    made[f"mtls{suffix}"] = clients.certificate(who)
            host = issuer if bound == "dpop" else f"https://localhost:{mtls_port}"
            override = {
                "override": {
                    f"{plan}-{one}": {"browser": tasks} for plan in _FAPI_PLANS for one, tasks in special.items()
                }
            }
            found[f"{profile}-{name}"] = (
                base | made | override | {"resource": {"resourceUrl": f"{host}/oauth/userinfo"}}
            )
    return found


def _machines(base: dict[str, Any], issuer: str, mtls_port: int, clients: "Clients") -> dict[str, dict[str, Any]]:
    """FAPI 2.0's client credentials: services for themselves. What they read is their stream of signals."""
    found = {}
    for name, (auth, bound) in FAPI_WAYS.items():
        made: dict[str, Any] = {"alias": f"{ALIAS}-fapi2-client-credentials-{name}"}
        for number in (1, 2):
            who = f"fapi2-client-credentials-{name}-{number}".replace("_", "-")
            suffix = "" if number == 1 else "2"
            metadata = _proof(who, auth, bound) | {
                "profile": "fapi2-security", "grant_types": ["client_credentials"], "scope": "ssf.read",
            }  # fmt: skip
            made[f"client{suffix}"] = clients.keyed(who, "PS256" if bound == "mtls" else "ES256", **metadata)
            if "mtls" in (auth, bound):
                made[f"mtls{suffix}"] = clients.certificate(who)
        host = issuer if bound == "dpop" else f"https://localhost:{mtls_port}"
        where = {"discoveryUrl": f"{issuer}/.well-known/oauth-authorization-server"}
        found[f"fapi2-client-credentials-{name}"] = (
            base | made | {"server": where, "resource": {"resourceUrl": f"{host}/ssf/stream"}}
        )
    return found


def _proof(who: str, auth: str, bound: str) -> dict[str, Any]:
    """How a client proves itself and binds its tokens."""
    return {
        "token_endpoint_auth_method": "tls_client_auth" if auth == "mtls" else auth,
        "dpop_bound_access_tokens": bound == "dpop",
        "tls_client_certificate_bound_access_tokens": bound == "mtls",
        "use_mtls_endpoint_aliases": "mtls" in (auth, bound),
        **({"tls_client_auth_san_dns": f"{who}.example"} if auth == "mtls" else {}),
    }


_DISCOVERED = {"server_metadata": "discovery", "client_registration": "dynamic_client"}
_CODE = {"response_type": "code", "client_registration": "dynamic_client"}
_FAPI = {"openid": "openid_connect", "fapi_profile": "plain_fapi", "authorization_request_type": "simple"}
_SIGNED = {"fapi_request_method": "signed_non_repudiation", "fapi_response_mode": "jarm"}
_SSF = {
    "client_auth_type": "client_secret_basic", "ssf_server_metadata": "discovery", "server_metadata": "discovery",
    "ssf_auth_mode": "dynamic", "ssf_profile": "default", "client_registration": "static_client",
}  # fmt: skip
_IDA = {
    "client_auth_type": "private_key_jwt", "server_metadata": "discovery", "response_type": "code",
    "client_registration": "static_client", "response_mode": "default", "security_profile": "none",
    "auth_request_method": "http_query", "auth_request_non_repudiation_method": "unsigned", "sender_constrain": "none",
    "fapi_response_mode": "plain_response", "ekyc_verified_claims_response_support": "id_token_userinfo",
    "ekyc_profile": "plain",
}  # fmt: skip


def _openid(name: str, variant: dict[str, str] | None = None) -> dict[str, Any]:
    return {"plan": f"oidcc-{name}-certification-test-plan", "variant": variant or {}, "configuration": "oidcc"}


def _of_fapi(plan: str, profile: str, way: str, more: dict[str, str]) -> dict[str, Any]:
    auth, bound = FAPI_WAYS[way]
    variant = {"client_auth_type": auth, "sender_constrain": bound, **_FAPI, **more}
    return {"plan": f"{plan}-test-plan", "variant": variant, "configuration": f"{profile}-{way}"}


def _of_ciba(mode: str, auth: str) -> dict[str, Any]:
    variant = {"client_auth_type": auth, "ciba_mode": mode, "fapi_ciba_profile": "plain_fapi",
               "client_registration": "static_client"}  # fmt: skip
    return {"plan": "fapi-ciba-id1-test-plan", "variant": variant, "configuration": f"ciba-{mode}-{auth}"}


def _of_machines(way: str) -> dict[str, Any]:
    auth, bound = FAPI_WAYS[way]
    variant = {"client_auth_type": auth, "sender_constrain": bound, "authorization_request_type": "simple",
               "openid": "plain_oauth", "fapi_profile": "fapi_client_credentials_grant"}  # fmt: skip
    return {"plan": f"{_FAPI_PLANS[0]}-test-plan", "variant": variant,
            "configuration": f"fapi2-client-credentials-{way}"}  # fmt: skip


def _of_ssf(mode: str, profile: str = "default") -> dict[str, Any]:
    """The plan of CAEP's interoperability profile has the profile in its name, and wants it from nobody."""
    variant = {**_SSF, "ssf_delivery_mode": mode}
    if profile != "default":
        del variant["ssf_profile"]
    name = "openid-ssf-transmitter" if profile == "default" else f"openid-ssf-transmitter-{profile}"
    return {"plan": f"{name}-test-plan", "variant": variant, "configuration": "ssf"}


#: Our name for a plan: the suite's name, its variant, the configuration, and who signs in where nobody is named.
PLANS: dict[str, dict[str, Any]] = {
    "basic": _openid("basic", _DISCOVERED),
    "config": _openid("config"),
    "dynamic": _openid("dynamic", {"response_type": "code"}),
    "formpost-basic": _openid("formpost-basic", _DISCOVERED),
    "3rd-party-init": _openid("3rdparty-init-login", {"response_type": "code"}),
    "rp-initiated-logout": _openid("rp-initiated-logout", _CODE),
    "frontchannel-logout": _openid("frontchannel-rp-initiated-logout", _CODE),
    "backchannel-logout": _openid("backchannel-rp-initiated-logout", _CODE),
    "session-management": _openid("session-management", _CODE) | {"configuration": "session"},
    **{
        f"{profile}-{way}": _of_fapi(plan, profile, way, more)
        for plan, profile, more in zip(_FAPI_PLANS, _FAPI_PROFILES, ({}, _SIGNED), strict=True)
        for way in FAPI_WAYS
    },
    **{f"fapi2-client-credentials-{way}": _of_machines(way) for way in FAPI_WAYS},
    **{f"ciba-{way}": _of_ciba(*way.split("-")) for way in CIBA_WAYS},
    **{f"ssf-{mode}": _of_ssf(mode) for mode in ("push", "poll")},
    **{f"ssf-caep-{mode}": _of_ssf(mode, "caep") for mode in ("push", "poll")},
    "ekyc": {"plan": "ekyc-test-plan-oidccore", "variant": _IDA, "configuration": "ekyc", "login": VERIFIED},
}  # fmt: skip
