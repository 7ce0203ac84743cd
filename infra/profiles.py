"""The browser profiles of this host's accounts: opened, freed of former browsers, destroyed."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from adapters.whatsapp_web.browser import kill_former
from adapters.whatsapp_web.driver import WhatsAppWeb
from domain.ports import Messenger


class Profiles:
    """A directory for each account; whoever has it has the account."""

    def __init__(self, web: WhatsAppWeb, directory: Path) -> None:
        self._web = web
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def open(self, account: UUID, launched: Callable[[int], Awaitable[None]]) -> Messenger:
        """The account's messenger, not started yet; `launched` is awaited with its browser's process group."""
        return self._web.session(self._of(account), launched=launched)

    async def kill(self, account: UUID, process_group: int | None) -> None:
        """End what a former holder left at work on the profile. Raises FormerBrowserAlive."""
        await kill_former(self._of(account), process_group)

    async def erase(self, account: UUID) -> None:
        """Destroy the profile, whose browser is gone. Raises OSError."""
        with suppress(FileNotFoundError):
            await asyncio.to_thread(shutil.rmtree, self._of(account))

    def _of(self, account: UUID) -> Path:
        return self._directory / str(account)
