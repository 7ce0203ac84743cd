"""What a message says: its parts, and the variables in a text. A template holds names, never code."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from domain.message import Ref

VARIABLE = re.compile(r"\{\{\s*([a-z][a-z0-9_]{0,39})\s*\}\}")
LONGEST_TEXT = 4_096  # characters; WhatsApp's own limit for a text message


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


def render(template: str, values: Mapping[str, str]) -> str:
    """The text for one recipient. KeyError names a variable the recipient lacks."""
    return VARIABLE.sub(lambda match: values[match[1]], template)
