"""An audience: a list of recipients as it was imported, or chosen by a filter. The people lie in the vault."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain import workspace as ws
from domain.message import Command, Decider, Digest, Event, Facts, Ref, Refused, StreamId, WorkspaceId

LARGEST_LIST = 500_000_000  # bytes of a file


@dataclass(frozen=True, slots=True)
class ImportAudience(Command):
    """Make an audience of rows that an import has put into the vault; `digest` is the import's own."""

    audience_id: UUID
    title: Ref
    count: int
    rejected: int
    merged: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class ChooseAudience(Command):
    """Make an audience of the people whom a filter found; `digest` is that of the rows, which lie in the vault."""

    audience_id: UUID
    title: Ref
    filter: Ref
    count: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class AudienceImported(Event):
    """The audience exists: so many people, so many bad rows, so many rows merged into another by number."""

    title: Ref
    count: int
    rejected: int
    merged: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class AudienceChosen(Event):
    """The audience exists: so many people fitted the filter when it was chosen."""

    title: Ref
    filter: Ref
    count: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class Audience:
    """What decisions about an audience need."""

    exists: bool = False
    count: int = 0
    digest: Digest | None = None


def decide(audience: Audience, command: Command, facts: Facts) -> Sequence[Event]:
    match command:
        case ImportAudience():
            made: Event = AudienceImported(
                command.title, command.count, command.rejected, command.merged, command.digest
            )
        case ChooseAudience():
            made = AudienceChosen(command.title, command.filter, command.count, command.digest)
        case _:
            raise TypeError(type(command))
    ws.rules(facts)
    if audience.exists and audience.digest == command.digest:
        return []
    if audience.exists:
        raise Refused("id_taken", field="audience_id")
    if facts.imported != command.digest:
        raise Refused("not_in_the_vault", field="digest")
    return [made]


def evolve(audience: Audience, event: Event) -> Audience:
    match event:
        case AudienceImported(count=count, digest=digest) | AudienceChosen(count=count, digest=digest):
            return Audience(exists=True, count=count, digest=digest)
    return audience


def reads(command: Command, workspace: WorkspaceId) -> Sequence[StreamId]:
    return (ws.stream(workspace),)


DECIDER = Decider("audience", Audience(), decide, evolve, reads)
