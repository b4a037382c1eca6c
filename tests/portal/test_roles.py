"""Which role opens which route: every route for staff is asked by every role, from the wire.

The table is what the city means; the routes are the application's own. A route that is not in the table, one that
asks for no role, or one that another role opens as well, fails here. Each says so once, where its handler begins.
"""

import inspect
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints
from unittest.mock import Mock

import pytest
from fastapi.routing import APIRoute

from kit.host import Actor
from kit.problems import Forbidden
from tests.support.desk import Colleague, colleague

if TYPE_CHECKING:
    from portal.app import Building

pytestmark = pytest.mark.anyio

ROLES = ("operator", "ethics", "analyst", "lead", "clerk")
STAFF = ("/console", "/desk", "/counter")

# Path, by its beginning; the longest that fits counts. A method before it counts for that method alone.
PAGES = {
    "/console": {"operator"},
    "/console/agreements": {"operator", "ethics"},  # the ethics review reads offers and decides on them
    "/console/agreements/new": {"operator"},
    "/console/agreements/{agreement_id}/revise": {"operator"},
    "/console/agreements/{agreement_id}/end": {"operator"},
    "/console/agreements/{agreement_id}/campaign": {"operator"},
    "/counter": {"clerk"},
    "/desk": set(ROLES),  # leads each to where they work
    "/desk/alerts": {"analyst", "lead"},
    "/desk/incidents": {"analyst", "lead"},
    "POST /desk/incidents/{incident_id}/contain": {"lead"},
    "POST /desk/incidents/{incident_id}/containment": {"lead"},
    "/desk/incidents/{incident_id}/close": {"lead"},
}
SEEN = {"operator", "analyst", "lead"}  # who may read of members and clients: the desk contains them
APIS = {
    "/api/keys": {"operator"},
    "/api/identity": {"operator"},
    "GET /api/identity/members": SEEN | {"ethics"},
    "GET /api/identity/clients": SEEN,
    "GET /api/identity/grants": SEEN,
    "POST /api/identity/clients/{client_id}/{step}": {"operator", "lead"},  # suspending, which contains; not resuming
    "/api/consent/admin": {"operator"},
    "GET /api/consent/admin": {"operator", "ethics"},
    "/api/consent/admin/revisions": {"operator", "ethics"},
    "/govstack": {"operator"},
    "/api/cert": {"analyst", "lead"},
    "POST /api/cert/incidents/{incident_id}/close": {"lead"},
    "POST /api/cert/incidents/{incident_id}/containment": {"lead"},
    "POST /api/cert/incidents/{incident_id}/containment/preview": {"analyst", "lead"},
}


def declared(table: dict[str, set[str]], method: str, path: str) -> set[str]:
    """Who may, by the table."""
    fitting = [
        one for one in table
        if one.rpartition(" ")[0] in ("", method) and f"{path}/".startswith(one.rpartition(" ")[2] + "/")
    ]  # fmt: skip
    return table[max(fitting, key=lambda one: (len(one.rpartition(" ")[2]), one))]


def place_of(route: Any) -> str:
    """A path of the route: nothing's, and of words that the framework knows the first."""
    hints = get_type_hints(route.endpoint)

    def filled(found: re.Match[str]) -> str:
        words = get_args(hints.get(found[1])) if get_origin(hints.get(found[1])) is Literal else ()
        return str(words[0]) if words else "nothing"

    return re.sub(r"\{(\w+)[^}]*\}", filled, route.path)


@pytest.fixture
async def people(app: "Building", client: Any) -> dict[str, Colleague]:
    found = {role: await colleague(app, client, role) for role in ROLES}
    return found | {"resident": await colleague(app, client, kind="resident")}


async def test_each_page_for_staff_opens_to_its_roles_and_to_nobody_else(
    app: "Building", client: Any, people: dict[str, Colleague]
) -> None:
    """Closed to the others as if it were not there; a stranger is sent to sign in, whatever the id in the path."""
    seen: dict[tuple[str, str], set[str]] = {}
    for route in app.fastapi.routes:
        path = getattr(route, "path", "")
        if not path.startswith(STAFF):
            continue
        place = place_of(route)
        for method in sorted(getattr(route, "methods", ()) - {"HEAD"}):
            headers = {"origin": app.settings.issuer, "accept": "text/html"}
            stranger = await client.request(method, place, headers=headers)
            assert stranger.headers.get("location", "").startswith("/sign-in?next=%2F"), (method, path)
            opened = set()
            for who, person in people.items():
                answer = await (person.get(place) if method == "GET" else person.post(place))
                closed = answer.status_code == 404 and "There is nothing here for you." in answer.text
                opened |= set() if closed else {who}
            seen[method, path] = opened
    assert len(seen) > 90
    wrong = {key: who for key, who in seen.items() if who != declared(PAGES, *key)}
    assert not wrong


async def refuses(endpoint: Any, person: Colleague, roles: set[str]) -> bool:
    """Whether an endpoint turns these roles away, whatever it is given."""
    request = SimpleNamespace(state=SimpleNamespace(actor=Actor("operator", person.id, frozenset(roles))))
    others = {name: Mock() for name in inspect.signature(endpoint).parameters if name != "request"}
    try:
        await endpoint(request, **others)
    except Forbidden:
        return True
    except Exception:
        return False
    return False


async def test_each_endpoint_for_staff_opens_to_its_roles_and_to_nobody_else(
    app: "Building", people: dict[str, Colleague]
) -> None:
    seen: dict[tuple[str, str], set[str]] = {}
    for _package, audience, router in app.host.routers:
        if audience != "operator":
            continue
        for route in router.routes:
            assert isinstance(route, APIRoute)
            place = place_of(route)
            for method in sorted(route.methods or ()):
                opened = set()
                for who, person in people.items():
                    answer = await person.api(method, place, {} if method in ("POST", "PUT", "PATCH") else None)
                    closed = answer.status_code == 403
                    if answer.status_code in (
                        400,
                        422,
                    ):  # a body that fits nobody is judged before the role: ask the handler
                        closed = await refuses(route.endpoint, person, {who})
                    opened |= set() if closed else {who}
                seen[method, route.path] = opened
    assert (await people["lead"].api("POST", "/api/identity/clients/nobody/resume")).status_code == 403
    assert len(seen) > 60
    wrong = {key: who for key, who in seen.items() if who != declared(APIS, *key)}
    assert not wrong
