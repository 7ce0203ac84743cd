"""What the bridge keeps in its ring, in the domain's words."""

from collections.abc import Mapping
from typing import Any

from adapters.whatsapp_web.states import ack_of
from domain.ports import AckChanged, Arrived, MessageArrived

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


def told_of(notice: Mapping[str, Any]) -> AckChanged | MessageArrived | None:
    """What a session tells of a notice; None for what it only works with itself."""
    match notice:
        case {"kind": "ack", "ids": ids, "ack": ack}:
            return AckChanged(tuple(ids), ack_of(ack))
        case {"kind": "message", "id": wa_id, "type": kind, "at": at, "number": digits, "lid": lid, "text": text}:
            number = f"+{digits}" if digits else ""
            return MessageArrived(wa_id, KINDS.get(kind, Arrived.OTHER), at, number, lid, text, notice["answers"])
    return None
