"""Which Chromium to start, with which flags, and the proof that a former one is gone."""

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SYSTEM = tuple(
    Path("/usr/bin") / name for name in ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
)
PLAYWRIGHT_OWN = Path("~/.cache/ms-playwright")
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LOCKS = ("SingletonLock", "SingletonSocket", "SingletonCookie")
LOCKED = Path(__file__).with_name("locked_chromium.sh")
LOCK = "drumline-lock"  # in the profile: held by its browser, wherever that runs
PROC = Path("/proc")

# A process beyond doubt: its id, and when it started (in ticks since boot).
Identity = tuple[int, int]


class ChromiumMissing(Exception):
    """No Chromium was found: install the `chromium` package, or name a browser's path in the settings."""

    def __init__(self, configured: Path | None = None) -> None:
        named = f" ({configured} is not an executable file)" if configured else ""
        super().__init__(f"{self.__doc__}{named}")


class FormerBrowserAlive(Exception):
    """A former browser of this profile did not die, or runs in another container; the profile must not be opened."""


@dataclass(frozen=True, slots=True)
class Chromium:
    """An executable and where it came from."""

    path: Path
    origin: Literal["configured", "system", "playwright"]


def find_chromium(configured: Path | None = None) -> Chromium:
    """The configured browser, else the system's, else Playwright's own. Raises ChromiumMissing."""
    if configured is not None:
        if not _executable(configured):
            raise ChromiumMissing(configured)
        return Chromium(configured, "configured")
    for path in SYSTEM:
        if _executable(path):
            return Chromium(path, "system")
    for path in sorted(PLAYWRIGHT_OWN.expanduser().glob("chromium-*/chrome-linux*/chrome"), reverse=True):
        if _executable(path):
            return Chromium(path, "playwright")
    raise ChromiumMissing


def needs_no_sandbox() -> bool:
    """Chromium refuses its own sandbox to root; everybody else keeps it."""
    return os.geteuid() == 0


def process_group_of(profile: Path) -> int | None:
    """The process group of the browser that has this profile open, or None."""
    profile = profile.resolve()
    for process in _processes():
        if process.names(profile) and process.pid == process.group:
            return process.group
    return None


def members_of(process_group: int) -> set[Identity]:
    """The processes of a group that is known to be ours now; they stay recognisable when the group's id is not."""
    return {p.identity for p in _processes() if p.group == process_group}


def in_use(profile: Path) -> bool:
    """Whether a browser has this profile open, wherever it runs."""
    with contextlib.suppress(FileNotFoundError), (profile / LOCK).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def memory_of(process_group: int) -> int:
    """Bytes that a group's processes take; what several of them share is counted once."""
    return sum(_memory(PROC / str(p.pid)) for p in _processes() if p.group == process_group)


async def kill_former(
    profile: Path, process_group: int | None, *, known: Collection[Identity] = (), within: float = 10.0
) -> int:
    """Kill whatever still uses this profile and wait until it is gone; returns how many processes were killed.

    The recorded group dies only if one of its processes really uses the profile: a group id that the system gave
    to somebody else is left alone. `known` processes die in any case. Chromium's singleton locks go last, with their
    owners proven dead. Raises FormerBrowserAlive when something survives for `within` seconds.
    """
    doomed = set(known)
    killed: set[Identity] = set()
    victims: set[Identity] = set()
    try:
        async with asyncio.timeout(within):
            # The doomed are looked for again: without their browser, children no longer show whose they were.
            while (victims := _users(profile, process_group) | (doomed & {p.identity for p in _processes()})) or in_use(
                profile
            ):
                for pid, _ in victims:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                killed |= victims
                doomed |= victims
                await asyncio.sleep(0.02)
    except TimeoutError:
        alive = f"{len(victims)} processes of a former browser did not die"
        raise FormerBrowserAlive(alive if victims else "a browser elsewhere has the profile open") from None
    for name in LOCKS:
        (profile / name).unlink(missing_ok=True)
    return len(killed)


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    group: int
    started: int
    command: bytes

    @property
    def identity(self) -> Identity:
        return self.pid, self.started

    def names(self, profile: Path) -> bool:
        """Chromium's children join their arguments with spaces, the browser itself with NULs."""
        flag = b"--user-data-dir=" + os.fsencode(profile)
        return self.command.replace(b" ", b"\0").find(flag.replace(b" ", b"\0") + b"\0") >= 0


def _users(profile: Path, process_group: int | None) -> set[Identity]:
    """Who must go: processes that name the profile, the groups these lead, and the recorded group if it is ours."""
    profile, alive = profile.resolve(), list(_processes())
    groups = {p.group for p in alive if p.names(profile) and p.group in (p.pid, process_group)}
    groups.discard(os.getpgrp())
    return {p.identity for p in alive if p.pid != os.getpid() and (p.group in groups or p.names(profile))}


def _processes() -> Iterator[_Process]:
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # The command's name is in brackets and may contain anything: the fields start after the last one.
            fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
            state, group, started = fields[0], int(fields[2]), int(fields[19])
            if state not in (b"Z", b"X"):
                yield _Process(int(entry.name), group, started, (entry / "cmdline").read_bytes() + b"\0")


def _memory(process: Path) -> int:
    with contextlib.suppress(OSError, ValueError):  # it ended, or is not ours to look into
        rows = (line.split() for line in (process / "smaps_rollup").read_text().splitlines()[1:])
        return 1024 * next(int(row[1]) for row in rows if row[0] == "Pss:")
    with contextlib.suppress(OSError, ValueError):
        _, resident, shared, *_ = (process / "statm").read_text().split()
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGESIZE")
    return 0


def _executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
