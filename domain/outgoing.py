"""What a messenger is told to send to one person: rendered, files at hand. It becomes no event and no log line."""

from dataclasses import dataclass, field
from pathlib import Path

from domain.content import MediaKind
from domain.quota import LONGEST_ACT

CHARACTERS_A_SECOND = 25.0  # a fast typist's
SLOWEST = 256 * 1024  # bytes a second, of a line that files are still waited for on


@dataclass(frozen=True, slots=True)
class Text:
    """A text with WhatsApp's own formatting (*bold* _italic_ ~strike~ ```code```).

    `mentions` are E.164 numbers of people whom the text calls by `@` and their digits.
    """

    text: str = field(repr=False)
    mentions: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Media:
    """A file: `filename` is what the recipient sees of a document; a voice note and a sticker have no caption."""

    kind: MediaKind
    file: Path = field(repr=False)
    mimetype: str
    filename: str = field(repr=False)
    caption: str = field(default="", repr=False)
    mentions: tuple[str, ...] = field(default=(), repr=False)  # whom the caption calls, as in a text


@dataclass(frozen=True, slots=True)
class Location:
    """A place on the map, in degrees; `name` and `address` may be empty."""

    latitude: float = field(repr=False)
    longitude: float = field(repr=False)
    name: str = field(default="", repr=False)
    address: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact card: a name and an E.164 number."""

    name: str = field(repr=False)
    number: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Poll:
    """A question with choices; up to `selectable` of them may be chosen, 0 for as many as one likes."""

    question: str = field(repr=False)
    choices: tuple[str, ...] = field(repr=False)
    selectable: int = 1


Outgoing = Text | Media | Location | Contact | Poll


def longest_act(message: Outgoing, usual: float) -> float:
    """Seconds that a send of it may take, when one without a file may take `usual`: more by its size, to a limit."""
    size = message.file.stat().st_size if isinstance(message, Media) and message.file.is_file() else 0
    return min(usual + size / SLOWEST, LONGEST_ACT.total_seconds())


def typing_time(message: Outgoing, longest: float) -> float:
    """Seconds for which one shows as typing before a message: by its length, capped; none before what is not typed."""
    return min(len(message.text) / CHARACTERS_A_SECOND, longest) if isinstance(message, Text) else 0.0
