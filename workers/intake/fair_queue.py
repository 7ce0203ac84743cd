"""A bounded buffer that is emptied by lanes in turn, each in its order."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Lane(Generic[T]):
    """What one of them has waiting; `fresh`: how many of it came since somebody last asked for what has waited."""

    items: deque[T] = field(default_factory=deque)
    fresh: int = 0


class FairQueue(Generic[T]):
    """Items of many lanes. Whoever has thousands waiting is handed one in the time in which any other is.

    It is `full` at `most` items or `most_size`; what is put in then is kept all the same: whoever fills it looks first.
    """

    def __init__(self, most: int, most_size: int, size: Callable[[T], int]) -> None:
        self._most = most
        self._most_size = most_size
        self._size_of = size
        self._lanes: dict[str, Lane[T]] = {}
        self._turns: deque[str] = deque()  # the lanes that have something, whose turn it is first
        self._count = 0
        self._size = 0

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        return self._count >= self._most or self._size >= self._most_size

    def put(self, lane: str, *items: T) -> None:
        """Add items behind those of their lane."""
        waiting = self._lanes.get(lane)
        if waiting is None:
            waiting = self._lanes[lane] = Lane()
            self._turns.append(lane)
        waiting.items.extend(items)
        waiting.fresh += len(items)
        self._count += len(items)
        self._size += sum(map(self._size_of, items))

    def take(self, most: int, most_size: int) -> list[T]:
        """The next items, one of each lane in turn: up to a number and (but for a single item) a size."""
        taken: list[T] = []
        size = 0
        while self._turns and len(taken) < most:
            lane = self._turns[0]
            items = self._lanes[lane].items
            following = self._size_of(items[0])
            if taken and size + following > most_size:
                break
            size += following
            taken.append(items.popleft())
            if not items:
                self._turns.popleft()
                del self._lanes[lane]
            elif len(self._turns) > 1:
                self._turns.rotate(-1)
        self._count -= len(taken)
        self._size -= size
        return taken

    def waited(self) -> Iterator[T]:
        """What was there already when this was last asked."""
        for lane in self._lanes.values():
            long = len(lane.items) - lane.fresh
            lane.fresh = 0
            for number, item in enumerate(lane.items):
                if number >= long:
                    break
                yield item

    def drain(self) -> list[T]:
        """All that is left, in no order."""
        left = [item for lane in self._lanes.values() for item in lane.items]
        self._lanes.clear()
        self._turns.clear()
        self._count = self._size = 0
        return left
