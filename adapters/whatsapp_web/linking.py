"""Linking an account by a code, and unlinking it: calls into the page that may take long, or never come back."""

import asyncio

from playwright.async_api import Page

from adapters.whatsapp_web.orders import digits
from adapters.whatsapp_web.page_values import text
from domain.ports import SendRejected, Unanswered

WITHIN = 15.0
LONGEST_CODE = 100  # characters


async def link_code(page: Page | None, number: str) -> str:
    """The code to type on the phone that has this E.164 number. Raises Unanswered."""
    try:
        asked = digits(number)
    except SendRejected as rejected:
        raise Unanswered(rejected.reason) from None
    code = await _ask(page, "number => drumline.linkCode(number)", asked)
    if not isinstance(code, str):
        raise Unanswered("not_waiting")
    return text(code, LONGEST_CODE)


async def log_out(page: Page | None) -> None:
    """Tell WhatsApp that this browser is to be unlinked. Raises Unanswered."""
    if not await _ask(page, "() => drumline.logOut()", None):
        raise Unanswered("not_ready")


async def _ask(page: Page | None, question: str, value: object) -> object:
    if page is None:
        raise Unanswered("not_waiting")
    try:
        async with asyncio.timeout(WITHIN):
            answer: object = await page.evaluate(question, value)
    except TimeoutError:
        raise Unanswered("deadline") from None
    except Exception:  # noqa: BLE001  # what it says may be too deep to be read; its message may quote what was asked
        raise Unanswered("page_error") from None
    return answer
