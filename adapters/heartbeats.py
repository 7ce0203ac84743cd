"""Heartbeats: each loop of this process tells once a round that it goes round; a watchdog and a metric look."""

import time
from collections.abc import Mapping

STALE = 30.0  # seconds: no loop takes as long for a round
ASK = "ctl.beats.{role}"  # where on the bus a process answers with its loops' ages, as a JSON object

_last: dict[str, float] = {}


def beat(loop: str) -> None:
    """This loop has begun a round; it begins the next within a bound, though it may only be waiting. Any thread."""
    _last[loop] = time.monotonic()


def ages() -> Mapping[str, float]:
    """Seconds since each loop's last beat."""
    now = time.monotonic()
    return {loop: now - last for loop, last in list(_last.items())}


def forget() -> None:
    """Know of no loop any more: this process's loops have ended."""
    _last.clear()
