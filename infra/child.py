"""A server process of our own: it ends with us, its output is in a file, and what a killed supervisor left is found."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which

from adapters.runtime.environment import PLAIN, allowed
from infra.process.last_words import last_words

LOG_BYTES = 8 << 20
READ_BYTES = 1 << 20  # of a log, from its end, for what a process said last


class ServerError(Exception):
    """An embedded server cannot run; the message is one sentence for the person at the terminal."""


@contextmanager
def usable(data_dir: Path) -> Iterator[None]:
    """Say in one sentence what the system has against a data directory. Raises ServerError."""
    try:
        yield
    except OSError as error:
        raise ServerError(
            f"{data_dir} cannot be the data directory: {error.strerror or type(error).__name__}."
        ) from None


def wait_until(condition: Callable[[], bool], seconds: float, step: float = 0.004) -> bool:
    """Ask every `step` seconds until the condition holds; False when the seconds are over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(step)
    return True


def write_private(path: Path, text: str) -> None:
    """Replace a file at once with one that only its owner reads."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(0o600)
    fresh.write_text(text)
    fresh.replace(path)


def birth(pid: int) -> str | None:
    """What tells this process from a later one of the same pid: pid, boot and start time; None when it has ended."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        if not Path("/proc/self/stat").exists():
            raise ServerError(
                "The embedded servers need Linux: set DRUMLINE_DATABASE_URL, DRUMLINE_NATS_URL."
            ) from None
        return None
    except ProcessLookupError:
        return None
    return None if state in "ZX" else f"{pid} {boot} {rest[18]}"


def send(pid: int, sign: signal.Signals) -> None:
    """Signal a process, if it is still there, also one that is stopped: it would hear of nothing but a kill."""
    with suppress(ProcessLookupError):
        os.kill(pid, sign)
        os.kill(pid, signal.SIGCONT)


def left_of(session: int, directory: Path) -> Iterator[int]:
    """Children of a dead process that live on: of the session that it led, in the directory in which it ran."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended, or is not ours to look into
            state, _, _, its_session, *_ = (process / "stat").read_text().rpartition(")")[2].split()
            if int(its_session) == session and state not in "ZX" and (process / "cwd").samefile(directory):
                yield int(process.name)


class Child:
    """One server process in a session of its own, so that Ctrl-C reaches only the supervisor."""

    def __init__(self, name: str, directory: Path, log: Path, environment: dict[str, str] | None = None) -> None:
        self.name, self.directory, self.log = name, directory, log
        self.environment = allowed(PLAIN) if environment is None else environment
        self._record = directory / "process"
        # The kernel watches the thread that started a process, not the program: this one lives as long as the child.
        self._hands = ThreadPoolExecutor(1, f"starts-{name}")
        self._process: subprocess.Popen[bytes] | None = None
        self.said_before = 0  # bytes of the log that are of earlier runs

    def start(self, argv: Sequence[str | Path], ask: signal.Signals, wrapped: Sequence[str] = ()) -> None:
        """Start it so that the kernel sends `ask` when we die, however we die."""
        guard = which("setpriv")
        if guard is None:
            raise ServerError("The embedded servers need the command setpriv (Debian: the package util-linux).")
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".1.log"))
        line = [*wrapped, guard, "--pdeathsig", ask.name.removeprefix("SIG"), *argv]
        self.log.touch(0o600)
        self.said_before = self.log.stat().st_size
        with self.log.open("ab") as out:
            self._process = self._hands.submit(
                lambda: subprocess.Popen(
                    line,
                    cwd=self.directory,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            ).result()
        write_private(self._record, birth(self._process.pid) or "")

    def running(self) -> int | None:
        """The pid of the process last started in this directory, by whichever supervisor, while it runs."""
        pid = self._recorded()
        return pid if pid and birth(pid) == self._record.read_text() else None

    def _recorded(self) -> int:
        """The pid of the process last started here, or 0."""
        recorded = self._record.read_text() if self._record.exists() else ""
        return int(recorded.split()[0]) if recorded else 0

    def end_leftover(self, ask: signal.Signals, seconds: float) -> None:
        """End what a killed supervisor left, running or stopped: asked first, killed when it does not listen."""
        for sign, patience in ((ask, seconds), (signal.SIGKILL, 5.0)):
            pid = self.running()
            if pid is None:
                break
            send(pid, sign)
            wait_until(lambda: self.running() is None, patience)
        if (pid := self.running()) is not None:
            raise ServerError(f"An earlier {self.name} (process {pid}) in {self.directory} does not end.")
        if session := self._recorded():  # all of /proc is looked through
            for pid in left_of(session, self.directory):
                send(pid, signal.SIGKILL)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, ask: signal.Signals, seconds: float) -> None:
        """Ask it to end, kill it after the seconds, and wait until it is gone."""
        if self._process is not None:
            if self._process.poll() is None:
                send(self._process.pid, ask)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._hands.shutdown()
        self._hands = ThreadPoolExecutor(1, f"starts-{self.name}")

    def kill(self) -> None:
        """End it as a crash would: SIGKILL, nothing tidied."""
        self.stop(signal.SIGKILL, 5.0)

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.returncode if self._process else None

    def how_it_ended(self) -> str:
        """By which signal, or else what it complained of in this run."""
        code = self.code
        if code is not None and code < 0:
            return f"killed by signal {-code}"
        return last_words(self.said()) or f"exit code {code}, without a complaint"

    def said(self) -> str:
        """What was written since the last start; what an earlier one still writes is among it."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(max(self.said_before, self.log.stat().st_size - READ_BYTES))
            return log.read().decode(errors="replace")

    def last_words(self) -> str:
        """What it complained of in this run, for a message about why it did not start."""
        killed = f"killed by signal {-self.code}" if self.code is not None and self.code < 0 else ""
        return last_words(self.said()) or killed or "it did not say why"
