"""What nothing refers to is removed after the grace; what is used, or was asked for just now, never."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg_pool import AsyncConnectionPool

from adapters.media import Limits, Media, MediaGone
from adapters.media_opened import Opened
from adapters.media_removal import Removal
from adapters.media_store import Directory
from adapters.media_uploads import UploadGone, Uploads
from adapters.sealing import Sealing
from domain.content import MediaKind
from domain.message import Digest, WorkspaceId
from tests.adapters.files import TEXT, image
from tests.adapters.test_media_uploads import chunks
from tests.adapters.vaulted import HERE, MASTER, PEPPER, THERE

DAY = timedelta(days=1)
NOTHING: frozenset[tuple[WorkspaceId, Digest]] = frozenset()


class Slow(Directory):
    """A directory whose deletions wait until they may."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.deleting, self.may = asyncio.Event(), asyncio.Event()
        self.may.set()

    async def delete(self, names: Iterable[str]) -> None:
        self.deleting.set()
        await self.may.wait()
        await super().delete(names)


class House:
    def __init__(self, pool: AsyncConnectionPool, root: Path) -> None:
        self.pool, self.root = pool, root
        sealing = Sealing(MASTER, PEPPER)
        self.store = Slow(root / "media")
        limits = Limits(dict.fromkeys(MediaKind, 1_000_000), quota=1_000_000)
        self.media = Media(pool, sealing, self.store, limits, Opened(root / "opened", most=0))
        self.uploads = Uploads(pool, sealing, self.store, self.media, DAY)
        self.removal = Removal(pool, self.store, self.uploads)

    def files(self) -> int:
        return sum(path.is_file() for path in (self.root / "media").rglob("*"))

    async def somebody_waits(self) -> bool:
        """For a row or the like that somebody else holds."""
        async with self.pool.connection() as connection:
            row = await (await connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")).fetchone()
            return bool(row and row[0])

    async def later(self, days: int = 2) -> None:
        """Let everything be as if so many days had passed."""
        async with self.pool.connection() as connection:
            for table, columns in (("media", ("used_at", "deleted_at")), ("media_uploads", ("touched_at",))):
                for column in columns:
                    await connection.execute(
                        f"UPDATE {table} SET {column} = {column} - make_interval(days => %s)", [days]
                    )


@pytest.fixture
async def house(database_url: str, scratch: Path) -> AsyncIterator[House]:
    async with AsyncConnectionPool(
        database_url, min_size=1, max_size=4, kwargs={"autocommit": True}, open=False
    ) as pool:
        yield House(pool, scratch)


async def test_the_unused_go_after_the_grace_and_the_used_stay(house: House) -> None:
    unused, used = await house.media.put(HERE, [TEXT]), await house.media.put(HERE, [image("PNG")])
    there = await house.media.put(THERE, [TEXT])
    assert await house.removal.step(NOTHING) == 0
    await house.later()
    assert await house.removal.step({(HERE, used.id), (THERE, there.id)}) == 1
    assert (await house.media.known(HERE, [unused.id, used.id])).keys() == {used.id}
    assert await house.media.one(THERE, there.id) == there
    assert house.files() == 2


async def test_what_a_command_asked_for_stays_for_another_while(house: House) -> None:
    found = await house.media.put(HERE, [TEXT])
    await house.later()
    await house.media.known(HERE, [found.id])
    assert await house.removal.step(NOTHING) == 0
    assert await house.media.one(HERE, found.id) == found


async def test_what_was_deleted_goes_soon_unless_a_command_was_first(house: House) -> None:
    gone, taken = await house.media.put(HERE, [TEXT]), await house.media.put(HERE, [image("PNG")])
    for one in (gone, taken):
        await house.media.delete(HERE, one.id)
    assert await house.removal.step(NOTHING) == 0
    assert await house.removal.step({(HERE, taken.id)}, settled=timedelta(0)) == 1
    assert house.files() == 1
    assert await house.media.one(HERE, taken.id) == taken
    with pytest.raises(MediaGone):
        await house.media.open(HERE, gone.id)


async def test_an_approved_message_still_gets_what_was_deleted(house: House) -> None:
    found = await house.media.put(HERE, [TEXT])
    await house.media.delete(HERE, found.id)
    assert (await house.media.open(HERE, found.id)).read_bytes() == TEXT


async def test_what_was_never_written_whole_goes_too(house: House) -> None:
    await house.media.put(HERE, [TEXT])
    async with house.pool.connection() as connection:
        await connection.execute("UPDATE media SET written = false")
    await house.later()
    assert await house.removal.step(NOTHING) == 1
    assert house.files() == 0


async def test_uploads_that_nobody_went_on_with_go(house: House) -> None:
    idle, busy = await house.uploads.begin(HERE, 100), await house.uploads.begin(HERE, 100)
    for upload in (idle, busy):
        await house.uploads.append(HERE, upload.id, 0, chunks(b"x" * 10))
    await house.later()
    await house.uploads.append(HERE, busy.id, 10, chunks(b"y"))
    assert await house.removal.step(NOTHING) == 1
    with pytest.raises(UploadGone):
        await house.uploads.one(HERE, idle.id)
    assert (await house.uploads.one(HERE, busy.id))[0].offset == 11
    assert house.files() == 2


async def test_what_is_put_again_while_it_is_removed_is_there_afterwards(house: House) -> None:
    found = await house.media.put(HERE, [TEXT])
    await house.later()
    house.store.deleting.clear()
    house.store.may.clear()
    removing = asyncio.create_task(house.removal.step(NOTHING))
    await asyncio.wait_for(house.store.deleting.wait(), 30)
    putting = asyncio.create_task(house.media.put(HERE, [TEXT]))
    async with asyncio.timeout(30):
        while not await house.somebody_waits():
            assert not putting.done()
    house.store.may.set()
    assert await removing == 1
    again = await putting
    assert again.id == found.id
    assert b"".join([segment async for segment in house.media.content(HERE, again)]) == TEXT


async def test_two_that_remove_at_once_remove_once(house: House) -> None:
    for number in range(5):
        await house.media.put(HERE, [b"file %d" % number])
    await house.later()
    assert sum(await asyncio.gather(house.removal.step(NOTHING), house.removal.step(NOTHING))) == 5
    assert house.files() == 0
