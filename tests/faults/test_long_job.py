"""A long job on many accounts: paused, resumed, its session worker killed, its queue wiped. Everybody gets it once."""

import logging
import signal
import time
from collections import Counter
from pathlib import Path
from uuid import UUID

import phonenumbers
import pytest

from adapters.streams import SENDS
from domain.job import JobPaused, JobResumed, PauseJob, ResumeJob, Status, StopJob
from domain.message import Recorded
from domain.send import Finding, ResolveUnknown, SendIntended, SendUnknown
from tests.faults.test_crashes import Victim, over
from tests.workers.sending_house import House, core, house, running, sessions, until
from tests.workers.sending_steps import link, open_workspace, status_is, submit

log = logging.getLogger(__name__)


def people(count: int) -> list[str]:
    """Numbers kept for fiction: a hundred in each area."""
    areas = (f"+1{area}5550" for area in range(201, 990))
    known = [area for area in areas if phonenumbers.is_valid_number(phonenumbers.parse(f"{area}100"))]
    return [f"{area}{line}" for area in known for line in range(100, 200)][:count]


async def begun(home: House, job_id: UUID, at_least: int) -> bool:
    rows = await home.rows("SELECT terminal FROM job_progress WHERE job_id = %s", job_id)
    return bool(rows) and rows[0][0] >= at_least


async def hold(home: House, command: PauseJob | StopJob) -> None:
    """Pause or stop a job: within a second the wire is quiet, and stays so until its queue is worked off at least."""
    asked = time.time()
    await home.give(command)
    answered = time.time()

    async def worked_off() -> bool:
        return not await home.sends.waiting() and time.time() > answered + 1.5

    await until(worked_off)
    last = max(entry.at for entry in home.wire())
    figures = type(command).__name__, (answered - asked) * 1000, (last - asked) * 1000
    log.warning("%s: answered after %.0f ms, the last message left %.0f ms after the asking", *figures)
    assert last < answered + 1.0


def of(kind: type, log: list[Recorded]) -> list[Recorded]:
    return [one for one in log if isinstance(one.event, kind)]


@pytest.mark.parametrize(
    ("recipients", "accounts"),
    [pytest.param(600, 6, id="short"), pytest.param(10_000, 20, id="whole", marks=pytest.mark.long)],
)
async def test_whatever_happens_to_a_long_job_everybody_gets_its_message_once(
    database_url: str, nats_url: str, scratch: Path, recipients: int, accounts: int
) -> None:
    victim, numbers = Victim(database_url, nats_url, scratch), people(recipients)
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):
        await open_workspace(home)
        async with running(*sessions(home)):
            chosen = await link(home, accounts)
        home.used.clear()
        async with victim.process("sessions") as process:

            async def all_held() -> bool:
                return await home.rows("SELECT count(*) FROM leases WHERE pid = %s", process.pid) == [(accounts,)]

            await until(all_held)
            job = await submit(home, chosen, numbers)
            began = time.monotonic()
            await until(lambda: begun(home, job.job_id, recipients // 5), 100)
            await hold(home, PauseJob(job.job_id))
            assert not await over(home, job.job_id)
            await home.give(ResumeJob(job.job_id))
            await until(lambda: begun(home, job.job_id, recipients // 2), 100)
            process.send_signal(signal.SIGKILL)
            await home.bus.js.delete_stream(SENDS)
            await home.declare()
        async with running(*sessions(home)):
            await until(lambda: over(home, job.job_id), 200)
            took, events, wire = time.monotonic() - began, await home.events(), home.wire()
            reached, unknown = {entry.wa_id for entry in wire}, of(SendUnknown, events)
            log.warning("%d in %.1f s: %.0f a second; %d unknown", recipients, took, recipients / took, len(unknown))
            for one in unknown:
                assert isinstance(one.event, SendUnknown)
                if one.event.wa_id not in reached:  # else a look-up finds it
                    await home.give(ResolveUnknown(UUID(one.stream.removeprefix("delivery-")), Finding.NOT_SENT))
            await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
    times = Counter(entry.chat for entry in wire)
    assert set(times.values()) == {1}, "somebody got the message twice"
    assert len(set(numbers) - times.keys()) <= len(unknown) <= accounts, "somebody was left out without a word"
    (paused,), (resumed,) = of(JobPaused, events), of(JobResumed, events)
    assert not [one for one in of(SendIntended, events) if paused.position < one.position < resumed.position]


async def test_a_stop_acts_within_a_second_and_for_good(database_url: str, nats_url: str, scratch: Path) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        job = await submit(home, await link(home, 4), people(600))
        await until(lambda: begun(home, job.job_id, 50))
        await hold(home, StopJob(job.job_id))
        assert await status_is(home, job.job_id, Status.STOPPED)
        assert 50 <= len(home.wire()) < 600
