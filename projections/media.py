"""What is asked of media: the files a workspace has, the newest first, and which of them something refers to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import AsyncConnection

from domain.lifecycle import Status
from domain.message import Digest, WorkspaceId
from projections.listing import Filter, Listing, in_time

OVER = (Status.COMPLETED, Status.STOPPED, Status.REJECTED, Status.EXPIRED)

Kind = Literal["image", "video", "audio", "document", "sticker"]


@dataclass(frozen=True, slots=True)
class Row:
    """A file, as its content says it is."""

    id: str
    workspace: WorkspaceId
    number: int
    kind: Kind
    mimetype: str
    size: int
    width: int | None
    height: int | None
    put_at: datetime


LIST = Listing(
    "media",
    Row,
    [
        Filter("kind", Kind, "kind", "Only files of this kind.", "image"),
        *in_time("put_at", "put in"),
    ],
    order=("number",),
    only="written AND deleted_at IS NULL",  # in the words of the index
)

# What messages carry: of campaigns and templates their newest version, of jobs what was submitted, until they are over.
IN_USE = """
SELECT workspace, part ->> 'media' FROM read_campaigns CROSS JOIN jsonb_array_elements(parts) AS part
WHERE NOT archived AND part ->> 'media' IS NOT NULL{which}
UNION
SELECT workspace, part ->> 'media' FROM read_templates CROSS JOIN jsonb_array_elements(parts) AS part
WHERE NOT archived AND part ->> 'media' IS NOT NULL{which}
UNION
SELECT workspace, part ->> 'media' FROM read_jobs CROSS JOIN jsonb_array_elements(parts) AS part
WHERE status <> ALL(%(over)s) AND part ->> 'media' IS NOT NULL{which}
"""
OF_ONE = " AND workspace = %(workspace)s AND part ->> 'media' = %(media)s"


async def in_use(connection: AsyncConnection) -> set[tuple[WorkspaceId, Digest]]:
    """All media that something refers to, as of the last projected event."""
    rows = await (await connection.execute(IN_USE.format(which=""), {"over": list(OVER)})).fetchall()
    return {(WorkspaceId(workspace), Digest(media)) for workspace, media in rows}


async def is_in_use(connection: AsyncConnection, workspace: WorkspaceId, media: Digest) -> bool:
    """Whether something refers to one."""
    values = {"over": list(OVER), "workspace": workspace, "media": media}
    return await (await connection.execute(IN_USE.format(which=OF_ONE), values)).fetchone() is not None
