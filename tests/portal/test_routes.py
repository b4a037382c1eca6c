"""The JSON endpoints of the building: guarded each, analysed when first asked for (kit/web.py, portal/guards.py)."""

import re
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from kit.problems import Unauthenticated
from kit.web import LaterRoute, add_routes

if TYPE_CHECKING:
    from portal.app import Building

pytestmark = pytest.mark.anyio


async def test_a_stranger_is_refused_at_every_endpoint_that_is_not_for_everybody(app: "Building", client: Any) -> None:
    tried = 0
    for _package, audience, router in app.host.routers:
        if audience == "public":
            continue
        for route in router.routes:
            assert isinstance(route, APIRoute)
            path = re.sub(r"\{[^}]+\}", "nothing", route.path)
            for method in route.methods or ():
                answer = await client.request(
                    method, path, content=b"{" if method in ("POST", "PUT", "PATCH") else None,
                    headers={"origin": app.settings.issuer, "content-type": "application/json"},
                )  # fmt: skip
                assert answer.status_code == 401, (method, path, answer.text[:200])
                tried += 1
    assert tried > 50


async def test_the_framework_understands_every_endpoint(app: "Building") -> None:
    for route in app.fastapi.router.routes:
        if isinstance(route, LaterRoute):
            assert route.dependant.call is route.endpoint
            assert route.unique_id


async def test_an_endpoint_is_analysed_by_its_first_request_and_its_check_comes_first() -> None:
    import httpx2

    router = APIRouter(route_class=LaterRoute)
    asked: list[str] = []

    @router.get("/thing/{number}")
    async def thing(number: int) -> dict[str, int]:
        asked.append("endpoint")
        return {"number": number}

    async def check(request: Any) -> None:
        asked.append("check")
        if "authorization" not in request.headers:
            raise Unauthenticated("Sign in first.")

    fastapi = FastAPI()
    add_routes(fastapi, router, checks=[check])
    (route,) = router.routes
    assert "dependant" not in route.__dict__
    transport = httpx2.ASGITransport(app=fastapi, raise_app_exceptions=True)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        with pytest.raises(Unauthenticated):
            await client.get("/thing/7")
        assert asked == ["check"]
        assert "dependant" in route.__dict__
        assert (await client.get("/thing/7", headers={"authorization": "yes"})).json() == {"number": 7}
        assert (await client.get("/thing/x", headers={"authorization": "yes"})).status_code == 422
        assert (await client.post("/thing/7", headers={"authorization": "yes"})).status_code == 405
    assert asked == ["check", "check", "endpoint", "check"]


def test_a_route_that_would_stand_open_is_not_taken() -> None:
    router = APIRouter()
    router.add_api_route("/open", lambda: None)
    with pytest.raises(TypeError, match="LaterRoute"):
        add_routes(FastAPI(), router)


def test_a_route_that_is_open_already_takes_no_check() -> None:
    router = APIRouter(route_class=LaterRoute)
    router.add_api_route("/open", lambda: None)
    (route,) = router.routes
    assert isinstance(route, LaterRoute)
    assert route.app is not None
    with pytest.raises(RuntimeError, match="open already"):
        route.guard([])
