"""The main job, run as a user runs it: a process, its last line, its exit code, and nothing left behind."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters.sandbox.ledger import recount
from infra.child import wait_until
from infra.demo import Demo, begin_anew, fault_named
from infra.ports import free_port
from infra.settings import SettingsError, read
from tests.e2e.descendants import processes_on

ROOT = Path(__file__).parents[2]
SECOND = ROOT / "examples" / "contacts-second.csv"
SHORT = ROOT / "tests" / "faults" / "contacts.csv"
COMMAND = [sys.executable, "-m", "infra.cli"]
LONGEST = 100  # seconds for a whole run beside other tests


def environment() -> dict[str, str]:
    ports = {"DRUMLINE_HTTP_PORT": str(free_port()), "DRUMLINE_SANDBOX_PORT": str(free_port())}
    return {**os.environ, **ports}


def demo(data_dir: Path, *options: str, longest: float = LONGEST) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "demo", "--data-dir", str(data_dir), *options],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=longest,
        check=False,
    )


def last_line(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return line


@pytest.mark.long  # test_observed.py shows this of three people, test_kill_table.py of this list, killed and resumed
def test_a_demo_accounts_for_every_row_and_leaves_nothing_running(scratch: Path) -> None:
    run = demo(scratch / "data", "--contacts", str(SHORT))
    assert run.returncode == 0, run.stdout + run.stderr
    said = last_line(run)
    assert said["rows"] == 40 == said["bad"] + said["merged"] + said["recipients"]
    assert said["bad"] > 0
    assert said["merged"] > 0
    ended = said["sent"] + said["partial"] + said["failed"] + sum(said["skipped"].values())
    assert said["recipients"] == ended + said["stopped"] + said["given_up"] + said["unknown"] + said["lost"]
    assert said["skipped"]["no_consent"] > 0
    assert said["parts"] == said["wire"] == 2 * said["sent"] > 40
    assert said["duplicates"] == said["lost"] == said["unknown"] == 0
    wire = recount(Path(said["ledger"]))
    assert (wire.distinct, wire.entries) == (said["wire"], said["wire"])
    assert "rule own_job, field actor" in run.stdout
    assert "workspace.sending-policy-set" in run.stdout
    assert "job.completed" in run.stdout
    assert processes_on(scratch) == {}
    assert not begin_anew(scratch / "data")  # it came to its end


@pytest.mark.long
@pytest.mark.timeout(4 * LONGEST)
def test_the_whole_list_is_done_in_a_minute_and_who_opts_out_meanwhile_is_left_alone(scratch: Path) -> None:
    run = demo(scratch / "data", longest=3 * LONGEST)
    assert run.returncode == 0, run.stdout + run.stderr
    said = last_line(run)
    assert (said["rows"], said["bad"], said["merged"], said["recipients"]) == (300, 14, 13, 273)
    assert said["skipped"]["opted_out"] == 273 // 50 + 1  # at the desk, and who wrote STOP
    assert said["sent"] + sum(said["skipped"].values()) == 273
    assert said["parts"] == said["wire"] == 2 * said["sent"]
    assert "STOP" in run.stdout
    assert said["seconds"] < 60


@pytest.mark.long  # test_report.py and test_messenger_contract.py are the short form
def test_a_doubled_message_on_the_wire_is_noticed_in_another_list(scratch: Path) -> None:
    run = demo(scratch / "data", "--contacts", str(SECOND), "--fault", "F19")
    assert run.returncode == 1, run.stdout + run.stderr
    said = last_line(run)
    with SECOND.open() as rows:
        assert said["rows"] == len(list(csv.DictReader(rows)))
    assert said["duplicates"] == 1
    assert said["wire"] == said["parts"]
    assert "does not hold: duplicates 1 = 0" in run.stdout


@pytest.mark.long
def test_an_interrupted_demo_ends_cleanly(scratch: Path) -> None:
    data_dir = scratch / "data"
    line = [*COMMAND, "demo", "--data-dir", str(data_dir)]
    with subprocess.Popen(line, env=environment(), stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for said in run.stdout:
            if "running" in said and "delivered 0" not in said:
                break
        before = len(processes_on(data_dir))
        assert before

        def impatient() -> bool:
            run.send_signal(signal.SIGINT)
            return len(processes_on(data_dir)) < before

        assert wait_until(impatient, 30, step=0.1)
        rest = run.stdout.read()
        assert run.wait(LONGEST) == 130
    assert "Stopped" in rest
    assert wait_until(lambda: not processes_on(data_dir), 10)
    assert begin_anew(data_dir)  # the next demo says that there was one
    assert not begin_anew(data_dir)


async def test_a_demo_empties_no_data_of_somebody_else(scratch: Path) -> None:
    (scratch / "kept.txt").write_text("somebody's")
    with pytest.raises(SettingsError, match="holds data that is not a demo's"):
        await Demo(read(data_dir=scratch), None, ()).run()
    assert (scratch / "kept.txt").read_text() == "somebody's"


def test_a_fault_goes_by_its_name_or_number_and_the_refusal_tells_both() -> None:
    assert fault_named("F19") == fault_named("wire_doubled") == "wire_doubled"
    with pytest.raises(SettingsError, match="F19 wire_doubled, not_on_whatsapp, nack, "):
        fault_named("F99")


@pytest.mark.long
def test_a_list_without_the_variables_gets_a_text_without_them(scratch: Path) -> None:
    path = scratch / "list.csv"
    path.write_text("number,consent\n+12025550111,yes\n+12025550112,no\n")
    run = demo(scratch / "data", "--contacts", str(path))
    assert run.returncode == 0, run.stdout + run.stderr
    said = last_line(run)
    assert (said["rows"], said["sent"], said["skipped"]) == (2, 1, {"no_consent": 1})
    words = "Hi friend, our spring workshop in your town opens on Monday at nine. Your seat is kept."
    assert hashlib.sha256(words.encode()).hexdigest() in Path(said["ledger"]).read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"number\n12\n", "no row", id="a list of bad rows", marks=pytest.mark.long),
        pytest.param(b"name\nAna\n", "number", id="a list without numbers", marks=pytest.mark.long),
        pytest.param(b"\xff\xfe\x00bad", "", id="a list that is not UTF-8", marks=pytest.mark.long),
    ],
)
def test_an_unusable_list_is_one_clear_sentence(scratch: Path, content: bytes, said: str) -> None:
    path = scratch / "list.csv"
    path.write_bytes(content)
    run = demo(scratch / "data", "--contacts", str(path))
    assert run.returncode == 2
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("drumline: list.csv: ")
    assert said in last


async def test_a_missing_list_is_named_before_anything_starts(scratch: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.csv is not a file"):
        await Demo(read(data_dir=scratch / "data"), scratch / "none.csv", ()).run()
    assert not (scratch / "data").exists()
