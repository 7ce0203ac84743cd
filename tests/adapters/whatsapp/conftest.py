"""One sandbox and one Playwright driver for the tests of this folder, on one event loop."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.whatsapp_web.driver import WhatsAppWeb
from tests.adapters.whatsapp.running import Sandbox, running_sandbox


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    flags = ("--delivered-after", "0.05", "--read-after", "0.1", "--read-share", "1")
    async with running_sandbox(tmp_path_factory.mktemp("sandbox"), *flags) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def web(sandbox: Sandbox) -> AsyncIterator[WhatsAppWeb]:
    async with WhatsAppWeb(url=sandbox.url) as driver:
        yield driver


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    return tmp_path / "profile"
