"""The tail of the log in memory: whoever reads, however far apart, sees the log as it is."""

import asyncio
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from adapters.log_tail import CHUNKS, LogTail
from domain.account import AccountPaused
from domain.message import Envelope, PrincipalId, Recorded, StreamId, WorkspaceId, derive

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def log_of(decisions: list[int], gaps: list[int]) -> list[Recorded]:
    """A log of decisions with so many events each, with gaps between positions."""
    log: list[Recorded] = []
    position = 0
    for number, events in enumerate(decisions):
        cause = derive("cause", number)
        for k in range(events):
            position += 1 + gaps[(number + k) % len(gaps)]
            envelope = Envelope(
                derive(number, k), PrincipalId("somebody"), WorkspaceId("here"), cause, cause, NOW, facts={}
            )
            log.append(Recorded(position, StreamId(f"account-{number}"), k + 1, AccountPaused(), envelope))
    return log


class Log:
    """A log that counts how often it is read."""

    def __init__(self, events: list[Recorded]) -> None:
        self.events = events
        self.reads = 0

    async def fetch(self, after: int, limit: int) -> list[Recorded]:
        self.reads += 1
        await asyncio.sleep(0)
        return [recorded for recorded in self.events if recorded.position > after][:limit]


@given(
    decisions=st.lists(st.integers(1, 3), max_size=40),
    gaps=st.lists(st.integers(0, 2), min_size=1, max_size=4),
    limits=st.lists(st.integers(4, 9), min_size=1, max_size=4),
)
async def test_tails_with_different_pages_each_see_the_whole_log_once(
    decisions: list[int], gaps: list[int], limits: list[int]
) -> None:
    log = Log(log_of(decisions, gaps))
    tail = LogTail(log.fetch)

    async def read(limit: int) -> list[Recorded]:
        seen: list[Recorded] = []
        while page := await tail.page(seen[-1].position if seen else 0, limit):
            assert len(page) <= limit
            following = len(seen) + len(page)
            if len(page) < limit and following < len(log.events):  # a short page ends where a decision ends
                assert page[-1].envelope.causation != log.events[following].envelope.causation
            seen.extend(page)
        return seen

    for seen in await asyncio.gather(*map(read, limits)):
        assert seen == log.events


async def test_what_one_tail_has_read_is_not_read_again_for_another() -> None:
    log = Log(log_of([1] * 50, [0]))
    tail = LogTail(log.fetch)
    pages = await asyncio.gather(*(tail.page(0, 100) for _ in range(3)))
    assert [len(page) for page in pages] == [50, 50, 50]
    assert log.reads == 1
    assert await tail.page(log.events[20].position, 10) == log.events[21:31]
    assert log.reads == 1


async def test_new_events_are_read_and_old_pages_forgotten() -> None:
    log = Log(log_of([1] * 5, [0]))
    tail = LogTail(log.fetch)
    position = 0
    for _ in range(CHUNKS + 2):
        page = await tail.page(position, 100)
        assert len(page) == 5
        position = page[-1].position
        envelope = page[-1].envelope
        log.events = log.events + [
            Recorded(position + 1 + k, StreamId("account-x"), k + 1, AccountPaused(), envelope) for k in range(5)
        ]
    before = log.reads
    assert len(await tail.page(0, 5)) == 5
    assert log.reads == before + 1
