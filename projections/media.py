"""What is asked of media: the files a workspace has, the newest first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from domain.message import WorkspaceId
from projections.listing import Filter, Listing, in_time

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
