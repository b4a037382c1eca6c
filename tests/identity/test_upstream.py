"""Signing in by others, from the wire: the city between a browser and a strict provider (tests/support/upstream.py)."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlmodel import Session, col, update

from identity.levels import AAL1, AAL2
from identity.models_account import Account
from identity.sessions import Sessions
from identity.settings import IdentitySettings
from identity.upstream.flow import Upstreams
from kit.fetch import OutgoingSettings
from portal.app import create_app
from tests.identity.abroad import COOKIE, World
from tests.identity.abroad import w as w  # a fixture
from tests.portal.test_signin import SESSION, code_of, post
from tests.support.desk import colleague
from tests.support.upstream import PERSON, standing_in

pytestmark = pytest.mark.anyio

# -- the way there


async def test_the_request_has_what_the_specifications_ask_and_no_more(w: World) -> None:
    """OpenID Connect Core section 3.1.2.1, RFC 7636 section 4.3; the provider refuses anything less. At a sign-in only
    `openid` is asked for: the four attributes are for a link that its owner makes."""
    await w.there.visit(await w.away())
    (asked,) = w.there.requests
    assert asked["scope"] == "openid"
    assert set(asked) == {
        "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge",
        "code_challenge_method", "acr_values",
    }  # fmt: skip
    assert asked["redirect_uri"] == "http://localhost:8080/sign-in/from/app"


async def test_the_sign_in_page_names_the_upstreams_and_may_lead_to_them(w: World) -> None:
    page = await w.http.get("/sign-in", headers={"accept-language": "ja"})
    assert "デジタル認証アプリ" in page.text
    (policy,) = re.findall(r"form-action ([^;]+)", page.headers["content-security-policy"])
    assert w.there.site.url("").rstrip("/") in policy.split(" ")


async def test_operators_read_and_download_the_public_key_to_register_there(w: World) -> None:
    """RFC 7517 section 5: a JWK Set of the public half, and nothing of the private one."""
    operator = await colleague(w.app, w.http, "operator")
    page = await operator.get("/console/keys")
    got = await operator.get("/console/keys/upstreams/app.json")
    assert (got.status_code, got.headers["content-type"]) == (200, "application/jwk-set+json")
    assert got.headers["content-disposition"] == 'attachment; filename="app.jwks.json"'
    (key,) = got.json()["keys"]
    found = w.app.host.get(Upstreams).get("app")
    assert found is not None
    assert found.key is not None
    assert key == found.key.jwk
    assert "d" not in key
    assert key["kid"] in page.text
    assert found.redirect_uri in page.text
    assert (await operator.get("/console/keys/upstreams/other.json")).status_code == 404
    analyst = await colleague(w.app, w.http, "analyst")
    assert (await analyst.get("/console/keys/upstreams/app.json")).status_code == 404


async def test_an_unknown_upstream_is_not_found(w: World) -> None:
    assert (await post(w.http, "/sign-in/with", upstream="nobody", next="/home")).status_code == 404


async def test_another_site_cannot_begin_a_sign_in(w: World) -> None:
    answer = await w.http.post("/sign-in/with", data={"upstream": "app"}, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert COOKIE not in w.http.cookies


# -- the way back: an account that is linked


async def test_a_linked_identity_signs_in_at_the_level_the_upstream_really_said(w: World) -> None:
    """RFC 8176: of `amr` what it registers; `mynumber` is nobody's word but the upstream's."""
    account_id = await w.linked()
    answer = await w.go()
    assert (answer.status_code, answer.headers["location"]) == (303, "/consents")
    session = await w.session()
    assert session is not None
    assert (session.account_id, session.acr, session.amr) == (account_id, AAL2, ("hwk", "pin"))
    (entry,) = [one for one in await w.trail("identity.signin.succeeded") if one.detail["method"] == "upstream"]
    assert entry.detail == {"method": "upstream", "upstream": "app", "acr": AAL2}


async def test_a_sign_in_ends_the_session_the_browser_had_and_makes_a_new_token(w: World) -> None:
    """Session fixation: no token from before a sign-in lives on."""
    await w.linked()
    await w.go()
    before = w.http.cookies.get(SESSION)
    await w.go("/safety")
    assert w.http.cookies.get(SESSION) != before
    assert await w.app.host.get(Sessions).find(before) is None


async def test_nothing_of_the_upstreams_tokens_is_kept_but_a_keyed_hash_and_the_sealed_attributes(w: World) -> None:
    await w.linked()
    await w.go()
    (row,) = await w.rows()
    assert len(row.subject_hash) == 32
    data = b"".join(path.read_bytes() for path in w.app.settings.data.glob("sekisho.sqlite3*"))
    for secret in (w.there.subject, "at-1", "code-0", PERSON["address"]):
        assert secret.encode() not in data


async def test_next_leads_nowhere_but_to_a_path_of_ours(w: World) -> None:
    await w.linked()
    for elsewhere in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        assert (await w.go(elsewhere)).headers["location"] == "/home", elsewhere


async def test_an_acr_that_no_level_is_named_for_opens_nothing(w: World) -> None:
    """Core section 3.1.3.7, rule 12: asked is not answered. Nor may an upstream speak in our own names."""
    await w.linked()
    for acr in ("aal2", "", None, "urn:sekisho:aal:2"):
        w.there.acr = acr
        assert code_of(await w.go()) == "too-weak", acr
        assert await w.session() is None


async def test_a_suspended_account_stays_closed(w: World) -> None:
    account_id = await w.linked()

    def suspend(session: Session) -> None:
        session.execute(update(Account).where(col(Account.id) == account_id).values(status="suspended"))

    await w.app.host.db.write(suspend)
    assert code_of(await w.go()) == "closed"
    assert await w.session() is None


# -- the way back: answers that do not hold


def none_alg(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, None, algorithm="none")


def shared_secret(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": "k1"})


def strangers_key(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": "k1"})


MOMENT = 1_795_000_000 - 31_536_000  # long before the frozen clock


ODD_ANSWERS: list[tuple[dict[str, Any], str]] = [
    ({"claims": {"nonce": "another"}}, "broken"),
    ({"claims": {"nonce": None}}, "broken"),
    ({"claims": {"iss": "https://evil.example"}}, "broken"),
    ({"claims": {"aud": "another-client"}}, "broken"),
    ({"claims": {"aud": ["RP00000001", "another-client"]}}, "broken"),
    ({"claims": {"azp": "another-client"}}, "broken"),
    ({"claims": {"exp": MOMENT}}, "broken"),
    ({"claims": {"exp": None}}, "broken"),
    ({"claims": {"exp": True}}, "broken"),
    ({"claims": {"iat": 4_000_000_000}}, "broken"),
    ({"claims": {"sub": ""}}, "broken"),
    ({"claims": {"sub": 7}}, "broken"),
    ({"claims": {"sub": "x" * 256}}, "broken"),
    ({"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}}, "broken"),
    ({"sign": none_alg}, "broken"),
    ({"sign": shared_secret}, "broken"),
    ({"sign": strangers_key}, "broken"),
    ({"redirect": {"iss": "https://evil.example"}}, "mixed-up"),
    ({"redirect": {"iss": ""}}, "mixed-up"),
    ({"redirect": {"code": "", "error": "access_denied"}}, "denied"),
    ({"redirect": {"code": "", "error": "server_error"}}, "refused-there"),
    ({"redirect": {"code": "code-of-somebody-else"}}, "refused-there"),
    ({"redirect": {"code": ""}}, "refused-there"),
]


async def test_an_answer_that_does_not_hold_lets_nobody_in(w: World) -> None:
    """Core section 3.1.3.7 (ID token), RFC 9207 section 2.4 (`iss` of the redirect; promised, so it must be there)."""
    await w.linked()
    usual = {name: getattr(w.there, name) for name in ("claims", "sign", "redirect")}
    for how, reason in ODD_ANSWERS:
        for name, value in (usual | how).items():
            setattr(w.there, name, value)
        answer = await w.go()
        assert code_of(answer) == reason, how
        assert "words of the upstream" not in answer.text
        assert await w.session() is None
        last = (await w.trail("identity.signin.failed"))[-1]
        assert last.detail == {"method": "upstream", "upstream": "app", "reason": reason}
    for name, value in usual.items():
        setattr(w.there, name, value)
    assert (await w.go()).headers["location"] == "/consents"  # it was the answers, nothing else


async def test_an_answer_is_taken_once(w: World) -> None:
    """RFC 9700 section 4.2.4: the code is not even shown to the upstream again."""
    await w.linked()
    place = await w.there.visit(await w.away())
    cookie = w.http.cookies.get(COOKIE)
    before = w.there.exchanges
    answers = await asyncio.gather(w.back(place), w.back(place), w.back(place))
    assert sorted(code_of(answer) or "in" for answer in answers) == ["in", "stale", "stale"]
    w.http.cookies.set(COOKIE, cookie)
    assert code_of(await w.back(place)) == "stale"
    assert w.there.exchanges == before + 1


async def test_somebody_elses_answer_does_nothing_in_this_browser(w: World) -> None:
    """Login CSRF (RFC 6749 section 10.12): an attacker's own code and state, brought to the victim's browser."""
    await w.linked()
    async with w.browser() as attacker:
        answer = await post(attacker, "/sign-in/with", upstream="app", next="/home")
        theirs = await w.there.visit(answer.headers["location"])
    assert code_of(await w.back(theirs)) == "stale"  # nothing was begun here
    mine = await w.there.visit(await w.away())
    assert code_of(await w.back(theirs)) == "stale"  # and what was begun here is another's
    assert await w.session() is None
    answer = await w.back(mine)  # a forged answer spends nothing
    assert answer.headers["location"] == "/consents"


async def test_a_stolen_code_is_worth_nothing_in_another_sign_in(w: World) -> None:
    """Code injection (RFC 9700 section 4.5): the verifier stayed with the request the code came from."""
    await w.linked()
    async with w.browser() as victim:
        answer = await post(victim, "/sign-in/with", upstream="app", next="/home")
        stolen = parse_qs(urlsplit(await w.there.visit(answer.headers["location"])).query)["code"][0]
    mine = dict(parse_qsl(urlsplit(await w.there.visit(await w.away())).query))
    answer = await w.back(f"/sign-in/from/app?{urlencode(mine | {'code': stolen})}")
    assert code_of(answer) == "refused-there"
    assert w.there.refusals == ["code_verifier"]


async def test_one_upstreams_answer_is_not_anothers(w: World) -> None:
    """Mix-up (RFC 9700 section 4.4): each upstream has its own redirect URI, and the attempt remembers which."""
    await w.linked()
    place = await w.there.visit(await w.away())
    assert code_of(await w.back(place.replace("/from/app?", "/from/other?"))) == "stale"
    assert w.there.exchanges == 0


async def test_odd_answers_are_stale(w: World) -> None:
    await w.away()
    for query in ("", "state=x", "state=%E3%81%82&code=c", "state=a&state=b", "x" * 9000):
        answer = await w.http.get(f"/sign-in/from/app?{query}")
        assert (answer.status_code, code_of(answer)) == (400, "stale"), query
        assert COOKIE in w.http.cookies


async def test_an_answer_after_ten_minutes_is_stale(w: World) -> None:
    place = await w.there.visit(await w.away())
    w.app.host.clock.advance(ms=600_000)  # type: ignore[attr-defined]
    assert code_of(await w.back(place)) == "stale"


async def test_another_issuer_under_the_same_name_opens_nothing(w: World) -> None:
    """A subject is known together with its issuer: Core section 5.7."""
    account_id = await w.linked()
    links = w.app.host.get(Upstreams).links
    digest = links.digest("https://evil.example", w.there.subject)
    assert await w.app.host.db.read(links.find, "app", digest) is None
    assert (await w.rows())[0].account_id == account_id


# -- metadata


ODD_METADATA: list[dict[str, Any]] = [
    {"issuer": "https://evil.example"},
    {"authorization_endpoint": "https://evil.example/auth"},
    {"authorization_endpoint": 7},
    {"token_endpoint": "http://neighbour.lan/token"},
    {"token_endpoint": None},
    {"jwks_uri": "file:///etc/passwd"},
    {"userinfo_endpoint": "http://169.254.169.254/"},
    {"code_challenge_methods_supported": ["plain"]},
    {"id_token_signing_alg_values_supported": ["none", "RS256"]},
    {"token_endpoint_auth_methods_supported": ["client_secret_post"]},
]


async def test_metadata_that_does_not_hold_sends_nobody_anywhere(w: World) -> None:
    """Discovery section 4.3 (the issuer), RFC 8414 section 6; addresses by the rules of every fetch (kit.fetch)."""
    for metadata in ODD_METADATA:
        w.there.metadata = metadata
        w.app.host.clock.advance(seconds=11)  # type: ignore[attr-defined]
        answer = await post(w.http, "/sign-in/with", upstream="app", next="/home")
        assert (answer.status_code, code_of(answer)) == (502, "broken"), metadata
    assert COOKIE not in w.http.cookies


async def test_an_upstream_that_is_down_is_told_in_words_and_asked_again_after_a_pause(w: World) -> None:
    there = w.there.site.answer
    w.there.site.answer = lambda _path: b""
    for _ in range(3):
        answer = await post(w.http, "/sign-in/with", upstream="app", next="/home")
        assert (answer.status_code, code_of(answer)) == (502, "unreachable")
    assert len(w.there.site.asked) == 1
    w.there.site.answer = there
    w.app.host.clock.advance(seconds=11)  # type: ignore[attr-defined]
    assert (await post(w.http, "/sign-in/with", upstream="app", next="/home")).status_code == 303


# -- a provider that keeps the standard and has a secret


@pytest.fixture
async def generic(settings: Any, clock: Any) -> AsyncIterator[World]:
    async with standing_in(
        lambda: clock.ms() // 1000, secret="s3cret:%&", client_id="city client", acr_values=None, acr=None
    ) as there:
        upstream = {
            "id": "app", "label_ja": "市立大学", "label_en": "City University", "issuer": there.issuer,
            "client_id": there.client_id, "client_secret": there.secret, "alg": "ES256",
        }  # fmt: skip
        identity = type(settings.identity).model_validate({"upstreams": [upstream]})
        outgoing = OutgoingSettings(allow=("127.0.0.1",))
        whole = settings.model_copy(update={"identity": identity, "outgoing": outgoing})
        async with create_app(whole, clock=clock).running(jobs=False) as app:
            made = World(app, None, there)
            async with made.browser() as made.http:
                yield made


async def test_without_named_levels_an_upstream_is_one_factor_whatever_it_says(generic: World) -> None:
    """RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined."""
    await generic.inside()
    answer = await post(generic.http, "/safety/linked/new", upstream="app")
    await generic.back(await generic.there.visit(answer.headers["location"]))
    assert generic.there.requests[-1]["scope"] == "openid"  # no profile, no attributes
    generic.there.acr = "urn:sekisho:aal:2"
    await generic.go()
    session = await generic.session()
    assert session is not None
    assert session.acr == AAL1


async def test_one_factor_there_does_not_pass_by_the_second_factor_of_the_account_here(generic: World) -> None:
    """Whoever set an app up is asked for it at the door with the password; no door beside it is open for less, from
    where the app could be replaced."""
    account_id = await generic.linked(app_on=True)
    answer = await generic.go()
    assert (answer.status_code, code_of(answer)) == (403, "too-weak")
    assert await generic.session() is None
    (failed,) = await generic.trail("identity.signin.failed")
    assert (failed.object_id, failed.detail["reason"]) == (account_id, "too-weak")


async def test_when_the_person_proved_themselves_there_is_when_they_did_here(generic: World) -> None:
    """Core section 2, `auth_time`: a session there that began earlier is no fresh proof here."""
    await generic.linked()
    generic.there.claims = {"auth_time": generic.there.now() - 200}
    await generic.go()
    session = await generic.session()
    assert session is not None
    assert session.auth_at == (generic.there.now() - 200) * 1000


async def test_an_old_or_unsaid_sign_in_there_opens_nothing(generic: World) -> None:
    """Core section 3.1.2.1: `max_age` was asked, so `auth_time` must be there and hold."""
    await generic.linked()
    for auth_time in (-400, None, 60):
        generic.there.claims = {"auth_time": None if auth_time is None else generic.there.now() + auth_time}
        assert code_of(await generic.go()) == "too-old", auth_time
        assert await generic.session() is None


# -- settings


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"profile": "digital-auth-app", "client_secret": "s"}, "private_key_jwt"),
        ({"profile": "gbizid", "client_secret": "s"}, "issuer"),
        ({"issuer": "https://idp.example", "client_secret": "s"}, "label"),
        ({"issuer": "https://idp.example", "label_ja": "あ", "label_en": "a"}, "either"),
        ({"profile": "gbizid", "issuer": "https://g.example", "client_secret": "s", "acr": {"x": "aal9"}}, "levels"),
        ({"profile": "gbizid", "issuer": "https://g.example", "client_secret": "s", "acr_values": ["x"]}, "acr"),
    ],
)
def test_a_setting_that_can_not_work_is_refused_at_the_start(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        IdentitySettings.model_validate({"upstreams": [{"id": "a", "client_id": "c", **wrong}]})


def test_two_upstreams_have_two_names() -> None:
    one = {"id": "a", "client_id": "c", "profile": "gbizid", "issuer": "https://g.example", "client_secret": "s"}
    with pytest.raises(ValueError, match="same id"):
        IdentitySettings.model_validate({"upstreams": [one, one]})
