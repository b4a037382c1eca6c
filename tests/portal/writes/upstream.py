"""Cases of tests.portal.test_every_write. Signing in by others and by certificates; the provider is
tests/support/upstream.py."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from identity.certificates.authorities import load
from identity.certificates.check import Certificates
from identity.certificates.settings import AuthoritySettings
from identity.certificates.sign_in import CertificateSignIn
from identity.upstream.flow import Upstreams
from identity.upstream.profiles import resolve
from identity.upstream.settings import UpstreamSettings
from tests.portal.test_signin import PASSWORD, add, post
from tests.portal.writes.base import World, case
from tests.support.pki import Maker
from tests.support.upstream import StandIn, standing_in


@asynccontextmanager
async def upstream(w: World) -> AsyncIterator[StandIn]:
    """The city knows one, while the block lasts."""
    async with standing_in(lambda: w.app.host.clock.ms() // 1000, secret="s", acr_values=None) as there:
        settings = UpstreamSettings(
            id="app", profile="gbizid", issuer=there.issuer, client_id=there.client_id, client_secret="s", alg="ES256"
        )  # type: ignore[arg-type]  # pydantic makes the text a secret
        upstreams = w.app.host.get(Upstreams)
        upstreams.by_id["app"] = resolve(settings, issuer=w.app.host.issuer)
        upstreams.entrance.admits["app"] = frozenset({"resident"})
        yield there


async def go(w: World, there: StandIn, path: str) -> Any:
    answer = await post(w.http, path, upstream="app", next="/home")
    place = await there.visit(answer.headers["location"])
    await w.http.get(place.removeprefix(w.app.host.issuer))
    return answer


@case("POST /sign-in/with")
async def post_sign_in_with(w: World) -> Any:
    async with upstream(w) as there:
        await w.inside()
        await go(w, there, "/safety/linked/new")
        return await go(w, there, "/sign-in/with")


@case("POST /sign-in/link")
async def post_sign_in_link(w: World) -> Any:
    await add(w.app, app_on=False)
    async with upstream(w) as there:
        await go(w, there, "/sign-in/with")
        await post(w.http, "/sign-in", login="hana", password=PASSWORD, next="/sign-in/link")
        return await post(w.http, "/sign-in/link")


@case("POST /safety/linked/new")
async def post_safety_linked_new(w: World) -> Any:
    await w.inside()
    async with upstream(w) as there:
        return await go(w, there, "/safety/linked/new")


@case("POST /safety/linked/{link_id}/remove")
async def post_safety_linked_link_id_remove(w: World) -> Any:
    await post_safety_linked_new(w)
    (link,) = (row[0] for row in w.watch.last["identity_upstream_link"])
    return await post(w.http, f"/safety/linked/{link}/remove")


def card(w: World) -> None:
    """The city knows an authority for people."""
    anchors = w.app.settings.data / "card.pem"
    anchors.write_bytes(Maker("Card").pem)
    settings = AuthoritySettings(
        id="card",
        uses=frozenset({"residents"}),
        anchors=anchors,
        checking=("none",),
        label_ja="カード",
        label_en="Card",
    )
    ways = w.app.host.get(CertificateSignIn)
    ways.shown_at = "https://mtls.city.example"
    w.app.host.get(Certificates)._authorities = (load(settings),)
    ways._entrance.admits["card"] = frozenset({"resident"})


@case("POST /sign-in/certificate")
async def post_sign_in_certificate(w: World) -> Any:
    card(w)
    return await post(w.http, "/sign-in/certificate", authority="card", next="/home")


@case("POST /safety/linked/certificate")
async def post_safety_linked_certificate(w: World) -> Any:
    await w.inside()
    card(w)
    return await post(w.http, "/safety/linked/certificate", authority="card")
