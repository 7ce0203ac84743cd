"""The parts of a message as they are shown, in the form in which they are taken."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from api.deps import Texts
from domain.content import MediaKind
from projections.parts import WORDS

TEXT: dict[str, Any] = {"kind": "text", "text": "Hello {{name}}, we open on Saturday.", "delay": 0, "reply_to": None}


class Placed(BaseModel):
    """What every part has: `delay` seconds after the one before, quoting an earlier part (`reply_to`, from 0)."""

    delay: int
    reply_to: int | None


class Text(Placed):
    """A text."""

    kind: Literal["text"]
    text: str | None


class Media(Placed):
    """A file."""

    kind: MediaKind
    media: str
    caption: str | None
    filename: str | None


class Location(Placed):
    """A place."""

    kind: Literal["location"]
    latitude: float
    longitude: float
    name: str | None
    address: str | None


class Contact(Placed):
    """A contact's card."""

    kind: Literal["contact"]
    name: str | None
    number: str | None


class Poll(Placed):
    """A question with choices."""

    kind: Literal["poll"]
    question: str | None
    choices: list[str | None]
    selectable: int


Part = Text | Media | Location | Contact | Poll  # its `kind` tells which
PARTS: TypeAdapter[list[Part]] = TypeAdapter(list[Part])


def shown(parts: Iterable[Mapping[str, Any]], texts: Texts) -> list[Part]:
    """Parts as read models keep them, with their words."""
    return PARTS.validate_python([{name: said(name, value, texts) for name, value in part.items()} for part in parts])


def said(name: str, value: Any, texts: Texts) -> Any:
    """A field's value: the words in place of references."""
    if name not in WORDS or value is None:
        return value
    return [texts.of(ref) for ref in value] if isinstance(value, list) else texts.of(value)
