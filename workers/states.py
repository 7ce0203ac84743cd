"""Aggregates' states kept in memory. They may be stale: the conditions of an append catch that."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.event_store import Loaded
from domain.message import Decider, Event, StreamId, WorkspaceId

MOST_BYTES = 24 << 20
ENTRY_BYTES = 700  # measured: key, Loaded and a small state
ELEMENT_BYTES = 120  # one more part, account, moderator or event in it


@dataclass(slots=True)
class Later:
    """A state and the events after it, folded only when somebody asks: most new aggregates are not asked for soon."""

    decider: Decider[Any]
    before: Any
    events: Sequence[Event]
    version: int
    workspace: WorkspaceId

    def fold(self) -> Loaded:
        state = self.before
        for event in self.events:
            state = self.decider.evolve(state, event)
        return Loaded(state, self.version, self.workspace)


class StateCache:
    """The least recently used go first, when the whole is estimated above `most_bytes`."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._entries: OrderedDict[StreamId, tuple[Loaded | Later, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, stream: StreamId) -> Loaded | None:
        """The state as last seen, if it is still here."""
        entry = self._entries.get(stream)
        if entry is None:
            return None
        found = entry[0]
        if isinstance(found, Later):
            self.put(stream, found.fold())
            return self.get(stream)
        self._entries.move_to_end(stream)
        return found

    def put(self, stream: StreamId, loaded: Loaded) -> None:
        """Keep a state, unless a later version is here; a stream that does not exist is not kept."""
        if loaded.version:
            self._put(stream, loaded, ENTRY_BYTES + ELEMENT_BYTES * elements(loaded.state))

    def put_later(self, stream: StreamId, later: Later) -> None:
        """Keep what follows from a decision that was just appended."""
        self._put(stream, later, ENTRY_BYTES + ELEMENT_BYTES * len(later.events))

    def forget(self, *streams: StreamId) -> None:
        """Read these from the log next time."""
        for stream in streams:
            entry = self._entries.pop(stream, None)
            if entry is not None:
                self._bytes -= entry[1]

    def _put(self, stream: StreamId, found: Loaded | Later, size: int) -> None:
        entry = self._entries.pop(stream, None)
        if entry is not None:
            self._bytes -= entry[1]
            if entry[0].version > found.version:
                found, size = entry
        self._entries[stream] = (found, size)
        self._bytes += size
        while self._bytes > self._most:
            _, (_, freed) = self._entries.popitem(last=False)
            self._bytes -= freed


def elements(state: Any) -> int:
    """How many things a state's collections hold."""
    values = (getattr(state, name, None) for name in getattr(type(state), "__slots__", ()))
    return sum(len(value) for value in values if isinstance(value, tuple | frozenset))
