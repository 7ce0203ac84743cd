"""What is asked of the commands table: the commands of a workspace's keys, the latest first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType
from uuid import UUID

from domain.message import PrincipalId, StreamId, WorkspaceId
from projections.listing import Filter, Listing, Way, by_id, in_time

Name = NewType("Name", str)  # a command's permanent name


class State(StrEnum):
    """What became of a command so far."""

    PENDING = "pending"
    APPLIED = "applied"
    REFUSED = "refused"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Row:
    """A command and its answer; `version` and `position` are its stream's and its last event's."""

    key: UUID
    command_id: UUID
    workspace: WorkspaceId
    principal: PrincipalId
    name: str
    state: State
    rule: str | None
    field: str | None
    detail: Mapping[str, Any] | None
    stream: StreamId | None
    version: int | None
    position: int | None
    received_at: datetime
    answered_at: datetime | None


LIST = Listing(
    "commands",
    Row,
    [
        by_id("command_id"),
        Filter("state", State, "state", "Only commands that stand so.", "refused"),
        Filter("name", Name, "name", "Only commands of this name.", "job.approve"),
        Filter(
            "principal", PrincipalId, "principal", "Only this key's; others' are for admins and auditors.", "Zk3Pq81x"
        ),
        Filter("stream", StreamId, "stream", "Only commands about this.", "job-d0a3b7f4-2f2f-5a0c-9a43-6f0c6f3b8e21"),
        *in_time("received_at", "received"),
    ],
    [Way(("stream",)), Way(("state",), unless="applied"), Way(("principal",))],
    order=("received_at", "key"),
    only="principal NOT LIKE 'system-%%'",
)
