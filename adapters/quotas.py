"""What each key and each workspace may hold only so much of at once: requests, bodies, uploads, streams."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from adapters import metrics
from domain.message import Actor, PrincipalId, WorkspaceId


class OverQuota(Exception):
    """Somebody holds as much as they may; `of` says who: the key, its workspace, or all of this process."""

    def __init__(self, quota: str, of: str, most: int) -> None:
        super().__init__(f"{quota}: {most} are the most of {of}.")
        self.quota = quota
        self.of = of
        self.most = most


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many a key, a workspace, and all of this process may hold."""

    key: int
    workspace: int
    all: int


class Quota:
    """Counts who holds how many."""

    def __init__(self, name: str, bounds: Bounds) -> None:
        self.name = name
        self.bounds = bounds
        self._keys: Counter[PrincipalId] = Counter()
        self._workspaces: Counter[WorkspaceId] = Counter()
        self.held = 0

    def take(self, actor: Actor) -> None:
        """Hold one more. Raises OverQuota."""
        bounds = self.bounds
        if self._keys[actor.id] >= bounds.key:
            raise self._over("key", bounds.key)
        if self._workspaces[actor.workspace] >= bounds.workspace:
            raise self._over("workspace", bounds.workspace)
        if self.held >= bounds.all:
            raise self._over("all", bounds.all)
        self._keys[actor.id] += 1
        self._workspaces[actor.workspace] += 1
        self.held += 1

    def give_back(self, actor: Actor) -> None:
        """Hold one less."""
        self.held -= 1
        self._keys[actor.id] -= 1
        if not self._keys[actor.id]:
            del self._keys[actor.id]
        self._workspaces[actor.workspace] -= 1
        if not self._workspaces[actor.workspace]:
            del self._workspaces[actor.workspace]

    @contextmanager
    def hold(self, actor: Actor) -> Iterator[None]:
        """Hold one meanwhile. Raises OverQuota."""
        self.take(actor)
        metrics.HELD.labels(self.name).inc()
        try:
            yield
        finally:
            metrics.HELD.labels(self.name).dec()
            self.give_back(actor)

    def _over(self, of: str, most: int) -> OverQuota:
        metrics.OVER_QUOTA.labels(self.name, of).inc()
        return OverQuota(self.name, of, most)


@dataclass(frozen=True, slots=True)
class Quotas:
    """Those of the HTTP interface; the defaults are the settings'."""

    requests: Quota
    bodies: Quota
    uploads: Quota
    streams: Quota


def usual() -> Quotas:
    """What the settings say unless they are set."""
    return Quotas(
        requests=Quota("requests", Bounds(100, 200, 1_000)),
        bodies=Quota("bodies", Bounds(50, 100, 200)),
        uploads=Quota("uploads", Bounds(8, 16, 24)),
        streams=Quota("streams", Bounds(20, 100, 500)),
    )
