"""Long logs of every event, written straight into a database: what a rebuild is tried on."""

import random
from collections.abc import Iterable, Iterator
from itertools import islice

import psycopg

from adapters.codec import Codec
from domain.message import Recorded
from tests.projections.histories import DELIVERIES, Histories

AT_ONCE = 200  # deliveries that are under way at the same time
LIKELY = (*DELIVERIES, *[DELIVERIES[0]] * 10)  # the first is sent, delivered and read
COPY = "COPY stored_events (originator_id, originator_version, topic, state, notification_id) FROM STDIN"


def long_log(rng: random.Random, events: int) -> Iterator[Recorded]:
    """Every event at least once, then deliveries of a few jobs, some at a time, as a running house writes them."""
    beginning = Histories(rng).every_step()
    yield from (log := beginning.log())
    position, left = log[-1].position, events - len(log)
    while left > 0:
        some = Histories(rng, jobs=beginning.jobs)
        for _ in range(AT_ONCE):
            some.begin_delivery(rng.choice(LIKELY))
        for recorded in islice(some.log(position), left):
            yield recorded
            position, left = recorded.position, left - 1


def written(database_url: str, log: Iterable[Recorded]) -> int:
    """Put events into the log at their positions, and the next ones behind them; returns the last position."""
    codec, last = Codec(), 0
    with psycopg.connect(database_url, autocommit=True) as connection:
        with connection.cursor().copy(COPY) as copy:
            for recorded in log:
                row = codec.encode(recorded.event, recorded.envelope)
                copy.write_row((recorded.stream, recorded.version, *row, recorded.position))
                last = recorded.position
        connection.execute(f"ALTER TABLE stored_events ALTER COLUMN notification_id RESTART WITH {last + 1}".encode())
        connection.execute("ANALYZE stored_events")
    return last
