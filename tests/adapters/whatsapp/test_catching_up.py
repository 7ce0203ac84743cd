"""What people wrote while nobody heard it: however much it is, all of it is told; what fails is seen."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from adapters import metrics
from adapters.whatsapp_web.catching_up import HEARD, CatchingUp
from adapters.whatsapp_web.driver import WhatsAppWeb
from domain.ports import MessageArrived, Notice
from tests.adapters.whatsapp.test_page import open_page

pytestmark = pytest.mark.asyncio(loop_scope="session")
A_NIGHTS = 10_001
MISSED = """(count) => {
  const stop = { kind: 'message', type: 'chat', at: 1, number: '', text: 'STOP' };
  const one = (_, at) => ({ ...stop, id: `A${at}`, lid: `${at}` });
  window.drumline = { catchUp: async () => (count < 0 ? 'no list' : Array.from({ length: count }, one)) };
}"""


@pytest.fixture(autouse=True)
def none_lost() -> Iterator[None]:
    metrics.LOST.clear()
    yield
    metrics.LOST.clear()


async def caught_up(browser: Browser, web: WhatsAppWeb, profile: Path, count: int) -> list[Notice]:
    """What is told when the page finds so many."""
    told: list[Notice] = []
    profile.mkdir()  # noqa: ASYNC240  # on a disk of the test
    async with open_page(browser, web, "", scripts=False) as page:
        await page.evaluate(MISSED, count)
        catching_up = CatchingUp(profile, told.append)
        catching_up.due(page, "a bridge")
        task = catching_up._task
        assert task is not None
        async with asyncio.timeout(60):
            await task
    return told


async def test_all_of_what_was_written_in_an_outage_is_told_and_its_time_moves_on(
    browser: Browser, web: WhatsAppWeb, profile: Path
) -> None:
    told = await caught_up(browser, web, profile, A_NIGHTS)
    assert [one.wa_id for one in told if isinstance(one, MessageArrived)] == [f"A{at}" for at in range(A_NIGHTS)]
    assert (profile / HEARD).exists()


async def test_a_look_that_fails_is_counted_and_the_next_begins_where_it_did(
    browser: Browser, web: WhatsAppWeb, profile: Path
) -> None:
    assert await caught_up(browser, web, profile, -1) == []
    assert metrics.REGISTRY.get_sample_value("drumline_facts_lost_total", {"fact": "notice", "reason": "failed"}) == 1
    assert not (profile / HEARD).exists()
