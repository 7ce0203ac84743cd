"""Whether the host's clock may be believed: it can jump, forwards or back, while what has passed is told by another.

A machine has two clocks: one says what time it is and is set by people and by NTP, one only says how much time has
passed since the machine was started. Where they disagree the first one jumped, at once or in small steps; only what NTP
may put right without a step, half a second in a thousand, is no disagreement.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

TOLERANCE = timedelta(seconds=2)  # what clocks may differ by, and be put right by, without anybody minding
DRIFT = 0.001  # of the time that passes: twice what NTP slews a clock by
LARGE = timedelta(minutes=1)
SETTLING = timedelta(minutes=2)  # after a large jump: time for NTP, or a person, to put the clock right again


@dataclass(frozen=True, slots=True)
class Reading:
    """Both clocks at one moment: what time it is, and how long the machine has run since the start named `boot`."""

    wall: datetime
    passed: timedelta
    boot: str

    @property
    def started(self) -> datetime:
        """When the machine was started, by what time it is now: it moves as the clock is moved."""
        return self.wall - self.passed


@dataclass(frozen=True, slots=True)
class Steady:
    """What is known of a host's clock."""

    reading: Reading
    started: datetime  # when the machine was, by the clock as it was last believed
    since: datetime | None = None  # when it last jumped, by its own time after it; None: never, as far as is known
    settled_at: timedelta = timedelta()  # when the machine has run so long, a large jump is believed

    @property
    def settled(self) -> bool:
        """Whether what depends on the time of day may go on."""
        return self.reading.passed >= self.settled_at


def observe(known: Steady | None, reading: Reading, newest: datetime | None = None) -> Steady:
    """What is known after one more reading; `newest` is the time of the newest event of the log, if that is asked.

    Between two starts of the machine nothing tells a jump forwards from a long sleep: that time is believed. When it
    had last jumped at a time that is yet to come, it was put back meanwhile.
    """
    if known is None or known.reading.boot != reading.boot:
        since = min(known.since, reading.wall) if known and known.since else None
        known = Steady(reading, reading.started, since)
    jump = reading.started - known.started
    if newest is not None and newest - reading.wall > TOLERANCE:
        jump = min(jump, reading.wall - newest)
    if abs(jump) <= TOLERANCE:
        drift = DRIFT * abs(reading.passed - known.reading.passed)
        return Steady(reading, known.started + min(max(jump, -drift), drift), known.since, known.settled_at)
    settled_at = reading.passed + SETTLING if abs(jump) > LARGE else known.settled_at
    return Steady(reading, reading.started, reading.wall, settled_at)
