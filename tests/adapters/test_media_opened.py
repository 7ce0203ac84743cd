"""Files in plain are few, private, there while they are needed, and gone with their process, however it ended."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.media_opened import IDLE, PINNED, Opened


async def content() -> AsyncIterator[bytes]:
    yield b"Hello "
    yield b"world"


async def broken() -> AsyncIterator[bytes]:
    yield b"Hello "
    raise ConnectionError


async def test_a_file_is_written_once_while_it_is_there(scratch: Path) -> None:
    opened = Opened(scratch / "opened", most=100)
    path = await opened.path("a.txt", 11, content)
    assert path.read_bytes() == b"Hello world"
    assert await opened.path("a.txt", 11, broken) == path
    opened.close()
    assert list((scratch / "opened").iterdir()) == []


async def test_a_file_that_could_not_be_opened_is_not_there(scratch: Path) -> None:
    opened = Opened(scratch / "opened", most=100)
    with pytest.raises(ConnectionError):
        await opened.path("a.txt", 11, broken)
    assert [path.suffix for path in (scratch / "opened").rglob("*") if path.is_file()] == [".lock"]
    opened.close()


async def test_the_oldest_goes_for_room_but_none_that_may_be_in_use(scratch: Path) -> None:
    now = 0.0
    opened = Opened(scratch / "opened", most=22, clock=lambda: now)
    first, second, third = [await opened.path(name, 11, content) for name in ("a.txt", "b.txt", "c.txt")]
    assert first.exists(), "it was opened just now"
    now += PINNED + 1
    fourth = await opened.path("d.txt", 11, content)
    assert [path.exists() for path in (first, second, third, fourth)] == [False, False, True, True]
    now += IDLE + 1
    opened.tidy()
    assert [path.exists() for path in (third, fourth)] == [False, False]
    opened.close()


async def test_what_a_killed_process_left_goes_and_what_a_living_one_has_stays(scratch: Path) -> None:
    root = scratch / "opened"
    (root / "killed").mkdir(parents=True)
    (root / "killed" / "a.txt").write_bytes(b"Hello")
    living, other = Opened(root, most=100), Opened(root, most=100)
    path = await living.path("a.txt", 11, content)
    await other.path("a.txt", 11, content)
    assert path.exists()
    assert not (root / "killed").exists()
    living.close()
    other.close()
    assert list(root.iterdir()) == []
