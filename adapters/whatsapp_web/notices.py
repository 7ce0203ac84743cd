"""What the bridge keeps in its ring, in the domain's words."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from adapters import metrics
from adapters.whatsapp_web import page_values
from adapters.whatsapp_web.states import ack_of
from domain.ports import AckChanged, Arrived, MessageArrived

log = logging.getLogger(__name__)

DIGITS = re.compile(r"[0-9]{1,20}")
# The library's word for a kind of message.
KINDS: Mapping[str, Arrived] = {
    "chat": Arrived.TEXT,
    "image": Arrived.IMAGE,
    "video": Arrived.VIDEO,
    "audio": Arrived.AUDIO,
    "ptt": Arrived.VOICE,
    "document": Arrived.DOCUMENT,
    "sticker": Arrived.STICKER,
    "location": Arrived.LOCATION,
    "vcard": Arrived.CONTACT,
    "multi_vcard": Arrived.CONTACT,
    "poll_creation": Arrived.POLL,
    "vote": Arrived.VOTE,
}


@contextmanager
def one_notice() -> Iterator[None]:
    """Take one notice in. One that cannot be is left out, and counted: it may have been what somebody wrote."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # whatever a page says of one thing, the others are heard
        metrics.lost("notice", "unreadable")
        log.error("a notice of a page cannot be read", extra={"error": type(error).__name__})  # noqa: TRY400  # it may quote


def told_of(notice: Mapping[str, Any]) -> AckChanged | MessageArrived | None:
    """What a session tells of a notice. Raises BadValue or another error for what no page says by its nature."""
    match notice:
        case {"kind": "ack", "ids": ids, "ack": ack}:
            return AckChanged(tuple(map(page_values.name, page_values.items(ids))), ack_of(ack))
        case {"kind": "message", "id": wa_id, "type": kind, "at": at, "number": digits, "lid": lid, "text": text}:
            return MessageArrived(
                page_values.name(wa_id),
                KINDS.get(page_values.text(kind), Arrived.OTHER),
                page_values.number(at),
                number_of(digits),
                page_values.optional(lid),
                page_values.text(text),
                page_values.optional(notice.get("answers")) or None,
            )
        case {"kind": "ack" | "message"}:
            raise page_values.BadValue("not all of it")
    return None


def number_of(digits: object) -> str:
    """A number in E.164; empty when the page tells none."""
    if digits in ("", None):
        return ""
    if not isinstance(digits, str) or not DIGITS.fullmatch(digits):
        raise page_values.BadValue("no number")
    return f"+{digits}"
