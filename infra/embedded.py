"""The two embedded servers, PostgreSQL and NATS, under one data directory and our own supervision."""

import fcntl
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from infra.child import ServerError, usable
from infra.embedded_nats import EmbeddedNats, NatsUser
from infra.embedded_postgres import EmbeddedPostgres

__all__ = ["EmbeddedNats", "EmbeddedPostgres", "EmbeddedServers", "NatsUser", "Server", "ServerError"]

Server = EmbeddedPostgres | EmbeddedNats


class EmbeddedServers:
    """PostgreSQL in `data_dir`/postgres and NATS in `data_dir`/nats, both durable, both ending with this process.

    What is not started here can still be asked for its addresses: those of a running `up` on the same directory.
    """

    def __init__(self, data_dir: Path, *, nats_port: int | None = None, nats_max_store: str = "10GB") -> None:
        self.data_dir = data_dir.absolute()
        self.postgres = EmbeddedPostgres(self.data_dir / "postgres")
        self.nats = EmbeddedNats(self.data_dir / "nats", nats_port, nats_max_store)
        self._lock: TextIO | None = None
        self.started: list[Server] = []

    @property
    def database_url(self) -> str:
        return self.postgres.url

    @property
    def nats_url(self) -> str:
        """With the password of `core`, who may do everything."""
        return self.nats.url

    @property
    def versions(self) -> dict[str, str]:
        return {"postgresql": self.postgres.version, "nats": self.nats.version}

    def start(self, *, postgres: bool = True, nats: bool = True) -> None:
        """Start both, or the one wanted; raises ServerError, in one sentence, when one cannot run, and leaves none."""
        with usable(self.data_dir):
            self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = take(self.data_dir)
        wanted: Sequence[tuple[Server, bool]] = ((self.postgres, postgres), (self.nats, nats))
        self.started = [server for server, own in wanted if own]
        try:
            with ThreadPoolExecutor(2) as both:
                for started in [both.submit(server.start) for server in self.started]:
                    started.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop both cleanly; stopping twice does nothing."""
        with ThreadPoolExecutor(2) as both:
            for stopped in [both.submit(self.nats.stop), both.submit(self.postgres.stop)]:
                stopped.result()
        if self._lock:
            self._lock.close()
            self._lock = None

    def dead(self) -> list[Server]:
        """The servers that ended though nobody stopped them; `start()` on one brings it back."""
        return [server for server in self.started if not server.alive()]

    def reload_users(self, users: Sequence[NatsUser]) -> None:
        """Let exactly these users connect to NATS, besides our own."""
        self.nats.reload_users(users)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def take(data_dir: Path) -> TextIO:
    """A data directory for us alone; the kernel gives it back when we die. Raises ServerError when it is in use."""
    with usable(data_dir):
        lock = os.fdopen(os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise ServerError(f"drumline already runs on {data_dir} (process {holder}).") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def refuse_in_use(data_dir: Path) -> None:
    """Raise ServerError when a running drumline holds this data directory."""
    take(data_dir).close()
