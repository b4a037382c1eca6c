"""Some two hundred requests that a strict OpenID Provider must judge, most of them malformed: named, as raw bytes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

FORM = "application/x-www-form-urlencoded"
REDIRECT = "https://clinic.example/cb"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
UNSIGNED = "eyJhbGciOiJub25lIn0.eyJjbGllbnRfaWQiOiJkaWZmIn0."
GOOD = {
    "response_type": "code",
    "client_id": "diff",
    "redirect_uri": REDIRECT,
    "scope": "openid profile",
    "state": "s",
    "nonce": "n",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@dataclass(frozen=True)
class Case:
    """One request. `proof` is how the client proves itself: basic, counter (another client's), none, or a header."""

    name: str
    endpoint: str
    method: str = "GET"
    query: str = ""
    body: str | None = None
    kind: str = FORM
    proof: str = "none"
    headers: tuple[tuple[str, str], ...] = field(default=())


def pairs(values: dict[str, str]) -> list[str]:
    return [f"{name}={quote(value, safe='')}" for name, value in values.items()]


def changed(**changes: str | None) -> str:
    """A good request with changes; None leaves one out."""
    return "&".join(pairs({name: value for name, value in {**GOOD, **changes}.items() if value is not None}))


def _authorize() -> Iterator[tuple[str, str]]:
    whole = pairs(GOOD)
    for number, name in enumerate(GOOD):
        rest = whole[:number] + whole[number + 1 :]
        yield f"without {name}", "&".join(rest)
        yield f"{name} twice", "&".join([*whole, whole[number]])
        yield f"{name} empty", "&".join([*rest, f"{name}="])
        yield f"{name} with a NUL", "&".join([*rest, f"{whole[number]}%00"])
        yield f"{name} with a broken escape", "&".join([*rest, f"{whole[number]}%zz"])
        yield f"{name} that is not UTF-8", "&".join([*rest, f"{whole[number]}%ff"])
    values: dict[str, list[str]] = {
        "response_type": ["token", "id_token", "code token", "code id_token", "none", "code code", "CODE", "bogus"],
        "response_mode": ["fragment", "bogus", "web_message", "form_post", "query", "jwt", "query.jwt", "fragment.jwt"],
        "client_id": ["nobody", "diff ", "x" * 3000, "DIFF"],
        "redirect_uri": [
            "https://evil.example/cb", REDIRECT + "/", REDIRECT + "?a=1", REDIRECT + "#f", "http://clinic.example/cb",
            "https://CLINIC.example/cb", "https://u@clinic.example/cb", "https://clinic.example:443/cb",
            "https://clinic.example/x/../cb", "https://clinic.example/%63b", "https://clinic.example.evil.example/cb",
            "https://clіnic.example/cb", "javascript:alert(1)", "/cb", "https://clinic.example\\@evil.example/cb",
        ],
        "scope": ["bogus", "openid  profile", "openid bogus", "openid\tprofile", "openid é", 'openid "x"', "profile"],
        "prompt": ["none login", "bogus", "none", "login consent", "create"],
        "max_age": ["-1", "abc", "1.5", "1e3", "99999999999999", "0"],
        "claims": ["{", "[]", "1", '{"id_token":1}', "{}", '{"userinfo":{"name":1}}', '{"id_token":{"acr":[]}}'],
        "code_challenge": ["short", "x" * 129, "!" * 43, "x" * 44],
        "code_challenge_method": ["plain", "bogus", "s256"],
        "request": ["garbage", UNSIGNED, "a.b.c", "x" * 20_000],
        "request_uri": ["https://evil.example/r", "urn:ietf:params:oauth:request_uri:nothing", "bogus"],
        "id_token_hint": ["garbage", UNSIGNED],
        "registration": ["{}"],
        "display": ["bogus"],
        "ui_locales": ["%%% ###"],
        "acr_values": ["bogus"],
        "login_hint": ["x" * 3000],
        "resource": ["bogus", "https://bank.example/#f", "https://bank.example/"],
        "authorization_details": ["{", "[]", '[{"type":"bogus"}]'],
        "dpop_jkt": ["short"],
        "state": ["x" * 5000],
        "nonce": ["x" * 5000],
        "unknown": ["parameter"],
    }  # fmt: skip
    for name, some in values.items():
        for value in some:
            yield f"{name} {value[:45]!a}", changed(**{name: value})
    yield "request and request_uri", changed(request="a.b.c", request_uri="https://evil.example/r")


def _token() -> Iterator[Case]:
    def case(name: str, body: str | None, **more: object) -> Case:
        fields = {"endpoint": "token", "method": "POST", "proof": "basic", "body": body, **more}
        return Case(f"token: {name}", **fields)  # type: ignore[arg-type]

    credentials, code = "grant_type=client_credentials", "grant_type=authorization_code"
    yield case("no body", "")
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", FORM + "; charset=latin1"):
        yield case(
            f"a body of {kind}", '{"grant_type":"client_credentials"}' if "json" in kind else credentials, kind=kind
        )
    yield case("by GET", None, method="GET", query=credentials)
    yield case("by PUT", credentials, method="PUT")
    yield case("parameters in the address", "", query=credentials)
    for grant in ("", "bogus", "password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer"):
        yield case(f"grant_type {grant!r}", f"grant_type={quote(grant, safe='')}")
    yield case("grant_type twice", f"{credentials}&{credentials}")
    yield case("a parameter without a name", f"{credentials}&=x")
    yield case("a broken escape", f"{credentials}&scope=%zz")
    yield case("a NUL", f"{credentials}&scope=read%00")
    yield case("not UTF-8", f"{credentials}&scope=%ff")
    yield case("a long body", f"{credentials}&x={'y' * 70_000}")
    for name, proof in {
        "no proof": "none", "a wrong secret": "Basic ZGlmZjp3cm9uZw==", "an unknown client": "Basic bm9ib2R5OngK",
        "Basic that is not base64": "Basic !!!", "Basic without a colon": "Basic ZGlmZg==",
        "Basic that is empty": "Basic",
        "another scheme": "Digest x", "a bearer token": "Bearer x",
    }.items():  # fmt: skip
        yield case(name, credentials, proof=proof)
    yield case("no proof but client_id", f"{credentials}&client_id=diff", proof="none")
    yield case("two ways to prove", f"{credentials}&client_id=diff&client_secret=wrong")
    yield case("a way not registered", f"{credentials}&client_id=diff&client_secret=SECRET", proof="none")
    yield case("another client_id beside", f"{credentials}&client_id=pub")
    yield case("a secret in the address", credentials, proof="none", query="client_id=diff&client_secret=SECRET")
    yield case("a public client with a secret", f"{credentials}&client_id=pub&client_secret=x", proof="none")
    yield case("a public client for itself", f"{credentials}&client_id=pub", proof="none")
    wrong = "client_assertion_type=bogus&client_assertion=a.b.c"
    yield case("an assertion of a bogus type", f"{credentials}&{wrong}", proof="none")
    right = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion"
    yield case("an assertion that is garbage", f"{credentials}&{right}=garbage", proof="none")
    yield case("an assertion of nobody", f"{credentials}&{right}={UNSIGNED}", proof="none")
    yield case("no code", code)
    yield case("a made-up code", f"{code}&code=x&redirect_uri={quote(REDIRECT, safe='')}&code_verifier={'v' * 43}")
    yield case("a made-up code, bare", f"{code}&code=x")
    yield case("code twice", f"{code}&code=x&code=y")
    yield case(
        "a public client with a made-up code", f"{code}&client_id=pub&code=x&code_verifier={'v' * 43}", proof="none"
    )
    yield case("no refresh token", "grant_type=refresh_token")
    yield case("a made-up refresh token", "grant_type=refresh_token&refresh_token=x")
    for scope in ("bogus", "openid", "read bogus", "read%20%20read"):
        yield case(f"its own scope {scope!r}", f"{credentials}&scope={scope}")
    yield case("an unknown resource", f"{credentials}&resource=https%3A%2F%2Fother.example%2F")
    yield case("a DPoP proof that is garbage", credentials, headers=(("dpop", "garbage"),))
    yield case("two DPoP proofs", credentials, headers=(("dpop", "a.b.c"), ("dpop", "a.b.c")))


def _others() -> Iterator[Case]:
    def push(name: str, body: str, *, proof: str = "basic", kind: str = FORM) -> Case:
        return Case(f"par: {name}", "par", "POST", body=body, proof=proof, kind=kind)

    yield push("no proof", changed(), proof="none")
    yield push("a wrong secret", changed(), proof="Basic ZGlmZjp3cm9uZw==")
    yield push("another client_id", changed(client_id="pub"))
    yield push("request_uri", changed(request_uri="urn:ietf:params:oauth:request_uri:x"))
    yield push("an address not registered", changed(redirect_uri="https://evil.example/cb"))
    yield push("no redirect_uri", changed(redirect_uri=None))
    yield push("response_type token", changed(response_type="token"))
    yield push("no challenge", changed(code_challenge=None, code_challenge_method=None))
    yield push("a bogus scope", changed(scope="openid bogus"))
    yield push("prompt none login", changed(prompt="none login"))
    yield push("JSON", "{}", kind="application/json")
    yield push("scope twice", changed() + "&scope=openid")
    yield push("an object that is garbage", changed(request="garbage"))
    yield push("an unsigned object", changed(request=UNSIGNED))
    yield push("a bogus resource", changed(resource="bogus"))
    yield Case("par: by GET", "par", query=changed(), proof="basic")
    for place in ("introspect", "revoke"):
        yield Case(f"{place}: no proof", place, "POST", body="token=x")
        yield Case(f"{place}: no token", place, "POST", body="", proof="basic")
        yield Case(f"{place}: a made-up token", place, "POST", body="token=x", proof="basic")
        yield Case(f"{place}: token twice", place, "POST", body="token=x&token=y", proof="basic")
        yield Case(f"{place}: JSON", place, "POST", body="{}", kind="application/json", proof="basic")
        yield Case(f"{place}: a bogus hint", place, "POST", body="token=x&token_type_hint=bogus", proof="basic")
        yield Case(f"{place}: by GET", place, query="token=x", proof="basic")
    yield Case("introspect: a public client", "introspect", "POST", body="token=x&client_id=pub")
    for name, proof in {
        "no token": "none", "a made-up token": "Bearer x", "another scheme": "Basic eDp5", "an empty token": "Bearer",
        "a made-up bound token": "DPoP x", "a token with spaces": "Bearer x y",
    }.items():  # fmt: skip
        yield Case(f"userinfo: {name}", "userinfo", proof=proof)
    yield Case("userinfo: the token in the address", "userinfo", query="access_token=x")
    yield Case("userinfo: the token in the body", "userinfo", "POST", body="access_token=x")
    yield Case("userinfo: two tokens", "userinfo", "POST", body="access_token=x", proof="Bearer y")
    yield Case("userinfo: by DELETE", "userinfo", "DELETE")


def _registration() -> Iterator[Case]:
    """Clients that nobody should get (RFC 7591 section 2, OpenID Connect Registration section 2)."""
    good: dict[str, object] = {"redirect_uris": [REDIRECT]}
    private = {
        "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X5fCE9-E9LI",
    }  # fmt: skip

    def case(name: str, body: str, *, method: str = "POST", kind: str = "application/json") -> Case:
        return Case(f"register: {name}", "register", method, body=body, kind=kind)

    yield case("no body", "")
    yield case("no JSON", "{")
    yield case("a list", "[]")
    yield case("a text", '"x"')
    yield case("a form", "redirect_uris=https%3A%2F%2Fclinic.example%2Fcb", kind=FORM)
    yield case("by PUT", json.dumps(good), method="PUT")
    yield Case("register: by GET", "register")
    yield case("nothing", "{}")
    wrong: dict[str, list[object]] = {
        "redirect_uris": [
            None, [], REDIRECT, [1], [""], ["/cb"], ["https://clinic.example/cb#f"], ["http://clinic.example/cb"],
            ["javascript:alert(1)"], ["https://clinic.example/cb", "https://clinic.example/cb#f"], ["https://["],
        ],
        "response_types": [["token"], ["code id_token"], "code", ["bogus"]],
        "grant_types": [["implicit"], "authorization_code", ["bogus"], []],
        "token_endpoint_auth_method": ["bogus", "private_key_jwt", "tls_client_auth", 1],
        "id_token_signed_response_alg": ["none", "bogus"],
        "userinfo_signed_response_alg": ["bogus"],
        "request_object_signing_alg": ["none", "bogus"],
        "subject_type": ["bogus"],
        "application_type": ["bogus"],
        "jwks": [{}, {"keys": []}, {"keys": [1]}, {"keys": [private]}, "bogus"],
        "jwks_uri": ["http://clinic.example/jwks", "bogus", 1],
        "sector_identifier_uri": ["http://clinic.example/sector", "bogus"],
        "default_max_age": [-1, "60", 1.5],
        "require_auth_time": ["yes"],
        "client_name": [1, ""],
        "logo_uri": ["javascript:alert(1)", "bogus"],
        "initiate_login_uri": ["http://clinic.example/start", "bogus"],
        "post_logout_redirect_uris": ["https://clinic.example/bye", ["bogus"]],
        "contacts": ["it@clinic.example"],
        "scope": [["openid"], "openid bogus"],
    }  # fmt: skip
    for name, some in wrong.items():
        for value in some:
            yield case(f"{name} {json.dumps(value)[:60]}", json.dumps({**good, name: value}))


def _signing_out() -> Iterator[Case]:
    """RP-Initiated Logout section 2, from a browser in which nobody is signed in."""
    to = "post_logout_redirect_uri=https%3A%2F%2Fevil.example%2F"
    for name, query in {
        "an address of nobody": to, "an address that is not registered": f"client_id=diff&{to}",
        "a made-up hint": "id_token_hint=garbage", "an unsigned hint": f"id_token_hint={UNSIGNED}",
        "an unknown client": f"client_id=nobody&{to}", "client_id twice": "client_id=diff&client_id=pub",
        "a broken escape": "client_id=diff&state=%zz",
    }.items():  # fmt: skip
        yield Case(f"end_session: {name}", "end_session", query=query)
    yield Case("end_session: by PUT", "end_session", "PUT")
    yield Case("end_session: by POST, JSON", "end_session", "POST", body="{}", kind="application/json")


def _decoupled() -> Iterator[Case]:
    """A device and a counter that ask (RFC 8628 section 3.1, CIBA Core section 7.1), and what they then poll with."""
    grants = {"device": "urn:ietf:params:oauth:grant-type:device_code", "ciba": "urn:openid:params:grant-type:ciba"}
    handles = {"device": "device_code", "ciba": "auth_req_id"}
    good = {"device": "scope=openid", "ciba": "scope=openid&login_hint=nobody"}

    def case(place: str, name: str, body: str | None, proof: str = "counter", **more: object) -> Case:
        return Case(f"{place}: {name}", place, **{"method": "POST", "body": body, "proof": proof, **more})  # type: ignore[arg-type]

    for place, usual in good.items():
        yield case(place, "by GET", None, method="GET", query=usual)
        yield case(place, "no proof", usual, "none")
        yield case(place, "a wrong secret", usual, "Basic Y291bnRlcjp3cm9uZw==")
        yield case(place, "a client without the grant", usual, "basic")
        yield case(place, "another client_id beside", f"{usual}&client_id=pub")
        yield case(place, "JSON", "{}", kind="application/json")
        yield case(place, "scope twice", f"{usual}&scope=openid")
        yield case(place, "a broken escape", f"{usual}&x=%zz")
        yield case(place, "a bogus scope", usual.replace("openid", "openid%20bogus"))
        yield case(place, "a scope in quotes", usual.replace("openid", "openid%20%22x%22"))
        yield case(place, "an unknown resource", f"{usual}&resource=bogus")
        yield case(place, "claims that are no JSON", f"{usual}&claims=%7B")
        yield case(place, "max_age -1", f"{usual}&max_age=-1")
        yield case(place, "authorization_details that are no JSON", f"{usual}&authorization_details=%7B")
        grant, handle = f"grant_type={quote(grants[place], safe='')}", handles[place]
        for name, body, proof in (
            ("polling with nothing", grant, "counter"),
            ("polling with an empty handle", f"{grant}&{handle}=", "counter"),
            ("polling with a made-up handle", f"{grant}&{handle}=x", "counter"),
            ("polling with two handles", f"{grant}&{handle}=x&{handle}=y", "counter"),
            ("polling without proof", f"{grant}&{handle}=x", "none"),
            ("polling by a client without the grant", f"{grant}&{handle}=x", "basic"),
        ):
            yield Case(f"token: {place}, {name}", "token", "POST", body=body, proof=proof)
    yield case("device", "a public client without the grant", "client_id=pub&scope=openid", "none")
    yield case("device", "no scope", "client_id=screen", "none")
    yield case("device", "an unknown client", "client_id=nobody&scope=openid", "none")
    yield case("device", "a request object that is garbage", "client_id=screen&scope=openid&request=garbage", "none")
    yield case("ciba", "a public client", "client_id=screen&scope=openid&login_hint=nobody", "none")
    for name, body in {
        "no scope": "login_hint=nobody", "no openid": "scope=read&login_hint=nobody", "no hint": "scope=openid",
        "two hints": f"{good['ciba']}&id_token_hint=garbage", "nobody": good["ciba"],
        "a made-up ID token": "scope=openid&id_token_hint=garbage",
        "an unsigned ID token": f"scope=openid&id_token_hint={UNSIGNED}",
        "a made-up hint token": "scope=openid&login_hint_token=garbage",
        "a message of many lines": f"{good['ciba']}&binding_message=a%0Ab",
        "a long message": f"{good['ciba']}&binding_message={'x' * 200}",
        "an expiry of nothing": f"{good['ciba']}&requested_expiry=0",
        "an expiry that is no number": f"{good['ciba']}&requested_expiry=soon",
        "a request object that is garbage": f"{good['ciba']}&request=garbage",
        "an unsigned request object": f"{good['ciba']}&request={UNSIGNED}",
        "request_uri": f"{good['ciba']}&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Ax",
    }.items():  # fmt: skip
        yield case("ciba", name, body)


def cases() -> list[Case]:
    """All of them."""
    found = [Case(f"authorize: {name}", "authorize", query=query) for name, query in _authorize()]
    found.append(Case("authorize: by POST", "authorize", "POST", body=changed()))
    found.append(Case("authorize: by POST, JSON", "authorize", "POST", body="{}", kind="application/json"))
    found.append(Case("authorize: by PUT", "authorize", "PUT", body=changed()))
    return [*found, *_token(), *_others(), *_registration(), *_signing_out(), *_decoupled()]
