"""What a session asks its page besides sends: questions with a deadline, answered from reading.js."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from playwright.async_api import Page

from adapters.whatsapp_web.notices import number_of
from adapters.whatsapp_web.orders import E164
from adapters.whatsapp_web.page_values import count, items, name, optional, text
from adapters.whatsapp_web.states import ack_of
from domain.directory import Group, Listed, Person
from domain.ports import Ack, Unanswered

ANSWER_WITHIN = 15.0
LONGEST_NAME = 1_000  # characters
T = TypeVar("T")


class Asking(ABC):
    """The questions of a Messenger; `_ready_page` is the page of a session that is ready, or None."""

    @abstractmethod
    def _ready_page(self) -> Page | None: ...

    async def typing(self, number: str, seconds: float) -> None:
        with contextlib.suppress(Unanswered):
            await self._ask("typing", number.removeprefix("+"), round(seconds * 1000), within=seconds + ANSWER_WITHIN)

    async def found(self, sent: Sequence[tuple[str, str]]) -> Mapping[str, Ack]:
        asked = [[number.removeprefix("+"), wa_id] for number, wa_id in sent]
        ours = {wa_id for _, wa_id in sent}
        return await self._told(
            lambda told: {wa_id: ack_of(ack) for wa_id, ack in told.items() if wa_id in ours}, "found", asked
        )

    async def exists(self, number: str) -> bool:
        return bool(E164.fullmatch(number)) and await self._told(bool, "exists", number.removeprefix("+"))

    async def forget(self, number: str) -> None:
        if not await self._told(bool, "forget", number.removeprefix("+")):
            raise Unanswered("refused")

    async def numbers(self, lids: Collection[str]) -> Mapping[str, str]:
        return await self._told(
            lambda told: {lid: number_of(number) for lid, number in told.items() if lid in lids}, "numbers", list(lids)
        )

    async def own(self) -> Person:
        return await self._told(_person, "own")

    async def contacts(self, search: str = "", offset: int = 0, limit: int = 100) -> Listed[Person]:
        return await self._told(partial(_listed, _person), "contacts", search.removeprefix("+"), offset, limit)

    async def groups(self, search: str = "", offset: int = 0, limit: int = 100) -> Listed[Group]:
        return await self._told(partial(_listed, _group), "groups", search, offset, limit)

    async def members(self, group: str, offset: int = 0, limit: int = 100) -> Listed[Person]:
        return await self._told(partial(_listed, _person), "members", group, offset, limit)

    async def _told(self, read: Callable[[Any], T], question: str, *values: object) -> T:
        """An answer, read. The page says null when it is not ready."""
        answer = await self._ask(question, *values)
        if answer is None:
            raise Unanswered("not_ready")
        try:
            return read(answer)
        except (ValueError, TypeError, LookupError, AttributeError):  # what no page of ours says
            raise Unanswered("page_error") from None

    async def _ask(self, question: str, *values: object, within: float = ANSWER_WITHIN) -> Any:
        page = self._ready_page()
        if page is None:
            raise Unanswered("not_ready")
        try:
            async with asyncio.timeout(within):
                return await page.evaluate("([question, values]) => drumline[question](...values)", [question, values])
        except TimeoutError:
            raise Unanswered("deadline") from None
        except Exception:  # noqa: BLE001  # what it says may be too deep to be read; its message may quote what was asked
            raise Unanswered("page_error") from None


def _person(told: Mapping[str, Any]) -> Person:
    return Person(number_of(told["number"]), optional(told["lid"]), text(told.get("name") or "", LONGEST_NAME))


def _group(told: Mapping[str, Any]) -> Group:
    return Group(name(told["id"]), text(told["name"], LONGEST_NAME), count(told["members"]))


def _listed(read: Callable[[Any], T], told: Mapping[str, Any]) -> Listed[T]:
    return Listed(count(told["total"]), [read(item) for item in items(told["items"])])
