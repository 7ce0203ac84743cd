"""Whose a message on COMMANDS is, and how much memory it takes while it waits here."""

from nats.aio.msg import Msg

from adapters.cloudevents import Address

RECORD = 1_024  # bytes that a message takes beside its body, about
NOBODY = ""


def giver(message: Msg) -> tuple[str, str]:
    """Its workspace and key; all that name none are nobody's."""
    address = Address.read(message.subject)
    return (address.workspace, address.principal) if address else (NOBODY, NOBODY)


def key_of(message: Msg) -> str:
    """Whose turn it takes: its key's."""
    return giver(message)[1]


def size_of(message: Msg) -> int:
    """The memory that it takes, in bytes, about."""
    return len(message.data) + RECORD
