"""Signing in by GビズID and linking it, from the wire: its ready profile against a provider as strict as described.

What differs from デジタル認証アプリ: a secret, RS256, no levels, no attributes, and a person who stays signed in there.
"""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from identity.levels import AAL1
from kit.fetch import OutgoingSettings
from portal.app import create_app
from tests.identity.abroad import World
from tests.portal.test_signin import code_of, post
from tests.support.upstream import GBizID, standing_in

pytestmark = pytest.mark.anyio


@pytest.fixture
async def w(settings: Any, clock: Any) -> AsyncIterator[World]:
    async with standing_in(lambda: clock.ms() // 1000, GBizID, client_id="city:1", secret="s3cret:%&+ /") as there:
        upstream = {
            "id": "app", "profile": "gbizid", "issuer": there.issuer, "client_id": there.client_id,
            "client_secret": there.secret,
        }  # fmt: skip
        identity = type(settings.identity).model_validate({"upstreams": [upstream], "source_tries": 100})
        outgoing = OutgoingSettings(allow=("127.0.0.1",))
        whole = settings.model_copy(update={"identity": identity, "outgoing": outgoing})
        async with create_app(whole, clock=clock).running(jobs=False) as app:
            made = World(app, None, there)
            async with made.browser() as made.http:
                yield made


async def test_it_is_linked_from_inside_and_signs_in_whole(w: World) -> None:
    """The button, the request, the code for the secret, the signature, the link, and a session of one factor: nothing
    it says names a level. Its attributes are those of a business, so none is asked for and userinfo is left alone."""
    assert "GビズID" in (await w.http.get("/sign-in", headers={"accept-language": "ja"})).text
    account_id = await w.inside()
    answer = await post(w.http, "/safety/linked/new", upstream="app")
    await w.back(await w.there.visit(answer.headers["location"]))
    (row,) = await w.rows()
    assert (row.account_id, row.told) == (account_id, None)
    assert "GビズID" in (await w.http.get("/safety/linked", headers={"accept-language": "ja"})).text
    assert await w.trail("identity.upstream.linked")
    await post(w.http, "/sign-out")
    answer = await w.go()
    assert (answer.status_code, answer.headers["location"]) == (303, "/consents")
    session = await w.session()
    assert session is not None
    assert (session.account_id, session.acr, session.amr) == (account_id, AAL1, ())
    assert [asked["scope"] for asked in w.there.requests] == ["openid", "openid"]
    assert w.there.refusals == []
    assert not [one for one in w.there.site.asked if b"userinfo" in one]


async def test_an_unlinked_one_opens_no_account(w: World) -> None:
    assert (await w.go()).headers["location"] == "/sign-in/link"
    assert await w.session() is None
    assert await w.rows() == []


async def test_whoever_stays_signed_in_there_is_asked_again_and_gets_in(w: World) -> None:
    """It knows `prompt=login` and no `max_age`: without the one, the other would refuse this person the whole day."""
    await w.linked()
    await w.go()
    w.app.host.clock.advance(seconds=3600)  # type: ignore[attr-defined]
    assert (await w.go()).headers["location"] == "/consents"
    session = await w.session()
    assert session is not None
    assert session.auth_at == w.there.now() * 1000


async def test_a_request_that_lacks_any_part_is_refused_there(w: World) -> None:
    """The provider of these tests judges: what it lets pass is whole, so a part that is lost is seen."""
    whole = urlsplit(await w.away())
    pairs = parse_qsl(whole.query)
    assert len(pairs) == 10
    async with httpx2.AsyncClient(verify=False) as browser:
        for lost, _ in pairs:
            query = urlencode([pair for pair in pairs if pair[0] != lost])
            answer = await browser.get(whole._replace(query=query).geturl())
            assert (answer.status_code, w.there.refusals[-1]) == (400, f"parameters: {[lost]}")


def by_another_algorithm(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": "g1"})


async def test_an_answer_that_does_not_hold_lets_nobody_in(w: World) -> None:
    """Core section 3.1.3.7: signed as agreed, for us, for this request, of a sign-in a moment ago."""
    await w.linked()
    for how, reason in (
        ({"claims": {"auth_time": None}}, "too-old"),
        ({"claims": {"auth_time": w.there.now() - 400}}, "too-old"),
        ({"claims": {"iss": w.there.issuer.rstrip("/")}}, "broken"),
        ({"claims": {"aud": "another"}}, "broken"),
        ({"claims": {"nonce": None}}, "broken"),
        ({"sign": by_another_algorithm}, "broken"),
        ({"redirect": {"iss": "https://evil.example"}}, "mixed-up"),
        ({"redirect": {"code": "", "error": "access_denied", "scope": "openid"}}, "denied"),
        ({"secret": "another"}, "refused-there"),
    ):
        before = {name: getattr(w.there, name) for name in how}
        for name, value in how.items():
            setattr(w.there, name, value)
        assert code_of(await w.go()) == reason, how
        assert await w.session() is None
        for name, value in before.items():
            setattr(w.there, name, value)
    assert (await w.go()).headers["location"] == "/consents"
