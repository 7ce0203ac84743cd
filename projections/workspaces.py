"""Workspaces: the rules in force."""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import AsyncConnection

from domain.message import Event, WorkspaceId
from domain.workspace import ModerationPolicySet, SendingPolicySet, Workspace, WorkspaceCreated
from projections.projection import Handler, Projection, begins, of, sets
from projections.table import Shown, Table, stamp

RULES_AT_FIRST = Workspace()
MODERATION = ("approvals", "own_approval", "flag_above", "flag_links", "flagged_approvals", "review_messages")


@dataclass(slots=True)
class Row(Shown):
    """A workspace."""

    approvals: int = RULES_AT_FIRST.approvals
    own_approval: bool = RULES_AT_FIRST.own_approval
    flag_above: int | None = RULES_AT_FIRST.flag_above
    flag_links: bool = RULES_AT_FIRST.flag_links
    flagged_approvals: int = RULES_AT_FIRST.flagged_approvals
    messages: int = RULES_AT_FIRST.messages
    seconds: int = RULES_AT_FIRST.seconds
    per_minute: int | None = RULES_AT_FIRST.per_minute
    per_hour: int | None = RULES_AT_FIRST.per_hour
    per_day: int | None = RULES_AT_FIRST.per_day
    review_messages: bool = RULES_AT_FIRST.review_messages


TABLE = Table("read_workspaces", Row, key="workspace")
ON: Mapping[type[Event], Handler] = {
    WorkspaceCreated: begins(lambda _event, recorded: Row(*stamp(recorded))),
    ModerationPolicySet: sets(**{name: of(name) for name in MODERATION}),
    SendingPolicySet: sets(**{name: of(name) for name in ("messages", "seconds", "per_minute", "per_hour", "per_day")}),
}
PROJECTION = Projection(TABLE, ON)


async def one(connection: AsyncConnection, workspace: WorkspaceId) -> Row | None:
    """The workspace, once it was created."""
    return (await (await TABLE.load(connection, [workspace])).rows()).get(workspace)
