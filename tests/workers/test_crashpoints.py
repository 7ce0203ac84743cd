"""Crash points are passed unharmed unless armed; killed processes are in tests/faults."""

import pytest

from workers.crashpoints import NAMES, arm, crashpoint


def test_points_that_are_not_armed_are_passed() -> None:
    arm("after_intent:3")
    try:
        for name in NAMES:
            crashpoint(name)
        crashpoint("after_intent")
    finally:
        arm("")
    for name in NAMES:
        crashpoint(name)


def test_a_name_that_is_no_crash_point_is_refused() -> None:
    with pytest.raises(ValueError, match="no crash point"):
        arm("after_lunch")
