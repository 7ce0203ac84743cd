"""Token buckets: a key is within its rate or not, whatever the clock does, and their number is bounded."""

from hypothesis import given
from hypothesis import strategies as st

from domain.rates import CLOCK_SET_BACK, Rates

STEPS = st.lists(st.floats(min_value=0, max_value=3, allow_nan=False), max_size=200)


@given(STEPS, st.sampled_from([1, 5, 50]))
def test_in_any_stretch_of_time_a_key_takes_its_rate_and_one_burst_at_most(steps: list[float], rate: int) -> None:
    rates, now, taken = Rates(rate), 100.0, list[float]()
    for step in steps:
        now += step
        while rates.take("key", now):
            taken.append(now)
    for first, start in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= rate * (taken[last] - start) + rate + 1e-6


@given(st.lists(st.floats(min_value=-20, max_value=20, allow_nan=False), max_size=100))
def test_a_clock_that_is_set_back_gives_nothing_away_and_locks_nobody_out(steps: list[float]) -> None:
    rates, now, latest, taken, forward = Rates(10), 100.0, 100.0, 0, 0.0
    for step in steps:
        now += step
        forward += max(0.0, step) + CLOCK_SET_BACK
        latest = max(latest, now)
        while rates.take("key", now):
            taken += 1
    assert taken <= 10 + 10 * forward
    assert rates.seconds_until("key", now) <= CLOCK_SET_BACK + 0.1
    assert rates.take("key", now + CLOCK_SET_BACK + 0.2)


def test_one_keys_rate_is_none_of_anothers() -> None:
    rates = Rates(2)
    assert [rates.take("one", 1.0) for _ in range(3)] == [True, True, False]
    assert rates.take("two", 1.0)
    assert rates.seconds_until("one", 1.0) == 0.5
    assert not rates.take("one", 1.4)
    assert rates.take("one", 1.5)


def test_of_too_many_keys_the_longest_away_is_forgotten() -> None:
    rates = Rates(1, remembered=100)
    for number in range(1_000):
        assert rates.take(str(number), float(number))
    assert len(rates) == 100
    assert not rates.take("999", 999.0)


def test_many_at_once_are_taken_whole_or_not_at_all() -> None:
    rates = Rates(5)
    assert not rates.take_all("key", 6, 1.0)
    assert rates.take_all("key", 5, 1.0)
    assert not rates.take("key", 1.0)
