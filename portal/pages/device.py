"""The page on which a resident types the code that a device shows (RFC 8628 section 3.3).

Who comes must be signed in first, so that guessing is counted by person; a code that came with the address is only
filled in and still has to be compared (sections 3.3.1 and 5.4). What the device asks for is answered on the
interaction's page, like everything that is asked of a resident.
"""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from identity import decoupled
from identity.oauth.answers import ELSEWHERE
from identity.oauth.device import DeviceAuthorization, WrongCode
from identity.throttle import Wait
from kit.host import Host
from portal.contexts.device import DeviceCode, DeviceDone
from portal.visits import SignInNeeded, pages, visit_of
from portal.web import read_form, render


def router(host: Host) -> APIRouter:
    """/device and /device/done."""
    routes = pages(host)
    devices = host.get(DeviceAuthorization)

    @routes.get("/device")
    async def ask(request: Request) -> Response:
        if visit_of(request).browser is None:
            raise SignInNeeded
        code = decoupled.normal(request.query_params.get("user_code", ""))
        page = DeviceCode(decoupled.shown(code), True, "", 0) if code else DeviceCode("", False, "", 0)
        return render(request, "device/code.html", page)

    @routes.post("/device")
    async def answer(request: Request) -> Response:
        browser = visit_of(request).browser
        if browser is None:
            raise SignInNeeded
        typed = (await read_form(request)).one("user_code")[:40]
        source = request.client.host if request.client else ""
        found = await host.db.write(devices.take_up, typed, browser, source=source)
        if isinstance(found, Wait):
            page = DeviceCode(typed, False, "throttled", found.seconds)
            response = render(request, "device/code.html", page, status=429)
            response.headers["retry-after"] = str(found.seconds)
            return response
        if isinstance(found, WrongCode):
            return render(request, "device/code.html", DeviceCode(typed, False, "refused", 0), status=422)
        headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
        return RedirectResponse(f"/interaction/{found}", status_code=303, headers=headers)

    @routes.get(ELSEWHERE)
    async def done(request: Request) -> Response:
        # The address alone tells nobody anything new: it only chooses which sentence is shown.
        said = request.query_params
        return render(
            request, "device/done.html", DeviceDone(said.get("said") == "agreed", said.get("at") != "service")
        )

    return routes
