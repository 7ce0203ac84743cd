"""What a session asks its page besides sends: questions with a deadline, answered from reading.js."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from adapters.whatsapp_web.orders import E164
from adapters.whatsapp_web.states import ack_of
from domain.directory import Group, Listed, Person
from domain.ports import Ack, Unanswered

ANSWER_WITHIN = 15.0


class Asking(ABC):
    """The questions of a Messenger; `_ready_page` is the page of a session that is ready, or None."""

    @abstractmethod
    def _ready_page(self) -> Page | None: ...

    async def typing(self, number: str, seconds: float) -> None:
        with contextlib.suppress(Unanswered):
            await self._ask("typing", number.removeprefix("+"), round(seconds * 1000), within=seconds + ANSWER_WITHIN)

    async def found(self, sent: Sequence[tuple[str, str]]) -> Mapping[str, Ack]:
        asked = [[number.removeprefix("+"), wa_id] for number, wa_id in sent]
        return {wa_id: ack_of(ack) for wa_id, ack in (await self._told("found", asked)).items()}

    async def exists(self, number: str) -> bool:
        return bool(E164.fullmatch(number)) and bool(await self._told("exists", number.removeprefix("+")))

    async def forget(self, number: str) -> None:
        if not await self._told("forget", number.removeprefix("+")):
            raise Unanswered("refused")

    async def numbers(self, lids: Collection[str]) -> Mapping[str, str]:
        told = await self._told("numbers", list(lids))
        return {lid: f"+{number}" for lid, number in told.items()}

    async def own(self) -> Person:
        return _person(await self._told("own"))

    async def contacts(self, search: str = "", offset: int = 0, limit: int = 100) -> Listed[Person]:
        listed = await self._told("contacts", search.removeprefix("+"), offset, limit)
        return Listed(listed["total"], [_person(item) for item in listed["items"]])

    async def groups(self, search: str = "", offset: int = 0, limit: int = 100) -> Listed[Group]:
        listed = await self._told("groups", search, offset, limit)
        return Listed(listed["total"], [Group(**item) for item in listed["items"]])

    async def members(self, group: str, offset: int = 0, limit: int = 100) -> Listed[Person]:
        listed = await self._told("members", group, offset, limit)
        return Listed(listed["total"], [_person(item) for item in listed["items"]])

    async def _told(self, question: str, *values: object) -> Any:
        """An answer. The page says null when it is not ready."""
        answer = await self._ask(question, *values)
        if answer is None:
            raise Unanswered("not_ready")
        return answer

    async def _ask(self, question: str, *values: object, within: float = ANSWER_WITHIN) -> Any:
        page = self._ready_page()
        if page is None:
            raise Unanswered("not_ready")
        try:
            async with asyncio.timeout(within):
                return await page.evaluate("([question, values]) => drumline[question](...values)", [question, values])
        except TimeoutError:
            raise Unanswered("deadline") from None
        except PlaywrightError:  # its message may quote what was asked
            raise Unanswered("page_error") from None


def _person(told: dict[str, str]) -> Person:
    number = told["number"]
    return Person(f"+{number}" if number else "", told["lid"], told.get("name", ""))
