"""What people wrote while nobody heard it: looked up when a session gets ready, and now and then."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from adapters import metrics
from adapters.whatsapp_web import page_values
from adapters.whatsapp_web.notices import one_notice, told_of
from domain.ports import Notice

EVERY = 60.0
WITHIN = 60.0
OVERLAP = 600.0  # seconds: messages come late, and clocks differ
HEARD = "drumline-heard"  # in the profile, its time says up to when all was heard
log = logging.getLogger(__name__)


class CatchingUp:
    """Looks again at the last messages of the chats that moved. What was told already may be told again.

    A profile that was just linked begins at that moment: older messages were not written to us.
    """

    def __init__(self, profile: Path, notify: Callable[[Notice], None]) -> None:
        self._heard = profile / HEARD
        self._notify = notify
        self._bridge = ""
        self._next = 0.0
        self._task: asyncio.Task[None] | None = None

    def due(self, page: Page, bridge: str) -> None:
        """Begin to look, if it is time: at once in a page that is new. `bridge` tells pages apart."""
        if self._task is not None and not self._task.done():
            return
        if bridge != self._bridge or time.monotonic() >= self._next:
            self._bridge = bridge
            self._task = asyncio.create_task(self._look(page))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _look(self, page: Page) -> None:
        begun = time.time()
        try:
            with contextlib.suppress(PlaywrightError):  # the watcher tells of a page that is gone
                await self._catch_up(page, begun)
        except TimeoutError:
            log.warning("catching up takes too long")
        except Exception:
            metrics.lost("notice", "failed")  # the next look begins where this one did, and may fail like it
            log.exception("catching up failed")
        finally:
            self._next = time.monotonic() + EVERY

    async def _catch_up(self, page: Page, begun: float) -> None:
        try:
            since = self._heard.stat().st_mtime
        except FileNotFoundError:
            since = begun
        async with asyncio.timeout(WITHIN):
            missed = await page.evaluate("since => drumline.catchUp(since)", since)
        for news in page_values.items(missed):
            with one_notice():
                if (told := told_of(page_values.fields(news))) is not None:
                    self._notify(told)
        self._heard.touch(mode=0o600)
        heard = max(since, begun - OVERLAP)
        os.utime(self._heard, (heard, heard))
