"""The JSON Schemas of all messages: those written down are those of the code, and what we say and take fits them."""

import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from adapters import message_examples as examples
from adapters import message_schemas as schemas
from adapters.cloudevents import structured
from adapters.codec import Codec, body
from adapters.wire import parse
from api.rules import status_of
from domain import catalog
from domain.message import Recorded, Refused, StreamId, derive
from domain.template import TemplateCreated
from tests.builders import (
    AUTHOR,
    CAMPAIGN_CREATED,
    CREATED,
    FROZEN,
    HELLO,
    IMPORTED,
    READY,
    RULES_STREAM,
    TITLE,
    a_digest,
    a_ref,
    submitted,
)
from tests.given import Given

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "events"
WRITTEN = {path.relative_to(schemas.FOLDER).as_posix(): path for path in sorted(schemas.FOLDER.rglob("*.json"))}
AGAIN = "run `python -m adapters.message_schemas` and commit what it writes"


def loaded(path: str) -> Any:
    """A schema as whoever has the wheel loads it."""
    return orjson.loads((files("adapters") / "schemas" / path).read_bytes())


def check(schema: Any, instance: Any) -> None:
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(instance)


def golden(name: str) -> Recorded:
    """The event of this name that tests keep."""
    event, envelope = Codec().decode(name, (GOLDEN / f"{name}.json").read_bytes())
    return Recorded(4120, StreamId(examples.stream_example(name)), 1, event, envelope)


def test_the_schemas_written_down_are_those_of_the_code() -> None:
    written = {name: path.read_bytes() for name, path in WRITTEN.items()}
    made = schemas.files()
    assert written.keys() == made.keys(), AGAIN
    assert [path for path in made if written[path] != made[path]] == [], AGAIN


@pytest.mark.parametrize("path", WRITTEN)
def test_a_schema_is_one_and_its_examples_fit(path: str) -> None:
    schema = loaded(path)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:drumline:schema:{path.removesuffix('.json').replace('/', ':')}"
    assert schema["description"]
    (example,) = schema["examples"]
    check(schema, example)


@pytest.mark.parametrize("name", catalog.COMMANDS)
def test_the_example_of_a_command_would_be_taken_and_an_unknown_field_not(name: str) -> None:
    schema, example = loaded(f"commands/{name}.json"), examples.command_example(name)
    parse(name, orjson.dumps(example))
    more = example | {"unheard_of": 1}
    assert list(Draft202012Validator(schema).iter_errors(more))
    with pytest.raises(Refused):
        parse(name, orjson.dumps(more))


@pytest.mark.parametrize("name", catalog.COMMANDS)
def test_the_example_of_a_command_is_not_refused_for_its_form(name: str) -> None:
    draft = parse(name, orjson.dumps(examples.command_example(name)))
    command = draft.command([a_ref(str(number)) for number, _ in enumerate(draft.texts)])
    job, campaign, account, audience, template = (
        derive("example", f"{one}_id") for one in ("job", "campaign", "account", "audience", "template")
    )
    world = (
        Given(frozen=FROZEN, imported=a_digest("digest"), held=True)
        .on(RULES_STREAM, CREATED)
        .on(StreamId(f"audience-{audience}"), IMPORTED)
        .on(StreamId(f"template-{template}"), TemplateCreated(TITLE, (HELLO,)))
        .on(StreamId(f"campaign-{campaign}"), CAMPAIGN_CREATED)
        .on(StreamId(f"account-{account}"), *READY)
    )
    if name != "job.submit":
        world = world.on(StreamId(f"job-{job}"), replace(submitted(), campaign_id=campaign))
    refusal = world.when(command, by=AUTHOR).refusal
    assert refusal is None or refusal.rule == "unknown_delivery" or status_of(refusal.rule) != 422, refusal
    if name in ("job.submit", "job.revise"):
        assert refusal is None


@pytest.mark.parametrize("name", catalog.EVENTS)
def test_an_event_as_the_bus_carries_it_fits_its_schema(name: str) -> None:
    schema = loaded(f"events/{name}.json")
    check(schema, orjson.loads(body(golden(name).event)))
    adapter: TypeAdapter[Any] = TypeAdapter(catalog.EVENTS[name])
    read = adapter.validate_python(examples.event_example(name))
    assert orjson.loads(orjson.dumps(read)).keys() == examples.event_example(name).keys()
    assert set(schema["required"] if schema.get("properties") else ()) == examples.event_example(name).keys()


@pytest.mark.parametrize("name", catalog.EVENTS)
def test_an_event_as_listeners_hear_it_fits_its_schema(name: str) -> None:
    heard = orjson.loads(structured(golden(name)))
    check(loaded("cloudevent.json"), heard)
    check(loaded(f"events/{name}.json"), heard["data"])
    check(loaded("cloudevent.json"), examples.cloudevent_example(name))


def test_the_wheel_has_them(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"adapters/schemas/{path}" for path in schemas.files()} <= names
