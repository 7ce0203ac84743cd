"""JSON Schemas and examples of all messages, made from the catalog.

`adapters/schemas/` holds them written down, for everybody: `python -m adapters.message_schemas` writes it.
"""

import dataclasses
import shutil
import types
import typing
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, StringConstraints, TypeAdapter, create_model
from pydantic.json_schema import GenerateJsonSchema

from adapters.cloudevents import TOKEN, TRACE, Answer
from adapters.message_examples import LOCAL, OUTCOME, cloudevent_example, command_example, event_example
from adapters.wire import model
from domain import catalog
from domain.message import Digest, PrincipalId, Ref, WaId
from domain.schedule import ZoneName

FOLDER = Path(__file__).parent / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = "#/$defs/{model}"
HEX = r"^[0-9a-f]{64}$"

Schema = dict[str, Any]

# What these are on the bus, where the catalog only says that they are texts.
FORMS: dict[Any, Any] = {
    Ref: Annotated[str, StringConstraints(pattern=HEX)],
    Digest: Annotated[str, StringConstraints(pattern=HEX)],
    WaId: Annotated[str, StringConstraints(pattern=r"^3EB0[0-9A-F]{18}$")],
    PrincipalId: Annotated[str, StringConstraints(pattern=f"^{TOKEN.pattern}$")],
    ZoneName: Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_+/-]{1,64}$")],
}


class Plain(GenerateJsonSchema):
    """Schemas without a title for each field, which says the name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # the base class asks so
        return False


def command(name: str, reference: str = REFERENCE) -> Schema:
    """The schema of a command's body."""
    kind = catalog.COMMANDS[name].kind
    schema = local(model(name).model_json_schema(ref_template=reference, schema_generator=Plain))
    return {**schema, "title": kind.__name__, "examples": [command_example(name)]}


def event(name: str, reference: str = REFERENCE) -> Schema:
    """The schema of an event's body. A reader must let fields pass that it does not know: events gain fields."""
    kind: Any = catalog.EVENTS[name]
    schema = local(told(kind).model_json_schema(ref_template=reference, schema_generator=Plain))
    return {**schema, "examples": [event_example(name)]}


def outcome(reference: str = REFERENCE) -> Schema:
    """The schema of an outcome's body."""
    schema = TypeAdapter(Answer).json_schema(ref_template=reference, schema_generator=Plain, mode="serialization")
    return schema | {"title": "Outcome", "examples": [OUTCOME]}


def cloudevent() -> Schema:
    """The schema of an event as `/v1/events` tells it: CloudEvents' JSON, structured."""
    text = {"type": "string", "minLength": 1}
    properties: Schema = {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "format": "uuid"},
        "type": {"enum": [f"drumline.{name}" for name in sorted(catalog.EVENTS)]},
        "source": {"type": "string", "pattern": "^/drumline/[a-z0-9-]+$"},
        "subject": text | {"description": "The stream: `job-<id>`."},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "position": {"type": "string", "pattern": "^[0-9]+$", "description": "Where it stands in the log."},
        "traceparent": {"type": "string", "pattern": f"^{TRACE.pattern}$"},
        "data": {"type": "object", "description": "The body of the event that `type` names."},
    }
    return {
        "title": "CloudEvent",
        "description": "An event, with its attributes, in one JSON object.",
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name != "traceparent"],
        "examples": [cloudevent_example("job.approved")],
    }


def place() -> Schema:
    """The schema of what a WebSocket tells when it is quiet."""
    return {
        "title": "Place",
        "description": "No event: only how far the log is.",
        "type": "object",
        "properties": {"position": {"type": "string", "pattern": "^[0-9]+$"}},
        "required": ["position"],
        "additionalProperties": False,
        "examples": [{"position": "4120"}],
    }


def local(schema: Any, name: str = "") -> Any:
    """A schema whose local times are called so: `date-time` would ask for an offset."""
    if isinstance(schema, list):
        return [local(one, name) for one in schema]
    if not isinstance(schema, dict):
        return "date-time-local" if schema == "date-time" and name in LOCAL else schema
    inner = {"anyOf", "format"}  # these belong to the field that they are in
    return {key: local(one, name if key in inner else key) for key, one in schema.items()}


@cache
def told(kind: Any) -> type[BaseModel]:
    """A model of what the bus carries of a dataclass: every field, always."""
    hints = typing.get_type_hints(kind)
    fields: dict[str, Any] = {field.name: (form(hints[field.name]), ...) for field in dataclasses.fields(kind)}
    made: type[BaseModel] = create_model(kind.__name__, __doc__=kind.__doc__, **fields)
    return made


def form(hint: Any) -> Any:
    """The type that a field has on the bus."""
    arguments = typing.get_args(hint)
    if hint in FORMS:
        return FORMS[hint]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return typing.Union[tuple(map(form, arguments))]  # noqa: UP007  # made at run time
    if typing.get_origin(hint) is tuple:
        return list[form(arguments[0])]  # type: ignore[misc]  # made at run time
    return told(typing.cast("Any", hint)) if dataclasses.is_dataclass(hint) else hint


def files() -> dict[str, bytes]:
    """All schemas as they are written down, by their path under `schemas/`."""
    schemas = {f"commands/{name}": command(name) for name in catalog.COMMANDS}
    schemas |= {f"events/{name}": event(name) for name in catalog.EVENTS}
    schemas |= {"outcome": outcome(), "cloudevent": cloudevent(), "place": place()}
    option = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return {
        f"{path}.json": orjson.dumps(
            {"$schema": DIALECT, "$id": f"urn:drumline:schema:{path.replace('/', ':')}", **schema}, option=option
        )
        for path, schema in schemas.items()
    }


def write(folder: Path = FOLDER) -> None:
    """Write all schemas down, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text)


if __name__ == "__main__":
    write()
