"""The parts of a message as read models keep them: fields by name, with the kind, and references for words."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from domain.content import KINDS, MediaKind, MediaPart, Part, kind_of
from domain.message import Ref

Told = dict[str, Any]
WORDS = ("text", "caption", "filename", "name", "address", "number", "question", "choices")  # the fields that hold them


def told(parts: Sequence[Part]) -> list[Told]:
    """Parts as they are kept."""
    return [
        {"kind": kind_of(part)} | {name: kept(getattr(part, name)) for name in part.__slots__ if name != "kind"}
        for part in parts
    ]


def kept(value: Any) -> Any:
    """A field's value as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def refs(parts: Iterable[Mapping[str, Any]]) -> list[Ref]:
    """The references to all that parts, as kept, say in words."""
    found: list[Ref] = []
    for part in parts:
        for name in WORDS:
            value = part.get(name)
            found += value if isinstance(value, list) else () if value is None else (value,)
    return found


def parts_of(kept_parts: Iterable[Mapping[str, Any]]) -> list[Part]:
    """The parts that are kept so."""
    return [part_of(dict(one)) for one in kept_parts]


def part_of(fields: dict[str, Any]) -> Part:
    kind = KINDS[fields["kind"]]
    if kind is not MediaPart:
        del fields["kind"]
    else:
        fields["kind"] = MediaKind(fields["kind"])
    if "choices" in fields:
        fields["choices"] = tuple(fields["choices"])
    return kind(**fields)
