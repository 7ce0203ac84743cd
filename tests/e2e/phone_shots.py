"""A phone of the sandbox as one sees it: narrow and wide, light and dark."""

import contextlib
from collections.abc import AsyncIterator
from typing import Literal

from playwright.async_api import Browser, Page

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
SIZES = {"narrow": (390, 844), "wide": (1280, 900)}
LOADED = """() => [...document.querySelectorAll('#messages img')].every((one) => one.complete && one.naturalWidth)
    && [...document.querySelectorAll('#messages video, #messages audio')].every(
        (one) => one.readyState > 1 && one.networkState === HTMLMediaElement.NETWORK_IDLE)"""
TALL = "(list => list.scrollHeight + window.innerHeight - list.clientHeight)(document.getElementById('messages'))"


@contextlib.asynccontextmanager
async def open_chat(
    browser: Browser, address: str, size: tuple[int, int], scheme: Scheme, scale: float = 1
) -> AsyncIterator[Page]:
    """The newest chat of the phone at an address, with its files loaded."""
    width, height = size
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=scale
    )
    page = await context.new_page()
    await page.goto(address)
    await page.click("#chats .chat")
    await page.wait_for_selector("#messages .bubble")
    await page.wait_for_function(LOADED)
    await page.evaluate("document.fonts.ready")
    await page.mouse.move(0, 0)
    yield page
    await context.close()


async def make_tall(page: Page) -> None:
    """Let the window show the whole chat."""
    size = page.viewport_size
    assert size is not None
    await page.set_viewport_size({"width": size["width"], "height": await page.evaluate(TALL)})
