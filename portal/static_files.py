"""Static files: read once, named by their content, kept by browsers for a year.

`static_url("site.css")` carries a hash of the content, so a new release is fetched at once and an old one
never again. A request without the right hash gets the current file and may not keep it.
"""

import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from kit.problems import NotFound
from kit.web import LaterRoute

STATIC = Path(__file__).parent / "static"

_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
_SHOWN = frozenset({".js", ".css", ".svg", ".png", ".ico", ".woff2", ".txt"})


@dataclass(frozen=True)
class StaticFile:
    """One file with its media type and content hash."""

    body: bytes
    media_type: str
    version: str


@cache
def files() -> dict[str, StaticFile]:
    """All static files by their path below /static/. Only names found here are ever served."""
    found: dict[str, StaticFile] = {}
    for path in sorted(STATIC.rglob("*")):
        if path.is_file() and (path.suffix in _SHOWN or path.name == "LICENSE"):
            body = path.read_bytes()
            kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
            if kind.startswith("text/") or kind == "image/svg+xml":
                kind += "; charset=utf-8"
            name = path.relative_to(STATIC).as_posix()
            found[name] = StaticFile(body, kind, hashlib.sha256(body).hexdigest()[:16])
    return found


def static_url(name: str) -> str:
    """The address of a static file. Raises KeyError for a file that does not exist: a typing error."""
    return f"/static/{name}?v={files()[name].version}"


def serve(name: str, version: str | None, if_none_match: str | None) -> Response:
    """Answer with a static file. Raises NotFound."""
    file = files().get(name)
    if file is None:
        raise NotFound("There is no such file.")
    etag = f'"{file.version}"'
    headers = {
        "etag": etag,
        "cache-control": "public, max-age=31536000, immutable" if version == file.version else "no-cache",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
    }
    if if_none_match == etag:
        return Response(status_code=304, headers=headers)
    return Response(file.body, headers=headers, media_type=file.media_type)


def router() -> APIRouter:
    """The route of the static files, and the icon browsers ask for by themselves."""
    routes = APIRouter(include_in_schema=False, route_class=LaterRoute)

    @routes.get("/static/{name:path}")
    async def static(name: str, request: Request) -> Response:
        return serve(name, request.query_params.get("v"), request.headers.get("if-none-match"))

    @routes.get("/favicon.ico")
    async def favicon(request: Request) -> Response:
        return serve("favicon.svg", None, request.headers.get("if-none-match"))

    return routes
