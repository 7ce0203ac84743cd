"""Killing the browser at the other end of a connection, as an out-of-memory killer would."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
PROFILE = b"--user-data-dir="
ELSEWHERE = "another-host-4242"  # how Chromium signs its lock: host and process


def kill(port: int, *, lock: bool = False) -> bool:
    """Kill the browser that is connected to us from this port; whether one was there.

    Only a browser that was started on a profile of its own is killed, with its whole process group. `lock`: its
    profile is left locked in the name of another host.
    """
    for pid in _holders(_sockets(port)):
        group = os.getpgid(pid)
        profile = _profile(group)
        if profile is not None and group != os.getpgrp():
            os.killpg(group, signal.SIGKILL)
            if lock:
                held = profile / "SingletonLock"
                held.unlink(missing_ok=True)
                held.symlink_to(ELSEWHERE)
            return True
    return False


def _sockets(port: int) -> set[str]:
    """The sockets of this machine whose own port this is, as processes' descriptors name them."""
    found = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) == port and fields[9] != "0":
                    found.add(f"socket:[{fields[9]}]")
    return found


def _holders(sockets: set[str]) -> Iterator[int]:
    for process in PROC.iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            with contextlib.suppress(OSError):
                if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                    yield int(process.name)


def _profile(group: int) -> Path | None:
    """The profile of the browser that leads a process group."""
    with contextlib.suppress(OSError):
        for argument in (PROC / str(group) / "cmdline").read_bytes().split(b"\0"):
            if argument.startswith(PROFILE):
                return Path(os.fsdecode(argument.removeprefix(PROFILE)))
    return None
