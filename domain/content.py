"""What a message says: its parts, and the variables in a text. A template holds names, never code."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.message import Ref

VARIABLE = re.compile(r"\{\{\s*([a-z][a-z0-9_]{0,39})\s*\}\}")
# What a phone makes a link of: an address with its scheme, or a name that ends in a domain in wide use.
LINK = re.compile(
    r"(?:https?://|www\.)\S|\b[a-z0-9-]+\.(?:[a-z]{2}|com|org|net|info|biz|shop|app|dev|link|site|online|xyz)\b(?!\.\w)",
    re.IGNORECASE | re.ASCII,
)
LONGEST_TEXT = 4_096  # characters; WhatsApp's own limit for a text message


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
    """One text message of a campaign; the words lie sealed in the content store."""

    text: Ref


def variables(template: str) -> frozenset[str]:
    """The names between double braces: `Hello {{name}}` -> {"name"}."""
    return frozenset(VARIABLE.findall(template))


def malformed(template: str) -> bool:
    """Whether braces are left that are no variable, so that nobody receives them raw."""
    rest = VARIABLE.sub("", template)
    return "{{" in rest or "}}" in rest


def links(template: str) -> bool:
    """Whether a text holds a link (what a variable brings is not looked at)."""
    return LINK.search(template) is not None


def render(template: str, values: Mapping[str, str]) -> str:
    """The text for one recipient. KeyError names a variable the recipient lacks."""
    return VARIABLE.sub(lambda match: values[match[1]], template)
