"""An account's profile: whose phone it is, which chats are to go from it, and its end."""

import asyncio
import logging
from contextlib import suppress
from functools import partial
from uuid import UUID

from adapters.sessions import WantedSession
from domain.ports import Messenger, Unanswered
from workers.persevering import through_outages
from workers.session_tools import Tools

NOT_FORGOTTEN = 10.0  # seconds until the page is asked again to delete chats that it did not
log = logging.getLogger(__name__)


class AccountProfile:
    """What is done to one account's profile besides sending; `acting` is held while something is."""

    def __init__(self, tools: Tools, wanted: WantedSession, messenger: Messenger, acting: asyncio.Lock) -> None:
        self._tools = tools
        self._workspace = wanted.workspace
        self._account: UUID = wanted.account_id
        self._messenger = messenger
        self._acting = acting
        self._forgetting = asyncio.Event()

    async def know_number(self, linked: asyncio.Event) -> None:
        """Keep whose phone this is. Not to know is no trouble: the next session asks again."""
        await linked.wait()
        with suppress(Unanswered):
            own = await self._messenger.own()
            await through_outages(
                partial(self._tools.inbound.put_number, self._workspace, self._account, own.number, own.lid)
            )

    def forget(self) -> None:
        """There are chats to be deleted."""
        self._forgetting.set()

    async def forget_chats(self, linked: asyncio.Event) -> None:
        """Delete chats with people who were erased, between two sends; each order stands until its chat is gone."""
        await linked.wait()
        while True:
            await self._forgetting.wait()
            try:
                for chat in await through_outages(partial(self._tools.chats.of, self._account)):
                    async with self._acting:
                        await self._messenger.forget(chat.number)
                    await through_outages(partial(self._tools.chats.done, chat))
            except Unanswered as unanswered:
                told = {"account_id": str(self._account), "reason": unanswered.reason}
                log.warning("a chat was not deleted", extra=told)
                await asyncio.sleep(NOT_FORGOTTEN)
            self._forgetting.clear()

    async def erase(self) -> bool:
        """Whether the profile is gone: what is left of it would still be the account."""
        try:
            await self._tools.erase_profile(self._account)
        except OSError as error:
            errno = error.errno  # its text names the directory
            log.warning("a profile was not destroyed", extra={"account_id": str(self._account), "errno": errno})
            return False
        await through_outages(partial(self._tools.inbound.forget_number, self._account))
        await through_outages(partial(self._tools.chats.drop, self._account))
        return True
