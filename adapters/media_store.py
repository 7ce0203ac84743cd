"""Where sealed segments of media lie: a small store of named bytes, here in a directory."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from adapters.runtime.pools import FILES

ABANDONED = 3_600.0  # seconds after which a file that was never finished has nobody who writes it


class StoreUnavailable(ConnectionError):
    """The store of media is away, or cannot take more, for the moment."""


class SegmentMissing(Exception):
    """A segment that should be in the store of media is not."""


class Store(Protocol):
    """Names lead to whole bytes or to nothing; a name written again has the newer bytes."""

    async def write(self, name: str, data: bytes) -> None:
        """Keep bytes: on return they survive a crash. Raises StoreUnavailable."""

    async def read(self, name: str) -> bytes:
        """What lies under a name. Raises SegmentMissing, StoreUnavailable."""

    async def delete(self, names: Iterable[str]) -> None:
        """Remove what lies under these names; what is not there is not missed. Raises StoreUnavailable."""

    async def tidy(self) -> None:
        """Remove what writers that died have left."""


class Directory:
    """A store in a directory that all processes share; only its owner can read it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unfinished = root / "unfinished"

    async def write(self, name: str, data: bytes) -> None:
        await FILES.run("", self._write, self._root / name, data)

    async def read(self, name: str) -> bytes:
        try:
            return await FILES.run("", (self._root / name).read_bytes)
        except FileNotFoundError:
            raise SegmentMissing(name) from None

    async def delete(self, names: Iterable[str]) -> None:
        await FILES.run("", self._delete, [self._root / name for name in names])

    async def tidy(self) -> None:
        await FILES.run("", self._tidy)

    def _write(self, path: Path, data: bytes) -> None:
        """The bytes reach the disk before the name, and the name before we return."""
        try:
            for directory in (path.parent, self._unfinished):
                self._make(directory)
            fresh = self._unfinished / uuid4().hex
            fresh.touch(0o600)
            with fresh.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
            sync(path.parent)
        except OSError as error:
            raise StoreUnavailable(f"the directory of media: {error.strerror}") from error

    def _make(self, directory: Path) -> None:
        """A directory of ours, whose own name survives a crash too."""
        if directory.is_dir():
            return
        if directory != self._root:
            self._make(directory.parent)
        else:
            directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        sync(directory.parent)

    def _delete(self, paths: Iterable[Path]) -> None:
        for path in paths:
            path.unlink(missing_ok=True)

    def _tidy(self) -> None:
        for path in self._unfinished.glob("*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - ABANDONED:
                    path.unlink()


def sync(directory: Path) -> None:
    """Let a directory's names survive a crash."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
