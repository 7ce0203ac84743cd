"""Aggregates' states kept in memory. They may be stale: the conditions of an append catch that."""

from collections import OrderedDict
from typing import Any

from adapters.event_store import Loaded
from domain.message import StreamId

MOST_BYTES = 24 << 20
ENTRY_BYTES = 700  # measured: key, Loaded and a small state
ELEMENT_BYTES = 120  # one more part, account or moderator in it


class StateCache:
    """The least recently used go first, when the whole is estimated above `most_bytes`."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._entries: OrderedDict[StreamId, tuple[Loaded, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, stream: StreamId) -> Loaded | None:
        """The state as last seen, if it is still here."""
        entry = self._entries.get(stream)
        if entry is None:
            return None
        self._entries.move_to_end(stream)
        return entry[0]

    def put(self, stream: StreamId, loaded: Loaded) -> None:
        """Keep a state, unless a later version is here; a stream that does not exist is not kept."""
        if not loaded.version:
            return
        entry = self._entries.pop(stream, None)
        if entry is not None:
            self._bytes -= entry[1]
            loaded = entry[0] if entry[0].version > loaded.version else loaded
        size = estimate(loaded.state)
        self._entries[stream] = (loaded, size)
        self._bytes += size
        while self._bytes > self._most:
            _, (_, freed) = self._entries.popitem(last=False)
            self._bytes -= freed

    def forget(self, *streams: StreamId) -> None:
        """Read these from the log next time."""
        for stream in streams:
            entry = self._entries.pop(stream, None)
            if entry is not None:
                self._bytes -= entry[1]


def estimate(state: Any) -> int:
    """Roughly how many bytes a state takes."""
    names = getattr(type(state), "__slots__", ())
    values = (getattr(state, name, None) for name in names)
    return ENTRY_BYTES + ELEMENT_BYTES * sum(len(v) for v in values if isinstance(v, tuple | frozenset))
