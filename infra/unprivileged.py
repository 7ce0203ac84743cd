"""How a program that refuses to run as root runs for root all the same."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.child import ServerError

NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
SPARE_ID = 60999  # in no distribution's range for people, daemons or containers
SPARE = ("setpriv", f"--reuid={SPARE_ID}", f"--regid={SPARE_ID}", "--clear-groups")


@dataclass(frozen=True, slots=True)
class Disguise:
    """What to put before a command, and the uid that must own its files (None: they stay ours)."""

    prefix: tuple[str, ...] = ()
    owner: int | None = None

    def give(self, *paths: Path) -> None:
        """Hand files over to the uid the command runs under."""
        if self.owner is not None:
            for path in paths:
                os.chown(path, self.owner, self.owner)


def _works(*argv: str | Path) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def disguise(reaches: Sequence[Path]) -> Disguise:
    """The least that lets a command run not as root and reach these existing paths.

    A user namespace needs no change of owner and works under 0700 parents; where the machine refuses namespaces (a bare
    chroot, some containers) a spare uid does, if every directory on the way lets it pass. Raises ServerError otherwise.
    """
    if os.geteuid() != 0:
        return Disguise()
    if _works(*NAMESPACE, "true"):
        return Disguise(NAMESPACE)
    for path in reaches:
        if not _works(*SPARE, "test", "-e", path):
            raise ServerError(
                f"PostgreSQL does not run as root, this machine refuses user namespaces, and other users may not enter "
                f"{closed(path)}: run as an ordinary user, or from a directory everybody may enter."
            )
    return Disguise(SPARE, SPARE_ID)


def closed(path: Path) -> Path:
    """The first directory on the way to a path that keeps others out."""
    way = [*reversed(path.parents), path]
    return next((place for place in way if not place.stat().st_mode & 0o001), path)
