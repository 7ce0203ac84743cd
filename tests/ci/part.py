"""Which of the long tests run on a day."""

import hashlib
import math
from collections.abc import Sequence
from datetime import date

PARTS = 7  # of which each day begins with another: a week begins with all


def part_of(day: date, tests: Sequence[str]) -> list[str]:
    """All long tests in the order of a day; the clock decides how many of them run.

    They are mixed, but always alike, so that a day has tests of every kind. Each day begins a seventh further on, and
    a little beside: after as many days as there are tests each has been the first, and so has run, however slow it is.
    """
    mixed = sorted(set(tests), key=lambda test: hashlib.sha256(test.encode()).digest())
    if not mixed:
        return []
    step = max(1, len(mixed) // PARTS)
    while math.gcd(step, len(mixed)) > 1:
        step += 1
    first = day.toordinal() * step % len(mixed)
    return mixed[first:] + mixed[:first]
