"""The dispatcher: queues the next few sends of running jobs, an account at a time, and only under permits."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from adapters import tracing
from adapters.audiences import Audiences
from adapters.cursors import Cursor, Cursors, RunningJob
from adapters.event_store import EventStore, Lease, Loaded
from adapters.heartbeats import beat
from adapters.leader import Leader
from adapters.leases import Leases
from adapters.runtime.disk import Disk
from adapters.sends import WORK, Sends
from adapters.streams import SENDS
from domain import account as accounts
from domain import allowance as allowances
from domain import delivery as deliveries
from domain import job as jobs
from domain import quota
from domain import workspace as ws
from domain.allowance import Allowance, AllowanceGranted, GrantAllowance
from domain.content import at_once
from domain.message import Actor, PrincipalId, Role, StreamId, WorkspaceId, derive
from domain.send import delivery_id
from domain.steady import Steady
from domain.workspace import Workspace
from workers.batches import Batch
from workers.crashpoints import crashpoint
from workers.decisions import Decisions, Request
from workers.leading import while_leading

CHUNK = 200  # recipients looked at in one round trip
MOST = 100  # recipients in one queue message
LOOK_AGAIN = 1.0  # seconds: while jobs run; a nudge comes earlier
IDLE = 5.0
SOON = 0.05  # after a grant that was a moment too early


Turn = tuple[UUID, UUID, int, int]  # an account, a job, and the job's pace: a revised one holds from now on


@dataclass(frozen=True, slots=True)
class Work:
    """What a job has to send from an account: the next recipients, and the cursor that says so."""

    job: RunningJob
    ordinals: Sequence[int]
    cursor: Cursor


class Dispatch:
    """Queues a message on `send.<account>` when nothing of the account is queued or in flight, and permits are left.

    What is to be sent next is found from the frozen audience and the deliveries themselves, so a queue message that
    was lost, refused or acknowledged without acting is queued again by the same look.
    """

    def __init__(
        self,
        store: EventStore,
        decisions: Decisions,
        cursors: Cursors,
        audiences: Audiences,
        leases: Leases,
        sends: Sends,
        leader: Leader,
        clock: Callable[[], datetime],
        disk: Disk | None = None,
        steady: Callable[[], Steady] | None = None,
    ) -> None:
        """`steady`: what is known of the host's clock; without it, it is believed."""
        self._store = store
        self._decisions = decisions
        self._cursors = cursors
        self._audiences = audiences
        self._leases = leases
        self._sends = sends
        self._leader = leader
        self._clock = clock
        self._disk = disk or Disk()
        self._steady = steady
        self._nudged = asyncio.Event()
        self._served: dict[UUID, int] = {}  # account -> the number of the job whose turn was last
        self._not_before: dict[Turn, datetime] = {}  # when a job's own pace lets it go on

    async def run(self) -> None:
        """Dispatch until cancelled, whenever this process leads."""
        await while_leading(self._leader, self._lead)

    async def _lead(self) -> None:
        async with self._sends.nudges(WORK, self._nudged.set):
            while True:
                beat("dispatch")
                await self._leader.check()
                self._nudged.clear()
                pause = await self.tick()
                try:
                    async with asyncio.timeout(pause):
                        await self._nudged.wait()
                except TimeoutError:
                    continue

    async def tick(self) -> float:
        """Queue what may be queued now; seconds until more may be, unless a nudge tells earlier."""
        now = self._clock()
        if self._steady and not self._steady().settled:
            self._not_before.clear()  # by another clock
            return IDLE
        self._not_before = {turn: at for turn, at in self._not_before.items() if now < at}
        running = await self._running()
        if not running or self._disk.full:  # what is queued is sent; its outcomes are what the reserve is for
            return IDLE
        busy = await self._sends.waiting()
        free = sorted({account for job in running for account in job.accounts} - busy)
        loaded = await self._store.load([accounts.DECIDER.stream(account) for account in free])
        permits = await self._leases.permits(free)
        rules = await self._rules(running)
        async with asyncio.TaskGroup() as group:
            turns = [
                group.create_task(self._serve(account, state, permits.get(account, 0), running, rules[state.workspace]))
                for account in free
                if (state := loaded.get(accounts.DECIDER.stream(account))) and state.workspace in rules
            ]
        return min([LOOK_AGAIN, *(pause for turn in turns if (pause := turn.result()) is not None)])

    async def _running(self) -> Sequence[RunningJob]:
        """The running jobs: the reactors' list may lag behind a pause, so the log has the last word."""
        listed = await self._cursors.running()
        loaded = await self._store.load([jobs.DECIDER.stream(job.job_id) for job in listed]) if listed else {}
        found = []
        for job in listed:
            one = loaded.get(jobs.DECIDER.stream(job.job_id))
            if one is not None and one.state.status is jobs.Status.RUNNING:
                now = one.state  # revised while it was paused, it may have other people's rows, accounts and pace
                pace = {"messages": now.pace.messages, "seconds": now.pace.seconds}
                parts = at_once(now.parts)
                found.append(replace(job, audience=now.audience, accounts=now.accounts, parts=parts, **pace))
        return found

    async def _rules(self, running: Sequence[RunningJob]) -> dict[WorkspaceId | None, Workspace]:
        """The rules of the workspaces that have running jobs."""
        streams = {job.workspace: ws.stream(job.workspace) for job in running}
        loaded = await self._store.load(list(streams.values()))
        return {workspace: one.state for workspace, stream in streams.items() if (one := loaded.get(stream))}

    async def _serve(
        self, account_id: UUID, loaded: Loaded, permits: int, running: Sequence[RunningJob], rules: Workspace
    ) -> float | None:
        """Queue an account's next message; seconds until its turn comes again, or None: a nudge will tell."""
        now, account = self._clock(), loaded.state
        if not account.may_send:
            return None
        allowance, jumped = account.allowance, self._steady().since if self._steady else None
        block = allowance.block if permits and lives(allowance, now) else None
        if block is None and (pause := allowances.wait(allowance, rules, permits, now, jumped)):
            return pause.total_seconds()
        work = await self._next(account_id, running, rules)
        if work is None:
            return None
        if block is None:
            granted = await self._grant(account_id, loaded.version, permits, work.job)
            if granted is None:
                return SOON
            block, permits = granted.block, granted.permits
        job, ordinals = work.job, work.ordinals
        slower = job.slower_than(rules)
        if slower:
            permits = min(permits, quota.block_size(job.messages, job.seconds))
        ordinals = ordinals[: max(permits // job.parts, 1)]
        if slower:
            lasts = quota.lasts(len(ordinals) * job.parts, job.messages, job.seconds)
            self._not_before[turn(account_id, job)] = now + lasts
        await self._queue(account_id, replace(work, ordinals=ordinals), block)
        return None

    async def _grant(self, account_id: UUID, version: int, left: int, job: RunningJob) -> AllowanceGranted | None:
        """The account's next allowance, or None when it may not have it yet."""
        actor = Actor(PrincipalId("system-dispatch"), job.workspace, frozenset({Role.SYSTEM}))
        attempt = derive("grant", account_id, version)
        outcome = await self._decisions.one(
            Request(GrantAllowance(account_id, left), actor, attempt, lease=Lease(account_id))
        )
        crashpoint("after_grant")
        return next((event for event in outcome.events if isinstance(event, AllowanceGranted)), None)

    async def _queue(self, account_id: UUID, work: Work, block: UUID) -> None:
        """Queue a message under an id of its own, which a repeat after a crash has again."""
        job, cursor = work.job, work.cursor
        crashpoint("before_queue")
        message = derive("queue", job.job_id, job.audience, account_id, cursor.queued)
        body = Batch(job.job_id, account_id, block, work.ordinals).body()
        trace = await self._decisions.trace_of(jobs.DECIDER.stream(job.job_id))
        with tracing.span("publish SENDS", tracing.PRODUCER, tracing.messaging("publish", SENDS), trace):
            await self._sends.queue(account_id, message, body, tracing.traceparent())
        crashpoint("after_queue")
        await self._cursors.put(job, account_id, replace(cursor, queued=cursor.queued + 1))
        self._served[account_id] = job.number

    async def _next(self, account_id: UUID, running: Sequence[RunningJob], rules: Workspace) -> Work | None:
        """The next recipients of an account: jobs take turns, each no faster than its own pace."""
        now = self._clock()
        mine = [
            job
            for job in running
            if account_id in job.accounts
            and not (job.slower_than(rules) and now < self._not_before.get(turn(account_id, job), now))
        ]
        last = self._served.get(account_id)
        later = [job for job in mine if last is None or job.number > last]
        for job in [*later, *(job for job in mine if job not in later)]:
            work = await self._look(job, account_id)
            if work.ordinals:
                return work
        return None

    async def _look(self, job: RunningJob, account_id: UUID) -> Work:
        """A job's next recipients on an account; moves the cursor past those that have their delivery."""
        cursor = await self._cursors.read(job, account_id)
        behind = await self._cursors.between(job, account_id, cursor.ordinal, self._clock(), MOST)
        found = await self._open(behind)
        while True:
            rows = await self._audiences.rows(job.audience, account_id, cursor.ordinal + 1, CHUNK)
            ahead = await self._open({row.ordinal: delivery_id(job.job_id, row.recipient_id) for row in rows})
            passed = ahead[0] - 1 if ahead else rows[-1].ordinal if rows else cursor.ordinal
            if passed > cursor.ordinal:
                cursor = replace(cursor, ordinal=passed)
                await self._cursors.put(job, account_id, cursor)
            if ahead or len(rows) < CHUNK:
                return Work(job, [*found, *ahead][:MOST], cursor)

    async def _open(self, candidates: Mapping[int, UUID]) -> list[int]:
        """Those of these deliveries that a next part may be sent for, as the log says now."""
        streams: dict[int, StreamId] = {o: deliveries.DECIDER.stream(delivery) for o, delivery in candidates.items()}
        loaded = await self._store.load(list(streams.values())) if streams else {}
        return [
            ordinal
            for ordinal, stream in sorted(streams.items())
            if (one := loaded.get(stream)) is None or not one.version or one.state.may_go_on(self._clock())
        ]


def lives(allowance: Allowance, now: datetime) -> bool:
    """Whether sends may still be begun in the last block."""
    return allowance.until is not None and now < allowance.until and not allowances.ahead(allowance, now)


def turn(account: UUID, job: RunningJob) -> Turn:
    """What an own pace is kept for."""
    return account, job.job_id, job.messages, job.seconds
