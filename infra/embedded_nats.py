"""NATS from the wheel, in a directory of its own, on the local interface only."""

import errno
import json
import os
import re
import secrets
import shutil
import signal
import socket
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from infra.child import Child, ServerError, wait_until, write_private
from infra.ports import PORTS, free_port

MAX_PAYLOAD = 1_048_576
HOST = "127.0.0.1"

# What the server logs of itself. A line about a client begins with the client's address, and quotes its words: its user
# name could say anything.
OWN = rb"\[\d+\] \S+ \S+ \[[A-Z]+\] "
OUT_OF_DISK = re.compile(OWN + rb"(?:Filestore|JetStream) .*no space left on device")
RELOADED, REFUSED = re.compile(OWN + rb"Reloaded server configuration"), re.compile(OWN + rb"Failed to reload")
ROOM = 32_000_000  # bytes that must be free before a new start is worth it

CONFIG = """\
server_name: {name}
host: {host}
port: {port}
max_payload: {max_payload}
jetstream {{
  store_dir: {store}, max_memory_store: 256MB, max_file_store: {max_store}, sync_interval: always
  cipher: aes, key: "{key}"
}}
system_account: SYS
include users.conf
"""

# The server acknowledges a publish at whatever reply subject the publisher names, without asking whether it may publish
# there. So principals have an account of their own: what is said in it reaches a stream only under `cmd.`.
EXPORTS = [{"service": "cmd.>", "accounts": ["PRINCIPALS"]}] + [
    {"stream": subjects, "accounts": ["PRINCIPALS"]} for subjects in ("out.>", "_INBOX.>")
]
IMPORTS = [{"service": {"account": "DRUMLINE", "subject": "cmd.>"}}] + [
    {"stream": {"account": "DRUMLINE", "subject": subjects}} for subjects in ("out.>", "_INBOX.>")
]


@dataclass(frozen=True, slots=True)
class NatsUser:
    """Somebody who may connect: a name, a bcrypt hash of the password, and the subjects allowed (nothing else is)."""

    name: str
    bcrypt_hash: str
    publish_allow: list[str]
    subscribe_allow: list[str]


def listed(user: NatsUser) -> dict[str, object]:
    """A user as the server's configuration has it."""
    permissions = {"publish": only(user.publish_allow), "subscribe": only(user.subscribe_allow)}
    return {"user": user.name, "password": user.bcrypt_hash, "permissions": permissions}


def only(subjects: list[str]) -> dict[str, list[str]]:
    """These subjects and no others. To the server an empty list of what is allowed allows everything."""
    return {"allow": subjects} if subjects else {"deny": [">"]}


class EmbeddedNats:
    """One NATS server under `home`: nats.conf, users.conf, password, store-key, jetstream/, nats.log.

    What streams hold lies enciphered: commands have people's words in them, and what was taken out of a stream stays in
    its file until the server writes that anew.
    The user `core` of the generated password may do everything; `system`, of the same, asks the server about itself.
    A port that is not given is chosen at the first start and kept.
    """

    name = "NATS"

    def __init__(self, home: Path, port: int | None = None, max_store: str = "10GB") -> None:
        self.home = home.resolve()
        self.max_store = max_store
        self._wanted = port
        self._child = Child("nats-server", self.home, self.home / "nats.log")
        self.version = ""
        self._ran_out, self._read_to = False, 0

    @property
    def port(self) -> int:
        return int((self.home / "port").read_text())

    @property
    def password(self) -> str:
        return (self.home / "password").read_text()

    @property
    def url(self) -> str:
        return f"nats://core:{self.password}@{HOST}:{self.port}"

    @property
    def system_url(self) -> str:
        return f"nats://system:{self.password}@{HOST}:{self.port}"

    def start(self) -> None:
        """Start it with the users it had; returns when it answers."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._child.end_leftover(signal.SIGTERM, 10)
        if not (self.home / "password").exists():
            write_private(self.home / "password", secrets.token_urlsafe(32))
        if not (self.home / "store-key").exists():
            write_private(self.home / "store-key", secrets.token_hex(32))
        if not (self.home / "users.conf").exists():
            self._write_users([])
        kept = self._wanted or (self.port if (self.home / "port").exists() else None)
        for port in [kept] if kept else (free_port() for _ in range(50)):
            if self._listens(port):
                return
        raise ServerError(
            f"Port {kept} is in use by another program: end it, or choose another port for NATS."
            if kept
            else f"NATS finds no free port from {PORTS.start} to {PORTS.stop - 1}."
        )

    def stop(self) -> None:
        """Stop it cleanly."""
        self._child.stop(signal.SIGTERM, 10)

    def kill(self) -> None:
        """End it as a crash would."""
        self._child.kill()

    def alive(self) -> bool:
        """Whether the server started here runs."""
        return self._child.alive()

    def how_it_ended(self) -> str:
        """Of the server started here: by which signal, or what it complained of."""
        return self._child.how_it_ended()

    def running(self) -> int | None:
        """The server's pid while it runs, whoever started it."""
        return self._child.running()

    def starved(self) -> bool:
        """Whether it ran out of disk and could go on by now: it stores nothing more until it is started again."""
        for line in self._lines(self._read_to):
            self._read_to += len(line)
            self._ran_out = self._ran_out or OUT_OF_DISK.match(line) is not None
        return self._ran_out and shutil.disk_usage(self.home).free > ROOM

    def restart(self) -> None:
        """Stop it cleanly, and start it."""
        self.stop()
        self.start()

    def reload_users(self, users: Sequence[NatsUser]) -> None:
        """Let exactly these users connect (besides our own); also from another process than the supervisor.

        Who is not among them any more is disconnected. Raises ServerError when the server does not take the list;
        then the one before stands.
        """
        before = (self.home / "users.conf").read_text()
        self._write_users(users)
        running = self._child.running()
        if running is None:
            return  # it reads them when it starts
        said_before = self._child.log.stat().st_size
        os.kill(running, signal.SIGHUP)

        def answered(form: re.Pattern[bytes]) -> bool:
            return any(map(form.match, self._lines(said_before)))

        wait_until(lambda: answered(RELOADED) or answered(REFUSED), 10)
        if not answered(RELOADED):
            write_private(self.home / "users.conf", before)
            raise ServerError(f"NATS did not take the new list of users: see {self._child.log}.")

    def _lines(self, start: int) -> Iterator[bytes]:
        """What the server has logged from this byte on, as far as its lines are whole."""
        with self._child.log.open("rb") as log:
            log.seek(start)
            for line in log:
                if line.endswith(b"\n"):
                    yield line

    def _write_users(self, users: Sequence[NatsUser]) -> None:
        # Cheap rounds: the password is 32 random bytes, and every connection pays for the check.
        own = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(4)).decode()
        others = [listed(user) for user in users]
        accounts = {
            "DRUMLINE": {"jetstream": "enabled", "users": [{"user": "core", "password": own}], "exports": EXPORTS},
            "PRINCIPALS": {"users": others, "imports": IMPORTS},
            "SYS": {"users": [{"user": "system", "password": own}]},
        }
        write_private(self.home / "users.conf", f"accounts: {json.dumps(accounts, indent=1)}\n")

    def _listens(self, port: int) -> bool:
        """Start on this port; False when the port is somebody else's."""
        name = f"drumline-{secrets.token_hex(8)}"
        store = json.dumps(str(self.home))  # NATS makes jetstream/ in it
        values = {"name": name, "host": HOST, "port": port, "store": store, "max_store": self.max_store}
        values["key"] = (self.home / "store-key").read_text()
        write_private(self.home / "nats.conf", CONFIG.format(max_payload=MAX_PAYLOAD, **values))
        self._child.start([Path(sysconfig.get_path("scripts")) / "nats-server", "-c", "nats.conf"], signal.SIGTERM)
        self._ran_out, self._read_to = False, self._child.said_before
        if wait_until(lambda: self._is(name, port) or not self._child.alive(), 30) and self._child.alive():
            write_private(self.home / "port", str(port))
            return True
        words = self._child.last_words()
        self._child.kill()
        if os.strerror(errno.EADDRINUSE).lower() in words.lower():
            return False
        raise ServerError(f"The embedded NATS does not start: {words} (all of it in {self._child.log}).")

    def _is(self, name: str, port: int) -> bool:
        """Whether the server of this name answers there: another program may hold the port."""
        try:
            with socket.create_connection((HOST, port), timeout=1) as connection, connection.makefile("rb") as greeting:
                info = json.loads(greeting.readline().removeprefix(b"INFO "))
        except (OSError, ValueError):
            return False
        self.version = str(info.get("version", ""))
        return bool(info.get("server_name") == name)
