"""The intake's buffer: lanes in turn, each in its order, bounded by number and size."""

from collections import Counter, deque

from hypothesis import given
from hypothesis import strategies as st

from workers.intake.fair_queue import FairQueue

Item = tuple[str, int]
PUTS = st.lists(st.one_of(st.sampled_from("abc"), st.integers(1, 9)), max_size=200)  # a lane's next one, or a take


def queue(most: int = 10**6, most_size: int = 10**9) -> FairQueue[Item]:
    return FairQueue(most, most_size, lambda item: item[1] + 1)


@given(PUTS)
def test_each_lane_comes_in_its_order_whole_and_in_turn(steps: list[str | int]) -> None:
    fair, waiting, numbers = queue(), dict[str, deque[int]](), Counter[str]()
    for step in steps:
        if isinstance(step, str):
            numbers[step] += 1
            waiting.setdefault(step, deque()).append(numbers[step])
            fair.put(step, (step, numbers[step]))
            continue
        before = {lane: len(items) for lane, items in waiting.items() if items}
        taken = fair.take(step, 10**9)
        assert len(taken) == min(step, sum(before.values()))
        for lane, number in taken:
            assert waiting[lane].popleft() == number
        counts = Counter(lane for lane, _ in taken)
        for lane, had in before.items():  # who got less than another by more than one had no more
            assert counts[lane] == had or counts[lane] >= max(counts.values()) - 1
        assert len(fair) == sum(map(len, waiting.values()))
    assert len(fair.drain()) == sum(map(len, waiting.values()))
    assert len(fair) == 0


def test_one_of_a_lane_is_in_the_next_batch_however_many_another_has_waiting() -> None:
    fair = queue()
    for number in range(10_000):
        fair.put("flood", ("flood", number))
    fair.put("other", ("other", 0))
    assert ("other", 0) in fair.take(500, 10**9)


def test_a_batch_is_bounded_by_its_size_too_but_never_empty() -> None:
    fair = queue()
    for number in (50, 60, 500, 1):
        fair.put("lane", ("lane", number))
    assert [number for _, number in fair.take(10, 120)] == [50, 60]
    assert [number for _, number in fair.take(10, 120)] == [500]
    assert [number for _, number in fair.take(10, 120)] == [1]
    assert fair.take(10, 120) == []


def test_it_is_full_by_number_or_by_size() -> None:
    by_number, by_size = queue(most=2), queue(most_size=100)
    by_number.put("lane", ("lane", 1))
    assert (by_number.full, by_size.full) == (False, False)
    by_number.put("other", ("other", 1))
    by_size.put("lane", ("lane", 99))
    assert (by_number.full, by_size.full) == (True, True)
    by_number.take(1, 10**9)
    assert (by_number.full, by_size.full) == (False, True)


def test_what_waited_is_what_was_there_when_it_was_asked_before() -> None:
    fair = queue()
    fair.put("lane", ("lane", 1))
    fair.put("other", ("other", 1))
    assert list(fair.waited()) == []
    fair.put("lane", ("lane", 2))
    assert set(fair.waited()) == {("lane", 1), ("other", 1)}
    fair.take(2, 10**9)
    assert list(fair.waited()) == [("lane", 2)]
