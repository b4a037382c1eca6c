"""For developers: the API documents, served from this machine alone, and a page that shows them.

Made at the first request from what is really plugged in, so they can't differ from the server that serves them.
"""

import asyncio
from asyncio import Lock
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

    making = Lock()  # it takes a second or two, of one thread: not of the event loop, and not of several at once

    @cache
    def found() -> tuple[dict[str, bytes], tuple[ApiDocument, ...]]:
        made = documents.documents(host)
        listed = tuple(
            ApiDocument(name, documents.TITLES[name], sum(len(methods) for methods in made[name]["paths"].values()))
            for name in documents.NAMES
        )
        return {name: documents.text(document).encode() for name, document in made.items()}, listed

    async def ready() -> tuple[dict[str, bytes], tuple[ApiDocument, ...]]:
        async with making:
            return await asyncio.to_thread(found)

    async def show(request: Request, name: str | None) -> Response:
        _, listed = await ready()
        shown = next((one for one in listed if one.name == name), None)
        if name is not None and shown is None:
            raise NotFound("There is no such document.")
        response = render(request, "docs.html", Docs(listed, shown))
        # Swagger UI's style sheet carries its few icons as data: images; nothing else is loosened.
        policy = content_security_policy().replace("img-src 'self'", "img-src 'self' data:")
        response.headers["content-security-policy"] = policy
        return response

    @routes.get("/docs")
    async def docs(request: Request) -> Response:
        return await show(request, None)

    @routes.get("/docs/{name}")
    async def one_document(name: str, request: Request) -> Response:
        return await show(request, name)

    @routes.get("/openapi/{name}.json")
    async def document(name: str) -> Response:
        bodies, _ = await ready()
        body = bodies.get(name)
        if body is None:
            raise NotFound("There is no such document.")
        return Response(body, media_type="application/json", headers={"cache-control": "no-cache"})

    return routes
