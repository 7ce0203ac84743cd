"""What every session works with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from adapters.event_store import EventStore
from adapters.forgotten_chats import ForgottenChats
from adapters.inbound import Inbound
from adapters.leases import Leases
from adapters.progress import Progress
from adapters.sends import Sends
from adapters.sessions import Sessions
from adapters.unplaced import Unplaced
from adapters.vault import Vault
from domain.ports import Messenger
from domain.quota import USUAL_ACT
from workers.batches import Batches
from workers.decisions import Decisions
from workers.receipts import Receipts

Launched = Callable[[int], Awaitable[None]]


class OpenMessenger(Protocol):
    """Makes an account's messenger; `launched` is to be awaited with its browser's process group."""

    def __call__(self, account: UUID, launched: Launched) -> Messenger: ...


class KillFormer(Protocol):
    """Ends what a former holder left at work on an account's profile. Raises FormerBrowserAlive."""

    async def __call__(self, account: UUID, process_group: int | None) -> None: ...


class EraseProfile(Protocol):
    """Destroys an account's profile, whose browser is gone: whoever has it has the account. Raises OSError."""

    async def __call__(self, account: UUID) -> None: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """The tables, the bus, and the browsers."""

    store: EventStore
    decisions: Decisions
    batches: Batches
    progress: Progress
    sessions: Sessions
    inbound: Inbound
    unplaced: Unplaced
    vault: Vault
    leases: Leases
    sends: Sends
    receipts: Receipts
    chats: ForgottenChats
    open_messenger: OpenMessenger
    kill_former: KillFormer
    erase_profile: EraseProfile
    deadline: float = USUAL_ACT.total_seconds()  # for a send without a file
    browser_memory: int = 2 << 30  # bytes; a browser that takes more is closed between two sends, and opened anew
    typing: float = 0.0  # seconds for which one shows as typing before a text, at most
