"""Puts media in, in one piece and in chunks, deletes and removes; killed before and after each step in turn.

Run by itself: the address of a database, a directory, the first step to be killed at, and how many to go on. After each
death it looks at what is left, and says on a line of its own how that was.
"""

import asyncio
import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from psycopg import AsyncCursor
from psycopg_pool import AsyncConnectionPool

from adapters import media_store
from adapters.media import Limits, Media, MediaRecord
from adapters.media_opened import Opened
from adapters.media_removal import Removal
from adapters.media_store import Directory
from adapters.media_uploads import Uploads
from adapters.sealing import Sealing
from domain.content import MediaKind
from domain.message import Digest, WorkspaceId
from tests.adapters.files import TEXT, image
from tests.adapters.test_media_uploads import chunks
from tests.adapters.vaulted import HERE, MASTER, PEPPER

AT_ONCE = timedelta(0)
LONGEST = 40.0  # seconds a child may live: who stands longer says where
PICTURE = image("PNG")
USED: set[tuple[WorkspaceId, Digest]] = set()
STEPS: tuple[tuple[Any, str], ...] = (
    (AsyncCursor, "execute"),
    (media_store, "sync"),
    (Path, "touch"),
    (Path, "replace"),
    (Path, "unlink"),
    (os, "fsync"),
)


@asynccontextmanager
async def house(url: str, root: Path) -> AsyncIterator[tuple[Media, Uploads, Removal, AsyncConnectionPool]]:
    async with AsyncConnectionPool(url, min_size=1, max_size=3, kwargs={"autocommit": True}, open=False) as pool:
        sealing, store = Sealing(MASTER, PEPPER), Directory(root / "media")
        limits = Limits(dict.fromkeys(MediaKind, 1_000_000), quota=10_000_000)
        media = Media(pool, sealing, store, limits, Opened(root / "opened", most=0))
        uploads = Uploads(pool, sealing, store, media, AT_ONCE)
        yield media, uploads, Removal(pool, store, uploads), pool


async def live(url: str, root: Path) -> None:
    """What is done, in order."""
    async with house(url, root) as (media, uploads, removal, _):
        found = await media.put(HERE, [TEXT])
        upload = await uploads.begin(HERE, len(PICTURE))
        middle = len(PICTURE) // 2
        await uploads.append(HERE, upload.id, 0, chunks(PICTURE[:middle]))
        _, became = await uploads.append(HERE, upload.id, middle, chunks(PICTURE[middle:]))
        assert became is not None
        await media.delete(HERE, found.id)
        await removal.step({(HERE, became.id)}, AT_ONCE)


async def left(url: str, root: Path) -> str:
    """What is wrong with what is left; nothing, if every media is whole, it can be gone on with, and all can go."""
    async with house(url, root) as (media, uploads, removal, pool):
        async with pool.connection() as connection:
            rows = await (await connection.execute("SELECT id FROM media WHERE written")).fetchall()
            begun = await (await connection.execute("SELECT id FROM media_uploads")).fetchall()
        for (one,) in rows:
            if await whole(media, await media.one(HERE, one) if await media.known(HERE, [one]) else None):
                return f"{one} is not what it was"
        for (one,) in begun:
            upload, _ = await uploads.one(HERE, one)
            _, became = await uploads.append(HERE, one, upload.offset, chunks(PICTURE[upload.offset :]))
            if became is None or await whole(media, became):
                return "the upload did not come to its end"
        for again in ([TEXT], [PICTURE]):
            if await whole(media, await media.put(HERE, again)):
                return "what was put in again is not whole"
        await removal.step(USED, AT_ONCE)
        async with pool.connection() as connection:
            rows = await (await connection.execute("SELECT id FROM media")).fetchall()
            begun = await (await connection.execute("SELECT id FROM media_uploads")).fetchall()
    files = [path.name for path in (root / "media").rglob("*") if path.is_file()]
    return f"{len(rows)} rows, {len(begun)} uploads and {len(files)} files stay" if rows or begun or files else ""


async def whole(media: Media, found: MediaRecord | None) -> bool:
    """Whether a file's bytes are others than those that were put in."""
    if found is None:  # deleted
        return False
    content = b"".join([segment async for segment in media.content(HERE, found)])
    return content != (TEXT if found.mimetype == "text/plain" else PICTURE)


def killing(at: int) -> None:
    """Let this process die before or after one of its steps."""
    taken = 0

    def step() -> None:
        nonlocal taken
        taken += 1
        if taken == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*given: Any, **named: Any) -> Any:
            step()
            answer = act(*given, **named)
            if not asyncio.iscoroutine(answer):
                step()
            return answer

        return acted

    for place, name in STEPS:
        setattr(place, name, around(getattr(place, name)))


def in_a_child(do: Callable[[], None]) -> bool:
    """Do it in a process of its own, for pools of threads do not outlive a fork; False when it was killed."""
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
        return not os.WIFSIGNALED(status)
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    try:
        do()
    except BaseException:  # noqa: BLE001  # whatever it is, the child must not go on as its parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def live_and_die(url: str, root: Path, at: int) -> None:
    killing(at)
    asyncio.run(live(url, root))


def tell(url: str, root: Path, at: int) -> None:
    print(at, asyncio.run(left(url, root)) or "well", flush=True)  # noqa: T201  # read by the test


def main() -> None:
    url, root, at, stride = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    media_store.ABANDONED = 0.0
    while not in_a_child(partial(live_and_die, url, root, at)):
        assert in_a_child(partial(tell, url, root, at))
        at += stride


if __name__ == "__main__":
    main()
