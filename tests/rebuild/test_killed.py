"""A rebuild that is killed at any step leaves tables that serve, and nothing that the next one does not clean up."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.embedded import EmbeddedPostgres
from infra.migrate import migrate
from infra.rebuild import rebuild
from projections.beside import RebuildRefused
from tests.e2e.terminal import drumline
from tests.rebuild.ground import Ground, differing, ground, laid
from workers.crashpoints import NAMES
from workers.rebuild import Rebuilt

ROOT = Path(__file__).parents[2]
STEPS = [name for name in NAMES if name.startswith("rebuild_")]


def started(database_url: str, *words: str, crashpoint: str = "") -> subprocess.Popen[str]:
    """`drumline rebuild` in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DRUMLINE_")}
    environment |= {"DRUMLINE_DATABASE_URL": database_url, "DRUMLINE_CRASHPOINT": crashpoint}
    return subprocess.Popen(
        [sys.executable, "-m", "infra.cli", "rebuild", *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def rebuilt_after_the_dead_one(here: Ground) -> Rebuilt:
    """A rebuild, as soon as the server noticed that the other is dead."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await rebuild(here.url)
            except RebuildRefused:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "step", [step if step == "rebuild_swapping" else pytest.param(step, marks=pytest.mark.long) for step in STEPS]
)
async def test_killed_at_a_step(here: Ground, step: str) -> None:
    before, looks = await here.hashes(), await here.looks()
    process = await asyncio.to_thread(started, here.url, "all", crashpoint=step)
    await asyncio.to_thread(process.communicate)
    assert process.returncode == -signal.SIGKILL
    assert await here.hashes() == before
    assert await here.looks() == looks
    assert differing(await rebuilt_after_the_dead_one(here)) == []
    assert await here.hashes() == before
    assert await here.looks() == looks
    assert await here.schemas() == ["public"]


@pytest.mark.long
@pytest.mark.parametrize("step", ["taking in", "indexes", "comparing", "changing places"])
async def test_postgresql_killed_meanwhile(scratch: Path, step: str) -> None:
    server = EmbeddedPostgres(scratch / "postgres")
    server.start()
    migrate(server.url)
    await laid(server.url, 30_000)
    async with ground(server.url) as here:
        before, looks = await here.hashes(), await here.looks()
    process = started(server.url, "all")
    assert process.stderr is not None
    while step not in (said := process.stderr.readline()):
        assert said
    server.kill()
    rest = process.communicate()[1]
    assert process.returncode in (0, 2), rest  # 0: it was over before the signal came
    assert process.returncode == 0 or "PostgreSQL was lost" in rest
    server.start()
    try:
        async with ground(server.url) as here:
            await here.project()  # the live tables' last commits may be lost, with their position
            assert await here.hashes() == before
            assert await here.looks() == looks
            assert differing(await rebuild(here.url)) == []
            assert await here.looks() == looks
            assert await here.schemas() == ["public"]
    finally:
        server.stop()


async def test_the_command_tells_progress_in_lines_and_ends_with_json(here: Ground) -> None:
    ran = await asyncio.to_thread(drumline, "rebuild", "all", "--json", settings={"DATABASE_URL": here.url})
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.splitlines()[-1].startswith("done: position ")
    assert '"same": true' in ran.stdout.splitlines()[-1]
    assert "\x1b" not in ran.stdout + ran.stderr


async def test_the_command_tells_by_its_exit_code_that_rows_differed(here: Ground) -> None:
    await here.run("UPDATE read_deliveries SET attempt = 77 WHERE id = (SELECT id FROM read_deliveries LIMIT 1)")
    settings = {"DATABASE_URL": here.url}
    ran = await asyncio.to_thread(drumline, "rebuild", "deliveries", "--check", settings=settings)
    assert ran.returncode == 1, ran.stderr
    assert "differs in 1 row" in ran.stdout


def test_a_name_that_is_no_read_model_is_answered_with_those_that_are() -> None:
    ran = drumline("rebuild", "nothing", settings={"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"})
    assert ran.returncode == 2
    assert "choose among all, workspaces" in ran.stderr
