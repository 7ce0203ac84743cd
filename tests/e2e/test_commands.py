"""The smaller commands, where nothing runs: a sentence that says what to do, at once, and nothing made on the way."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from infra.ports import free_port
from infra.settings import read
from infra.targets import announced
from tests.e2e import terminal
from tests.e2e.doc_shell import blocks
from tests.e2e.terminal import Ran

COMMAND = [sys.executable, "-m", "infra.cli"]
LONGEST = 20  # seconds


def drumline(data_dir: Path, *words: str) -> Ran | subprocess.CompletedProcess[str]:
    """In a process of its own only what needs one."""
    if words[0] not in ("up", "demo", "work"):
        return terminal.drumline(*words, "--data-dir", str(data_dir), settings={"HTTP_PORT": str(free_port())})
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DRUMLINE_")}
    environment["DRUMLINE_HTTP_PORT"] = str(free_port())
    line = [*COMMAND, *words, "--data-dir", str(data_dir)]
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False)


@pytest.mark.parametrize(
    "words",
    [
        ("migrate",),
        ("work", "core"),
        ("keys", "create", "--role", "author"),
        ("keys", "list"),
        ("keys", "revoke", "abcdefgh"),
        ("keys", "nats-users"),
        ("audit", "replay", "workspace-demo"),
    ],
    ids=" ".join,
)
def test_servers_that_do_not_run_are_said_in_one_sentence(scratch: Path, words: tuple[str, ...]) -> None:
    run = drumline(scratch / "data", *words)
    assert run.returncode == 2
    assert run.stderr.startswith(f"drumline: drumline does not run on {scratch / 'data'}: start it by `drumline up`")
    assert len(run.stderr.splitlines()) == 1
    assert not (scratch / "data" / "secrets").exists()


def test_it_says_which_version_it_is() -> None:
    run = terminal.drumline("--version")
    assert (run.returncode, run.stdout, run.stderr) == (0, f"drumline {version('drumline')}\n", "")


@pytest.mark.parametrize(("command", "below"), [("up", ""), ("demo", "x/y"), ("migrate", "x")])
def test_a_file_cannot_be_the_data_directory(tmp_path: Path, command: str, below: str) -> None:
    (tmp_path / "file").touch()
    run = drumline(tmp_path / "file" / below, command)
    said = f"drumline: {tmp_path / 'file' / below} cannot be the data directory: Not a directory.\n"
    assert (run.returncode, run.stderr) == (2, said)


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_data_directory_that_cannot_be_made_is_said_in_one_sentence(command: str) -> None:
    run = drumline(Path("/proc/drumline"), command)
    assert run.returncode == 2
    assert run.stderr == "drumline: /proc/drumline cannot be the data directory: No such file or directory.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("dead", "show", "abc"), "Invalid value for 'letter'"),
        (("audit", "replay", "job-1", "--at", "0"), "Invalid value for '--at'"),
        (("audience", "import", "list.csv"), "Missing option '--key'"),
        (("nope",), "No such command 'nope'"),
    ],
)
def test_a_line_that_cannot_be_read_is_one_sentence(words: tuple[str, ...], said: str) -> None:
    run = terminal.drumline(*words)
    assert run.returncode == 2
    assert run.stderr.startswith(f"drumline: {said}")
    assert len(run.stderr.splitlines()) == 1


def test_an_api_that_does_not_answer_is_said_in_one_sentence(scratch: Path) -> None:
    (scratch / "list.csv").write_text("number\n+12025550111\n")
    run = drumline(scratch / "data", "audience", "import", str(scratch / "list.csv"), "--key", "none")
    assert run.returncode == 2
    said = (
        "does not answer: start `drumline up`, or set DRUMLINE_HTTP_HOST and DRUMLINE_HTTP_PORT to where it serves.\n"
    )
    assert run.stderr.endswith(said)


def test_an_api_that_runs_elsewhere_is_said_with_the_setting(scratch: Path) -> None:
    (scratch / "list.csv").write_text("number\n+12025550111\n")
    announced(read(data_dir=scratch, http_port=9180))
    run = drumline(scratch, "audience", "import", str(scratch / "list.csv"), "--key", "none")
    assert run.returncode == 2
    assert run.stderr.endswith(f"of {scratch} serves 127.0.0.1:9180: set DRUMLINE_HTTP_PORT=9180.\n")


def test_a_helper_of_the_tutorial_ends_with_a_sentence() -> None:
    (helpers,) = (block for block in blocks("tutorial") if "wait_for()" in block)
    script = (
        f"{helpers}\nkey() {{ echo key; }}; sleep() {{ :; }}; seq() {{ echo 1 2; }}\nwait_for author /jobs completed"
    )
    environment = {"PATH": os.environ["PATH"], "DRUMLINE_HTTP_PORT": str(free_port())}
    run = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=20
    )
    assert run.returncode == 1
    assert run.stderr == (
        f"http://127.0.0.1:{environment['DRUMLINE_HTTP_PORT']}/v1/jobs has not shown completed in two minutes: "
        "does `drumline up` run, and serve there (DRUMLINE_HTTP_PORT)?\n"
    )


def test_a_role_that_does_not_exist_is_answered_with_those_that_do(scratch: Path) -> None:
    run = drumline(scratch / "data", "keys", "create", "--role", "king")
    assert run.returncode == 2
    assert run.stderr.strip() == (
        "drumline: --role: 'king' is none of author, moderator, operator, auditor, admin, service."
    )
