"""Servers as an operator may have them: a NATS under a configuration of its own, and what is no server of ours."""

import shutil
import socket
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from infra.child import wait_until
from infra.ports import free_port

NATS = Path(sysconfig.get_path("scripts")) / "nats-server"


@contextmanager
def nats(home: Path, configuration: str, port: int | None = None) -> Iterator[int]:
    """A running NATS from the wheel with `nats.conf` of these words in `home`: its port."""
    port = port or free_port()
    home.mkdir(parents=True, exist_ok=True)
    (home / "nats.conf").write_text(f"listen: 127.0.0.1:{port}\n{configuration}\n")
    line = [str(NATS), "-c", "nats.conf", "--pid", str(home / "pid")]
    with (home / "log").open("ab") as log, subprocess.Popen(line, cwd=home, stdout=log, stderr=log) as server:
        try:
            assert wait_until(lambda: answers(port) or server.poll() is not None, 20)
            assert server.poll() is None, (home / "log").read_text()
            yield port
        finally:
            server.terminate()
            server.wait(20)


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def greeter(greeting: bytes) -> Iterator[int]:
    """A program that greets whoever comes with these bytes, and says no more: its port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        held: list[socket.socket] = []

        def greet() -> None:
            while True:
                try:
                    one, _ = listener.accept()
                except OSError:
                    return
                held.append(one)
                if greeting:
                    one.sendall(greeting)
                    one.shutdown(socket.SHUT_WR)

        greeting_thread = threading.Thread(target=greet)
        greeting_thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            greeting_thread.join(10)
            for one in held:
                one.close()


def debian_postgres() -> Path | None:
    """Where Debian's PostgreSQL 15 has its programs, if it is installed."""
    found = Path("/usr/lib/postgresql/15/bin")
    return found if (found / "postgres").exists() and shutil.which("setpriv") else None
