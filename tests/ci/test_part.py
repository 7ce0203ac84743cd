"""The long tests of a day."""

from datetime import date, timedelta

import pytest

from tests.ci.part import part_of

TUESDAY = date(2026, 12, 1)


@pytest.mark.parametrize("many", [0, 1, 2, 7, 120, 121])
def test_a_day_has_all_tests_and_each_is_the_first_of_some_day(many: int) -> None:
    tests = [f"test_{number}" for number in range(many)]
    days = [part_of(TUESDAY + timedelta(days), tests) for days in range(max(many, 1))]
    assert all(sorted(part) == sorted(tests) for part in days)
    assert {part[0] for part in days if part} == set(tests)


def test_a_week_begins_with_all_of_them() -> None:
    tests = [f"test_{number}" for number in range(120)]
    week = [part_of(TUESDAY + timedelta(days), tests)[: 120 // 6] for days in range(7)]
    assert {test for part in week for test in part} == set(tests)


def test_a_day_is_the_same_however_the_tests_are_listed() -> None:
    assert part_of(TUESDAY, ["b", "a", "c"]) == part_of(TUESDAY, ["c", "b", "a"])
