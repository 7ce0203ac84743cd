"""The registry of faults that the sandbox can be told to commit, and which of them are armed."""

from collections.abc import Mapping
from dataclasses import dataclass

FAULTS: Mapping[str, str] = {
    "wire_doubled": "F19: the server takes one send for two, under the same id; every oracle must notice",
    "not_on_whatsapp": "the number has no WhatsApp account",
    "nack": "the server refuses the message: nothing reaches the recipient",
    "hang_before_wire": "a send's promise never settles, and nothing reached the wire",
    "hang_after_wire": "F10: a send's promise never settles, though the message is on the wire",
    "receipts_lost": "F7: nothing comes after the server's own acknowledgement",
}


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

    def arm(self, name: str, number: str | None = None, times: int | None = None) -> None:
        if name not in FAULTS:
            raise UnknownFault(name)
        self.armed.append(Armed(name, number, times))

    def clear(self) -> None:
        self.armed.clear()

    def strikes(self, name: str, number: str) -> bool:
        for fault in self.armed:
            if fault.name == name and fault.number in (None, number):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self.armed.remove(fault)
                return True
        return False
