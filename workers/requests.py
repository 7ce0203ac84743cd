"""What is asked of a decision, and what came of it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from adapters.event_store import Lease
from adapters.inbox import CommandRow
from domain import catalog
from domain.message import (
    Actor,
    Command,
    Event,
    PrincipalId,
    Refused,
    StreamId,
    WorkspaceId,
    derive,
)

NO_STREAM = StreamId("")


@dataclass(slots=True)
class Request:
    """One command, from outside or inside, and who gives it."""

    command: Command
    actor: Actor
    command_id: UUID
    name: str = ""
    digest: bytes = b""
    correlation: UUID | None = None
    traceparent: str = ""
    lease: Lease | None = None  # held for any append; one permit of it is spent when a send is intended
    known_key: UUID | None = None

    @property
    def key(self) -> UUID:
        """The key of its row in `commands`."""
        return self.known_key or command_key(self.actor.workspace, self.actor.id, self.command_id)

    @property
    def known_as(self) -> str:
        """Its permanent name, or the class of an inside decision."""
        return self.name or catalog.COMMAND_NAMES.get(type(self.command)) or type(self.command).__name__


@dataclass(slots=True)
class Outcome:
    """What became of a request; `repeated` when it had been answered before."""

    state: str  # applied | refused | crashed
    stream: StreamId
    version: int
    position: int | None = None
    rule: str | None = None
    field: str | None = None
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    events: tuple[Event, ...] = ()
    repeated: bool = False

    @classmethod
    def of(cls, row: CommandRow) -> "Outcome":
        """The old answer."""
        return cls(
            row.state,
            row.stream or NO_STREAM,
            row.version or 0,
            row.position,
            row.rule,
            row.field,
            row.detail or {},
            repeated=True,
        )

    @classmethod
    def id_reused(cls) -> "Outcome":
        """The answer to an id that stands for something else already."""
        return cls("refused", NO_STREAM, 0, None, "id_reused", "command_id", repeated=True)


@dataclass(frozen=True, slots=True)
class Turned:
    """A command that is refused before there is anything to decide on, to be recorded all the same."""

    workspace: WorkspaceId
    principal: PrincipalId
    command_id: UUID
    name: str
    digest: bytes
    traceparent: str
    refused: Refused

    @property
    def key(self) -> UUID:
        """The key of its row in `commands`."""
        return command_key(self.workspace, self.principal, self.command_id)


def command_key(workspace: WorkspaceId, principal: PrincipalId, command_id: UUID) -> UUID:
    """The key of a command's row: ids are unique for one principal of one workspace."""
    return derive("command", workspace, principal, command_id)


def refusal(refused: Refused, stream: StreamId, version: int) -> Outcome:
    """The outcome that a refusal is."""
    return Outcome("refused", stream, version, None, refused.rule, refused.field, refused.detail)
