"""The resident's pages, each area in its own module."""

from fastapi import APIRouter

from kit.host import Host
from portal.pages import (
    consent_history,
    consent_list,
    consents,
    home,
    instructions,
    leave,
    mydata,
    questions,
    renewal,
    versions,
    who,
)

AREAS = (
    home, mydata, who, consent_list, consent_history, instructions, consents, questions, renewal, versions, leave,
)  # fmt: skip


def router(host: Host) -> APIRouter:
    """Home, my data, who used it, consents, leaving."""
    routes = APIRouter(include_in_schema=False)
    for area in AREAS:
        routes.routes.extend(area.router(host).routes)
    return routes
