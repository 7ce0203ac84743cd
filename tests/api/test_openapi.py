"""The OpenAPI document: every body and answer has an example that is true, every problem is described."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import TypeAdapter

from adapters.wire import model, parse
from api.answers import CommandAnswer
from api.errors import Problem
from api.segments import ChoiceAnswer
from api.uploads import ImportAnswer
from domain import catalog
from tests.api.house import House

NO_JSON = {"/v1/accounts/{account_id}/qr"}

OWN_ANSWERS: dict[str, Any] = {"post /v1/audiences": ImportAnswer, "post /v1/audiences/choose": ChoiceAnswer}


@pytest.fixture(scope="module")
def document(house: House) -> dict[str, Any]:
    found: dict[str, Any] = house.http.get(f"{house.url}/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(ref := value.get("$ref"), str):
            yield ref
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_it_says_what_it_is(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "drumline"
    assert "Idempotency-Key" in document["info"]["description"]
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    assert {tag for _, operation in operations(document) for tag in operation["tags"]} == described


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for ref in set(references(document)):
        assert ref.removeprefix("#/components/schemas/") in schemas, ref


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        if not name.endswith(("/healthz", "/readyz")):
            assert operation["security"] == [{"API key": []}], name
            assert "401" in operation["responses"], name


def test_every_answer_has_an_example(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            for kind, content in answer.get("content", {}).items():
                assert "example" in content or kind == "image/png", f"{name} {status} {kind}"


def test_every_example_of_an_answer_is_true(house: House, document: dict[str, Any]) -> None:
    """It validates as the model that the route answers with, and nothing is lost on the way."""
    models: dict[str, Any] = {}
    for route in routes(house):
        models |= {f"{method.lower()} {route.path}": route.response_model for method in route.methods}
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            example = answer.get("content", {}).get("application/json", {}).get("example")
            kind = models[name] or OWN_ANSWERS.get(name, CommandAnswer)
            if example is not None and status in ("200", "202", "503") and name.split()[1] not in NO_JSON:
                read = TypeAdapter(kind).validate_json(orjson.dumps(example))
                written = TypeAdapter(kind).dump_python(read, mode="json")
                assert {key: written.get(key) for key in example} == example, name


def routes(house: House) -> list[Any]:
    contexts: list[Any] = list(iter_route_contexts(house.app.routes))
    return [context for context in contexts if isinstance(context.original_route, APIRoute)]


def test_every_problem_is_one(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status >= "400" and not name.endswith("/readyz"):
                example = answer["content"]["application/problem+json"]["example"]
                assert Problem.model_validate(example).status == int(status), name


def test_every_body_has_an_example_that_would_be_taken(document: dict[str, Any]) -> None:
    some = "5f0c8a3e-9a44-5b0e-8a55-0d6b1c1f2a77"
    commands = [operation for _, operation in operations(document) if "x-command" in operation]
    assert len(commands) == len(catalog.COMMANDS) - 2, "all but the import of a list, a form, and the choice of one"
    for operation in commands:
        name = operation["x-command"]
        content = operation["requestBody"]["content"]["application/json"]
        missing = set(model(name).model_fields) - set(
            document["components"]["schemas"][content["schema"]["$ref"].rsplit("/", 1)[1]].get("properties", {})
        )
        parse(name, orjson.dumps(content["example"] | dict.fromkeys(missing, some)))


def test_every_parameter_is_described(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert parameter["in"] == "path" or parameter.get("description"), f"{name} {parameter['name']}"
