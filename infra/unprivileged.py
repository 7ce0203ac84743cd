"""How a program that refuses to run as root runs for root all the same."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.runtime.environment import PLAIN, allowed
from infra.child import ServerError

NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
SPARE_USER = "nobody"  # initdb wants one that has a name


@dataclass(frozen=True, slots=True)
class Disguise:
    """What to put before a command, and the uid that must own its files."""

    owner: int
    prefix: tuple[str, ...] = ()

    def give(self, path: Path) -> None:
        """Hand a file or a whole directory over to that uid, if it is another's."""
        if path.lstat().st_uid != self.owner:
            for inside in (path, *path.rglob("*")):
                os.chown(inside, self.owner, -1, follow_symlinks=False)


def _works(*argv: str | Path) -> bool:
    try:
        return subprocess.run(argv, env=allowed(PLAIN), capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def disguise(reaches: Sequence[Path]) -> Disguise:
    """The least that lets a command run not as root and enter these directories.

    A user namespace needs no change of owner and works under 0700 parents; where the machine refuses namespaces (a bare
    chroot, some containers) a spare uid does, if every directory on the way lets it pass. Raises ServerError otherwise.
    """
    if os.geteuid() != 0:
        return Disguise(os.geteuid())
    if _works(*NAMESPACE, "true"):
        return Disguise(os.geteuid(), NAMESPACE)
    owner = pwd.getpwnam(SPARE_USER)
    spare = ("setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups")
    for path in reaches:
        if not _works(*spare, "test", "-x", path):
            raise ServerError(
                f"PostgreSQL does not run as root, this machine refuses user namespaces, and other users may not enter "
                f"{closed(path)}: run as an ordinary user, or from a directory everybody may enter."
            )
    return Disguise(owner.pw_uid, spare)


def closed(path: Path) -> Path:
    """The first directory on the way to a path that keeps others out."""
    way = [*reversed(path.parents), path]
    return next((place for place in way if not place.stat().st_mode & 0o001), path)
