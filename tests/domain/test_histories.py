"""What holds for every history: folding never fails, deciding answers or refuses, and nothing is done twice."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import account, allowance, campaign, catalog, delivery, job, recipient, send, submission, workspace
from domain.audience import ImportAudience
from domain.message import Actor, Command, Event
from domain.send import terminal_step
from tests.builders import (
    ADMIN,
    ANA,
    AUDIENCE,
    AUTHOR,
    BYE,
    CAMPAIGN,
    DAY,
    DELIVERY,
    DELIVERY_STREAM,
    EDITOR,
    FROZEN,
    HELLO,
    IMPORTED,
    JOB,
    JOB_STREAM,
    MODERATOR,
    NORTH,
    NOW,
    SECOND,
    SOUTH,
    SYSTEM,
    TITLE,
    a_digest,
    a_ref,
)
from tests.given import Given

ANY_EVENT = st.one_of([st.builds(kind) for kind in catalog.EVENTS.values()])


@pytest.mark.parametrize("aggregate", catalog.DECIDERS)
@given(events=st.lists(ANY_EVENT, max_size=12))
def test_a_fold_never_fails_whatever_the_events_and_their_order(aggregate: str, events: list[Event]) -> None:
    decider = catalog.DECIDERS[aggregate]
    state = decider.initial
    for event in events:
        after = decider.evolve(state, event)
        assert type(after) is type(decider.initial)
        assert decider.evolve(state, event) == after
        if not catalog.EVENT_NAMES[type(event)].startswith(f"{aggregate}."):
            assert after == state  # another aggregate's event says nothing here
        state = after


# --- a small world in which anybody gives any command at any time ----------------------------------------------------

PARTS = st.sampled_from([0, 1, 2])


def shown(given: Given) -> Any:
    return given.state(JOB_STREAM).review_hash or a_digest("nothing was shown")


CREATE = workspace.CreateWorkspace()
REGISTER = account.RegisterAccount(NORTH, a_ref("label"))
IMPORT = ImportAudience(AUDIENCE, IMPORTED.title, IMPORTED.count, IMPORTED.rejected, IMPORTED.merged, IMPORTED.digest)
CONSENT = recipient.RecordConsent(ANA, recipient.ConsentSource.PAPER, NOW)
CAMPAIGN_BEGUN = campaign.CreateCampaign(CAMPAIGN, TITLE, (HELLO, BYE), AUDIENCE)
SUBMIT = submission.SubmitJob(JOB, CAMPAIGN, (NORTH,))
REVISE = submission.ReviseJob(JOB, (NORTH,))
START = job.StartJob(JOB)
READY, GRANT, COMPLETE = account.ReportReady(NORTH), allowance.GrantAllowance(NORTH), job.CompleteJob(JOB, 3)

OUTSIDE: list[Command] = [
    CREATE,
    workspace.SetModerationPolicy(1, own_approval=True),
    workspace.SetModerationPolicy(2, own_approval=False),
    workspace.SetModerationPolicy(1, own_approval=True, flag_above=2, flagged_approvals=2),
    workspace.SetSendingPolicy(5, 60),
    workspace.SetSendingPolicy(5, 60, per_minute=2),
    REGISTER,
    account.PauseAccount(NORTH),
    account.ResumeAccount(NORTH),
    account.RemoveAccount(NORTH),
    IMPORT,
    CONSENT,
    recipient.RecordConsent(ANA, recipient.ConsentSource.IMPORT, NOW),
    recipient.OptOut(ANA),
    CAMPAIGN_BEGUN,
    campaign.ReviseCampaign(CAMPAIGN, TITLE, (HELLO,), AUDIENCE),
    campaign.ArchiveCampaign(CAMPAIGN),
    SUBMIT,
    submission.SubmitJob(JOB, CAMPAIGN, (NORTH, SOUTH), NOW + DAY),
    REVISE,
    submission.ReviseJob(JOB, (NORTH,), NOW + 2 * DAY, pace=submission.Pace(1, 600)),
    submission.ReviseJob(JOB, (NORTH,), campaign=submission.CampaignVersion(CAMPAIGN, 2)),
    job.WithdrawApproval(JOB),
    START,
    job.PauseJob(JOB),
    job.ResumeJob(JOB),
    job.StopJob(JOB),
]
INSIDE: list[Command] = [account.ReportLinked(NORTH), READY, GRANT, COMPLETE, job.ExpireJob(JOB, 1)]


@dataclass(frozen=True)
class Step:
    """Somebody does something, so many seconds later."""

    command: Command | type[job.ApproveJob] | type[job.RejectJob] | type[job.RequestChanges]
    by: Actor
    seconds: int

    def on(self, given: Given) -> Command:
        """The command; an answer to a job is one to what was shown."""
        if not isinstance(self.command, type):
            return self.command
        if issubclass(self.command, job.RequestChanges):
            return self.command(JOB, shown(given), a_ref("note"))
        return self.command(JOB, shown(given))


INTENT = st.builds(send.IntendSend, *map(st.just, (DELIVERY, JOB, ANA, NORTH, 1)), PARTS, st.just(7))
COMMANDS = st.one_of(
    st.sampled_from(OUTSIDE),
    st.sampled_from(INSIDE),
    st.sampled_from([job.ApproveJob, job.ApproveJob, job.RequestChanges, job.RejectJob]),
    st.builds(job.StartDueJob, st.just(JOB), st.integers(1, 9), st.just((NORTH,))),
    st.builds(account.ReportTrouble, st.just(NORTH), st.sampled_from(account.Trouble)),
    INTENT,
    st.builds(send.ConfirmSend, st.just(DELIVERY), PARTS),
    st.builds(send.RejectSend, st.just(DELIVERY), PARTS, st.sampled_from(send.Rejection)),
    st.builds(send.DoubtSend, st.just(DELIVERY), PARTS, st.sampled_from(send.Doubt)),
    st.builds(send.ResolveUnknown, st.just(DELIVERY), st.sampled_from(send.Finding), st.one_of(st.none(), PARTS)),
    st.builds(send.GiveUpSend, st.just(DELIVERY), PARTS),
    st.builds(send.ReportReceipt, st.just(DELIVERY), PARTS, st.sampled_from(send.Receipt)),
)
STEPS = st.builds(Step, COMMANDS, st.sampled_from([ADMIN, AUTHOR, EDITOR, MODERATOR, SYSTEM]), st.integers(0, 90))

# The way a job usually goes: histories begin somewhere on it, so that most commands meet a state they can change.
USUAL = [
    Step(CREATE, ADMIN, 0),
    Step(IMPORT, AUTHOR, 0),
    Step(CAMPAIGN_BEGUN, AUTHOR, 0),
    Step(REGISTER, ADMIN, 0),
    Step(READY, SYSTEM, 0),
    Step(CONSENT, AUTHOR, 0),
    Step(SUBMIT, AUTHOR, 0),
    Step(job.ApproveJob, MODERATOR, 0),
    Step(START, SYSTEM, 0),
    Step(GRANT, SYSTEM, 0),
    Step(send.IntendSend(DELIVERY, JOB, ANA, NORTH, 1, 0, 7), SYSTEM, 0),
    Step(send.ConfirmSend(DELIVERY, 0), SYSTEM, 0),
    Step(send.IntendSend(DELIVERY, JOB, ANA, NORTH, 1, 1, 7), SYSTEM, 0),
]
HISTORIES = st.builds(
    lambda length, steps: USUAL[:length] + steps, st.integers(0, len(USUAL)), st.lists(STEPS, max_size=25)
)


def play(steps: list[Step], *, held: bool) -> tuple[Given, list[tuple[datetime, Event]]]:
    """A history, and every event of it with the time it was decided at; `held`: the workspace has the person."""
    world, now, log = Given(frozen=FROZEN, imported=IMPORTED.digest, held=held), NOW, list[tuple[datetime, Event]]()
    for step in steps:
        now += step.seconds * SECOND
        command = step.on(world)
        outcome = world.when(command, by=step.by, at=now)
        log += [(now, event) for event in outcome.events]
        world = outcome.after
        again = world.when(command, by=step.by, at=now)
        assert list(again.events) == [], "the same command again at once did something again"
    return world, log


def of(kind: type[Event] | tuple[type[Event], ...], log: list[tuple[datetime, Event]]) -> list[Any]:
    return [event for _, event in log if isinstance(event, kind)]


def proves(event: Event) -> bool:
    """Whether a part was sent, by this event."""
    return isinstance(event, send.SendConfirmed) or getattr(event, "outcome", None) is send.Resolution.SENT


def test_the_usual_way_reaches_its_end() -> None:
    end = [Step(send.ConfirmSend(DELIVERY, 1), SYSTEM, 0), Step(COMPLETE, SYSTEM, 0)]
    world, _ = play(USUAL + end, held=True)
    assert world.state(DELIVERY_STREAM).status is delivery.Status.SENT
    assert world.state(JOB_STREAM).status is job.Status.COMPLETED


@settings(max_examples=300)
@given(HISTORIES, st.booleans())
def test_nothing_is_done_twice_and_nothing_that_is_not_allowed(steps: list[Step], held: bool) -> None:
    _, log = play(steps, held=held)
    assert held or not of((recipient.ConsentRecorded, recipient.RecipientOptedOut), log)
    each_event_is_one_that_may_follow(log)
    every_send_was_allowed(log)


def each_event_is_one_that_may_follow(log: list[tuple[datetime, Event]]) -> None:
    """No send, receipt, end or block twice, and no start unapproved."""
    assert all(type(event) in catalog.EVENT_NAMES for _, event in log)

    intents = of(send.SendIntended, log)
    tries = [(intent.part, intent.attempt) for intent in intents]
    assert tries == sorted(set(tries)), "a part was intended twice, or out of order"
    assert len({intent.wa_id for intent in intents}) == len({intent.part for intent in intents})
    assert sum(intent.attempt > 1 for intent in intents) <= sum(not one.final for one in of(send.SendRejected, log))
    ends = [event for _, event in log if terminal_step(event)]
    assert all(isinstance(event, send.SendResolved) for event in ends[1:]), "only a correction comes after the end"
    proofs = [one.part for one in of((send.SendConfirmed, send.SendResolved), log) if proves(one)]
    assert len(set(proofs)) == len(proofs) <= len(intents)
    for receipts in (of(send.DeliveryDelivered, log), of(send.DeliveryRead, log)):
        assert len({event.part for event in receipts}) == len(receipts)
        assert {event.part for event in receipts} <= set(proofs)

    assert len(of((job.JobCompleted, job.JobStopped, job.JobRejected, job.JobExpired), log)) <= 1
    every_start_was_approved([event for _, event in log])

    blocks = of(allowance.AllowanceGranted, log)
    assert len({block.block for block in blocks}) == len(blocks)
    assert all(later.since > earlier.since for earlier, later in pairwise(blocks))


def every_start_was_approved(log: list[Event]) -> None:
    """By as many as it took, of what was shown last, and by none of its authors unless the policy lets them."""
    approvals, authors, needed, own = set[str](), set[str](), 1, False
    for event in log:
        match event:
            case submission.JobSubmitted(submitted_by=author) | submission.JobRevised(revised_by=author):
                approvals, needed, own = set(), event.approvals, event.own_approval
                authors.add(author)
            case job.JobFlagged():
                needed, own = event.approvals, False
            case job.JobApprovalGiven():
                assert event.by not in approvals
                approvals.add(event.by)
            case job.JobApprovalVoided():
                assert set(event.approvals) <= approvals
                approvals -= set(event.approvals)
            case job.JobStarted():
                assert len(approvals) >= needed
                assert own or not approvals & authors


def every_send_was_allowed(log: list[tuple[datetime, Event]]) -> None:
    """By the job, the person, the account and its allowance, when it was intended."""
    running = agreed = ready = paused = restricted = leaving = False
    until = None
    for now, event in log:
        match event:
            case job.JobStarted() | job.JobResumed():
                running = True
            case job.JobPaused() | job.JobStopped() | job.JobCompleted() | submission.JobRevised():
                running = False
            case recipient.ConsentRecorded():
                agreed = True
            case recipient.RecipientOptedOut():
                agreed = False
            case account.AccountReady():
                ready = True
            case account.AccountUnlinked():
                ready = leaving = False
            case account.AccountDegraded() | account.AccountLinked() | account.AccountRemoved():
                ready = False
            case account.AccountLogOutAsked():
                leaving = True
            case account.AccountRestricted():
                ready, restricted = False, True
            case account.AccountPaused():
                paused = True
            case account.AccountResumed():
                paused = restricted = False
            case allowance.AllowanceGranted():
                until = event.until
            case send.SendIntended():
                assert (running, agreed, ready) == (True, True, True)
                assert (paused, restricted, leaving) == (False, False, False)
                assert until is not None
                assert now < until
            case send.DeliverySkipped():
                assert running
                assert not agreed
