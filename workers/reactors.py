"""Reactors: tail the log, count deliveries, and turn what happened into decisions that are due."""

import functools
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from adapters import metrics
from adapters.event_store import EventStore
from adapters.heartbeats import beat
from adapters.leader import Leader
from adapters.log_signal import LogSignal
from adapters.log_tail import without_last_decision
from adapters.progress import Changes, Progress, Send, SentMessage, State, SubmittedJob
from adapters.sends import ACCOUNTS, WORK, Sends
from adapters.timers import EVER, Timer
from domain import account, job, submission
from domain.message import Event, Recorded, derive
from domain.reactors import COMPLETE_WHEN_OVER, POINTLESS, REACTIONS, START_WHEN_READY, Due, Kind, Moment, Reaction
from domain.recipient import RecipientErased
from domain.send import DeliverySkipped, SendConfirmed, SendIntended, doubtful_step, next_part, terminal_step
from workers.crashpoints import crashpoint
from workers.leading import while_leading
from workers.timers import Timers

PAGE = 500
QUIET = 5.0  # seconds after which the log is looked at without a signal

log = logging.getLogger(__name__)

# A job's status follows from its latest event, but that of one whose approval was withdrawn; so says the domain's fold.
STATUS: Mapping[type[Event], job.Status] = {
    submission.JobRevised: job.Status.SUBMITTED,
    job.JobFlagged: job.Status.FLAGGED,
    job.JobChangesRequested: job.Status.CHANGES_REQUESTED,
    job.JobApproved: job.Status.APPROVED,
    job.JobScheduled: job.Status.SCHEDULED,
    job.JobRejected: job.Status.REJECTED,
    job.JobStarted: job.Status.RUNNING,
    job.JobPaused: job.Status.PAUSED,
    job.JobResumed: job.Status.RUNNING,
    job.JobStopped: job.Status.STOPPED,
    job.JobCompleted: job.Status.COMPLETED,
    job.JobExpired: job.Status.EXPIRED,
}
ON: Mapping[type[Event], Sequence[Reaction]] = {
    kind: [reaction for reaction in REACTIONS if kind in reaction.on] for one in REACTIONS for kind in one.on
}
STREAMS = ("job-", "delivery-", "account-")  # whose events are folded
UNKNOWN_AFTER = timedelta(days=1)
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
        unknown_after: timedelta = UNKNOWN_AFTER,
    ) -> None:
        self._store = store
        self._progress = progress
        self._timers = timers
        self._signal = signal
        self._sends = sends
        self._leader = leader
        self._clock = clock
        self._unknown_after = unknown_after

    async def run(self) -> None:
        """Tail the log until cancelled, whenever this process leads."""
        await while_leading(self._leader, self._lead)

    async def _lead(self) -> None:
        await self._timers.fire()  # what a crash left due
        while True:
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
        changes = fold(page, known, self._unknown_after)
        changes.statuses |= await self._after_voids(page)
        if not await self._progress.move(before, page[-1].position, changes, self._clock()):
            return True
        metrics.READ.labels("reactors").inc(len(page))
        tell_of_jobs(page)
        crashpoint("after_react")
        if changes.timers or changes.perhaps_over or changes.ready:
            await self._timers.fire()
        if any(isinstance(recorded.event, FOR_DISPATCH) for recorded in page):
            await self._sends.nudge(WORK)
        if changes.accounts or changes.removed or any(changes.leaving.values()):
            await self._sends.nudge(ACCOUNTS)
        return True

    async def _after_voids(self, page: Sequence[Recorded]) -> dict[UUID, str]:
        """The statuses of jobs that lost an approval: what they are now depends on what they were."""
        statuses: dict[UUID, str] = {}
        for stream in {one.stream for one in page if isinstance(one.event, job.JobApprovalVoided)}:
            told = await self._store.history(stream, max(one.version for one in page if one.stream == stream))
            after = functools.reduce(job.DECIDER.evolve, [one.event for one in told], job.DECIDER.initial)
            statuses[UUID(stream.partition("-")[2])] = after.status
        return statuses


def tell_of_jobs(page: Sequence[Recorded]) -> None:
    """Log what became of jobs."""
    for recorded in page:
        if (status := STATUS.get(type(recorded.event))) is not None:
            log.info("job %s", status, extra={"job_id": recorded.stream.partition("-")[2]})


def whole(page: list[Recorded], limit: int) -> list[Recorded]:
    """A page without a last decision that the limit may have cut in two (what it means depends on all its events)."""
    return page if len(page) < limit else without_last_decision(page)


def deliveries_in(page: Sequence[Recorded]) -> set[UUID]:
    """The deliveries that a page tells of."""
    return {UUID(one.stream.partition("-")[2]) for one in page if one.stream.startswith("delivery-")}


def fold(page: Sequence[Recorded], known: Mapping[UUID, Send], unknown_after: timedelta = UNKNOWN_AFTER) -> Changes:
    """What a page comes to, given the deliveries as they were before it."""
    changes = Changes()
    ours = [one for one in page if one.stream.startswith(STREAMS) or type(one.event) in ON]
    for _, group in itertools.groupby(ours, key=lambda recorded: (recorded.stream, recorded.envelope.causation)):
        decision = list(group)
        kind, _, name = decision[0].stream.partition("-")
        match kind:
            case "job":
                fold_job(UUID(name), decision, changes)
            case "delivery":
                fold_delivery(UUID(name), decision, known, changes)
            case "account":
                fold_account(UUID(name), decision, changes)
        react(decision, unknown_after, changes)
    erased = (one for one in page if type(one.event) is RecipientErased)
    changes.erased += [(UUID(one.stream.partition("-")[2]), one.envelope.workspace) for one in erased]
    return changes


def react(decision: Sequence[Recorded], unknown_after: timedelta, changes: Changes) -> None:
    """The decisions that follow from one decision's events, by the table of rules."""
    events = [recorded.event for recorded in decision]
    for recorded in decision:
        for reaction in ON.get(type(recorded.event), ()):
            subject = UUID(recorded.stream.partition("-")[2])
            if reaction is START_WHEN_READY:
                changes.ready.add(subject)
            elif reaction is COMPLETE_WHEN_OVER:
                changes.perhaps_over.add(getattr(recorded.event, "job_id", subject))
            elif reaction.due is not None:
                moment = Moment(recorded.envelope.time, events, unknown_after)
                if (due := reaction.due(recorded.event, moment)) is not None:
                    changes.timers.append(timer(subject, recorded, reaction, due))


def timer(subject: UUID, recorded: Recorded, reaction: Reaction, due: Due) -> Timer:
    """The timer that an event asks for: its id says which event, so it is the same whenever that is read."""
    return Timer(
        derive("timer", reaction.rule, recorded.stream, recorded.version),
        recorded.envelope.workspace,
        reaction.kind,
        subject,
        recorded.version if due.serves is None else due.serves,
        due.at,
        due.local.isoformat() if due.local else None,
        due.zone,
    )


def fold_job(job_id: UUID, decision: Sequence[Recorded], changes: Changes) -> None:
    """A job's own events: what it is to send, its status, and which of its timers have no point any more."""
    for recorded in decision:
        event, workspace = recorded.event, recorded.envelope.workspace
        if isinstance(event, submission.JobSubmitted | submission.JobRevised):
            pace = (event.messages, event.seconds)
            submitted = SubmittedJob(
                job_id, workspace, event.audience, event.accounts, len(event.parts), event.recipients, *pace
            )
            changes.jobs.append(submitted)
        for kind in POINTLESS.get(type(event), ()):
            changes.pointless.append((job_id, kind, EVER if kind is Kind.COMPLETE else recorded.version))
        if type(event) in STATUS:
            changes.statuses[job_id] = STATUS[type(event)]


def fold_account(account_id: UUID, decision: Sequence[Recorded], changes: Changes) -> None:
    """An account's events: whether it wants a session, and for what."""
    for recorded in decision:
        match recorded.event:
            case account.AccountRegistered():
                changes.accounts.append((account_id, recorded.envelope.workspace, recorded.position))
            case account.AccountRemoved():
                changes.removed.append(account_id)
            case account.AccountLogOutAsked():
                changes.leaving[account_id] = True
            case account.AccountUnlinked():
                changes.leaving[account_id] = False


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
        if before is not None and before.state == "unknown" and after.state == "terminal":
            changes.pointless.append((delivery_id, Kind.GIVE_UP, EVER))
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
        case _ if terminal_step(event):
            return replace(before, state="terminal")
        case _ if (part := next_part(event)) is not None:
            not_before = event.not_before if isinstance(event, SendConfirmed) else None
            return replace(before, state="between", part=part, not_before=not_before)
        case _ if doubtful_step(event):
            return replace(before, state="unknown")
    return None
