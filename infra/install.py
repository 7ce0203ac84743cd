"""Set-up behind the `make` targets: the venv, the locked libraries, wa-js, a browser; only what is not there yet.

Run by the machine's own Python, isolated (`python3 -I`), before anything is installed: the standard library only.
"""

from __future__ import annotations  # an older Python must get as far as the sentence that refuses it

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STATE = ROOT / ".setup"
LOG = STATE / "install.log"
BROWSER = STATE / "browser"  # its path, once found
VENDOR = ROOT / "adapters" / "whatsapp_web" / "vendor"
WA_JS = ROOT / "node_modules" / "@wppconnect" / "wa-js" / "dist"
PYTHON = Path(sys.executable).resolve()  # the machine's own, even where .venv is activated
OLDEST = (3, 11)
OFFLINE = (
    "Temporary failure in name resolution",
    "Name or service not known",
    "Network is unreachable",
    "Connection refused",
    "Could not resolve",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ETIMEDOUT",
)
NO_VENV = (
    "Python's venv module is missing: install it (Debian, Ubuntu: apt-get install python3-venv), then run make again."
)
NO_BROWSER = (
    "No Chromium was found and none could be installed: ask an administrator for the package chromium, "
    "or set DRUMLINE_CHROMIUM to the path of a Chromium or Chrome, then run make again."
)


def fail(sentence: str) -> NoReturn:
    sys.exit(f"drumline: {sentence}")


class StepFailed(Exception):
    """A step cannot be done: the message says why, or is empty when the end of the log does."""


def run(*argv: str | Path, **environment: str) -> str:
    """Run a command into the log and return its output; raises StepFailed."""
    path = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    with LOG.open("a", encoding="utf-8", errors="replace") as log:
        log.write(f"\n$ {' '.join(map(str, argv))}\n")
        log.flush()
        start = log.tell()
        child_environment = {**os.environ, "PATH": path, **environment}
        code = subprocess.call(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env=child_environment,
        )
    if code:
        raise StepFailed
    return LOG.read_bytes()[start:].decode(errors="replace")


def digest(*parts: object) -> str:
    """One hash of file contents (paths) and values (anything else)."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part.read_bytes() if isinstance(part, Path) else repr(part).encode())
    return found.hexdigest()


class Steps:
    """What has been done already, by digest of what it was done from; kept from run to run."""

    def __init__(self) -> None:
        self._began = False
        self._file = STATE / "done.json"
        self._done: dict[str, str] = json.loads(self._file.read_text()) if self._file.exists() else {}

    def have(self, name: str, *digests: str) -> bool:
        return self._done.get(name) in digests

    def step(self, name: str, what: str, done_from: str, action: Callable[[], None]) -> None:
        """Do it, with one line on the terminal; a failure shows the end of the log and ends the program."""
        if not self._began:
            self._began = True
            print(f"Setting up, once; all that is said goes to {LOG.relative_to(ROOT)}.", flush=True)
        print(f"  {what} … ", end="", flush=True)
        self._record(name, None)
        began = time.monotonic()
        start = LOG.stat().st_size if LOG.exists() else 0
        try:
            action()
        except StepFailed as failed:
            print("failed", flush=True)
            fail(str(failed) or self._explain(what, LOG.read_bytes()[start:].decode(errors="replace")))
        self._record(name, done_from)
        print(f"{time.monotonic() - began:.0f} s", flush=True)

    def _explain(self, what: str, said: str) -> str:
        print("\n".join(f"    {line}" for line in said.splitlines()[-20:]), file=sys.stderr)
        offline = any(sign in said for sign in OFFLINE)
        why = "A package registry cannot be reached: is this machine online? " if offline else ""
        return f"{what}: failed. {why}All that was said is in {LOG.relative_to(ROOT)}."

    def _record(self, name: str, done_from: str | None) -> None:
        if name == "venv":
            self._done = {}  # whatever was in it is gone
        self._done.pop(name, None)
        if done_from:
            self._done[name] = done_from
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(self._done, indent=1))
        fresh.replace(self._file)


def ensure_python() -> None:
    """Go on under a Python that is new enough, if the machine has one."""
    if sys.version_info >= OLDEST:
        return
    for minor in range(20, OLDEST[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, "-I", *sys.argv])  # noqa: S606  # the same script, under a Python found on PATH
    fail(f"Python 3.11 or newer is needed; this is {platform.python_version()}.")


def make_venv() -> None:
    if not find_spec("ensurepip") or not find_spec("venv"):  # Debian splits ensurepip off
        raise StepFailed(NO_VENV)
    shutil.rmtree(VENV, ignore_errors=True)
    run(PYTHON, "-I", "-m", "venv", VENV)


def install_libraries(lock: Path) -> None:
    run(VENV / "bin" / "python", "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--retries", "2",
        "--require-hashes", "-r", lock)  # fmt: skip


def install_drumline() -> None:
    run(VENV / "bin" / "python", "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--no-deps",
        "--no-build-isolation", "--no-index", "-e", ROOT)  # fmt: skip


def install_javascript(*, dev: bool) -> None:
    run(VENV / "bin" / "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", *([] if dev else ["--omit=dev"]))
    VENDOR.mkdir(exist_ok=True)
    for file in WA_JS.glob("wppconnect-wa.js*"):  # the bundle and its licences
        shutil.copyfile(file, VENDOR / file.name)


def browser() -> str | None:
    """The Chromium that drumline would start, if it runs at all (a distribution's may be a shell without a browser)."""
    look = "from adapters.whatsapp_web.browser import find_chromium; print(find_chromium().path)"
    try:
        found = run(VENV / "bin" / "python", "-c", look).strip().splitlines()[-1]
        run(found, "--version")
    except StepFailed:
        return None
    return found


def install_browser() -> None:
    """The machine's Chromium; else Playwright's own; else, for root on Debian, the distribution's."""
    if not browser():
        own = VENV / "bin" / "python", "-m", "playwright", "install", "--no-shell", "chromium"
        with contextlib.suppress(StepFailed):
            # Where drumline looks for it, and by our Node: Playwright's wants a library that a bare Debian lacks.
            where = {"PLAYWRIGHT_BROWSERS_PATH": "", "XDG_CACHE_HOME": ""}
            run(*own, PLAYWRIGHT_NODEJS_PATH=str(VENV / "bin" / "node"), **where)
    if not browser() and os.geteuid() == 0 and shutil.which("apt-get"):
        run("apt-get", "update")
        run("apt-get", "install", "-y", "--no-install-recommends", "chromium", DEBIAN_FRONTEND="noninteractive")
    found = browser()
    if not found:
        raise StepFailed(NO_BROWSER)
    BROWSER.write_text(found)


def set_up(*, dev: bool, configured: str) -> None:
    """Bring the checkout to where drumline (and, for developers, its checks) can run."""
    steps = Steps()
    for_use = digest(ROOT / "requirements.lock"), digest(ROOT / "package-lock.json", False)
    for_work = digest(ROOT / "requirements-dev.lock"), digest(ROOT / "package-lock.json", True)
    libraries, javascript = for_work if dev else for_use
    place = digest(str(ROOT), platform.python_version(), str(PYTHON))
    itself = digest(ROOT / "pyproject.toml")

    if not (steps.have("venv", place) and (VENV / "bin" / "python").exists()):
        steps.step("venv", f"Python {platform.python_version()}: making .venv", place, make_venv)
    if not steps.have("libraries", libraries, for_work[0]):
        lock = ROOT / ("requirements-dev.lock" if dev else "requirements.lock")
        steps.step("libraries", f"libraries of {lock.name}", libraries, lambda: install_libraries(lock))
    if not steps.have("drumline", itself):
        steps.step("drumline", "drumline itself", itself, install_drumline)
    if not (steps.have("javascript", javascript, for_work[1]) and (VENDOR / "wppconnect-wa.js").exists()):
        steps.step("javascript", "wa-js", javascript, lambda: install_javascript(dev=dev))
    if configured:
        if not os.access(configured, os.X_OK):
            fail(f"DRUMLINE_CHROMIUM is {configured}, which is not a program that can be run.")
    elif not (BROWSER.exists() and os.access(BROWSER.read_text(), os.X_OK)):
        steps.step("browser", "a Chromium", "found", install_browser)


def main() -> None:
    ensure_python()
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--dev", action="store_true", help="also what tests and checks need")
    options.add_argument("--chromium", default="", help="the configured browser, if any (DRUMLINE_CHROMIUM)")
    chosen = options.parse_args()
    try:
        STATE.mkdir(exist_ok=True)
        with (STATE / "lock").open("w") as lock:  # two makes at once: the second waits, and finds all done
            fcntl.flock(lock, fcntl.LOCK_EX)
            set_up(dev=chosen.dev, configured=chosen.chromium)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        fail(f"Setting up failed: {error}.")


if __name__ == "__main__":
    main()
