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
from itertools import takewhile
from typing import Annotated, Any, ClassVar, Literal, Union
from uuid import UUID

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    create_model,
)
from pydantic_core import ErrorDetails

from domain import catalog, content
from domain.message import Command, Digest, Ref, Refused, Role
from domain.schedule import ZoneName
from domain.wording import malformed

LONGEST_TITLE = 200
LARGEST = 2**53  # above it JSON numbers are not exact everywhere
TITLES = frozenset({"title", "label"})
PARTS: tuple[Any, ...] = tuple(dict.fromkeys(content.KINDS.values()))  # all that they say in words are templates
TAG, UNKNOWN_KIND = "=", "unknown_kind"  # a step of an error's place that begins so is none of the body's
PLAIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

Title = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TITLE)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=content.LONGEST_TEXT)]
HexDigest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Zone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+\-/]{1,64}$")]
Number = Annotated[int, Field(ge=0, le=LARGEST)]
Degrees = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
PARTS_AT_MOST = 100  # a decider has its own, lower limits, and says so in its own words


class Body(BaseModel):
    """What every body has in common: JSON's own types exactly, and no field that is not known."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    made_into: ClassVar[Any]  # the dataclass whose fields these are


@dataclass(slots=True)
class Draft:
    """A checked body: the texts in it, in order, and the command once each has its reference."""

    body: Body
    texts: tuple[str, ...]

    def command(self, refs: Sequence[Ref]) -> Command:
        """The command, with one reference for each of `texts`."""
        given = iter(refs)
        made: Command = build(self.body, given)
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
    collect(body, texts)
    return Draft(body, tuple(texts))


def check_role(name: str, roles: frozenset[Role]) -> None:
    """Refuse a command that does not exist, or that none of these roles may give."""
    if name not in catalog.COMMANDS:
        raise Refused("unknown_command", field="subject")
    catalog.may(roles, name)


def digest(name: str, raw: bytes) -> bytes:
    """What a command id stands for: SHA-256 of the name and the body, the order of keys and white space aside.

    A body that cannot be read, or is nested too deep to be written again, stands for its bytes.
    """
    try:
        canonical = orjson.dumps(orjson.loads(raw), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        canonical = raw
    return hashlib.sha256(name.encode() + b"\0" + canonical).digest()


@cache
def model(name: str, without: frozenset[str] = frozenset()) -> type[Body]:
    """The pydantic model of a command's body; `without` leaves out fields that an URL's path gives."""
    kind: Any = catalog.COMMANDS[name].kind
    return model_of(kind, without, docs=kind.__doc__)


@cache
def model_of(kind: Any, without: frozenset[str] = frozenset(), docs: str | None = None) -> type[Body]:
    """A model with the fields of a dataclass, as they are on the wire; a part also names its kind."""
    hints = typing.get_type_hints(kind)
    fields: dict[str, Any] = {}
    if word := content.NAMES.get(kind):
        fields["kind"] = (Literal[word], word)
    for field in dataclasses.fields(kind):
        if field.name not in without:
            default = ... if field.default is dataclasses.MISSING else field.default
            fields[field.name] = (on_the_wire(hints[field.name], field.name, kind), default)
    made: type[Body] = create_model(f"{kind.__name__}Body", __base__=Body, __doc__=docs, **fields)
    made.made_into = kind
    return made


def on_the_wire(hint: Any, name: str, kind: Any) -> Any:
    """The type that a dataclass's field has on the wire."""
    if hint == content.Part:
        return one_of_the_parts()
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        return on_the_wire(inner, name, kind) | None
    if origin is tuple:
        return Annotated[list[on_the_wire(arguments[0], name, kind)], Field(max_length=PARTS_AT_MOST)]  # type: ignore[misc]  # made at run time
    if hint is Ref:
        longest = content.LONGEST.get((kind, name))
        if longest is not None:
            return Annotated[str, StringConstraints(min_length=1, max_length=longest)]
        return Title if name in TITLES else Text
    if hint is Digest:
        return HexDigest
    if hint is ZoneName:
        return Zone
    if hint is int:
        return Number
    if hint is float:
        return Degrees
    if dataclasses.is_dataclass(hint):
        return model_of(typing.cast("Any", hint), docs=hint.__doc__)
    if hint in (UUID, datetime, bool) or (isinstance(hint, type) and issubclass(hint, Enum)):
        return hint
    raise TypeError(f"{name}: {hint} has no form on the wire")


@cache
def one_of_the_parts() -> Any:
    """The type of a part: its `kind` tells which one; without it, it is a text."""
    kinds = tuple(Annotated[model_of(kind, docs=kind.__doc__), Tag(TAG + kind.__name__)] for kind in PARTS)
    told = Discriminator(
        part_tag,
        custom_error_type=UNKNOWN_KIND,
        custom_error_message="a part has one of the kinds expected",
        custom_error_context={"expected": ", ".join(content.KINDS)},
    )
    return Annotated[Union[kinds], told]  # noqa: UP007  # made at run time


def part_tag(part: Any) -> str | None:
    """Which of the models a part is to be checked against."""
    kind = part.get("kind", "text") if isinstance(part, dict) else "text"
    found = content.KINDS.get(kind) if isinstance(kind, str) else None
    return None if found is None else TAG + found.__name__


def refusal(error: ErrorDetails, raw: bytes) -> Refused:
    """The refusal that a validation error is. The body's own words stay out of it."""
    if error["type"] == "json_invalid":
        try:
            raw.decode()
        except UnicodeDecodeError:
            return Refused("not_utf8", field="body")
        return Refused("not_json", field="body")
    path = [step for step in map(str, error["loc"]) if not step.startswith(TAG)]
    if error["type"] == UNKNOWN_KIND:
        path.append("kind")
    known = takewhile(lambda step: step.isdigit() or PLAIN_NAME.fullmatch(step), path)  # another may be anything
    field = ".".join(known) or "body"
    return Refused(RULES.get(error["type"], error["type"]), field=field, **limits_in(error.get("ctx", {})))


RULES = {
    "extra_forbidden": "unknown_field",
    "model_type": "not_an_object",
    "string_pattern_mismatch": "malformed",
    UNKNOWN_KIND: "enum",
}
LIMITS = {"le": "maximum", "ge": "minimum", "max_length": "maximum", "min_length": "minimum", "expected": "expected"}


def limits_in(context: Mapping[str, Any]) -> dict[str, int | str]:
    """The limits and the words allowed that a validation error speaks of: never what was sent."""
    told = {LIMITS[key]: value for key, value in context.items() if key in LIMITS}
    return {name: int(value) if isinstance(value, float) else value for name, value in told.items()}


@dataclass(frozen=True, slots=True)
class Shape:
    """How the fields of a dataclass follow from its body's: which hold texts, which hold further dataclasses."""

    names: tuple[str, ...]
    texts: frozenset[str]
    inner: frozenset[str]
    worded: tuple[str, ...]  # those that hold either, in order


@cache
def shape(kind: Any) -> Shape:
    """The shape of a dataclass, worked out once."""
    made_of = {name: tuple(leaves(hint)) for name, hint in typing.get_type_hints(kind).items()}
    texts = frozenset(name for name, inner in made_of.items() if Ref in inner)
    inner = frozenset(name for name, inner in made_of.items() if any(map(dataclasses.is_dataclass, inner)))
    names = tuple(field.name for field in dataclasses.fields(kind))
    return Shape(names, texts, inner, tuple(name for name in names if name in texts | inner))


def leaves(hint: Any) -> Iterator[Any]:
    """What a field's type is made of: of a list its items', of a choice each."""
    arguments = typing.get_args(hint)
    if not arguments:
        yield hint
    for inner in arguments:
        yield from leaves(inner)


def collect(body: Body, texts: list[str], path: str = "") -> None:
    """Gather a body's texts in the order in which `build` asks for their references."""
    form, given, templates = shape(body.made_into), body.__dict__, body.made_into in PARTS
    for name in form.worded:
        value = given[name]
        several = isinstance(value, list | tuple)  # a default is a tuple
        for index, one in enumerate(value if several else () if value is None else (value,)):
            field = f"{path}{name}.{index}" if several else f"{path}{name}"
            if isinstance(one, Body):
                collect(one, texts, f"{field}.")
                continue
            if templates and malformed(one):
                raise Refused("malformed_variable", field=field)
            texts.append(one)


def build(body: Body, refs: Iterator[Ref]) -> Any:
    """The dataclass for a body, its texts replaced by references."""
    form, given = shape(body.made_into), body.__dict__
    values = []
    for name in form.names:
        value = given[name]
        if value is not None:
            several = isinstance(value, list | tuple)  # a default is a tuple
            if name in form.texts:
                value = tuple([next(refs) for _ in value]) if several else next(refs)
            elif name in form.inner:
                value = tuple([build(one, refs) for one in value]) if several else build(value, refs)
            elif several:
                value = tuple(value)
        values.append(value)
    return body.made_into(*values)
