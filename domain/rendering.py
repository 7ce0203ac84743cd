"""What a part says to one person: its words with the variables filled in, as the limits of its kind allow."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from domain.content import LONGEST, ContactPart, LocationPart, MediaPart, Part, PollPart, TextPart
from domain.message import Ref
from domain.send import Rejection
from domain.wording import render

NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
AROUND_DIGITS = str.maketrans("", "", " ()-./\u00a0")
MENTION = re.compile(r"@(\+[1-9][0-9]{6,14})(?![0-9])")


class Unsendable(Exception):
    """A part that this person cannot get, for the reason and the field that are named."""

    def __init__(self, reason: Rejection, field: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.reason = reason
        self.field = field


@dataclass(frozen=True, slots=True)
class Said:
    """A part and its words for one person, by field; never kept."""

    part: Part
    words: Mapping[str, str]
    choices: tuple[str, ...] = ()


def said(part: Part, words: Mapping[Ref, str], values: Mapping[str, str]) -> Said:
    """A part for one person. Raises Unsendable."""

    def fill(ref: Ref | None, field: str) -> str:
        if ref is None:
            return ""
        if ref not in words:  # they were about somebody who was erased meanwhile
            raise Unsendable(Rejection.UNRENDERABLE, field)
        return filled(words[ref], values, field, LONGEST[type(part), field])

    match part:
        case TextPart():
            return Said(part, {"text": not_blank(fill(part.text, "text"), "text")})
        case MediaPart():
            names = {"filename": fill(part.filename, "filename").replace("/", "_").replace("\\", "_")}
            return Said(part, {"caption": fill(part.caption, "caption"), **names})
        case LocationPart():
            return Said(part, {"name": fill(part.name, "name"), "address": fill(part.address, "address")})
        case ContactPart():
            number = fill(part.number, "number").translate(AROUND_DIGITS)
            if not NUMBER.fullmatch(number):
                raise Unsendable(Rejection.UNRENDERABLE, "number")
            return Said(part, {"name": not_blank(fill(part.name, "name"), "name"), "number": number})
        case PollPart():
            choices = tuple(not_blank(fill(ref, "choices"), "choices") for ref in part.choices)
            if len(set(choices)) != len(choices):
                raise Unsendable(Rejection.UNRENDERABLE, "choices")
            return Said(part, {"question": not_blank(fill(part.question, "question"), "question")}, choices)


def filled(template: str, values: Mapping[str, str], field: str, longest: int) -> str:
    """A template's text for one person."""
    try:
        text = render(template, values)
    except (KeyError, ValueError):
        raise Unsendable(Rejection.UNRENDERABLE, field) from None
    if len(text) > longest:
        raise Unsendable(Rejection.TOO_LONG, field)
    return text


def not_blank(text: str, field: str) -> str:
    """A text of which something can be seen."""
    if not text.strip():
        raise Unsendable(Rejection.UNRENDERABLE, field)
    return text


def mentions(text: str) -> tuple[str, tuple[str, ...]]:
    """A text in which `@+12025550142` calls somebody: as WhatsApp writes it (`@12025550142`), and whom it calls."""
    return MENTION.sub(lambda found: f"@{found[1][1:]}", text), tuple(dict.fromkeys(MENTION.findall(text)))
