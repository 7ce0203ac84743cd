"""What a session tells its page to send: a message of the domain as the plain JSON that sending.js takes."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from domain.outgoing import Contact, Location, Media, Outgoing, Poll, Text
from domain.ports import SendRejected

E164 = re.compile(r"\+[1-9]\d{6,14}")
WA_ID = re.compile(r"3EB0(?:[0-9A-F]{16}|[0-9A-F]{18})")


def digits(number: str) -> str:
    """An E.164 number as WhatsApp writes it. Raises SendRejected."""
    if not E164.fullmatch(number):
        raise SendRejected("invalid_number")
    return number.removeprefix("+")


def all_digits(numbers: Sequence[str]) -> list[str]:
    """The same of several."""
    return [digits(number) for number in numbers]


def said(message: Outgoing) -> dict[str, Any]:
    """What a message says. Raises SendRejected."""
    match message:
        case Text():
            return {"kind": "text", "text": message.text, "mentions": all_digits(message.mentions)}
        case Media():
            shown = {"filename": message.filename, "mimetype": message.mimetype, "caption": message.caption}
            return {"kind": message.kind.value, **shown, "mentions": all_digits(message.mentions)}
        case Location():
            place = {"latitude": message.latitude, "longitude": message.longitude}
            return {"kind": "location", **place, "name": message.name, "address": message.address}
        case Contact():
            return {"kind": "contact", "name": message.name, "number": digits(message.number)}
        case Poll():
            asked = {"question": message.question, "choices": list(message.choices)}
            return {"kind": "poll", **asked, "selectable": message.selectable}


def file_of(message: Outgoing) -> Path | None:
    """The file to hand to the browser, by its whole path. Raises SendRejected."""
    if not isinstance(message, Media):
        return None
    if not message.file.is_file():
        raise SendRejected("file_missing")
    return message.file.absolute()
