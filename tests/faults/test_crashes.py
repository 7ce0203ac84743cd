"""Workers killed at every step. The ledger of the wire says what really happened."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from domain.content import Part, TextPart
from domain.job import JobCompleted, JobStarted, Status
from domain.message import Ref
from domain.send import SendConfirmed, SendIntended, SendUnknown
from tests.workers.sending_house import House, core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, Submitted, link, open_workspace, status_is, submit

ROOT = Path(__file__).parents[2]
PEOPLE = NUMBERS[:12]
PARTS = ("Hello {{name}}", "and goodbye")


@dataclass
class Victim:
    """Starts a worker's process, and waits for its end."""

    database_url: str
    nats_url: str
    data: Path

    @asynccontextmanager
    async def process(
        self, role: str, crashpoint: str = "", page: str = ""
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.faults.worker", role, self.database_url, self.nats_url, str(self.data), crashpoint, page),
            cwd=ROOT,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)  # it closes its browsers
            try:
                async with asyncio.timeout(30):
                    await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()

    async def dies(self, process: asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(30):
            assert await process.wait() == -signal.SIGKILL


@pytest.fixture
def victim(database_url: str, nats_url: str, scratch: Path) -> Victim:
    return Victim(database_url, nats_url, scratch)


async def over(home: House, job_id: UUID) -> bool:
    """Whether each recipient is in a terminal state or unknown."""
    rows = await home.rows("SELECT recipients, terminal, unknown FROM job_progress WHERE job_id = %s", job_id)
    return bool(rows) and rows[0][0] == rows[0][1] + rows[0][2]


async def check(home: House, job: Submitted, doubted: int, lost: int) -> None:
    """No message twice, none lost without a word, no outcome for what was not intended.

    Of so many messages nobody could tell at first; `lost` are those of them that no look-up finds.
    """
    events = [recorded.event for recorded in await home.events()]
    wire = home.wire()
    assert Counter(entry.wa_id for entry in wire).most_common(1)[0][1] == 1
    assert Counter((entry.chat, entry.sha256) for entry in wire).most_common(1)[0][1] == 1
    intended = {event.wa_id for event in events if isinstance(event, SendIntended)}
    confirmed = {event.wa_id for event in events if isinstance(event, SendConfirmed)}
    unknown = {event.wa_id for event in events if isinstance(event, SendUnknown)}
    assert len([event for event in events if isinstance(event, SendIntended)]) == len(intended)
    assert intended == confirmed | unknown
    assert confirmed <= {entry.wa_id for entry in wire} <= intended
    assert (len(unknown), len(unknown - confirmed)) == (doubted, lost)
    assert len(confirmed) >= (len(PEOPLE) - lost) * len(PARTS)
    assert len([event for event in events if isinstance(event, JobStarted)]) == 1
    assert len([event for event in events if isinstance(event, JobCompleted)]) == (not lost)


@pytest.mark.parametrize(
    ("crashpoint", "doubted", "lost"),
    [
        pytest.param("after_claim", 0, 0, marks=pytest.mark.long),
        pytest.param("after_evict", 0, 0, marks=pytest.mark.long),
        pytest.param("before_intent:6", 0, 0, marks=pytest.mark.long),
        ("after_intent:6", 1, 1),
        ("after_act:6", 1, 0),
        pytest.param("after_outcome:6", 0, 0, marks=pytest.mark.long),
        pytest.param("before_ack", 0, 0, marks=pytest.mark.long),
        pytest.param("after_ack", 0, 0, marks=pytest.mark.long),
    ],
)
async def test_a_session_worker_killed_at_any_step_sends_nothing_twice(
    victim: Victim, crashpoint: str, doubted: int, lost: int
) -> None:
    async with house(victim.database_url, victim.nats_url, victim.data) as home, running(*core(home)):
        await open_workspace(home)
        async with running(*sessions(home)):
            accounts = await link(home, 1)
        async with victim.process("sessions", crashpoint) as process:
            job = await submit(home, accounts, PEOPLE, texts=PARTS)
            await victim.dies(process)
        async with victim.process("sessions"):
            await until(lambda: over(home, job.job_id), 30)
            if not lost:
                await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        await check(home, job, doubted, lost)


@pytest.mark.parametrize(
    ("role", "crashpoint", "doubted"),
    [
        pytest.param("sessions", "after_outcome:4", 0, marks=pytest.mark.long),  # while parts of others wait
        pytest.param("sessions", f"before_intent:{len(PEOPLE) + 1}", 0, marks=pytest.mark.long),  # what has waited
        ("sessions", f"after_act:{len(PEOPLE) + 1}", 1),
        pytest.param("core", "before_queue:2", 0, marks=pytest.mark.long),
        pytest.param("core", "after_queue:2", 0, marks=pytest.mark.long),
    ],
)
async def test_whoever_is_killed_while_parts_wait_for_their_time_sends_each_once(
    victim: Victim, role: str, crashpoint: str, doubted: int
) -> None:
    async with house(victim.database_url, victim.nats_url, victim.data) as home:
        async with running(*core(home), *sessions(home)):
            await open_workspace(home)
            accounts = await link(home, 1)
        async with running(*(sessions(home) if role == "core" else core(home))):
            async with victim.process(role, crashpoint) as process:
                job = await submit(home, accounts, PEOPLE, texts=PARTS, make=with_pauses)
                await victim.dies(process)
            async with victim.process(role):
                await until(lambda: status_is(home, job.job_id, Status.COMPLETED), 40)
        await check(home, job, doubted, lost=0)


def with_pauses(refs: Sequence[Ref]) -> Sequence[Part]:
    return [TextPart(ref, delay=1 if number else 0) for number, ref in enumerate(refs)]


async def test_an_open_intent_whose_queue_message_is_lost_too_becomes_unknown(victim: Victim) -> None:
    async with house(victim.database_url, victim.nats_url, victim.data) as home, running(*core(home)):
        await open_workspace(home)
        async with running(*sessions(home)):
            accounts = await link(home, 1)
        async with victim.process("sessions", "after_intent:6") as process:
            job = await submit(home, accounts, PEOPLE, texts=PARTS)
            await victim.dies(process)
        await home.bus.js.purge_stream("SENDS")
        async with victim.process("sessions"):
            await until(lambda: over(home, job.job_id), 30)
        await check(home, job, doubted=1, lost=1)


async def test_the_check_notices_a_wire_that_was_doubled(victim: Victim) -> None:
    async with (
        house(victim.database_url, victim.nats_url, victim.data) as home,
        running(*core(home), *sessions(home)),
    ):
        await open_workspace(home)
        home.world.faults.arm("wire_doubled", PEOPLE[3], times=1)
        job = await submit(home, await link(home, 1), PEOPLE, texts=PARTS)
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED), 30)
        with pytest.raises(AssertionError):
            await check(home, job, doubted=0, lost=0)


AROUND_A_STEP = [pytest.param(name, marks=pytest.mark.long) for name in ("before_queue:2", "before_fire")]


@pytest.mark.parametrize(
    "crashpoint",
    [
        "after_grant:2",
        *(pytest.param(step, marks=pytest.mark.long) for step in ("after_queue:2", "after_react:20", "after_fire")),
        *AROUND_A_STEP,
    ],
)
async def test_a_core_killed_at_any_step_sends_nothing_twice_and_loses_nothing(victim: Victim, crashpoint: str) -> None:
    async with house(victim.database_url, victim.nats_url, victim.data) as home, running(*sessions(home)):
        async with running(*core(home)):
            await open_workspace(home, messages=10, seconds=1)
            accounts = await link(home, 1)
        async with victim.process("core", crashpoint) as process:
            job = await submit(home, accounts, PEOPLE, texts=PARTS)
            await victim.dies(process)
        async with victim.process("core"):
            await until(lambda: status_is(home, job.job_id, Status.COMPLETED), 30)
        await check(home, job, doubted=0, lost=0)
