"""The past is folded by the handlers of the present: what is told of a position is what was shown there."""

import random
from collections import defaultdict
from collections.abc import Collection, Sequence

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.message import Recorded, StreamId
from infra.embedded import EmbeddedPostgres
from projections import history, jobs
from projections.apply import PROJECTIONS, apply
from projections.table import stream_key
from tests.conftest import TEMPLATE
from tests.projections.histories import Histories
from tests.projections.test_replay import empty, forever, project


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres) -> str:
    """One database for all these tests: each empties the read models first."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE the_past TEMPLATE {TEMPLATE}")
    return postgres.url_of("the_past")


def up_to(log: Sequence[Recorded], position: int) -> dict[StreamId, list[Recorded]]:
    """Each stream's events up to a position."""
    streams = defaultdict(list)
    for recorded in log:
        if recorded.position <= position:
            streams[recorded.stream].append(recorded)
    return streams


def reader(streams: dict[StreamId, list[Recorded]]) -> history.Histories:
    async def histories(asked: Collection[StreamId]) -> list[Recorded]:
        return [recorded for stream in asked for recorded in streams.get(stream, [])]

    return histories


async def shown(connection: psycopg.AsyncConnection, streams: dict[StreamId, list[Recorded]]) -> dict[str, object]:
    """Every row of every read model, as the tables have it."""
    found: dict[str, object] = {}
    for projection in PROJECTIONS:
        keys = {stream_key(events[0]) for events in streams.values() if belongs(projection.table.key, events[0])}
        rows = await (await projection.table.load(connection, keys)).rows()
        found |= {f"{projection.name}-{key}": row for key, row in rows.items()}
    return found


def belongs(key: str, recorded: Recorded) -> bool:
    return (key == "workspace") == recorded.stream.startswith("workspace-")


async def counts(connection: psycopg.AsyncConnection, streams: dict[StreamId, list[Recorded]]) -> dict[str, object]:
    """Every job's counts, as the tables have them."""
    told: dict[str, object] = {}
    for stream, events in streams.items():
        if stream.startswith("job-"):
            row = history.row_at(jobs.PROJECTION, events)
            assert row is not None
            told[stream] = await jobs.one(connection, row.workspace, row.id)
    return told


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**64), share=st.floats(0.01, 1))
async def test_a_row_at_a_position_is_the_row_that_was_live_there(database: str, seed: int, share: float) -> None:
    log = Histories(random.Random(seed)).every_step().at_random(30).log()
    cut = max(1, int(len(log) * share))
    at = log[cut - 1].position
    streams = up_to(log, at)
    async with empty(database) as connection:
        await project(connection, log[:cut], forever(500))
        live, live_jobs = await shown(connection, streams), await counts(connection, streams)
        folded = {
            f"{projection.name}-{stream_key(events[0])}": row
            for projection in PROJECTIONS
            for events in streams.values()
            if (row := history.row_at(projection, events)) is not None
        }
        assert folded == live
        await project_on(connection, log[cut:], at)
        read = reader(streams)
        for stream, job in live_jobs.items():
            assert await history.job_at(connection, read, streams[StreamId(stream)], at) == job


async def project_on(connection: psycopg.AsyncConnection, rest: Sequence[Recorded], after: int) -> None:
    if rest:
        await apply(connection, after, rest)


async def test_more_than_is_folded_for_one_question_is_refused(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Histories(random.Random(7)).every_step().log()
    at = log[len(log) // 2].position
    streams = up_to(log, at)
    monkeypatch.setattr(history, "MOST_FOLDED", 0)
    async with empty(database) as connection:
        await project(connection, log, forever(500))
        asked = [events for stream, events in streams.items() if stream.startswith("job-")]
        refused = 0
        for events in asked:
            try:
                await history.job_at(connection, reader(streams), events, at)
            except history.TooMuchSince:
                refused += 1
        assert refused > 0
