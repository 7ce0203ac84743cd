"""The AsyncAPI document: valid by the official schema and parser, whole, and true."""

from functools import cache
from typing import Any

import orjson
import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from adapters import streams
from adapters.cloudevents import Address, check_headers, command_headers, command_id, event_message
from api.asyncapi import document
from domain import catalog
from domain.message import PrincipalId, WorkspaceId
from tests.contracts.node import MODULES, run
from tests.contracts.test_message_schemas import golden

ERROR, WARNING = 0, 1
MESSAGES = [
    *(f"cmd.{name}" for name in catalog.COMMANDS),
    *(f"evt.{name}" for name in catalog.EVENTS),
    *("outcome", "cloudevent", "place"),
]
HERE, KEY = WorkspaceId("demo"), PrincipalId("Zk3Pq81x")


@cache
def written() -> Any:
    """The document as JSON; made by the first test that asks, for each worker imports this file."""
    return orjson.loads(orjson.dumps(document()))


@cache
def schemas() -> Registry[Any]:
    """The document, for what refers to it."""
    made: Registry[Any] = Registry().with_resource("urn:document", DRAFT202012.create_resource(written())).crawl()
    return made


def message_of(name: str) -> Any:
    """What the document says of a message."""
    return written()["components"]["messages"][name]


def found(reference: Any) -> Any:
    """What a reference of the document leads to."""
    there = written()
    for step in reference["$ref"].removeprefix("#/").split("/"):
        there = there[step]
    return there


def headers_of(message: Any) -> Any:
    """The schemas of all headers of a message: its traits' and its own."""
    return [part["headers"] for part in [*map(found, message.get("traits", ())), message] if "headers" in part]


def test_it_is_valid_by_the_official_schema() -> None:
    official = orjson.loads((MODULES / "@asyncapi" / "specs" / "schemas" / "3.0.0.json").read_bytes())
    assert document()["asyncapi"] == "3.0.0"
    assert [error.message for error in Draft7Validator(official).iter_errors(document())] == []
    broken = {**document(), "channels": {"x": {"address": 7}}}
    assert list(Draft7Validator(official).iter_errors(broken))


def test_it_is_valid_by_the_official_parser() -> None:
    read = run("parse_asyncapi.mjs", document())
    assert [one for one in read["diagnostics"] if one["severity"] in (ERROR, WARNING)] == []
    assert {one["code"] for one in read["diagnostics"]} <= {"asyncapi-latest-version"}
    assert set(read["channels"]) == set(document()["channels"])
    assert set(read["operations"]) == set(document()["operations"])


def test_every_message_of_the_catalog_has_its_channel_operation_and_example() -> None:
    told = document()
    for name in catalog.COMMANDS:
        assert told["channels"][f"cmd.{name}"]["address"] == f"cmd.{{workspace}}.{{key}}.{name}"
        assert told["operations"][f"take.{name}"]["action"] == "receive"
    for name in catalog.EVENTS:
        assert told["channels"][f"evt.{name}"]["address"] == f"evt.{{workspace}}.{name}"
        assert told["operations"][f"tell.{name}"]["action"] == "send"
    assert told["components"]["messages"].keys() == set(MESSAGES)
    for stream in streams.streams(streams.Limits()):
        assert str(stream.name) in told["servers"]["bus"]["description"]


@pytest.mark.parametrize("name", MESSAGES)
def test_an_example_fits_what_is_said_of_headers_and_body(name: str) -> None:
    message = message_of(name)
    assert message["summary"]
    (example,) = message["examples"]
    payload = {"$ref": "urn:document" + message["payload"]["$ref"]}
    Draft202012Validator(payload, registry=schemas()).validate(example["payload"])
    for schema in headers_of(message):
        Draft202012Validator(schema).validate(example["headers"])


@pytest.mark.parametrize("name", catalog.COMMANDS)
def test_the_headers_of_a_command_are_those_that_are_taken(name: str) -> None:
    address = Address(HERE, KEY, name)
    (example,) = message_of(f"cmd.{name}")["examples"]
    check_headers(address, example["headers"])
    given = command_id(example["headers"])
    assert given is not None
    ours = command_headers(address, given, golden("job.approved").envelope.time, "", f"_INBOX.{KEY}.7")
    for schema in headers_of(message_of(f"cmd.{name}")):
        Draft202012Validator(schema).validate(ours)
        assert ours.keys() - {"ce-type"} <= schema["properties"].keys() or schema["properties"].keys() == {"ce-type"}


@pytest.mark.parametrize("name", catalog.EVENTS)
def test_the_headers_of_an_event_are_those_that_are_sent(name: str) -> None:
    _, ours, _ = event_message(golden(name), 4119)
    said = [schema["properties"].keys() for schema in headers_of(message_of(f"evt.{name}"))]
    assert ours.keys() == set().union(*said)
    for schema in headers_of(message_of(f"evt.{name}")):
        Draft202012Validator(schema).validate(ours)


def test_every_schema_is_used() -> None:
    text = orjson.dumps(document()).decode()
    unused = [name for name in document()["components"]["schemas"] if f'/schemas/{name}"' not in text]
    assert unused == []
