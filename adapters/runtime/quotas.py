"""What each key and each workspace may hold only so much of at once: requests, bodies, uploads, streams."""

import asyncio
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from adapters import metrics
from domain.message import Actor, PrincipalId, WorkspaceId

REFUSALS = 20.0  # a second, of one key
LATEST = 5.0  # seconds after which a refusal is told in any case
REFUSAL = "refusal"  # in a request's state, while it waits to be refused: what ends the wait


class OverQuota(Exception):
    """Somebody holds as much as they may; `of` says who: the key, its workspace, or all of this process.

    `after`: seconds to wait before it is told. Whoever asks again at once is so refused more and more slowly, and
    refusing costs others little.
    """

    def __init__(self, quota: str, of: str, most: int, after: float) -> None:
        super().__init__(f"{quota}: {most} are the most of {of}.")
        self.quota = quota
        self.of = of
        self.most = most
        self.after = after


async def wait_to_refuse(state: MutableMapping[str, Any], seconds: float) -> None:
    """Let a request wait for its refusal; meanwhile its connection is one that may be ended to make room."""
    left = state[REFUSAL] = asyncio.Event()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await left.wait()


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
        metrics.HELD.labels(name).set_function(lambda: self.held)  # counted when it is asked for, not at each request
        self._refused: dict[PrincipalId, float] = {}  # when the next refusal is to be told

    def take(self, actor: Actor) -> None:
        """Hold one more. Raises OverQuota."""
        bounds = self.bounds
        if self._keys[actor.id] >= bounds.key:
            raise self._over(actor, "key", bounds.key)
        if self._workspaces[actor.workspace] >= bounds.workspace:
            raise self._over(actor, "workspace", bounds.workspace)
        if self.held >= bounds.all:
            raise self._over(actor, "all", bounds.all)
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
        try:
            yield
        finally:
            self.give_back(actor)

    def _over(self, actor: Actor, of: str, most: int) -> OverQuota:
        metrics.OVER_QUOTA.labels(self.name, of).inc()
        now = monotonic()
        told = max(self._refused.get(actor.id, now), now)
        self._refused[actor.id] = min(told + 1 / REFUSALS, now + LATEST)
        return OverQuota(self.name, of, most, told - now)


@dataclass(frozen=True, slots=True)
class Quotas:
    """Those of the HTTP interface."""

    requests: Quota
    bodies: Quota
    uploads: Quota
    streams: Quota
