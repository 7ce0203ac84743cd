"""The watchdog: ends a process whose loops do not go round any more, for its supervisor to start it again."""

import faulthandler
import logging
import os
import threading
import time
from collections.abc import Callable

from adapters.heartbeats import ages
from infra.process.exit_codes import STALLED

log = logging.getLogger("drumline")

SLEPT = 5.0  # seconds that a look comes too late when the whole process, or its machine, stood still


def end(code: int) -> None:
    """End at once: whoever hangs cannot be asked to tidy. Where each thread stands goes to the log first."""
    faulthandler.dump_traceback()
    os._exit(code)


class Watchdog:
    """A thread of its own, for a blocked event loop could not look after itself.

    `patience` is how many seconds a loop may take for a round; `end` gets the exit code.
    """

    def __init__(self, patience: float, end: Callable[[int], None] = end, *, every: float = 1.0) -> None:
        self._patience = patience
        self._end = end
        self._every = every
        self._awake = time.monotonic()  # since when this process has been running without a break
        self._looked = self._awake

    def start(self) -> None:
        """Look from now on, until the process ends."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def look(self) -> bool:
        """Whether all goes round; ends the process when not."""
        now = time.monotonic()
        if now - self._looked > self._every + SLEPT:
            self._awake = now  # the loops stood still because all did: they get their time again
        self._looked = now
        age, loop = max(((age, loop) for loop, age in ages().items()), default=(0.0, ""))
        if min(age, now - self._awake) <= self._patience:
            return True
        log.critical("%s has not gone round for %.0f s: this process ends", loop, age)
        self._end(STALLED)
        return False

    def _run(self) -> None:
        try:
            while self.look():
                time.sleep(self._every)
        except Exception:
            log.critical("the watchdog failed: this process ends", exc_info=True)
            self._end(STALLED)
