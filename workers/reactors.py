"""Reactors: tail the log, count deliveries, and turn what happened into decisions that are due."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from adapters import metrics
from adapters.cancellation import heed_cancellation
from adapters.event_store import EventStore
from adapters.heartbeats import beat
from adapters.leader import Leader
from adapters.log_signal import LogSignal
from adapters.log_tail import without_last_decision
from adapters.progress import Changes, Progress, Send, SentMessage, State, SubmittedJob
from adapters.sends import ACCOUNTS, WORK, Sends
from adapters.timers import Timer
from domain import account, job, submission
from domain.message import Event, Recorded, derive
from domain.reactors import doubtful_step, start_what_was_approved, terminal_step
from domain.send import DeliverySkipped, SendConfirmed, SendIntended
from workers.crashpoints import crashpoint
from workers.leading import while_leading
from workers.timers import Timers

PAGE = 500
QUIET = 5.0  # seconds after which the log is looked at without a signal

# A job's status follows from its latest event; the fold of the domain says the same.
STATUS: Mapping[type[Event], job.Status] = {
    job.JobApproved: job.Status.APPROVED,
    job.JobScheduled: job.Status.SCHEDULED,
    job.JobRejected: job.Status.REJECTED,
    job.JobStarted: job.Status.RUNNING,
    job.JobPaused: job.Status.PAUSED,
    job.JobResumed: job.Status.RUNNING,
    job.JobStopped: job.Status.STOPPED,
    job.JobCompleted: job.Status.COMPLETED,
}
# After these the dispatcher may have something to do (what it granted itself it knows).
FOR_DISPATCH = (job.JobStarted, job.JobResumed, account.AccountReady, account.AccountResumed)


class Reactors:
    """Moves the reactors' tables on with the log, then fires what became due; a crash between loses nothing."""

    def __init__(
        self,
        store: EventStore,
        progress: Progress,
        timers: Timers,
        signal: LogSignal,
        sends: Sends,
        leader: Leader,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._progress = progress
        self._timers = timers
        self._signal = signal
        self._sends = sends
        self._leader = leader
        self._clock = clock

    async def run(self) -> None:
        """Tail the log until cancelled, whenever this process leads."""
        await while_leading(self._leader, self._lead)

    async def _lead(self) -> None:
        await self._timers.fire()  # what a crash left due
        while True:
            heed_cancellation()
            beat("reactors")
            await self._leader.check()
            seen = self._signal.count
            if not await self.step():
                await self._signal.wait(QUIET, seen)

    async def step(self) -> bool:
        """Take in one page; False when there was nothing new."""
        before = await self._progress.position()
        page = whole(await self._store.tail(before, PAGE), PAGE)
        if not page:
            return False
        known = await self._progress.sends(deliveries_in(page))
        changes = fold(page, known)
        if not await self._progress.move(before, page[-1].position, changes, self._clock()):
            return True
        metrics.READ.labels("reactors").inc(len(page))
        crashpoint("after_react")
        if changes.timers or changes.counts:
            await self._timers.fire()
        if any(isinstance(recorded.event, FOR_DISPATCH) for recorded in page):
            await self._sends.nudge(WORK)
        if changes.accounts:
            await self._sends.nudge(ACCOUNTS)
        return True


def whole(page: list[Recorded], limit: int) -> list[Recorded]:
    """A page without a last decision that the limit may have cut in two (what it means depends on all its events)."""
    return page if len(page) < limit else without_last_decision(page)


def deliveries_in(page: Sequence[Recorded]) -> set[UUID]:
    """The deliveries that a page tells of."""
    named = (recorded.stream.partition("-") for recorded in page)
    return {UUID(name) for kind, _, name in named if kind == "delivery"}


def fold(page: Sequence[Recorded], known: Mapping[UUID, Send]) -> Changes:
    """What a page comes to, given the deliveries as they were before it."""
    changes = Changes()
    for _, group in itertools.groupby(page, key=lambda recorded: (recorded.stream, recorded.envelope.causation)):
        decision = list(group)
        kind, _, name = decision[0].stream.partition("-")
        match kind:
            case "job":
                fold_job(UUID(name), decision, changes)
            case "delivery":
                fold_delivery(UUID(name), decision, known, changes)
            case "account":
                for recorded in decision:
                    if isinstance(recorded.event, account.AccountRegistered):
                        changes.accounts.append((UUID(name), recorded.envelope.workspace, recorded.position))
    return changes


def fold_job(job_id: UUID, decision: Sequence[Recorded], changes: Changes) -> None:
    """A job's own events: its status, its start."""
    for recorded in decision:
        event, workspace = recorded.event, recorded.envelope.workspace
        if isinstance(event, submission.JobSubmitted):
            submitted = SubmittedJob(
                job_id, workspace, event.audience, event.accounts, len(event.parts), event.recipients
            )
            changes.jobs.append(submitted)
        if isinstance(event, job.JobScheduled):
            at_version = derive("timer", recorded.stream, recorded.version)
            changes.timers.append(Timer(at_version, workspace, job_id, "start", event.start_at))
        if type(event) in STATUS:
            changes.statuses[job_id] = STATUS[type(event)]
    last = decision[-1]
    for _ in start_what_was_approved(job_id, [recorded.event for recorded in decision]):
        now = derive("timer", last.stream, last.version)
        changes.timers.append(Timer(now, last.envelope.workspace, job_id, "start", last.envelope.time))


def fold_delivery(
    delivery_id: UUID, decision: Sequence[Recorded], known: Mapping[UUID, Send], changes: Changes
) -> None:
    """A delivery's events: where it stands, and what that adds to its job's counts."""
    for recorded in decision:
        before = changes.sends.get(delivery_id) or known.get(delivery_id)
        after = step(delivery_id, before, recorded.event)
        if after is None:
            continue
        if isinstance(recorded.event, SendIntended):
            message = SentMessage(recorded.event.wa_id, delivery_id, recorded.event.part, recorded.envelope.workspace)
            changes.messages.append(message)
        changes.sends[delivery_id] = after
        terminal, unknown = changes.counts.get(after.job_id, (0, 0))
        changes.counts[after.job_id] = (
            terminal + (after.state == "terminal") - (before is not None and before.state == "terminal"),
            unknown + (after.state == "unknown") - (before is not None and before.state == "unknown"),
        )


def step(delivery_id: UUID, before: Send | None, event: Event) -> Send | None:
    """A delivery's row after an event; None when the event does not move it."""
    match event:
        case SendIntended() | DeliverySkipped():
            fence = event.fence if isinstance(event, SendIntended) else 0
            state: State = "terminal" if terminal_step(event) else "intended"
            return Send(
                delivery_id, event.job_id, event.ordinal, event.account_id, event.recipient_id, event.part, fence, state
            )
        case _ if before is None:
            return None  # its beginning lies in no log that we know
        case SendConfirmed(part=part, final=False):
            return replace(before, state="between", part=part + 1)
        case _ if terminal_step(event):
            return replace(before, state="terminal")
        case _ if doubtful_step(event):
            return replace(before, state="unknown")
    return None
