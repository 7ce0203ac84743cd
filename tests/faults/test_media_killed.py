"""Whoever is killed while media come and go leaves nothing half done, at whatever step it is."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def told(database_url: str, scratch: Path, first: int, stride: int) -> list[str]:
    """What was found after each death."""
    command = [sys.executable, "-m", "tests.faults.media_killed", database_url, str(scratch), str(first), str(stride)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_a_killed_process_leaves_nothing_half_done(database_url: str, scratch: Path) -> None:
    lines = told(database_url, scratch, first=3, stride=13)
    assert len(lines) > 5
    assert [line for line in lines if not line.endswith(" well")] == []


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_same_at_every_step(database_url: str, scratch: Path) -> None:
    lines = told(database_url, scratch, first=1, stride=1)
    assert len(lines) > 80
    assert [line for line in lines if not line.endswith(" well")] == []
