"""Servers that go away in the middle of a run, and come back."""

import asyncio
from collections import Counter
from pathlib import Path

import psycopg

from domain.job import Status
from domain.send import SendIntended, SendUnknown
from infra.embedded import EmbeddedNats
from tests.workers.sending_house import House, core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, link, open_workspace, status_is, submit

PEOPLE = NUMBERS[:60]


async def half(home: House, at_least: int) -> bool:
    return len(home.wire()) >= at_least


async def check(home: House) -> None:
    events = [recorded.event for recorded in await home.events()]
    assert Counter(entry.chat for entry in home.wire()) == Counter(PEOPLE)
    assert sum(isinstance(event, SendIntended) for event in events) == len(PEOPLE)
    assert not any(isinstance(event, SendUnknown) for event in events)


async def test_a_run_goes_on_when_the_bus_was_killed_and_came_back(
    database_url: str, nats_server: EmbeddedNats, scratch: Path
) -> None:
    async with house(database_url, nats_server.url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home, messages=20, seconds=1)
        job = await submit(home, await link(home, 2), PEOPLE)
        await until(lambda: half(home, 15))
        await asyncio.to_thread(nats_server.kill)
        await asyncio.to_thread(nats_server.start)
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED), 40)
        await check(home)


async def test_a_run_goes_on_when_every_connection_to_the_database_was_cut(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home, messages=20, seconds=1)
        job = await submit(home, await link(home, 2), PEOPLE)
        for share in (10, 30):
            await until(lambda share=share: half(home, share))  # type: ignore[misc]  # mypy cannot infer a default
            await asyncio.to_thread(cut, database_url)
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED), 40)
        await check(home)


def cut(url: str) -> None:
    """End every other connection to this database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
