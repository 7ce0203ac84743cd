"""Two processes of drumline that look for a port at the same time never find the same one."""

import subprocess
import sys
from pathlib import Path

from infra import ports

ROOT = Path(__file__).parents[2]
FINDS = "from infra.ports import free_port; print(free_port(), flush=True); input()"


def test_a_port_that_was_found_is_found_by_no_other_process_until_its_finder_ends() -> None:
    finder = [sys.executable, "-c", FINDS]
    with subprocess.Popen(finder, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}, text=True) as other:
        assert other.stdout
        port = int(other.stdout.readline())
        assert not ports.in_use(port)
        assert not ports.reserved(port)
        other.communicate("\n")
    assert ports.reserved(port)
    assert not ports.reserved(port)
