"""What a message says: its parts, and the limits of each. All their words are templates (see `wording`)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.message import Digest, Ref, Refused
from domain.workspace import within

MOST_PARTS = 10
LONGEST_TEXT = 4_096  # characters; WhatsApp's own limit for a text message
LONGEST_DELAY = 300  # seconds
CHOICES = (2, 12)  # of a poll


class MediaKind(StrEnum):
    """What a file is sent as."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    VOICE = "voice"
    DOCUMENT = "document"
    STICKER = "sticker"


@dataclass(frozen=True, slots=True)
class TextPart:
    """Words. `delay`: seconds after the part before; `reply_to`: the earlier part that it quotes, counted from 0."""

    text: Ref
    delay: int = 0
    reply_to: int | None = None


@dataclass(frozen=True, slots=True)
class MediaPart:
    """A file: an image, a video, a sound, a voice note, a document or a sticker."""

    kind: MediaKind
    media: Digest
    caption: Ref | None = None
    filename: Ref | None = None
    delay: int = 0
    reply_to: int | None = None


@dataclass(frozen=True, slots=True)
class LocationPart:
    """A place: degrees north and east."""

    latitude: float
    longitude: float
    name: Ref | None = None
    address: Ref | None = None
    delay: int = 0
    reply_to: int | None = None


@dataclass(frozen=True, slots=True)
class ContactPart:
    """A contact's card."""

    name: Ref
    number: Ref
    delay: int = 0
    reply_to: int | None = None


@dataclass(frozen=True, slots=True)
class PollPart:
    """A question with 2 to 12 choices, of which so many may be selected."""

    question: Ref
    choices: tuple[Ref, ...]
    selectable: int = 1
    delay: int = 0
    reply_to: int | None = None


# One message each. In the log a part's fields tell its class, for no two classes require the same.
Part = TextPart | MediaPart | LocationPart | ContactPart | PollPart

NAMES: Mapping[type[Part], str] = {TextPart: "text", LocationPart: "location", ContactPart: "contact", PollPart: "poll"}
KINDS: Mapping[str, type[Part]] = {
    **{name: kind for kind, name in NAMES.items()},
    **dict.fromkeys(MediaKind, MediaPart),
}
# The longest text of each field, in characters, before its variables are filled in as after.
LONGEST: Mapping[tuple[type, str], int] = {
    (TextPart, "text"): LONGEST_TEXT,
    (MediaPart, "caption"): 1_024,
    (MediaPart, "filename"): 255,
    (LocationPart, "name"): 1_000,
    (LocationPart, "address"): 1_000,
    (ContactPart, "name"): 200,
    (ContactPart, "number"): 60,
    (PollPart, "question"): 255,
    (PollPart, "choices"): 100,
}
CAPTIONED = (MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.DOCUMENT)


def kind_of(part: Part) -> str:
    """The word for what a part is: `text`, `image`, `poll`…"""
    return part.kind if isinstance(part, MediaPart) else NAMES[type(part)]


def words(part: Part) -> Iterator[Ref]:
    """The references to all that a part says in words."""
    match part:
        case TextPart():
            yield part.text
        case MediaPart():
            yield from filter(None, (part.caption, part.filename))
        case LocationPart():
            yield from filter(None, (part.name, part.address))
        case ContactPart():
            yield from (part.name, part.number)
        case PollPart():
            yield from (part.question, *part.choices)


def at_once(parts: Sequence[Part]) -> int:
    """How many messages a person gets at most without a pause between them."""
    run = longest = 0
    for part in parts:
        run = 1 if part.delay else run + 1
        longest = max(longest, run)
    return longest


def check(parts: Sequence[Part]) -> None:
    """Refuse parts that no messenger would take, or that quote what is not there."""
    if not parts:
        raise Refused("empty", field="parts")
    if len(parts) > MOST_PARTS:
        raise Refused("too_many", field="parts", maximum=MOST_PARTS)
    for index, part in enumerate(parts):
        check_one(part, index, f"parts.{index}")


def check_one(part: Part, index: int, field: str) -> None:
    """The same for the part at `index`."""
    within(part.delay, 0, LONGEST_DELAY if index else 0, f"{field}.delay")
    if part.reply_to is not None and not 0 <= part.reply_to < index:
        raise Refused("not_an_earlier_part", field=f"{field}.reply_to")
    match part:
        case MediaPart(kind=kind, caption=caption, filename=filename):
            if caption is not None and kind not in CAPTIONED:
                raise Refused("not_of_this_kind", field=f"{field}.caption", kind=kind)
            if filename is not None and kind is not MediaKind.DOCUMENT:
                raise Refused("not_of_this_kind", field=f"{field}.filename", kind=kind)
        case LocationPart(latitude=latitude, longitude=longitude):
            within(latitude, -90, 90, f"{field}.latitude")
            within(longitude, -180, 180, f"{field}.longitude")
        case PollPart(choices=choices, selectable=selectable):
            if len(set(choices)) != len(choices):
                raise Refused("repeated", field=f"{field}.choices")
            if len(choices) < CHOICES[0]:
                raise Refused("too_few", field=f"{field}.choices", minimum=CHOICES[0])
            if len(choices) > CHOICES[1]:
                raise Refused("too_many", field=f"{field}.choices", maximum=CHOICES[1])
            within(selectable, 1, len(choices), f"{field}.selectable")


def check_files(parts: Sequence[Part], known: Mapping[Digest, Collection[MediaKind]]) -> None:
    """Refuse files that are not there, or that cannot be sent as what a part names them."""
    for index, part in enumerate(parts):
        if isinstance(part, MediaPart):
            if part.media not in known:
                raise Refused("unknown_media", field=f"parts.{index}.media")
            if part.kind not in known[part.media]:
                kinds = " or ".join(sorted(known[part.media]))
                raise Refused("not_to_be_sent_so", field=f"parts.{index}.kind", kinds=kinds)


def media_in(parts: Sequence[Part]) -> set[Digest]:
    """The files that parts carry."""
    return {part.media for part in parts if isinstance(part, MediaPart)}
