"""The free space of this host's disks: new work is refused before there is too little left to record what was begun."""

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from adapters import metrics
from adapters.heartbeats import beat

LOOK_EVERY = 1.0  # seconds

log = logging.getLogger("drumline")


class Disk:
    """Whether less is free than the reserve, under any of some directories; asked for often, looked at seldom."""

    def __init__(self, directories: Sequence[Path] = (), reserve: int = 0) -> None:
        """`reserve`: bytes that stay free for what was begun; 0 asks for none."""
        self._directories = directories
        self._reserve = reserve
        self.full = False
        self.free = reserve

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            beat("disk")
            await asyncio.to_thread(self.look)
            await asyncio.sleep(LOOK_EVERY)

    def look(self) -> None:
        """Look at the disks now, and tell when that changes what is refused."""
        self.free = free = min((free_under(directory) for directory in self._directories), default=self._reserve)
        metrics.DISK_FREE.set(free)
        metrics.DISK_RESERVE.set(self._reserve)
        full = free < self._reserve
        if full != self.full:
            told = {"free_bytes": free, "reserve_bytes": self._reserve}
            if full:
                log.error("disk nearly full: new work is refused", extra=told)
            else:
                log.warning("disk has room again: new work is taken", extra=told)
            self.full = full


def free_under(directory: Path) -> int:
    """Bytes that an ordinary user may still write there, or where it will be made."""
    place = next(path for path in (directory, *directory.parents) if path.exists())
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize
