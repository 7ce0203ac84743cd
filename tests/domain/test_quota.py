"""Quota: whatever is granted, spent, given back, and however the clock is put, no window holds more than its cap."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import allowance as allowances
from domain import quota
from domain.allowance import Allowance, AllowanceClosed, AllowanceDeferred, AllowanceGranted, GrantAllowance
from domain.content import MediaKind
from domain.message import Refused
from domain.outgoing import Media, Text, longest_act
from domain.quota import LONGEST_ACT, SPANS, USUAL_ACT, Window
from domain.workspace import Workspace
from tests.builders import NORTH, NOW, SECOND

CAPS = st.fixed_dictionaries(
    {
        "per_minute": st.sampled_from([None, 1, 2, 12]),
        "per_hour": st.sampled_from([None, 1, 3, 40]),
        "per_day": st.sampled_from([None, 1, 4, 80]),
    }
)
SECONDS = st.sampled_from([0, 1, 5, 29, 58, 60, 61, 62, 90, 600, 3_600, 3_601, 86_400, -61, -3_600])  # put back, too
EDGES = st.sampled_from([0.0, 1.0, 0.5])


class Sender:
    """An account that asks for permits when told, spends some of each block, and lets its sends reach the wire late."""

    def __init__(self, rules: Workspace) -> None:
        self.rules, self.allowance, self.now = rules, Allowance(), NOW
        self.left = 0
        self.wire: list[tuple[float, int]] = []  # seconds after NOW, how many at once

    def ask(self) -> None:
        """One grant, if it is due; what was not spent is given back."""
        since = self.allowance.since
        if since is not None and self.now < allowances.ends(self.allowance, self.rules):
            with pytest.raises(Refused, match="allowance_running"):
                allowances.grant(self.allowance, GrantAllowance(NORTH, self.left), self.rules, self.now)
            assert allowances.wait(self.allowance, self.rules, self.left, self.now)
            return
        events = allowances.grant(self.allowance, GrantAllowance(NORTH, self.left), self.rules, self.now)
        for event in events:
            self.allowance = allowances.evolve(self.allowance, event)
            match event:
                case AllowanceGranted():
                    self.left = event.permits
                case AllowanceClosed():
                    self.left = 0
                case AllowanceDeferred():
                    assert event.until > self.now
        if not events or isinstance(events[-1], AllowanceDeferred):
            assert not self.left
            assert allowances.wait(self.allowance, self.rules, 0, self.now)

    def spend(self, share: float, at: float, act: float) -> None:
        """Begin a share of what is left somewhere in the block's stretch; it reaches the wire in the longest act."""
        since, until = self.allowance.since, self.allowance.until
        if not self.left or since is None or until is None or self.allowance.block is None:
            return
        count = max(round(self.left * share), 1)
        begun = max(self.now, since) + (until - max(self.now, since)) * min(at, 0.999)
        if not since <= begun < until:
            return
        self.left -= count
        self.now = begun
        self.wire.append(((begun + LONGEST_ACT * act - NOW).total_seconds(), count))

    def most(self, window: Window) -> int:
        """The most that any window holds which slides over the wire: each begins with one of the sends."""
        span = SPANS[window].total_seconds()
        return max(
            (sum(n for when, n in self.wire if start <= when < start + span) for start, _ in self.wire), default=0
        )


STEPS = st.lists(st.tuples(SECONDS, st.booleans(), EDGES, EDGES, EDGES), min_size=1, max_size=30)


@settings(max_examples=500, deadline=None)
@given(CAPS, st.sampled_from([1, 2, 30]), st.sampled_from([1, 3, 120]), STEPS, st.sampled_from([1, 30]))
def test_no_sliding_window_ever_holds_more_than_its_cap(
    caps: dict[str, Any],
    messages: int,
    seconds: int,
    steps: list[tuple[int, bool, float, float, float]],
    faster: int,
) -> None:
    sender = Sender(replace(Workspace(True, messages=messages, seconds=seconds), **caps))
    for index, (passed, spends, share, at, act) in enumerate(steps):
        sender.now += passed * SECOND
        sender.ask()
        if spends:
            sender.spend(share, at, act)
        if index == len(steps) // 2:
            sender.rules = replace(sender.rules, messages=faster)
    for window, cap in sender.rules.caps.items():
        assert cap is None or sender.most(window) <= cap


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(1, 50)), max_size=300))
def test_what_is_kept_is_bounded(blocks: list[tuple[int, int]]) -> None:
    used, since = quota.NOTHING, NOW
    for lasts, permits in blocks * 5:
        used = quota.granted(used, permits, since, since + lasts * SECOND)
        since += lasts * SECOND
    for window in Window:
        cells = used.of(window)
        assert len(cells) <= 4 * quota.CELLS
        assert all(one.until <= other.since for one, other in pairwise(cells))


@pytest.mark.parametrize("window", Window)
def test_a_full_window_says_when_it_has_room_again(window: Window) -> None:
    caps = {one: 5 if one is window else None for one in Window}
    used = quota.granted(quota.NOTHING, 5, NOW, NOW + SECOND)
    free_at = NOW + SECOND + LONGEST_ACT + SPANS[window]
    assert quota.room(used, caps, NOW + 2 * SECOND) == quota.Room(0, window, free_at)
    assert quota.room(used, caps, free_at - timedelta(microseconds=1)).permits == 0
    assert quota.room(used, caps, free_at) == quota.Room(5)


@pytest.mark.parametrize("window", Window)
def test_a_block_counts_as_long_as_its_sends_may_be_under_way_also_behind_another(window: Window) -> None:
    caps = {one: 2 if one is window else None for one in Window}
    first = quota.granted(quota.NOTHING, 1, NOW, NOW + SECOND)
    second = SPANS[window] + 2 * SECOND  # the first one's sends may have reached the wire until half a minute ago
    assert quota.room(first, caps, NOW + second) == quota.Room(1)
    both = quota.granted(first, 1, NOW + second, NOW + second + SECOND)
    free_at = NOW + SECOND + LONGEST_ACT + SPANS[window]
    assert quota.room(both, caps, free_at - SECOND) == quota.Room(0, window, free_at)
    assert quota.room(both, caps, free_at) == quota.Room(1)


def test_the_window_that_holds_off_longest_is_told() -> None:
    caps = {Window.MINUTE: 1, Window.HOUR: 1, Window.DAY: 7}
    used = quota.granted(quota.NOTHING, 1, NOW, NOW + SECOND)
    assert quota.room(used, caps, NOW + SECOND).window is Window.HOUR


def test_what_was_not_spent_counts_no_more() -> None:
    caps = {Window.MINUTE: 5, Window.HOUR: None, Window.DAY: None}
    used = quota.granted(quota.NOTHING, 5, NOW, NOW + SECOND)
    assert quota.room(quota.given_back(used, 3), caps, NOW + SECOND) == quota.Room(3)
    assert quota.given_back(quota.NOTHING, 3) == quota.NOTHING


@pytest.mark.parametrize(("size", "seconds"), [(0, 30.0), (256 << 10, 31.0), (10 << 20, 70.0), (100 << 20, 90.0)])
def test_a_file_may_take_longer_by_its_size_but_no_longer_than_caps_count_with(
    tmp_path: Path, size: int, seconds: float
) -> None:
    file = tmp_path / "video.mp4"
    with file.open("wb") as written:
        written.truncate(size)
    usual = USUAL_ACT.total_seconds()
    assert longest_act(Media(MediaKind.VIDEO, file, "video/mp4", "video.mp4"), usual) == seconds
    assert longest_act(Media(MediaKind.VIDEO, tmp_path / "gone", "video/mp4", "video.mp4"), usual) == usual
    assert longest_act(Text("Hello"), usual) == usual


@pytest.mark.parametrize(("messages", "seconds"), [(1, 1), (1, 30), (7, 3), (1000, 1), (1000, 7), (3, 86_400)])
def test_blocks_keep_the_pace(messages: int, seconds: int) -> None:
    permits = quota.block_size(messages, seconds)
    assert 1 <= permits <= messages
    assert permits * seconds <= messages * quota.lasts(permits, messages, seconds).total_seconds() + 1e-9
