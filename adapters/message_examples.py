"""An example of each message, made from the catalog: likely values by the fields' types and names."""

import dataclasses
import hashlib
import types
import typing
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from domain import catalog
from domain.message import Digest, PrincipalId, Ref, WaId, derive
from domain.schedule import ZoneName

WORDS = {
    "title": "Spring opening",
    "label": "Front desk",
    "text": "Hello {{name}}, we open on Saturday.",
    "note": "The opening hours are wrong.",
    "proof": "Form 12, page 3",
}
NUMBERS = {
    "seconds": 30,
    "recipients": 40,
    "count": 40,
    "rejected": 1,
    "merged": 0,
    "permits": 20,
    "part": 0,
    "flagged_approvals": 2,
    "delay": 0,
}
NOTHING = {"reply_to"}  # what the first part cannot say
ELSE = {"start_at": "start", "at_once": "start", "template": "parts"}  # what is refused beside the other
LOCAL = {"local", "start_local"}  # times on the clocks of a zone: without an offset
TIMES = dict.fromkeys(LOCAL, "2031-05-01T09:00:00") | {
    "start_at": "2031-05-01T07:00:00Z",
    "expires_at": "2031-05-08T07:00:00Z",
}


def command_example(name: str) -> Any:
    """A body of a command that would be taken."""
    made = example(catalog.COMMANDS[name].kind, lambda field: WORDS.get(field, "In a person's own words."))
    return {field: one for field, one in made.items() if ELSE.get(field) not in made}


def event_example(name: str) -> Any:
    """A body of an event."""
    return example(catalog.EVENTS[name], lambda field: hashlib.sha256(field.encode()).hexdigest())


def cloudevent_example(name: str) -> dict[str, Any]:
    """An event as `/v1/events` tells it."""
    return {
        "specversion": "1.0",
        "id": str(derive("example", name)),
        "type": f"drumline.{name}",
        "source": "/drumline/demo",
        "subject": stream_example(name),
        "time": "2026-11-21T09:30:00Z",
        "datacontenttype": "application/json",
        "position": "4120",
        "data": event_example(name),
    }


def stream_example(name: str) -> str:
    """The stream of a message."""
    aggregate = name.partition(".")[0]
    return f"{aggregate}-{'demo' if aggregate == 'workspace' else derive('example', f'{aggregate}_id')}"


OUTCOME = {
    "command_id": str(derive("example", "command_id")),
    "state": "refused",
    "rule": "own_job",
    "field": "actor",
    "detail": {},
    "stream": stream_example("job.approve"),
    "version": 1,
    "position": None,
    "repeated": False,
}


def example(kind: Any, text: Callable[[str], str]) -> dict[str, Any]:
    """Likely values for the fields of a dataclass; equal names have equal ones, in all messages."""
    hints = typing.get_type_hints(kind)
    return {field.name: value(hints[field.name], field.name, text) for field in dataclasses.fields(kind)}


def value(hint: Any, name: str, text: Callable[[str], str]) -> Any:
    """A likely value for a field."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if name in NOTHING:
        return None
    if origin in (types.UnionType, typing.Union):
        return value(next(one for one in arguments if one is not types.NoneType), name, text)
    if origin is tuple:
        return [value(arguments[0], name.removesuffix("s"), text)]
    if dataclasses.is_dataclass(hint):
        return example(hint, text)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint)).value
    simple: dict[Any, Callable[[], Any]] = {
        Ref: lambda: text(name),
        Digest: lambda: hashlib.sha256(name.encode()).hexdigest(),
        WaId: lambda: f"3EB0{hashlib.sha256(name.encode()).hexdigest()[:18].upper()}",
        PrincipalId: lambda: "Zk3Pq81x",
        ZoneName: lambda: "Europe/Berlin",
        UUID: lambda: str(derive("example", name if name.endswith("_id") else f"{name}_id")),
        datetime: lambda: TIMES.get(name, "2026-11-21T09:30:00Z"),
        bool: lambda: False,
        int: lambda: NUMBERS.get(name, 1),
    }
    if hint not in simple:
        raise TypeError(f"{name}: no example of {hint} is known")
    return simple[hint]()
