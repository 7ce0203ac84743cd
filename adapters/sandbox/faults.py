"""The registry of faults that the sandbox can be told to commit, and which of them are armed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

FAULTS: Mapping[str, str] = {
    "session_lost": "F1: after its next start the browser has lost its session: no log-out is told, a code is shown",
    "no_code": "F2: a browser that is not linked gets no QR code, for as long as this is armed",
    "codes_run_out": "F3: the list of QR codes is used up at once, and the page waits idle",
    "codes_expired": "F3: a code on show has expired already when the phone scans it",
    "stuck_loading": "F4: loading stays at 100 % for ever, with a session that is linked",
    "never_ready": "F5: the library's ready flags never become true, though the chats are on show",
    "ack_stuck": "F6: ready and online, yet a message stays at the clock until the page connects anew",
    "receipts_lost": "F7: delivered and read on the phone, and the page is told of neither before it connects anew",
    "navigation": "F8: the page navigates in a send: the message is on the wire, whoever waited is gone",
    "no_lid": "F9: the number has a WhatsApp account, but no LID is found for it, so no chat",
    "hang_after_wire": "F10: a send's promise never settles, though the message (a file, as a rule) is on the wire",
    "duplicate_refused": "F11: a message that was never sent is refused as a duplicate: no row, nothing on the wire",
    "memory_growth": "F12: the page takes 16 MB more each quarter of a second, up to 256 MB, while this is armed",
    "profile_locked": "F13: the browser is killed in a send, before the wire, its profile locked by another host",
    "reachout_locked": "F14: a message to somebody who never wrote is refused with 463: the account is time-locked",
    "new_chats_capped": "F14: a message to somebody who never wrote is refused: NewChatMessagesCapped",
    "banned": "F14: the account is logged out as locked, and its phone can link no browser while this is armed",
    "conflict": "F15: WhatsApp Web is used elsewhere: stream mode CONFLICT while this is armed",
    "tos_block": "F15: blocked for its terms of service: stream mode TOS_BLOCK while this is armed",
    "deprecated_version": "F15: WhatsApp Web is too old: stream mode DEPRECATED_VERSION while this is armed",
    "events_dropped": "F16: the library tells of no message and no receipt, though the store has them",
    "events_doubled": "F16: the library tells of each message and each receipt twice",
    "events_shuffled": "F16: the library tells of messages and receipts in pairs, the later one first",
    "killed_before_store": "F17: the browser is killed in a send, before the message has a row",
    "killed_after_store": "F17: the browser is killed in a send, with a row and nothing on the wire",
    "killed_after_wire": "F17: the browser is killed in a send, with the message on the wire and no answer yet",
    "killed_after_ack": "F17: the browser is killed in a send, with the server's acknowledgement stored",
    "slow_media": "F18: a file takes long (`--slow-media` seconds) before it is on the wire",
    "wire_doubled": "F19: the server takes one send for two, under the same id; every oracle must notice",
    "not_on_whatsapp": "the number has no WhatsApp account",
    "nack": "the server refuses the message: nothing reaches the recipient",
    "numbers_hidden": "the library does not tell the number behind anybody's linked id, while this is armed",
    "hang_before_wire": "a send's promise never settles, and nothing reached the wire",
}
# Those that last while they are armed; every other one strikes at its place, and is used up there.
STANDING = frozenset(
    {
        "stuck_loading",
        "never_ready",
        "memory_growth",
        "banned",
        "conflict",
        "tos_block",
        "deprecated_version",
        "events_dropped",
        "events_doubled",
        "events_shuffled",
        "numbers_hidden",
    }
)
# Those that the page commits, so that it must be told of them: the server alone counts how often.
IN_THE_PAGE = STANDING | {"duplicate_refused", "killed_before_store", "killed_after_store", "killed_after_ack"}


class UnknownFault(ValueError):
    """There is no fault of this name."""


@dataclass(slots=True)
class Armed:
    """One fault waiting to happen: for one number or for all, a number of times or (None) always."""

    name: str
    number: str | None = None
    times: int | None = None


class Faults:
    """What is armed. `strikes` is asked at the place where the fault would happen, and uses it up."""

    def __init__(self) -> None:
        self.armed: list[Armed] = []
        self.changes = 0
        self.told: Callable[[], None] = lambda: None

    def changed(self) -> None:
        self.changes += 1
        self.told()

    def arm(self, name: str, number: str | None = None, times: int | None = None) -> None:
        if name not in FAULTS:
            raise UnknownFault(name)
        self.armed.append(Armed(name, number, times))
        self.changed()

    def clear(self, name: str | None = None) -> None:
        """One fault, or none at all, is armed no more."""
        self.armed = [fault for fault in self.armed if name not in (None, fault.name)]
        self.changed()

    def strikes(self, name: str, number: str | None) -> bool:
        """`number` is the recipient's in a send, the account's in anything else; None matches only a fault for all."""
        for fault in self.armed:
            if fault.name == name and fault.number in (None, number):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self.armed.remove(fault)
                        self.changed()
                return True
        return False

    def stands(self, name: str, number: str | None) -> bool:
        """Whether a lasting fault holds for an account."""
        return any(fault.name == name and fault.number in (None, number) for fault in self.armed)

    def in_the_page(self, account: str | None) -> list[str]:
        """What a page of this account must know of: lasting faults of its own, and any that strike in sends."""
        names = (
            fault.name
            for fault in self.armed
            if fault.name in IN_THE_PAGE and (fault.name not in STANDING or fault.number in (None, account))
        )
        return sorted(set(names))
