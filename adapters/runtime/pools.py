"""Pools of threads of their own for work that takes long: workspaces take turns, and nobody else waits for it."""

import asyncio
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from adapters import metrics
from domain.message import Refused

MOST_WAITING = 100  # pieces of work of one workspace
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Work:
    """A piece of work, and who waits for it."""

    do: Callable[[], Any]
    done: Future[Any]


class Pool:
    """So many threads; one workspace never has them all, unless there is but one."""

    def __init__(self, name: str, threads: int) -> None:
        self._name = name
        self._each = max(threads - 1, 1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, deque[Work]] = OrderedDict()  # whose turn comes first is first
        self._running: Counter[str] = Counter()
        self.most = MOST_WAITING

    async def run(self, workspace: str, do: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """What a function returns, in its workspace's turn. Raises Refused when too much of the workspace waits."""
        work = Work(lambda: do(*given, **named), Future())
        with self._lock:
            queue = self._waiting.setdefault(workspace, deque())
            if len(queue) >= self.most:
                metrics.OVER_QUOTA.labels(self._name, "workspace").inc()
                raise Refused("too_busy", field="server", maximum=self.most)
            queue.append(work)
        metrics.POOL_WAITING.labels(self._name).inc()
        self._threads.submit(self._go_on)
        result: T = await asyncio.wrap_future(work.done)
        return result

    def _go_on(self) -> None:
        """Do what waits, as long as there is any that this thread may do."""
        while (claimed := self._claim()) is not None:
            workspace, work = claimed
            try:
                if work.done.set_running_or_notify_cancel():
                    perform(work)
            finally:
                with self._lock:
                    self._running[workspace] -= 1
                    if not self._running[workspace]:
                        del self._running[workspace]

    def _claim(self) -> tuple[str, Work] | None:
        with self._lock:
            free = (one for one in self._waiting if self._running[one] < self._each)
            workspace = next(free, None)
            if workspace is None:
                return None
            queue = self._waiting[workspace]
            work = queue.popleft()
            self._waiting.move_to_end(workspace)
            if not queue:
                del self._waiting[workspace]
            self._running[workspace] += 1
        metrics.POOL_WAITING.labels(self._name).dec()
        return workspace, work


def perform(work: Work) -> None:
    """Do it, and tell who waits."""
    try:
        result = work.do()
    except BaseException as error:  # noqa: BLE001  # it is raised where it is waited for
        work.done.set_exception(error)
    else:
        work.done.set_result(result)


IMAGES = Pool("images", 2)  # each is a process meanwhile
HASHING = Pool("hashing", 2)  # and sealing, of files
PARSING = Pool("parsing", 2)  # and freezing, of lists
SEALING = Pool("sealing", 2)  # people, of whom a batch has 2,000
FILES = Pool("files", 4)  # reading and writing them
NAMES = Pool("names", 8)  # asking for the addresses of names: a name server may be silent
POOLS = (IMAGES, HASHING, PARSING, SEALING, FILES, NAMES)


def allow_waiting(most: int) -> None:
    """Let so many pieces of work of one workspace wait in each pool."""
    for pool in POOLS:
        pool.most = most
