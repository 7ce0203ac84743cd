"""What a messenger is handed: a part with one person's words, and its file at hand."""

from pathlib import Path
from typing import Protocol

from adapters.media import MediaGone
from adapters.media_kinds import TYPES
from domain.content import ContactPart, LocationPart, MediaPart, PollPart, TextPart
from domain.message import Digest, WorkspaceId
from domain.outgoing import Contact, Location, Media, Outgoing, Poll, Text
from domain.rendering import Said, Unsendable, mentions
from domain.send import Rejection

MIMETYPES = {known.suffix: mimetype for mimetype, known in TYPES.items()}


class Files(Protocol):
    """Where the files of messages are; what it opened stays open for longer than a send takes."""

    async def open(self, workspace: WorkspaceId, media: Digest) -> Path: ...


async def outgoing(said: Said, workspace: WorkspaceId, files: Files) -> Outgoing:
    """What is to be sent. Raises Unsendable, when its file is gone."""
    words = said.words
    match said.part:
        case TextPart():
            return Text(*mentions(words["text"]))
        case MediaPart(kind=kind, media=media):
            try:
                path = await files.open(workspace, media)
            except MediaGone:
                raise Unsendable(Rejection.MEDIA_GONE, "media") from None
            name = words["filename"] or f"{kind}{path.suffix}"
            return Media(kind, path, MIMETYPES[path.suffix], name, *mentions(words["caption"]))
        case LocationPart(latitude=latitude, longitude=longitude):
            return Location(latitude, longitude, words["name"], words["address"])
        case ContactPart():
            return Contact(words["name"], words["number"])
        case PollPart(selectable=selectable):
            return Poll(words["question"], said.choices, selectable)
