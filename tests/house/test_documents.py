"""The committed API documents are what the code says, valid, complete, and every endpoint has an audience."""

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from portal import documents
from tests.support.source import ROOT, calls, modules

FOLDER = ROOT / "openapi"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """The documents of the code as it is."""
    return documents.documents(documents.building().host)


@pytest.mark.parametrize("name", [*documents.NAMES, "problems"])
def test_the_committed_document_is_what_the_code_says(made: dict[str, Any], name: str) -> None:
    path = FOLDER / f"{name}.json"
    assert path.read_text(encoding="utf-8") == documents.text(made[name]), "run `make openapi` and commit the result"


def test_nothing_else_is_committed_there() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {*documents.NAMES, "problems"}


@pytest.mark.parametrize("name", documents.NAMES)
def test_a_document_is_valid_openapi_31(made: dict[str, Any], name: str) -> None:
    assert made[name]["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(made[name]).validate()


def _operations(made: dict[str, Any]) -> list[tuple[str, str, str, dict[str, Any]]]:
    return [
        (name, path, method, operation)
        for name in documents.NAMES
        for path, methods in made[name]["paths"].items()
        for method, operation in methods.items()
    ]


def test_operation_ids_are_unique(made: dict[str, Any]) -> None:
    found = [operation.get("operationId", "") for *_, operation in _operations(made)]
    assert len(found) == len(set(found))
    assert all(found)


def test_every_operation_is_summed_up(made: dict[str, Any]) -> None:
    assert not [f"{method} {path}" for _, path, method, operation in _operations(made) if not operation.get("summary")]


def test_every_operation_tells_its_errors(made: dict[str, Any]) -> None:
    silent = [
        f"{method} {path}"
        for _, path, method, operation in _operations(made)
        if not any(status.startswith(("4", "5")) for status in operation["responses"])
    ]
    assert not silent


def _has_example(document: dict[str, Any], media: dict[str, Any]) -> bool:
    if "example" in media or "examples" in media:
        return True
    seen: set[str] = set()

    def look(schema: Any) -> bool:
        if not isinstance(schema, dict):
            return False
        if "example" in schema or "examples" in schema or "const" in schema or "enum" in schema:
            return True
        if reference := schema.get("$ref"):
            if reference in seen:
                return True
            seen.add(reference)
            return look(document["components"]["schemas"][reference.rsplit("/", 1)[1]])
        parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("oneOf", ())]
        parts += [schema[key] for key in ("items", "additionalProperties") if key in schema]
        return any(look(part) for part in parts)

    return look(media.get("schema"))


def test_every_json_body_and_answer_shows_an_example(made: dict[str, Any]) -> None:
    without = []
    for name, path, method, operation in _operations(made):
        bodies = [("request", operation["requestBody"])] if "requestBody" in operation else []
        bodies += [(status, one) for status, one in operation["responses"].items() if status.startswith("2")]
        without += [
            f"{name}: {method} {path}: {which}"
            for which, body in bodies
            for kind, media in body.get("content", {}).items()
            if "json" in kind and media.get("schema") and not _has_example(made[name], media)
        ]
    assert not without


def test_the_problem_list_is_complete(made: dict[str, Any]) -> None:
    """Every problem type a document names has its row, and every row says what it means."""
    known = {row["type"] for row in made["problems"]["problems"]}
    named = {
        word for name in documents.NAMES for word in json.dumps(made[name]).split('"') if word.startswith("/problems/")
    }
    assert named <= known
    assert all(row["means"] and row["title"] for row in made["problems"]["problems"])


def test_no_router_is_mounted_without_an_audience() -> None:
    """Packages plug endpoints in by `host.routes(audience, …)` or `host.front(…)`; only the roof includes routers."""
    found = [
        module.where(call)
        for module in modules()
        for name, call in calls(module)
        if name.endswith((".include_router", ".mount", ".add_api_route", ".add_route"))
        and not module.path.startswith("portal/")
    ]
    assert not found
