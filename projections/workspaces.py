"""Workspaces: the rules in force."""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import AsyncConnection

from domain.message import Event, WorkspaceId
from domain.workspace import ModerationPolicySet, SendingPolicySet, Workspace, WorkspaceCreated
from projections.projection import Handler, Projection, begins, of, sets
from projections.table import Shown, Table, stamp

RULES_AT_FIRST = Workspace()


@dataclass(slots=True)
class Row(Shown):
    """A workspace."""

    approvals: int = RULES_AT_FIRST.approvals
    own_approval: bool = RULES_AT_FIRST.own_approval
    messages: int = RULES_AT_FIRST.messages
    seconds: int = RULES_AT_FIRST.seconds


TABLE = Table("read_workspaces", Row, key="workspace")
ON: Mapping[type[Event], Handler] = {
    WorkspaceCreated: begins(lambda _event, recorded: Row(*stamp(recorded))),
    ModerationPolicySet: sets(approvals=of("approvals"), own_approval=of("own_approval")),
    SendingPolicySet: sets(messages=of("messages"), seconds=of("seconds")),
}
PROJECTION = Projection(TABLE, ON)


async def one(connection: AsyncConnection, workspace: WorkspaceId) -> Row | None:
    """The workspace, once it was created."""
    return (await (await TABLE.load(connection, [workspace])).rows()).get(workspace)
