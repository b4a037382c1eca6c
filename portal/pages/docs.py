"""For developers: the API documents, served from this machine alone, and a page that shows them.

Made at the first request from what is really plugged in, so they can't differ from the server that serves them.
"""

from functools import cache

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from kit.host import Host
from kit.problems import NotFound
from portal import documents
from portal.contexts.docs import ApiDocument, Docs
from portal.visits import pages
from portal.web import content_security_policy, render


def router(host: Host) -> APIRouter:
    """The pages at /docs and the documents at /openapi/."""
    routes = pages(host)

    @cache
    def made() -> dict[str, bytes]:
        return {name: documents.text(document).encode() for name, document in documents.documents(host).items()}

    @cache
    def listed() -> tuple[ApiDocument, ...]:
        found = documents.documents(host)
        return tuple(
            ApiDocument(name, documents.TITLES[name], sum(len(methods) for methods in found[name]["paths"].values()))
            for name in documents.NAMES
        )

    def show(request: Request, name: str | None) -> Response:
        shown = next((one for one in listed() if one.name == name), None)
        if name is not None and shown is None:
            raise NotFound("There is no such document.")
        response = render(request, "docs.html", Docs(listed(), shown))
        # Swagger UI's style sheet carries its few icons as data: images; nothing else is loosened.
        policy = content_security_policy().replace("img-src 'self'", "img-src 'self' data:")
        response.headers["content-security-policy"] = policy
        return response

    @routes.get("/docs")
    async def docs(request: Request) -> Response:
        return show(request, None)

    @routes.get("/docs/{name}")
    async def one_document(name: str, request: Request) -> Response:
        return show(request, name)

    @routes.get("/openapi/{name}.json")
    async def document(name: str) -> Response:
        body = made().get(name)
        if body is None:
            raise NotFound("There is no such document.")
        return Response(body, media_type="application/json", headers={"cache-control": "no-cache"})

    return routes
