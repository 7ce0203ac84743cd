"""`drumline audit replay`: a stream's history up to a version, a position or a time; what cannot be is one sentence."""

import random
from pathlib import Path

import pytest
from pydantic import SecretStr

from domain.message import Recorded
from infra.replay import run, what
from infra.settings import Settings, SettingsError
from tests.projections.histories import Histories
from tests.projections.logs import written


@pytest.fixture
def history(database_url: str) -> list[Recorded]:
    """The longest stream of a log."""
    log = Histories(random.Random(3)).every_step().log()
    written(database_url, log)
    names = [recorded.stream for recorded in log]
    stream = max(names, key=names.count)
    return [recorded for recorded in log if recorded.stream == stream]


@pytest.fixture
def here(database_url: str, scratch: Path) -> Settings:
    return Settings(database_url=SecretStr(database_url), data_dir=scratch)


async def test_it_stops_at_a_version_a_position_or_a_time(
    here: Settings, history: list[Recorded], capsys: pytest.CaptureFixture[str]
) -> None:
    stream, third, fourth = history[0].stream, history[2], history[3]
    outputs = set()
    await run(here, stream, 3, None, "")
    outputs.add(capsys.readouterr().out)
    for at in (third.position, fourth.position - 1):
        await run(here, stream, None, at, "")
        outputs.add(capsys.readouterr().out)
    await run(here, stream, None, None, third.envelope.time.isoformat())
    outputs.add(capsys.readouterr().out)
    assert len(outputs) == 1
    (said,) = outputs
    assert f" {third.position} " in said
    assert f" {fourth.position} " not in said
    await run(here, stream, None, None, "")
    assert f" {history[-1].position} " in capsys.readouterr().out


async def test_a_pipe_gets_every_field_whole_on_one_line(
    here: Settings, history: list[Recorded], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    await run(here, history[0].stream, None, None, "")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    said = [what(recorded.event) for recorded in history]
    assert max(map(len, said)) > 40
    assert [one for one in said if one and one not in lines] == []


async def test_what_cannot_be_is_refused_in_a_sentence_that_names_the_option(
    here: Settings, history: list[Recorded]
) -> None:
    stream, first = history[0].stream, history[0]
    for version, at, as_of, sentence in (
        (None, 99_999_999, "", "--at: the log ends at position"),
        (None, first.position - 1, "", f"--at: {stream} begins at position {first.position}"),
        (99, None, "", f"--version: {stream} ends at version {len(history)}"),
        (None, None, "2020-01-01T00:00:00Z", f"--as-of: {stream} begins at"),
        (None, None, "2026-11-21T09:00:00", "does not name its offset"),
        (None, None, "yesterday", "--as-of: yesterday is not a time"),
    ):
        with pytest.raises(SettingsError, match=sentence):
            await run(here, stream, version, at, as_of)
    with pytest.raises(SettingsError, match="There is no stream job-nobody"):
        await run(here, "job-nobody", None, None, "")
