"""A host's clock that jumps: it is noticed, and no cap is exceeded because of it."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import allowance as allowances
from domain.allowance import Allowance, AllowanceClosed, AllowanceDeferred, AllowanceGranted, GrantAllowance
from domain.message import Refused
from domain.quota import SPANS
from domain.steady import LARGE, SETTLING, TOLERANCE, Reading, Steady, observe
from domain.workspace import Workspace
from tests.builders import NORTH, NOW, SECOND

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def reading(passed: float, jumped: timedelta = timedelta(), boot: str = "first") -> Reading:
    """Both clocks so many seconds after NOW, the first one put forward by so much."""
    return Reading(NOW + passed * SECOND + jumped, timedelta(seconds=1_000 + passed), boot)


def seen(*readings: Reading) -> Steady:
    known: Steady | None = None
    for one in readings:
        known = observe(known, one)
    assert known is not None
    return known


def test_a_clock_that_goes_on_as_time_passes_never_jumped() -> None:
    known = seen(reading(0), reading(1), reading(3_600), reading(3_601, TOLERANCE / 2))
    assert (known.since, known.settled) == (None, True)


@pytest.mark.parametrize("jump", [HOUR, -HOUR, DAY, 3 * SECOND])
def test_a_jump_is_noticed_and_a_large_one_is_not_believed_at_once(jump: timedelta) -> None:
    known = seen(reading(0), reading(1, jump))
    assert known.since == NOW + SECOND + jump
    assert known.settled == (abs(jump) <= LARGE)
    later = observe(known, reading(1 + SETTLING.total_seconds(), jump))
    assert (later.since, later.settled) == (known.since, True)


@pytest.mark.parametrize("step", [1.9, -1.9, 0.1])
def test_a_clock_that_is_moved_in_small_steps_jumps(step: float) -> None:
    looks = [reading(passed, passed * step * SECOND) for passed in range(31)]  # given: each is within what is tolerated
    known = seen(*looks)  # when
    assert known.since in {look.wall for look in looks[9:]}  # then: and again, as it goes on


@pytest.mark.parametrize("rate", [500e-6, -500e-6])
def test_a_clock_that_ntp_slews_never_jumped(rate: float) -> None:
    known = seen(*(reading(passed, passed * rate * SECOND) for passed in range(0, 86_400, 10)))
    assert known.since is None
    stepped = observe(known, reading(86_400, 86_400 * rate * SECOND + 3 * SECOND))
    assert stepped.since == stepped.reading.wall


def test_a_clock_that_is_put_right_again_jumped_twice() -> None:
    known = seen(reading(0), reading(1, HOUR), reading(60))
    assert (known.since, known.settled) == (NOW + 60 * SECOND, False)


def test_after_a_new_start_of_the_machine_its_time_is_believed_unless_the_log_is_ahead() -> None:
    known = seen(reading(0), reading(1, DAY, "second"))
    assert (known.since, known.settled) == (None, True)
    put_back = seen(reading(0), reading(1, DAY), reading(2, boot="second"))
    assert (put_back.since, put_back.settled) == (NOW + 2 * SECOND, True)
    behind = observe(None, reading(0), NOW + HOUR)
    assert (behind.since, behind.settled) == (NOW, False)


JUMPS = st.sampled_from([0, 0, 0, 3, -3, 30, -30, 3_600, -3_600, 5 * 3_600, 86_400, -86_400, 90_000, 10 * 86_400])
WAITS = st.sampled_from([0, 1, 5, 59, 62, 152, 600, 3_600, 3_692, 86_400])
CAPS = st.fixed_dictionaries(
    {
        "per_minute": st.sampled_from([None, 1, 12]),
        "per_hour": st.sampled_from([None, 1, 3]),
        "per_day": st.sampled_from([None, 1, 4]),
    }
)


class Sender:
    """An account on a host whose clock jumps; it spends all it is granted, as late as it may."""

    def __init__(self, rules: Workspace) -> None:
        self.rules, self.allowance, self.left = rules, Allowance(), 0
        self.passed, self.jumped = 0.0, timedelta()
        self.known = seen(reading(0))
        self.wire: list[tuple[float, int]] = []  # by the time that has passed in truth

    def goes_on(self, seconds: float, jump: float) -> None:
        self.passed += seconds
        self.jumped += timedelta(seconds=jump)
        self.known = observe(self.known, reading(self.passed, self.jumped))

    def asks(self) -> None:
        now = self.known.reading.wall
        try:
            events = allowances.grant(
                self.allowance, GrantAllowance(NORTH, self.left), self.rules, now, self.known.since
            )
        except Refused:
            assert allowances.wait(self.allowance, self.rules, self.left, now, self.known.since)
            return
        for event in events:
            self.allowance = allowances.evolve(self.allowance, event)
            self.left = {AllowanceGranted: getattr(event, "permits", 0), AllowanceClosed: 0}.get(type(event), self.left)
        if not events or isinstance(events[-1], AllowanceDeferred):
            assert allowances.wait(self.allowance, self.rules, 0, now, self.known.since)

    def spends(self) -> None:
        now, until = self.known.reading.wall, self.allowance.until
        if self.left and until and now < until and not allowances.ahead(self.allowance, now):
            self.wire.append((self.passed, self.left))
            self.left = 0

    def most(self, span: float) -> int:
        return max((sum(n for at, n in self.wire if first <= at < first + span) for first, _ in self.wire), default=0)


@settings(max_examples=150)
@given(caps=CAPS, steps=st.lists(st.tuples(WAITS, JUMPS, st.booleans()), min_size=2, max_size=30))
def test_however_the_clock_jumps_no_window_of_true_time_holds_more_than_its_cap(
    caps: dict[str, Any], steps: list[tuple[int, int, bool]]
) -> None:
    sender = Sender(Workspace(exists=True, messages=1, seconds=1, **caps))
    for seconds, jump, spends in steps:
        sender.goes_on(seconds, jump)
        sender.asks()
        if spends:
            sender.spends()
    for window, cap in sender.rules.caps.items():
        assert cap is None or sender.most(SPANS[window].total_seconds()) <= cap


def test_a_day_that_the_clock_skips_and_takes_back_gives_no_second_day() -> None:
    sender = Sender(Workspace(exists=True, messages=1, seconds=1, per_day=3))
    for jump in (0, 86_400, -86_400, 0):
        for step in range(8):
            sender.goes_on(5, jump if not step else 0)
            sender.asks()
            sender.spends()
    assert sum(count for _, count in sender.wire) == 3
    sender.goes_on(86_400 + 200, 0)  # a day later there is another one, though the clock had been ahead
    sender.asks()
    sender.spends()
    assert sum(count for _, count in sender.wire) > 3
