"""What one message of the sandbox says, as it goes over the wire and lies on a phone."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Number = Annotated[str, Field(pattern=r"^\+[1-9]\d{6,14}$")]
FileDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
LONGEST = 65_536


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(_Content):
    """A text; `mentions` are the numbers that it calls by `@`."""

    kind: Literal["text"] = "text"
    text: str = Field(max_length=LONGEST)
    mentions: tuple[Number, ...] = ()


class File(_Content):
    """A picture, a film, a sound, a document: its bytes are named by their SHA-256; `mentions` as in a text."""

    kind: Literal["image", "video", "audio", "voice", "document", "sticker"]
    media: FileDigest
    mimetype: str = Field(max_length=255)
    filename: str = Field("", max_length=255)
    caption: str = Field("", max_length=LONGEST)
    mentions: tuple[Number, ...] = ()


class Place(_Content):
    """A place on the map, in degrees."""

    kind: Literal["location"] = "location"
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    name: str = Field("", max_length=1000)
    address: str = Field("", max_length=1000)


class Card(_Content):
    """A contact card."""

    kind: Literal["contact"] = "contact"
    name: str = Field(max_length=1000)
    number: Number


class Poll(_Content):
    """A question with choices; `selectable` of them may be chosen, 0 for as many as one likes."""

    kind: Literal["poll"] = "poll"
    question: str = Field(max_length=LONGEST)
    choices: tuple[str, ...] = Field(min_length=1, max_length=12)
    selectable: int = Field(1, ge=0)


Content = Annotated[Text | File | Place | Card | Poll, Field(discriminator="kind")]
CONTENT: TypeAdapter[Text | File | Place | Card | Poll] = TypeAdapter(Content)


def written(content: Text | File | Place | Card | Poll) -> str:
    """The words of a message, as a list of chats shows them."""
    match content:
        case Text(text=words) | File(caption=words) | Poll(question=words) | Card(name=words):
            return words
        case Place():
            return content.name or content.address


def hashed(content: Text | File | Place | Card | Poll) -> str:
    """What the ledger takes the digest of: a text's own words, and of everything else each of its fields."""
    if isinstance(content, Text) and not content.mentions:
        return content.text
    return json.dumps(fields(content), sort_keys=True, ensure_ascii=False)


def fields(content: Text | File | Place | Card | Poll) -> dict[str, Any]:
    """A content as plain JSON."""
    return content.model_dump(mode="json")
