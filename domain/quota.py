"""Quota: how many sends an account may begin now, so that no sliding minute, hour or day ever holds more than its cap.

A block counts as a whole, from its grant until its last send may have reached the wire: whatever it is spent on, and
whenever, no window that touches it holds more. What was granted is kept in cells, each a twentieth of a window long.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.steady import TOLERANCE

LONGEST_ACT = timedelta(seconds=90)  # a send that was begun reaches the wire within it, or never
USUAL_ACT = timedelta(seconds=30)  # what has no file takes no longer
CELLS = 20  # a window
FEW = 3  # permits of a block at human pace


class Window(StrEnum):
    """A stretch of time that slides."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


SPANS = {Window.MINUTE: timedelta(minutes=1), Window.HOUR: timedelta(hours=1), Window.DAY: timedelta(days=1)}
Caps = Mapping[Window, int | None]  # None: no cap


@dataclass(frozen=True, slots=True)
class Cell:
    """Permits of blocks granted one after the other: each spent in [since, until)."""

    since: datetime
    until: datetime
    permits: int


@dataclass(frozen=True, slots=True)
class Used:
    """What was granted and may still count, by window, the oldest first."""

    minute: tuple[Cell, ...] = ()
    hour: tuple[Cell, ...] = ()
    day: tuple[Cell, ...] = ()

    def of(self, window: Window) -> tuple[Cell, ...]:
        """One window's cells."""
        return {Window.MINUTE: self.minute, Window.HOUR: self.hour, Window.DAY: self.day}[window]


NOTHING = Used()


@dataclass(frozen=True, slots=True)
class Room:
    """How many permits the caps leave now; when none: which window says so, and until when."""

    permits: int
    window: Window | None = None
    until: datetime | None = None


NO_CAP = Room(1 << 30)


def block_size(messages: int, seconds: int) -> int:
    """The permits of a block at a pace: a second's worth, or a few at human pace."""
    return min(messages, max(FEW, messages // seconds))


def lasts(permits: int, messages: int, seconds: int) -> timedelta:
    """How long so many permits must last at a pace."""
    return timedelta(microseconds=math.ceil(permits * seconds * 1_000_000 / messages))


def recounted(used: Used, jumped: datetime | None, now: datetime) -> Used:
    """As it counts once the clock has jumped: nobody can tell how long ago the blocks before that were, so they count
    from the jump on, for their whole windows. A block from the future is one from before."""
    if jumped is None:
        return used
    return Used(*(tuple(recount(cell, jumped, now) for cell in used.of(window)) for window in Window))


def recount(cell: Cell, jumped: datetime, now: datetime) -> Cell:
    if cell.since > now + TOLERANCE:
        return Cell(jumped, jumped + max(cell.until - cell.since, timedelta()), cell.permits)
    return replace(cell, until=max(cell.until, jumped)) if cell.since < jumped else cell


def room(used: Used, caps: Caps, now: datetime) -> Room:
    """What all caps leave at this time."""
    rooms = [room_in(used.of(window), window, cap, now) for window, cap in caps.items() if cap is not None]
    full = [one for one in rooms if one.until is not None]
    return (
        max(full, key=lambda one: one.until or now) if full else min(rooms, key=lambda one: one.permits, default=NO_CAP)
    )


def room_in(cells: tuple[Cell, ...], window: Window, cap: int, now: datetime) -> Room:
    """What one cap leaves."""
    counted = [cell for cell in cells if now - cell.until < SPANS[window] + LONGEST_ACT]
    left = cap - sum(cell.permits for cell in counted)
    if left > 0:
        return Room(left)
    for cell in counted:
        left += cell.permits
        if left > 0:
            return Room(0, window, cell.until + SPANS[window] + LONGEST_ACT)
    return Room(0, window, now + SPANS[window])  # a cap of nothing, which no policy can set


def granted(used: Used, permits: int, since: datetime, until: datetime) -> Used:
    """With one more block; the one before is over by now, for an account has one at a time."""
    return Used(*(with_block(used.of(window), window, Cell(since, until, permits)) for window in Window))


def with_block(cells: tuple[Cell, ...], window: Window, block: Cell) -> tuple[Cell, ...]:
    """One window's cells with a block more, without those that count no more."""
    kept = tuple(cell for cell in cells if block.since - cell.until < SPANS[window] + LONGEST_ACT)
    if not kept:
        return (block,)
    *before, last = kept
    last = replace(last, until=min(last.until, block.since))
    if block.until - last.since <= SPANS[window] / CELLS:
        return *before, Cell(last.since, block.until, last.permits + block.permits)
    return *before, last, block


def given_back(used: Used, permits: int) -> Used:
    """Without so many permits of the last block: they were not spent, and never will be."""
    return Used(*(without(used.of(window), permits) for window in Window))


def without(cells: tuple[Cell, ...], permits: int) -> tuple[Cell, ...]:
    return (*cells[:-1], replace(cells[-1], permits=max(cells[-1].permits - permits, 0))) if cells else ()
