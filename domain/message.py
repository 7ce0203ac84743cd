"""What every aggregate is made of: commands, events, the facts of a decision, and refusals."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, NewType, TypeVar
from uuid import UUID

WorkspaceId = NewType("WorkspaceId", str)  # a tenant's short name: [a-z0-9][a-z0-9-]{0,39}
PrincipalId = NewType("PrincipalId", str)  # an API key's id, or "system-<worker>"
StreamId = NewType("StreamId", str)  # "<aggregate>-<id>"
Digest = NewType("Digest", str)  # 64 lower-case hex characters of SHA-256
Ref = NewType("Ref", str)  # where the sealed content store keeps a text: 64 hex characters
WaId = NewType("WaId", str)  # WhatsApp's message id, chosen by us: 3EB0 + 18 upper-case hex characters

NAMES = UUID("6a1f3b0e-6d1c-5c0f-9b1e-0d7a5f2c9e11")  # the namespace of every derived id
NAMED = hashlib.sha1(NAMES.bytes, usedforsecurity=False)
FREE = ~(0xF << 76 | 0x3 << 62) & (1 << 128) - 1  # the bits that say neither version nor variant
VERSION_5 = 0x5 << 76 | 0x2 << 62


def derive(*parts: object) -> UUID:
    """The id that follows from its causes: the same parts always give the same id.

    It is `uuid5(NAMES, "|".join(map(str, parts)))`, made a third faster, for each event and each command needs one.
    """
    named = NAMED.copy()
    named.update("|".join(map(str, parts)).encode())
    return UUID(int=int.from_bytes(named.digest()[:16], "big") & FREE | VERSION_5)


class Role(StrEnum):
    """What a principal may do; `system` is drumline itself and belongs to no key."""

    AUTHOR = "author"
    MODERATOR = "moderator"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMIN = "admin"
    SERVICE = "service"
    SYSTEM = "system"


class Command:
    """An imperative: somebody wants something. Subclasses are frozen dataclasses; a `Ref` is a text on the wire."""

    __slots__ = ()


class Event:
    """A fact in the past tense. Subclasses are frozen dataclasses of ids, enums, numbers, digests and references."""

    __slots__ = ()


class Refused(Exception):
    """A command that the rules do not allow: `rule` says which one, `field` what in the command it is about."""

    def __init__(self, rule: str, *, field: str, **detail: int | str) -> None:
        super().__init__(f"{field}: {rule}")
        self.rule = rule
        self.field = field
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: taken from the credentials, never from a body."""

    id: PrincipalId
    workspace: WorkspaceId
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Frozen:
    """What an audience came to when it was frozen for a job: root, size, variables people lack, links."""

    root: Digest
    count: int
    missing: Mapping[str, int] = field(default_factory=dict)  # variable -> recipients without it
    links: int = 0  # texts with a link in them


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision is made on besides the aggregate's own state; the versions of `states` become conditions."""

    actor: Actor
    now: datetime
    states: Mapping[StreamId, Any] = field(default_factory=dict)  # other streams' states, as read
    versions: Mapping[StreamId, int] = field(default_factory=dict)  # and their versions
    steady_since: datetime | None = None  # when the clock last jumped, by its own time after it
    settled: bool = True  # whether it may be believed again
    frozen: Frozen | None = None  # only for a submission
    imported: Digest | None = None  # only for an import or a choice: the digest of the rows that lie in the vault
    # Only for what is decided of a person: whether the workspace knows them, by its vault or its log.
    held: bool = False

    def state(self, stream: StreamId, initial: "S") -> "S":
        """Another aggregate's state, or `initial` when that stream does not exist."""
        found: S = self.states.get(stream, initial)
        return found


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is stored around each event, equal for all of them."""

    event_id: UUID
    actor: PrincipalId
    workspace: WorkspaceId
    causation: UUID  # the command (or decision) that caused it
    correlation: UUID  # the first command of the chain
    time: datetime
    facts: Mapping[StreamId, int]  # the streams it was decided on, at their versions
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as it lies in the log."""

    position: int  # in the whole log; increasing, with gaps
    stream: StreamId
    version: int  # in its stream, from 1, without gaps
    event: Event
    envelope: Envelope


S = TypeVar("S")


def no_reads(command: Command, workspace: WorkspaceId) -> Sequence[StreamId]:
    """For deciders that need no other stream."""
    return ()


@dataclass(frozen=True, slots=True)
class Decider(Generic[S]):
    """One kind of aggregate: its empty state and its two pure functions.

    `reads(command, workspace)` names the other streams whose states a decision needs.
    """

    aggregate: str
    initial: S
    decide: Callable[[S, Any, Facts], Sequence[Event]]
    evolve: Callable[[S, Event], S]
    reads: Callable[[Any, WorkspaceId], Sequence[StreamId]] = no_reads

    def stream(self, identity: object) -> StreamId:
        """The name of one aggregate's stream."""
        return StreamId(f"{self.aggregate}-{identity}")

    def target(self, command: Command, workspace: WorkspaceId) -> StreamId:
        """The stream a command is addressed to: by its `<aggregate>_id`, or the workspace's own."""
        return self.stream(getattr(command, f"{self.aggregate}_id", workspace))

    def fold(self, events: Sequence[Event]) -> S:
        """The state that a history leads to."""
        state = self.initial
        for event in events:
            state = self.evolve(state, event)
        return state
