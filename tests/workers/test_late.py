"""A log that stands still between a send's decision and its act: no act begins later than its caps count with."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from adapters.append_sql import LOCK
from domain.job import Status
from domain.message import Recorded
from domain.send import Rejection, SendIntended, SendRejected
from tests.workers.sending_house import House, core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, link, open_workspace, sent, status_is, submit
from workers import account_session

DEADLINE = 1.0


async def stand_still(home: House, seconds: float) -> None:
    """Keep the log from being written for some time after somebody began to wait for it."""
    async with (
        await psycopg.AsyncConnection.connect(home.database_url) as holder,
        await psycopg.AsyncConnection.connect(home.database_url, autocommit=True) as watcher,
    ):
        await holder.execute(LOCK)

        async def waited_for() -> bool:
            found = await watcher.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                " AND wait_event = 'advisory' AND clock_timestamp() - query_start > make_interval(secs => %s)",
                [seconds],
            )
            return bool(await found.fetchall())

        await until(waited_for)


def rejected(log: list[Recorded]) -> list[SendRejected]:
    return [one.event for one in log if isinstance(one.event, SendRejected)]


async def test_what_waited_too_long_for_the_log_is_not_sent_then_but_once_later(
    database_url: str, nats_url: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_session, "NOT_NOW", 0.05)
    async with house(database_url, nats_url, scratch) as home:
        home.tools = replace(home.tools, deadline=DEADLINE)
        async with running(*core(home), *sessions(home)):
            await open_workspace(home, messages=1000, seconds=1)
            people = NUMBERS[:180]
            job = await submit(home, await link(home, 4), people)
            await until(lambda: sent(home, 10))
            for _ in range(4):
                if not rejected(await home.events()):  # whoever had acted already only tells late of it
                    await stand_still(home, DEADLINE * 1.5)
            await until(lambda: status_is(home, job.job_id, Status.COMPLETED), 40)
            log, wire = await home.events(), home.wire()
    intended: dict[str, datetime] = {
        one.event.wa_id: one.envelope.time for one in log if isinstance(one.event, SendIntended)
    }  # the last try of each
    assert max(entry.at - intended[entry.wa_id].timestamp() for entry in wire) <= DEADLINE
    assert {(event.reason, event.final) for event in rejected(log)} == {(Rejection.NOT_READY, False)}
    assert Counter(entry.chat for entry in wire) == Counter(people)
