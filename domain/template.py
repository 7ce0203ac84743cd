"""A template: messages kept to be used again, in versions. A campaign made from one keeps what it had then."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from domain import content
from domain import workspace as ws
from domain.content import Part
from domain.message import Command, Decider, Event, Facts, Ref, Refused, StreamId, WorkspaceId


@dataclass(frozen=True, slots=True)
class CreateTemplate(Command):
    """Keep 1 to 10 messages to be used again."""

    template_id: UUID
    title: Ref
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ReviseTemplate(Command):
    """Replace what a template says; campaigns made from it before keep what they had."""

    template_id: UUID
    title: Ref
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ArchiveTemplate(Command):
    """Make no more campaigns from this template."""

    template_id: UUID


@dataclass(frozen=True, slots=True)
class TemplateCreated(Event):
    """The template's first version."""

    title: Ref
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class TemplateRevised(Event):
    """The template's next version."""

    title: Ref
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class TemplateArchived(Event):
    """The template is closed to new campaigns."""


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """A template as it was when something was made from it: at its newest version."""

    template_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class Template:
    """The current version."""

    version: int = 0
    title: Ref | None = None
    parts: tuple[Part, ...] = ()
    archived: bool = False


def decide(template: Template, command: Command, facts: Facts) -> Sequence[Event]:
    ws.rules(facts)
    if isinstance(command, CreateTemplate):
        if template.version:
            raise Refused("id_taken", field="template_id")
        content.check(command.parts)
        return [TemplateCreated(command.title, command.parts)]
    if not template.version:
        raise Refused("unknown_template", field="template_id")
    match command:
        case ReviseTemplate(title=title, parts=parts):
            if template.archived:
                raise Refused("archived", field="template_id")
            content.check(parts)
            return [] if (title, parts) == (template.title, template.parts) else [TemplateRevised(title, parts)]
        case ArchiveTemplate():
            return [] if template.archived else [TemplateArchived()]
    raise TypeError(type(command))


def evolve(template: Template, event: Event) -> Template:
    match event:
        case TemplateCreated(title, parts) | TemplateRevised(title, parts):
            return replace(template, version=template.version + 1, title=title, parts=parts)
        case TemplateArchived():
            return replace(template, archived=True)
    return template


def reads(command: Command, workspace: WorkspaceId) -> Sequence[StreamId]:
    return (ws.stream(workspace),)


DECIDER = Decider("template", Template(), decide, evolve, reads)


def chosen(parts: tuple[Part, ...], named: TemplateVersion | None, facts: Facts) -> tuple[Part, ...]:
    """What is to be said: one's own parts or a template's, as a messenger takes them."""
    if named is not None:
        if parts:
            raise Refused("parts_and_template", field="template")
        parts = parts_of(named, facts)
    content.check(parts)
    return parts


def parts_of(named: TemplateVersion, facts: Facts) -> tuple[Part, ...]:
    """What a template says, if it is the version that was named and may be used."""
    template: Template = facts.state(DECIDER.stream(named.template_id), DECIDER.initial)
    if not template.version:
        raise Refused("unknown_template", field="template.template_id")
    if template.archived:
        raise Refused("archived", field="template.template_id")
    if named.version != template.version:
        raise Refused("not_the_newest", field="template.version", newest=template.version)
    return template.parts
