"""Media in plain files, for the browsers of this process: few, for a while, and gone with the process."""

import asyncio
import fcntl
import os
import shutil
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from adapters.heartbeats import beat
from adapters.media_store import StoreUnavailable

PINNED = 240.0  # seconds that a file surely lies there: more than twice what a send may take
TIDYING = 10.0  # seconds between two looks
IDLE = 600.0  # seconds after which nobody seems to need it any more


@dataclass(slots=True)
class Entry:
    """An opened file."""

    path: Path
    size: int
    used: float  # by the clock


class Opened:
    """Files of one process in a directory of its own; what processes that died have left, the next one removes."""

    def __init__(self, root: Path, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._most = most  # bytes, but for files that are pinned
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._making = asyncio.Lock()
        self._directory: Path | None = None
        self._held: int | None = None

    async def path(self, name: str, size: int, content: Callable[[], AsyncIterator[bytes]]) -> Path:
        """Where the file lies; written first, if it is not there."""
        async with self._making:
            found = self._entries.get(name)
            if found is None:
                self.tidy(room=size)
                found = self._entries[name] = Entry(await self._write(name, content), size, self._clock())
            found.used = self._clock()
            self._entries.move_to_end(name)
            return found.path

    def tidy(self, *, room: int = 0) -> None:
        """Remove files that nobody used for long, and the oldest until there is room."""
        now = self._clock()
        total = room + sum(entry.size for entry in self._entries.values())
        for name, entry in list(self._entries.items()):
            unused = now - entry.used
            if unused > IDLE or (total > self._most and unused > PINNED):
                entry.path.unlink(missing_ok=True)
                total -= entry.size
                del self._entries[name]

    async def run(self) -> None:
        """Tidy up now and then, until cancelled."""
        while True:
            beat("opened-media")
            self.tidy()
            await asyncio.sleep(TIDYING)

    def close(self) -> None:
        """Remove all of them."""
        self._entries.clear()
        if self._directory is not None:
            remove(self._directory)
        if self._held is not None:
            os.close(self._held)
        self._directory = self._held = None

    async def _write(self, name: str, content: Callable[[], AsyncIterator[bytes]]) -> Path:
        path = self._mine() / name
        fresh = path.with_suffix(".unfinished")
        try:
            fresh.touch(0o600)
            async for segment in content():
                await asyncio.to_thread(append, fresh, segment)
            fresh.replace(path)
        except OSError as error:
            raise StoreUnavailable(f"the directory of opened media: {error.strerror}") from error
        finally:
            fresh.unlink(missing_ok=True)
        return path

    def _mine(self) -> Path:
        """Our directory; the lock beside it says that we live."""
        if self._directory is None:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._remove_abandoned()
            name = uuid4().hex
            self._held = os.open(self._root / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._held, fcntl.LOCK_EX)
            directory = self._root / name
            directory.mkdir(mode=0o700)
            self._directory = directory
        return self._directory

    def _remove_abandoned(self) -> None:
        for directory in self._root.iterdir():
            if directory.is_dir():
                lock = os.open(directory.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
                with suppress(BlockingIOError):  # its owner lives
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove(directory)
                os.close(lock)


def append(path: Path, data: bytes) -> None:
    """Write at the end of a file."""
    with path.open("ab") as file:
        file.write(data)


def remove(directory: Path) -> None:
    """A directory, and the lock beside it."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.with_suffix(".lock").unlink(missing_ok=True)
