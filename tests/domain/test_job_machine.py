"""A job against a model of a dozen lines: whatever anybody does at any time, both say the same."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain import job, submission
from domain.account import AccountDegraded, AccountReady, Trouble
from domain.job import DECIDER, Status
from domain.lifecycle import Job
from domain.message import Actor, Command, Digest, Frozen
from domain.workspace import ModerationPolicySet
from tests.builders import (
    AUTHOR,
    CAMPAIGN,
    CAMPAIGN_CREATED,
    CAMPAIGN_STREAM,
    CREATED,
    DAY,
    EDITOR,
    JOB,
    JOB_STREAM,
    MODERATOR,
    NORTH,
    NORTH_STREAM,
    NOW,
    OPERATOR,
    READY,
    RULES_STREAM,
    SECOND_MODERATOR,
    SOUTH_STREAM,
    SYSTEM,
    a_digest,
    a_ref,
)
from tests.given import Given

REVIEWERS = st.sampled_from([MODERATOR, MODERATOR, SECOND_MODERATOR, EDITOR])
SELDOM = st.integers(0, 5).map(lambda number: number == 0)  # else most histories would be over before they began
WAITING = {"review", "changes", "approved"}


@dataclass
class Model:
    """What a person would note on paper: where the job stands, who is for it, when it starts and expires."""

    at: str = "review"  # review, changes, approved, running, paused, over
    flagged: bool = False
    by: set[str] = field(default_factory=set)
    authors: set[str] = field(default_factory=set)
    start: datetime | None = None
    expires: datetime = NOW
    deferred: datetime | None = None
    started: bool = False

    def shown(self, by: Actor, flagged: bool, start: datetime | None, expires: datetime) -> None:
        self.at, self.flagged, self.by, self.start, self.expires = "review", flagged, set(), start, expires
        self.authors.add(by.id)
        self.deferred = None


def start_at(hours: int | None, now: datetime) -> datetime | None:
    return now + timedelta(hours=hours) if hours else None


class JobMachine(RuleBasedStateMachine):
    """Submits one job, then lets anybody do anything, with time passing between."""

    @initialize(flagged=st.booleans(), hours=st.none() | st.integers(1, 60), by=st.sampled_from([AUTHOR, EDITOR]))
    def submit(self, flagged: bool, hours: int | None, by: Actor) -> None:
        self.now, self.ready, self.model, self.roots = NOW, False, Model(), 0
        policy = ModerationPolicySet(1, own_approval=False, flag_above=3)
        self.world = (
            Given()
            .on(RULES_STREAM, CREATED, policy)
            .on(CAMPAIGN_STREAM, CAMPAIGN_CREATED)
            .on(NORTH_STREAM, *READY, AccountDegraded(Trouble.CRASHED))
            .on(SOUTH_STREAM, *READY[:2])
        )
        self.freeze(flagged)
        start = self.now + timedelta(hours=hours) if hours else None
        assert self.give(submission.SubmitJob(JOB, CAMPAIGN, (NORTH,), start), by)
        self.model.shown(by, flagged, start, start + DAY if start else self.now + 30 * DAY)

    def freeze(self, flagged: bool) -> None:
        """Each look at the people finds them otherwise."""
        self.roots += 1
        self.world = self.world.vault(frozen=Frozen(a_digest(f"root {self.roots}"), 4 if flagged else 3))

    def give(self, command: Command, by: Actor) -> bool:
        """Whether something happened."""
        outcome = self.world.when(command, by=by, at=self.now)
        self.world = outcome.after
        return bool(outcome.events)

    @property
    def job(self) -> Job:
        state: Job = self.world.state(JOB_STREAM)
        return state

    @property
    def seen(self) -> Digest:
        assert self.job.review_hash is not None
        return self.job.review_hash

    @property
    def room(self) -> bool:
        """Far from the limit of events, whose refusals have tests of their own."""
        return self.job.version < 15

    @property
    def in_time(self) -> bool:
        return self.model.at not in WAITING or self.now < self.model.expires

    @rule(hours=st.integers(1, 9))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @precondition(lambda self: self.model.at in WAITING)
    @rule(seldom=SELDOM)
    def wait_until_it_expires(self, seldom: bool) -> None:
        self.now = max(self.now, self.model.expires) if seldom else self.now

    @rule()
    def change_readiness(self) -> None:
        self.ready = not self.ready
        self.world = self.world.on(NORTH_STREAM, AccountReady() if self.ready else AccountDegraded(Trouble.CRASHED))

    @precondition(lambda self: self.room)
    @rule(by=REVIEWERS)
    def approve(self, by: Actor) -> None:
        may = self.model.at == "review" and self.in_time and by.id not in self.model.authors | self.model.by
        assert self.give(job.ApproveJob(JOB, self.seen), by) == may
        if may:
            self.model.by.add(by.id)
            if len(self.model.by) == (2 if self.model.flagged else 1):
                self.model.at = "approved"

    @precondition(lambda self: self.room)
    @rule(by=REVIEWERS)
    def withdraw(self, by: Actor) -> None:
        may = by.id in self.model.by and self.model.at in WAITING and self.in_time
        assert self.give(job.WithdrawApproval(JOB), by) == may
        if may:
            self.model.by.remove(by.id)
            self.model.deferred = None
            self.model.at = "review" if self.model.at == "approved" else self.model.at

    @precondition(lambda self: self.room)
    @rule(by=REVIEWERS)
    def request_changes(self, by: Actor) -> None:
        may = self.model.at == "review" and self.in_time and by.id not in self.model.authors
        assert self.give(job.RequestChanges(JOB, self.seen, a_ref("note")), by) == may
        self.model.at = "changes" if may else self.model.at

    @rule(by=REVIEWERS, seldom=SELDOM)
    def reject(self, by: Actor, seldom: bool) -> None:
        if not seldom:
            return
        may = self.model.at == "review" and self.in_time and by.id not in self.model.authors
        assert self.give(job.RejectJob(JOB, self.seen), by) == may
        self.model.at = "over" if may else self.model.at

    @precondition(lambda self: self.room)
    @rule(
        by=st.sampled_from([AUTHOR, EDITOR]),
        flagged=st.booleans(),
        hours=st.none() | st.integers(1, 60),
        accounts=st.sampled_from([None, (NORTH,)]),
        at_once=st.booleans(),
    )
    def revise(self, by: Actor, flagged: bool, hours: int | None, accounts: Any, at_once: bool) -> None:
        self.freeze(flagged)
        both = at_once and hours is not None
        may = self.model.at in WAITING | {"paused"} and self.in_time and not both
        start = start_at(hours, self.now)
        used_up, given_up = self.model.at == "paused", at_once and self.model.start is not None
        expires = start + DAY if start else self.model.expires
        if start is None and (used_up or given_up):
            expires = self.now + 30 * DAY
        elif start is None or start == self.model.start:
            start, expires = self.model.start, self.model.expires
        assert self.give(submission.ReviseJob(JOB, accounts, start_at(hours, self.now), at_once=at_once), by) == may
        if may:
            self.model.shown(by, flagged, start, expires)

    @rule(by=st.sampled_from([OPERATOR, SYSTEM]))
    def start(self, by: Actor) -> None:
        due = job.StartDueJob(JOB, self.job.due, (NORTH,))
        may = self.model.at == "approved" and self.in_time
        put_off = may and by is SYSTEM and not self.ready
        again = self.model.deferred is None or self.now >= self.model.deferred
        assert self.give(job.StartJob(JOB) if by is OPERATOR else due, by) == (may and (again or not put_off))
        if put_off and again:
            self.model.deferred = self.job.deferred_until
        elif may and not put_off:
            self.model.at, self.model.deferred, self.model.started = "running", None, True

    @precondition(lambda self: self.model.at == "review" and self.room and self.in_time)
    @rule()
    def let_it_run(self) -> None:
        for by in (MODERATOR, SECOND_MODERATOR):
            self.approve(by)
        self.start(OPERATOR)

    @rule(version=st.integers(1, 12), by=st.just(SYSTEM))
    def start_by_an_old_timer(self, version: int, by: Actor) -> None:
        if version != self.job.due:
            assert not self.give(job.StartDueJob(JOB, version, (NORTH,)), by)

    @rule()
    def hold(self) -> None:
        assert self.give(job.PauseJob(JOB), OPERATOR) == (self.model.at == "running")
        self.model.at = "paused" if self.model.at == "running" else self.model.at

    @precondition(lambda self: self.room)
    @rule()
    def go_on(self) -> None:
        assert self.give(job.ResumeJob(JOB), OPERATOR) == (self.model.at == "paused")
        self.model.at = "running" if self.model.at == "paused" else self.model.at

    @rule(seldom=SELDOM)
    def stop(self, seldom: bool) -> None:
        if not seldom:
            return
        may = self.model.at != "over" and self.in_time
        assert self.give(job.StopJob(JOB), OPERATOR) == may
        self.model.at = "over" if may else self.model.at

    @rule(terminal=st.integers(0, 9))
    def complete(self, terminal: int) -> None:
        may = self.model.at in ("running", "paused") and terminal == self.job.recipients
        assert self.give(job.CompleteJob(JOB, terminal), SYSTEM) == may
        self.model.at = "over" if may else self.model.at

    @rule()
    def expire(self) -> None:
        may = self.model.at in WAITING and not self.in_time
        assert self.give(job.ExpireJob(JOB, self.job.expiry), SYSTEM) == may
        self.model.at = "over" if may else self.model.at

    @invariant()
    def both_say_the_same(self) -> None:
        state, model = self.job, self.model
        assert model.at == {
            Status.SUBMITTED: "review",
            Status.FLAGGED: "review",
            Status.CHANGES_REQUESTED: "changes",
            Status.APPROVED: "approved",
            Status.SCHEDULED: "approved",
            Status.RUNNING: "running",
            Status.PAUSED: "paused",
        }.get(state.status, "over")
        assert (set(state.approvals), set(state.authors)) == (model.by, model.authors)
        assert (state.start_at, state.expires_at) == (model.start, model.expires)
        assert (bool(state.flags), state.deferred_until, state.started) == (
            model.flagged,
            model.deferred,
            model.started,
        )

    @invariant()
    def a_replay_leads_to_the_same_state(self) -> None:
        events = self.world.history[JOB_STREAM]
        state = DECIDER.initial
        for event in events:
            state = DECIDER.evolve(state, event)
        assert state == self.job
        assert state.version == len(events) <= 49


JobMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
test_a_job_does_what_the_paper_says = JobMachine.TestCase
