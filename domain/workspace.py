"""A workspace: a tenant, with the rules its jobs are approved and sent under."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.message import Command, Decider, Event, Facts, Refused, StreamId, WorkspaceId


@dataclass(frozen=True, slots=True)
class CreateWorkspace(Command):
    """Begin the workspace that the caller's key belongs to."""


@dataclass(frozen=True, slots=True)
class SetModerationPolicy(Command):
    """Say how many approvals a job needs (1 to 5) and whether its submitter's own counts."""

    approvals: int
    own_approval: bool


@dataclass(frozen=True, slots=True)
class SetSendingPolicy(Command):
    """Say how many messages one account may send (1 to 1,000) in how many seconds (1 to 86,400)."""

    messages: int
    seconds: int


@dataclass(frozen=True, slots=True)
class WorkspaceCreated(Event):
    """The workspace exists, with the cautious default policies."""


@dataclass(frozen=True, slots=True)
class ModerationPolicySet(Event):
    """Jobs submitted from now on need this many approvals."""

    approvals: int
    own_approval: bool


@dataclass(frozen=True, slots=True)
class SendingPolicySet(Event):
    """Each account may send this many messages in this many seconds."""

    messages: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Workspace:
    """The rules in force. Default pace: one message in 30 seconds for each account (see docs: no rate is safe)."""

    exists: bool = False
    approvals: int = 1
    own_approval: bool = False
    messages: int = 1
    seconds: int = 30


def within(value: int, low: int, high: int, field: str) -> None:
    """Refuse a number outside its bounds, naming both."""
    if not low <= value <= high:
        raise Refused("out_of_range", field=field, minimum=low, maximum=high)


def decide(workspace: Workspace, command: Command, facts: Facts) -> Sequence[Event]:
    match command:
        case CreateWorkspace():
            return [] if workspace.exists else [WorkspaceCreated()]
        case SetModerationPolicy(approvals, own_approval):
            required(workspace)
            within(approvals, 1, 5, "approvals")
            if (approvals, own_approval) == (workspace.approvals, workspace.own_approval):
                return []
            return [ModerationPolicySet(approvals, own_approval)]
        case SetSendingPolicy(messages, seconds):
            required(workspace)
            within(messages, 1, 1_000, "messages")
            within(seconds, 1, 86_400, "seconds")
            if (messages, seconds) == (workspace.messages, workspace.seconds):
                return []
            return [SendingPolicySet(messages, seconds)]
    raise TypeError(type(command))


def evolve(workspace: Workspace, event: Event) -> Workspace:
    match event:
        case WorkspaceCreated():
            return replace(workspace, exists=True)
        case ModerationPolicySet(approvals, own_approval):
            return replace(workspace, approvals=approvals, own_approval=own_approval)
        case SendingPolicySet(messages, seconds):
            return replace(workspace, messages=messages, seconds=seconds)
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
