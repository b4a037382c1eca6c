"""The API documents: one OpenAPI 3.1 document for each package, and the list of problem types.

Made from what the packages plugged in and from nothing else: FastAPI's own account of each router, on a bare
application that holds that package's routers alone, and the operation objects of the front table's rows. What the
roof adds to an endpoint (the guard of its audience) the roof documents here.

`python -m portal.documents FOLDER README` writes them, and the README's table of settings from the Settings class;
`make openapi` does so, and tests compare.
"""

import importlib
import inspect
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kit.host import Audience, Host
from kit.problems import (
    Forbidden,
    Internal,
    Malformed,
    Problem,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    UnsupportedType,
)
from kit.web import ProblemDocument, problems
from portal.i18n import N_

if TYPE_CHECKING:
    from portal.app import Building

Document = dict[str, Any]

API_VERSION = "1.0.0"  # of what the documents promise, not of the release
NAMES = ("keys", "identity", "consent", "infobank", "cert")
TITLES = {
    "keys": N_("Keys"),
    "identity": N_("Identity"),
    "consent": N_("Consent and its ledger"),
    "infobank": N_("Information bank"),
    "cert": N_("Incident desk"),
}
_SCHEMES: Document = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-sekisho",
        "description": "A browser session, as the sign-in pages begin it. Unsafe methods must come from our own pages "
        "(Sec-Fetch-Site, or an Origin that is ours). On http://localhost:8080 the cookie is `sekisho-local`, on "
        "another port `sekisho-local-` and the port.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token of the token endpoint (RFC 9068). A token bound to a key is sent as "
        "`Authorization: DPoP …` with a proof (RFC 9449).",
    },
    "client_secret_basic": {
        "type": "http",
        "scheme": "basic",
        "description": "Or client_secret_post or private_key_jwt, which go into the form.",
    },
}
_BY_AUDIENCE: dict[str, list[Document]] = {
    "public": [],
    "resident": [{"session": []}],
    "operator": [{"session": []}, {"bearer": []}],
    "service": [{"bearer": []}],
}
_GUARDED: tuple[type[Problem], ...] = (Unauthenticated, Forbidden)
_FRONT: tuple[type[Problem], ...] = (TooMany, Internal, Unavailable)
_FRONT_BODY: tuple[type[Problem], ...] = (Malformed, TooLarge, UnsupportedType)
_FILLED = {"root_key", "root_key_file", "root_passphrase"}  # of keys; the roof fills them from its own
_REF = "#/components/schemas/"
_MARKED = re.compile(r"(<!-- settings:begin[^\n]*-->\n).*?(<!-- settings:end -->)", re.DOTALL)


def documents(host: Host) -> dict[str, Document]:
    """Every document by its name."""
    made = {name: _package_document(host, name) for name in NAMES}
    made["problems"] = _problems(host)
    return made


def _package_document(host: Host, package: str) -> Document:
    app = FastAPI(
        title=f"Sekisho: {TITLES[package]}",
        version=API_VERSION,
        description=inspect.getdoc(importlib.import_module(package)) or "",
    )
    audiences: dict[tuple[str, str], Audience] = {}
    for owner, audience, router in host.routers:
        if owner != package:
            continue
        app.include_router(router)
        for route in router.routes:
            assert isinstance(route, APIRoute)
            if route.include_in_schema:
                audiences |= {(route.path_format, method.lower()): audience for method in route.methods or ()}
    document: Document = app.openapi()
    document["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    document["servers"] = [{"url": "/", "description": "This city"}]
    paths: Document = document.setdefault("paths", {})
    for (path, method), audience in audiences.items():
        operation = paths[path][method]
        if audience != "public":
            operation["security"] = _BY_AUDIENCE[audience]
            _document_problems(operation, _GUARDED)
        _only_problems(operation)
    for row in host.rows:
        if row.package == package:
            path, operation = _front_operation(row.path, row.method, row.audience, row.operation, prefix=row.prefix)
            paths.setdefault(path, {})[row.method.lower()] = operation
    schemas: Document = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["ProblemDocument"] = _problem_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        if _REF + unused not in json.dumps(paths):
            schemas.pop(unused, None)
    used = {
        name
        for methods in paths.values()
        for one in methods.values()
        for need in one.get("security", ())
        for name in need
    }
    if used:
        document["components"]["securitySchemes"] = {name: _SCHEMES[name] for name in sorted(used)}
    document["paths"] = dict(sorted(paths.items()))
    return document


def _front_operation(
    path: str, method: str, audience: str, operation: Mapping[str, Any], *, prefix: bool
) -> tuple[str, Document]:
    """A row of the front table; its handler guards itself, the table renders what it raises."""
    made: Document = json.loads(json.dumps(operation))
    if prefix:
        named = [one["name"] for one in made.get("parameters", ()) if one.get("in") == "path"]
        if not named:
            made.setdefault("parameters", []).append(
                {"name": "path", "in": "path", "required": True, "schema": {"type": "string"}}
            )
            named = ["path"]
        path += "/".join(f"{{{name}}}" for name in named)
    if audience != "public":
        made.setdefault("security", _BY_AUDIENCE[audience])
        _document_problems(made, _GUARDED)
    _document_problems(made, _FRONT)
    if method in ("POST", "PUT", "PATCH"):
        _document_problems(made, _FRONT_BODY)
    return path, made


def _document_problems(operation: Document, classes: tuple[type[Problem], ...]) -> None:
    """Add the problems the roof may answer with; what the endpoint says itself stands."""
    wanted = {cls.status for cls in classes}
    for status, response in problems(*classes).items():
        if status in wanted:
            operation.setdefault("responses", {}).setdefault(str(status), response)


def _only_problems(operation: Document) -> None:
    """FastAPI documents an error's model as application/json too; we never send that."""
    for response in operation.get("responses", {}).values():
        content = response.get("content", {})
        if "application/problem+json" in content:
            content.pop("application/json", None)


def _problem_schema() -> Document:
    schema: Document = ProblemDocument.model_json_schema(ref_template=_REF + "{model}")
    return schema


def _problems(host: Host) -> Document:
    """Every problem type: its address, status, title and what it means."""
    return {
        "problems": [
            {
                "type": path,
                "status": cls.status,
                "title": cls.title,
                "means": re.sub(r"\s+", " ", inspect.getdoc(cls) or ""),
            }
            for path, cls in sorted(host.problem_types.items())
        ]
    }


def text(document: Document) -> str:
    """The document as it is committed: indented, keys in order, so that a change reads well."""
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def building() -> "Building":
    """A building for its documents only: nothing of it is opened."""
    from portal.app import create_app
    from portal.settings import Settings

    return create_app(
        Settings(data=Path(tempfile.gettempdir()), issuer="https://sekisho.example", database_url=None, jobs=False)
    )


def write(folder: Path) -> None:
    """Write every document into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents(building().host).items():
        (folder / f"{name}.json").write_text(text(document), encoding="utf-8")


# -- the table of settings


def settings(model: type[BaseModel] | None = None, prefix: str = "SEKISHO_") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting by its name in the environment, parts unfolded."""
    from portal.settings import Settings

    for name, field in (model or Settings).model_fields.items():
        if prefix == "SEKISHO_KEYS__" and name in _FILLED:
            continue
        kind = field.annotation
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            yield from settings(kind, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", field


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ("", ()):
        return ""
    if isinstance(value, timedelta):
        days, seconds = value.days, value.seconds
        return f"`{value.total_seconds():.0f}` (s)" if seconds or not days else f"`P{days}D`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


def settings_table() -> str:
    """The README's table, between its markers."""
    rows = [f"| `{name}` | {_default(field)} | {field.description or ''} |" for name, field in settings()]
    return "\n".join(["", "| name | default | what it is |", "|---|---|---|", *rows, ""])


def with_settings(readme: str) -> str:
    """The README's text with its table of settings made anew. Raises ValueError if the markers are gone."""
    made, found = _MARKED.subn(lambda match: match[1] + settings_table() + match[2], readme)
    if found != 1:
        raise ValueError("the README lost the markers of its table of settings")
    return made


def main(folder: Path, readme: Path | None) -> None:
    """See the module's docstring."""
    write(folder)
    if readme is not None:
        readme.write_text(with_settings(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "openapi"), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
