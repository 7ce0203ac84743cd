"""One sandbox and one Playwright driver for the tests of this folder, on one event loop."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from adapters.whatsapp_web.driver import WhatsAppWeb
from tests.adapters.whatsapp.rig import ACCOUNT, Rig, in_browser, in_memory
from tests.adapters.whatsapp.running import Sandbox, link, running_sandbox
from tests.adapters.whatsapp.tabs import running_browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    flags = ("--delivered-after", "0.05", "--read-after", "0.1", "--read-share", "1", "--slow-media", "1")
    async with running_sandbox(tmp_path_factory.mktemp("sandbox"), *flags) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def web(sandbox: Sandbox) -> AsyncIterator[WhatsAppWeb]:
    async with WhatsAppWeb(url=sandbox.url) as driver:
        yield driver


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for the tests of pages; what is of an account's own browser is tested with its own."""
    async with running_browser() as running:
        yield running


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    return tmp_path / "profile"


@pytest_asyncio.fixture(params=["memory", "browser"], loop_scope="session")
async def rig(request: pytest.FixtureRequest, web: WhatsAppWeb, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Rig]:
    """A messenger that was not started yet."""
    made = in_memory(tmp_path) if request.param == "memory" else in_browser(web, sandbox, tmp_path)
    yield made
    await made.messenger.stop()


@pytest_asyncio.fixture(params=["memory", "browser"], scope="session", loop_scope="session")
async def linked(
    request: pytest.FixtureRequest, web: WhatsAppWeb, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rig]:
    """One linked messenger that the tests of this folder share: each takes a number and ids of its own."""
    path = tmp_path_factory.mktemp(request.param)
    made = in_memory(path) if request.param == "memory" else in_browser(web, sandbox, path)
    await made.messenger.start(made.notices.append)
    await link(made.messenger, made.far.scan, ACCOUNT)
    yield made
    await made.messenger.stop()
