"""A campaign: what to say and to whom, in versions. Editing it never touches a job that was submitted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from domain import audience as audiences
from domain import template as templates
from domain import workspace as ws
from domain.content import Part
from domain.message import Command, Decider, Event, Facts, Ref, Refused, StreamId, WorkspaceId
from domain.template import TemplateVersion


@dataclass(frozen=True, slots=True)
class CreateCampaign(Command):
    """Begin a campaign: 1 to 10 parts, or those of a template; an audience may be named later, by a revision."""

    campaign_id: UUID
    title: Ref
    parts: tuple[Part, ...] = ()
    audience_id: UUID | None = None
    template: TemplateVersion | None = None


@dataclass(frozen=True, slots=True)
class ReviseCampaign(Command):
    """Replace what a campaign says and to whom."""

    campaign_id: UUID
    title: Ref
    parts: tuple[Part, ...] = ()
    audience_id: UUID | None = None
    template: TemplateVersion | None = None


@dataclass(frozen=True, slots=True)
class ArchiveCampaign(Command):
    """Submit no more jobs of this campaign."""

    campaign_id: UUID


@dataclass(frozen=True, slots=True)
class CampaignCreated(Event):
    """The campaign's first version; `template` says where its parts are from."""

    title: Ref
    parts: tuple[Part, ...]
    audience_id: UUID | None
    template: TemplateVersion | None = None


@dataclass(frozen=True, slots=True)
class CampaignRevised(Event):
    """The campaign's next version; `template` says where its parts are from."""

    title: Ref
    parts: tuple[Part, ...]
    audience_id: UUID | None
    template: TemplateVersion | None = None


@dataclass(frozen=True, slots=True)
class CampaignArchived(Event):
    """The campaign is closed to new jobs."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """The current version."""

    version: int = 0
    title: Ref | None = None
    parts: tuple[Part, ...] = ()
    audience_id: UUID | None = None
    template: TemplateVersion | None = None
    archived: bool = False


def decide(campaign: Campaign, command: Command, facts: Facts) -> Sequence[Event]:
    ws.rules(facts)
    if isinstance(command, CreateCampaign):
        if campaign.version:
            raise Refused("id_taken", field="campaign_id")
        return [CampaignCreated(command.title, checked(command, facts), command.audience_id, command.template)]
    if not campaign.version:
        raise Refused("unknown_campaign", field="campaign_id")
    match command:
        case ReviseCampaign(title=title, audience_id=audience_id, template=named):
            if campaign.archived:
                raise Refused("archived", field="campaign_id")
            parts = checked(command, facts)
            if (title, parts, audience_id, named) == (
                campaign.title,
                campaign.parts,
                campaign.audience_id,
                campaign.template,
            ):
                return []
            return [CampaignRevised(title, parts, audience_id, named)]
        case ArchiveCampaign():
            return [] if campaign.archived else [CampaignArchived()]
    raise TypeError(type(command))


def checked(command: CreateCampaign | ReviseCampaign, facts: Facts) -> tuple[Part, ...]:
    """What a version says; a version that could never be submitted is refused."""
    parts = templates.chosen(command.parts, command.template, facts)
    if command.audience_id is not None:
        stream = audiences.DECIDER.stream(command.audience_id)
        if not facts.state(stream, audiences.DECIDER.initial).exists:
            raise Refused("unknown_audience", field="audience_id")
    return parts


def evolve(campaign: Campaign, event: Event) -> Campaign:
    match event:
        case CampaignCreated() | CampaignRevised():
            return replace(
                campaign,
                version=campaign.version + 1,
                title=event.title,
                parts=event.parts,
                audience_id=event.audience_id,
                template=event.template,
            )
        case CampaignArchived():
            return replace(campaign, archived=True)
    return campaign


def reads(command: Command, workspace: WorkspaceId) -> Sequence[StreamId]:
    if not isinstance(command, CreateCampaign | ReviseCampaign):
        return (ws.stream(workspace),)
    return (
        ws.stream(workspace),
        *([audiences.DECIDER.stream(command.audience_id)] if command.audience_id else []),
        *([templates.DECIDER.stream(command.template.template_id)] if command.template else []),
    )


DECIDER = Decider("campaign", Campaign(), decide, evolve, reads)
