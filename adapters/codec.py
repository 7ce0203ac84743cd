"""Events and folded states as JSON, under the catalog's permanent names."""

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import orjson
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from domain import catalog
from domain.message import Decider, Envelope, Event, WorkspaceId

E = TypeVar("E")
S = TypeVar("S")
Body = dict[str, Any]
Upcaster = Callable[[Body], tuple[str, Body]]  # an event as it was once stored -> the name and body it has today

UPCASTERS: Mapping[str, Upcaster] = {}  # by the name as stored; a breaking change of an event gets a row here


class Stored(TypedDict, Generic[E]):
    """What one row of the log holds: the event, and around it what is stored for all of them."""

    event: E
    envelope: Envelope


class UnknownName(Exception):
    """The log holds an event under a name that this version of drumline does not know."""


class Codec:
    """Translates between events and the log's bytes. Pydantic reads (4 µs a row), orjson writes (2 µs)."""

    def __init__(
        self,
        events: Mapping[str, type[Event]] = catalog.EVENTS,
        upcasters: Mapping[str, Upcaster] = UPCASTERS,
    ) -> None:
        self._names = {kind: name for name, kind in events.items()}
        self._rows: dict[str, TypeAdapter[Stored[Event]]] = {
            name: TypeAdapter(Stored[kind])  # type: ignore[valid-type]  # the class is known only at run time
            for name, kind in events.items()
        }
        self._upcasters = upcasters

    def encode(self, event: Event, envelope: Envelope) -> tuple[str, bytes]:
        """An event's permanent name and its row's bytes."""
        return self._names[type(event)], orjson.dumps({"event": event, "envelope": envelope})

    def decode(self, name: str, data: bytes) -> tuple[Event, Envelope]:
        """What `encode` was given, or its present form when its name has been succeeded by another."""
        row = self._rows.get(name)
        if row is not None:
            stored = row.validate_json(data)
        elif name in self._upcasters:
            stored = self._upcast(name, orjson.loads(data))
        else:
            raise UnknownName(name)
        return stored["event"], stored["envelope"]

    def _upcast(self, name: str, stored: Body) -> Stored[Event]:
        while name in self._upcasters:
            name, stored["event"] = self._upcasters[name](stored["event"])
        return self._rows[name].validate_python(stored)


def body(event: Event) -> bytes:
    """An event alone, as JSON: what the bus carries of it."""
    return orjson.dumps(event)


class Kept(TypedDict, Generic[S]):
    """What a snapshot holds."""

    state: S
    workspace: WorkspaceId


class StateCodec:
    """Translates one kind of aggregate's state; `name` changes with its fields and its fold, so old bytes are left."""

    def __init__(self, decider: Decider[Any]) -> None:
        state = type(decider.initial)
        self._adapter: TypeAdapter[Kept[Any]] = TypeAdapter(Kept[state])  # type: ignore[valid-type]  # as above
        made_of = orjson.dumps(self._adapter.json_schema(), option=orjson.OPT_SORT_KEYS)
        made_of += inspect.getsource(sys.modules[decider.evolve.__module__]).encode()  # the fold and all it calls
        self.name = f"{decider.aggregate}.{hashlib.sha256(made_of).hexdigest()[:16]}"

    def encode(self, state: Any, workspace: WorkspaceId | None) -> bytes:
        """A state's bytes; sets become sorted lists."""
        return orjson.dumps({"state": state, "workspace": workspace}, default=sorted)

    def decode(self, data: bytes) -> tuple[Any, WorkspaceId]:
        """What `encode` was given."""
        kept = self._adapter.validate_json(data)
        return kept["state"], kept["workspace"]
