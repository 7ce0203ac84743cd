"""A decision on its way: what was asked, what was read for it, what was decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from adapters.event_store import Item, Lease, Loaded
from domain import catalog
from domain.account import RegisterAccount
from domain.allowance import AllowanceClosed, AllowanceGranted, GrantAllowance
from domain.campaign import CreateCampaign
from domain.message import Command, Decider, Event, Refused, StreamId, WorkspaceId
from domain.recipient import EraseRecipient, OptOut, ReceiveMessage, RecordConsent
from domain.send import SendIntended
from workers.requests import Request
from workers.states import Later

BEGINNINGS = {CreateCampaign, RegisterAccount, RecordConsent}
ABOUT_PEOPLE = (RecordConsent, OptOut, EraseRecipient, ReceiveMessage)  # refused of whom the workspace does not know


@dataclass(slots=True)
class Case:
    """A request on its way, with what was read for it."""

    index: int
    request: Request
    decider: Decider[Any]
    target: StreamId
    named: Sequence[StreamId]  # the other streams it needs
    tries: int = 0
    sure: bool = False  # its states come from the log, not from the cache
    own: Loaded | None = None
    reads: dict[StreamId, Loaded] = field(default_factory=dict)
    versions: dict[StreamId, int] = field(default_factory=dict)  # of `reads` that are not another workspace's
    follows: Sequence[UUID] = ()  # the keys of those before it whose events it was decided on
    held: bool = False  # whether the vault holds the person of whom it is decided
    events: tuple[Event, ...] = ()
    refused: Refused | None = None
    later: Later | None = None  # its stream with these events

    @property
    def inside(self) -> bool:
        """Whether the system decides this for itself: then only what happens is recorded, so it can be tried again."""
        return type(self.request.command) in catalog.DECISIONS

    @property
    def guessed(self) -> bool:
        """Whether it is taken for the beginning of its stream, unread."""
        return not self.tries and type(self.request.command) in BEGINNINGS

    @property
    def own_version(self) -> int:
        """The version of its stream, which does not exist when it is another workspace's."""
        return self.own.version if self.own and not self.foreign else 0

    @property
    def foreign(self) -> bool:
        """Whether its stream is another workspace's."""
        return self.own is not None and is_foreign(self.own, self.request.actor.workspace)

    @property
    def person(self) -> tuple[WorkspaceId, UUID] | None:
        """Of whom it is decided, if that must be somebody whom the workspace knows."""
        command = self.request.command
        return (self.request.actor.workspace, command.recipient_id) if isinstance(command, ABOUT_PEOPLE) else None

    def look(self, found: Mapping[StreamId, Loaded], earlier: Sequence["Case"]) -> None:
        """See the streams as they were read, or as earlier cases are about to leave them."""
        coming = {case.target: case.later.fold() for case in earlier if case.later is not None}
        self.follows = [case.request.key for case in earlier]
        self.own = coming.get(self.target) or found.get(self.target)
        self.reads = {stream: coming.get(stream) or found[stream] for stream in self.named}
        # Another workspace's stays another's whatever is added to it: that is no reason to decide anew.
        workspace = self.request.actor.workspace
        self.versions = {name: read.version for name, read in self.reads.items() if not is_foreign(read, workspace)}
        self.later = None

    def decide(self, events: tuple[Event, ...]) -> None:
        """These events are to be appended, or there is nothing to be done."""
        self.events = events
        if events:
            version = self.own_version + len(events)
            self.later = Later(self.decider, self.own_state(), events, version, self.request.actor.workspace)

    def own_state(self) -> Any:
        return state_seen(self.own, self.decider.initial, self.request.actor.workspace)


def cases_of(requests: Sequence[Request]) -> list[Case]:
    """A case for each request, in order."""
    cases = []
    for index, request in enumerate(requests):
        decider, workspace = catalog.decider_of(request.command), request.actor.workspace
        target = decider.target(request.command, workspace)
        cases.append(Case(index, request, decider, target, decider.reads(request.command, workspace)))
    return cases


def is_foreign(loaded: Loaded, workspace: WorkspaceId) -> bool:
    """Whether a stream is there, and another workspace's."""
    return bool(loaded.version) and loaded.workspace != workspace


def state_seen(loaded: Loaded | None, initial: Any, workspace: WorkspaceId) -> Any:
    """A stream's state as one workspace sees it: another workspace's stream does not exist."""
    if loaded is None or not loaded.version or is_foreign(loaded, workspace):
        return initial
    return loaded.state


def item_of(case: Case, now: datetime) -> Item:
    """What is to be appended for a case that was decided."""
    request = case.request
    return Item(
        key=request.key,
        command_id=request.command_id,
        workspace=request.actor.workspace,
        principal=request.actor.id,
        name=request.known_as,
        digest=request.digest,
        stream=case.target,
        expected=case.own_version,
        events=case.events,
        conditions=case.versions,
        follows=case.follows,
        now=now,
        correlation=request.correlation or request.command_id,
        traceparent=request.traceparent,
        refusal=case.refused,
        lease=lease_of(request.lease, case.events, request.command),
    )


def known(case: Case) -> dict[StreamId, Any]:
    """The other streams' states that a case may see."""
    workspace = case.request.actor.workspace
    return {name: one.state for name, one in case.reads.items() if one.version and one.workspace == workspace}


def lease_of(lease: Lease | None, events: Sequence[Event], command: Command) -> Lease | None:
    """The account's lease as this append takes part in it: a send spends a permit, a grant sets them.

    What a closed block has left is spent with it: were a send to take one of them meanwhile, they would not suffice.
    """
    if isinstance(command, GrantAllowance):
        grant = next((event.permits for event in events if isinstance(event, AllowanceGranted)), None)
        closed = any(isinstance(event, AllowanceClosed) for event in events)
        return replace(lease or Lease(command.account_id), grant=grant, spend=command.left if closed else 0)
    if lease is not None and any(isinstance(event, SendIntended) for event in events):
        return replace(lease, spend=1)
    return lease
