"""Bodies of commands as they cross the wire: checked against models made from the catalog, texts set apart for sealing.

On the wire a `Ref` field is a text. A draft is a checked body whose texts wait for their references.
"""

import dataclasses
import hashlib
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, create_model
from pydantic_core import ErrorDetails

from domain import catalog, content
from domain.message import Command, Digest, Ref, Refused, Role
from domain.schedule import ZoneName

LONGEST_TITLE = 200
LARGEST = 2**53  # above it JSON numbers are not exact everywhere
TITLES = frozenset({"title", "label"})
TEMPLATES = frozenset({(content.TextPart, "text")})
PLAIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

Title = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TITLE)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=content.LONGEST_TEXT)]
HexDigest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Zone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+\-/]{1,64}$")]
Number = Annotated[int, Field(ge=0, le=LARGEST)]
PARTS_AT_MOST = 100  # a decider has its own, lower limits, and says so in its own words


class Body(BaseModel):
    """What every body has in common: JSON's own types exactly, and no field that is not known."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


@dataclass(slots=True)
class Draft:
    """A checked body: the texts in it, in order, and the command once each has its reference."""

    kind: type[Command]
    body: BaseModel
    texts: tuple[str, ...]

    def command(self, refs: Sequence[Ref]) -> Command:
        """The command, with one reference for each of `texts`."""
        given = iter(refs)
        made: Command = build(self.kind, self.body, given)
        return made


def parse(name: str, raw: bytes) -> Draft:
    """Check a body against its command's model. Refused names the first wrong field and the rule, and no content."""
    row = catalog.COMMANDS.get(name)
    if row is None:
        raise Refused("unknown_command", field="subject")
    try:
        body = model(name).model_validate_json(raw)
    except ValidationError as error:
        raise refusal(error.errors(include_input=False, include_url=False)[0], raw) from None
    texts: list[str] = []
    collect(row.kind, body, texts)
    return Draft(row.kind, body, tuple(texts))


def check_role(name: str, roles: frozenset[Role]) -> None:
    """Refuse a command that does not exist, or that none of these roles may give."""
    if name not in catalog.COMMANDS:
        raise Refused("unknown_command", field="subject")
    catalog.may(roles, name)


def digest(name: str, raw: bytes) -> bytes:
    """What a command id stands for: SHA-256 of the name and the body, the order of keys and white space aside."""
    try:
        canonical = orjson.dumps(orjson.loads(raw), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONDecodeError:
        canonical = raw
    return hashlib.sha256(name.encode() + b"\0" + canonical).digest()


@cache
def model(name: str, without: frozenset[str] = frozenset()) -> type[BaseModel]:
    """The pydantic model of a command's body; `without` leaves out fields that an URL's path gives."""
    kind: Any = catalog.COMMANDS[name].kind
    return model_of(kind, without, docs=kind.__doc__)


@cache
def model_of(kind: Any, without: frozenset[str] = frozenset(), docs: str | None = None) -> type[BaseModel]:
    """A model with the fields of a dataclass, as they are on the wire."""
    hints = typing.get_type_hints(kind)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.name not in without:
            default = ... if field.default is dataclasses.MISSING else field.default
            fields[field.name] = (on_the_wire(hints[field.name], field.name), default)
    made: type[BaseModel] = create_model(f"{kind.__name__}Body", __base__=Body, __doc__=docs, **fields)
    return made


def on_the_wire(hint: Any, name: str) -> Any:
    """The type a field has on the wire."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        return on_the_wire(inner, name) | None
    if origin is tuple:
        return Annotated[list[on_the_wire(arguments[0], name)], Field(max_length=PARTS_AT_MOST)]  # type: ignore[misc]  # made at run time
    if hint is Ref:
        return Title if name in TITLES else Text
    if hint is Digest:
        return HexDigest
    if hint is ZoneName:
        return Zone
    if hint is int:
        return Number
    if dataclasses.is_dataclass(hint):
        return model_of(typing.cast("Any", hint), docs=hint.__doc__)
    if hint in (UUID, datetime, bool) or (isinstance(hint, type) and issubclass(hint, Enum)):
        return hint
    raise TypeError(f"{name}: {hint} has no form on the wire")


def refusal(error: ErrorDetails, raw: bytes) -> Refused:
    """The refusal that a validation error is. The body's own words stay out of it."""
    if error["type"] == "json_invalid":
        try:
            raw.decode()
        except UnicodeDecodeError:
            return Refused("not_utf8", field="body")
        return Refused("not_json", field="body")
    path = [str(step) for step in error["loc"]]
    known = all(step.isdigit() or PLAIN_NAME.fullmatch(step) for step in path)
    field = ".".join(path) if known and path else "body"
    return Refused(RULES.get(error["type"], error["type"]), field=field, **limits_in(error.get("ctx", {})))


RULES = {"extra_forbidden": "unknown_field", "model_type": "not_an_object", "string_pattern_mismatch": "malformed"}
LIMITS = {"le": "maximum", "ge": "minimum", "max_length": "maximum", "min_length": "minimum", "expected": "expected"}


def limits_in(context: Mapping[str, Any]) -> dict[str, int | str]:
    """The limits and the words allowed that a validation error speaks of: never what was sent."""
    return {LIMITS[key]: value for key, value in context.items() if key in LIMITS}


@dataclass(frozen=True, slots=True)
class Shape:
    """How the fields of a dataclass follow from its body's: which are texts, which hold further dataclasses."""

    texts: frozenset[str]
    templates: frozenset[str]
    nested: dict[str, type[Any]]  # of lists
    single: dict[str, type[Any]]
    lists: frozenset[str]
    names: tuple[str, ...]


@cache
def shape(kind: Any) -> Shape:
    """The shape of a dataclass, worked out once."""
    texts, templates, lists = set[str](), set[str](), set[str]()
    nested, single = dict[str, type[Any]](), dict[str, type[Any]]()
    for name, hint in typing.get_type_hints(kind).items():
        if hint is Ref or Ref in typing.get_args(hint):
            texts.add(name)
            if (kind, name) in TEMPLATES:
                templates.add(name)
        elif listed := next((one for one in (hint, *typing.get_args(hint)) if typing.get_origin(one) is tuple), None):
            lists.add(name)
            if dataclasses.is_dataclass(item := typing.get_args(listed)[0]):
                nested[name] = typing.cast("type[Any]", item)
        else:
            for one in (hint, *typing.get_args(hint)):  # itself, or itself or nothing
                if dataclasses.is_dataclass(one):
                    single[name] = typing.cast("type[Any]", one)
    names = tuple(field.name for field in dataclasses.fields(kind))
    return Shape(frozenset(texts), frozenset(templates), nested, single, frozenset(lists), names)


def collect(kind: Any, body: BaseModel, texts: list[str], path: str = "") -> None:
    """Gather a body's texts in the order in which `build` asks for their references."""
    form, given = shape(kind), body.__dict__
    for name in form.names:
        value = given[name]
        if name in form.texts:
            if value is not None:
                if name in form.templates and content.malformed(value):
                    raise Refused("malformed_variable", field=f"{path}{name}")
                texts.append(value)
        elif item := form.nested.get(name):
            for index, one in enumerate(value or ()):
                collect(item, one, texts, f"{path}{name}.{index}.")
        elif (item := form.single.get(name)) and value is not None:
            collect(item, value, texts, f"{path}{name}.")


def build(kind: Any, body: BaseModel, refs: Iterator[Ref]) -> Any:
    """The dataclass for a body, its texts replaced by references."""
    form, given = shape(kind), body.__dict__
    values = []
    for name in form.names:
        value = given[name]
        if name in form.texts:
            value = None if value is None else next(refs)
        elif name in form.lists and value is not None:
            item = form.nested.get(name)
            value = tuple([build(item, one, refs) for one in value] if item else value)
        elif (item := form.single.get(name)) and value is not None:
            value = build(item, value, refs)
        values.append(value)
    return kind(*values)
