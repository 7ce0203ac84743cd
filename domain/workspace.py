"""A workspace: a tenant, with the rules its jobs are approved and sent under."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.message import Command, Decider, Event, Facts, Refused, StreamId, WorkspaceId
from domain.quota import Caps, Window

MOST = {"per_minute": 60_000, "per_hour": 3_600_000, "per_day": 86_400_000}  # what the fastest pace comes to

MOST_RECIPIENTS = 10_000_000


@dataclass(frozen=True, slots=True)
class CreateWorkspace(Command):
    """Begin the workspace that the caller's key belongs to."""


@dataclass(frozen=True, slots=True)
class SetModerationPolicy(Command):
    """Say how many approvals a job needs (1 to 5) and whether its submitter's own counts; which jobs are flagged (more
    recipients than that; with a link in a text), and how many approvals those need (2 to 5); and whether direct
    messages are reviewed that are not flagged."""

    approvals: int
    own_approval: bool
    flag_above: int | None = None
    flag_links: bool = False
    flagged_approvals: int = 2
    review_messages: bool = True


@dataclass(frozen=True, slots=True)
class SetSendingPolicy(Command):
    """Say how many messages one account may send (1 to 1,000) in how many seconds (1 to 86,400), and at most in any
    minute, hour and day; a cap that is left out is none."""

    messages: int
    seconds: int
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None


@dataclass(frozen=True, slots=True)
class WorkspaceCreated(Event):
    """The workspace exists, with the cautious default policies."""


@dataclass(frozen=True, slots=True)
class ModerationPolicySet(Event):
    """Jobs submitted from now on need this many approvals, and are flagged for this."""

    approvals: int
    own_approval: bool
    flag_above: int | None = None
    flag_links: bool = False
    flagged_approvals: int = 2
    review_messages: bool = True


@dataclass(frozen=True, slots=True)
class SendingPolicySet(Event):
    """Each account may send this many messages in this many seconds, and no more than the caps in any such window."""

    messages: int
    seconds: int
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Workspace:
    """The rules in force. Default pace: one message in 30 seconds for each account (see docs: no rate is safe)."""

    exists: bool = False
    approvals: int = 1
    own_approval: bool = False
    flag_above: int | None = None
    flag_links: bool = False
    flagged_approvals: int = 2
    review_messages: bool = True
    messages: int = 1
    seconds: int = 30
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None

    @property
    def caps(self) -> Caps:
        """The most that an account may send in any minute, hour and day."""
        return {Window.MINUTE: self.per_minute, Window.HOUR: self.per_hour, Window.DAY: self.per_day}


def within(value: float, low: int, high: int, field: str) -> None:
    """Refuse a number outside its bounds, naming both."""
    if not low <= value <= high:
        raise Refused("out_of_range", field=field, minimum=low, maximum=high)


def decide(workspace: Workspace, command: Command, facts: Facts) -> Sequence[Event]:
    match command:
        case CreateWorkspace():
            return [] if workspace.exists else [WorkspaceCreated()]
        case SetModerationPolicy(approvals, own_approval, flag_above, flag_links, flagged_approvals, review_messages):
            required(workspace)
            within(approvals, 1, 5, "approvals")
            within(flagged_approvals, 2, 5, "flagged_approvals")
            if flag_above is not None:
                within(flag_above, 1, MOST_RECIPIENTS, "flag_above")
            moderation = ModerationPolicySet(
                approvals, own_approval, flag_above, flag_links, flagged_approvals, review_messages
            )
            return [] if evolve(workspace, moderation) == workspace else [moderation]
        case SetSendingPolicy(messages, seconds, per_minute, per_hour, per_day):
            required(workspace)
            within(messages, 1, 1_000, "messages")
            within(seconds, 1, 86_400, "seconds")
            for cap, (field, most) in zip((per_minute, per_hour, per_day), MOST.items(), strict=True):
                if cap is not None:
                    within(cap, 1, most, field)
            policy = SendingPolicySet(messages, seconds, per_minute, per_hour, per_day)
            return [] if evolve(workspace, policy) == workspace else [policy]
    raise TypeError(type(command))


def evolve(workspace: Workspace, event: Event) -> Workspace:
    match event:
        case WorkspaceCreated():
            return replace(workspace, exists=True)
        case ModerationPolicySet():
            return replace(
                workspace,
                approvals=event.approvals,
                own_approval=event.own_approval,
                flag_above=event.flag_above,
                flag_links=event.flag_links,
                flagged_approvals=event.flagged_approvals,
                review_messages=event.review_messages,
            )
        case SendingPolicySet(messages, seconds, per_minute, per_hour, per_day):
            return replace(
                workspace,
                messages=messages,
                seconds=seconds,
                per_minute=per_minute,
                per_hour=per_hour,
                per_day=per_day,
            )
    return workspace


DECIDER = Decider("workspace", Workspace(), decide, evolve)


def stream(workspace: WorkspaceId) -> StreamId:
    """The stream of a workspace's rules."""
    return DECIDER.stream(workspace)


def required(workspace: Workspace) -> Workspace:
    """The workspace, if somebody created it."""
    if not workspace.exists:
        raise Refused("unknown_workspace", field="workspace")
    return workspace


def rules(facts: Facts) -> Workspace:
    """The rules of the actor's workspace, among the facts of a decision."""
    return required(facts.state(stream(facts.actor.workspace), DECIDER.initial))
