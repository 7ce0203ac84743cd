"""A file that comes in chunks is whole in the end, or was never there."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg_pool import AsyncConnectionPool

from adapters.media import SEGMENT, Limits, Media, MediaRecord
from adapters.media_opened import Opened
from adapters.media_store import Directory
from adapters.media_uploads import MOST_CHUNKS, UploadGone, Uploads
from adapters.sealing import Sealing
from domain.content import MediaKind
from domain.message import Refused
from tests.adapters.files import TEXT, image, movie
from tests.adapters.vaulted import HERE, MASTER, PEPPER, THERE
from tests.refusals import over_quota

LIMITS = Limits(dict.fromkeys(MediaKind, 20_000_000), quota=30_000_000)
LARGE = movie(data=2 * SEGMENT + 1_000)


class House:
    def __init__(self, pool: AsyncConnectionPool, root: Path, limits: Limits = LIMITS) -> None:
        self.pool, self.root = pool, root
        sealing, store = Sealing(MASTER, PEPPER), Directory(root / "media")
        self.media = Media(pool, sealing, store, limits, Opened(root / "opened", most=0))
        self.uploads = Uploads(pool, sealing, store, self.media, timedelta(days=1))

    def files(self) -> Iterator[str]:
        return (path.parent.name for path in (self.root / "media").rglob("*") if path.is_file())

    async def content(self, found: MediaRecord | None) -> bytes:
        assert found is not None
        return b"".join([segment async for segment in self.media.content(HERE, found)])


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def broken(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    raise ConnectionError


@pytest.fixture
async def house(database_url: str, scratch: Path) -> AsyncIterator[House]:
    async with AsyncConnectionPool(
        database_url, min_size=1, max_size=4, kwargs={"autocommit": True}, open=False
    ) as pool:
        yield House(pool, scratch)


async def test_chunks_become_the_media_that_one_piece_would_have(house: House) -> None:
    data = image("PNG")
    begun = await house.uploads.begin(HERE, len(data))
    became = None
    for start in range(0, len(data), 40):
        _, became = await house.uploads.append(HERE, begun.id, start, chunks(data[start : start + 40]))
    assert became == await house.media.put(HERE, [data])
    assert await house.content(became) == data
    assert "uploads" not in house.files()
    upload, again = await house.uploads.one(HERE, begun.id)
    assert (upload.offset, again) == (len(data), became)


async def test_a_workspace_has_only_so_many_begun(house: House) -> None:
    store, before = Directory(house.root / "media"), over_quota("uploads_open")
    uploads = Uploads(house.pool, Sealing(MASTER, PEPPER), store, house.media, timedelta(days=1), most=1)
    await uploads.begin(HERE, 10)
    with pytest.raises(Refused, match="too_many_open"):
        await uploads.begin(HERE, 10)
    assert over_quota("uploads_open") == before + 1


async def test_what_came_before_a_connection_broke_is_kept(house: House) -> None:
    begun = await house.uploads.begin(HERE, len(LARGE))
    with pytest.raises(ConnectionError):
        await house.uploads.append(HERE, begun.id, 0, broken(LARGE[:SEGMENT], LARGE[SEGMENT : SEGMENT + 5]))
    upload, became = await house.uploads.one(HERE, begun.id)
    assert (upload.offset, became) == (SEGMENT, None)
    _, became = await house.uploads.append(HERE, begun.id, SEGMENT, chunks(LARGE[SEGMENT:]))
    assert await house.content(became) == LARGE


async def test_a_chunk_that_does_not_follow_is_refused_with_the_place_to_go_on_from(house: House) -> None:
    begun = await house.uploads.begin(HERE, 100)
    await house.uploads.append(HERE, begun.id, 0, chunks(b"a" * 10))
    for offset in (0, 9, 11, 100):
        with pytest.raises(Refused) as refused:
            await house.uploads.append(HERE, begun.id, offset, chunks(b"b"))
        assert (refused.value.rule, refused.value.detail) == ("offset_mismatch", {"offset": 10})
    with pytest.raises(Refused, match="beyond_the_end"):
        await house.uploads.append(HERE, begun.id, 10, chunks(b"b" * 91))


async def test_of_two_that_send_the_same_chunk_one_is_taken(house: House) -> None:
    begun = await house.uploads.begin(HERE, len(TEXT))
    middle = len(TEXT) // 2
    both = [house.uploads.append(HERE, begun.id, 0, chunks(TEXT[:middle])) for _ in range(2)]
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(answer, Refused) for answer in answers) == 1
    _, became = await house.uploads.append(HERE, begun.id, middle, chunks(TEXT[middle:]))
    assert await house.content(became) == TEXT


async def test_a_file_that_is_refused_leaves_nothing(house: House) -> None:
    data = b"<svg>" + bytes(60)
    begun = await house.uploads.begin(HERE, len(data))
    with pytest.raises(Refused, match="active_content"):
        await house.uploads.append(HERE, begun.id, 0, chunks(data))
    with pytest.raises(UploadGone):
        await house.uploads.one(HERE, begun.id)
    assert list(house.files()) == []


async def test_an_upload_is_its_workspace_s_alone(house: House) -> None:
    begun = await house.uploads.begin(HERE, 5)
    for upload in (begun.id, uuid4()):
        with pytest.raises(UploadGone):
            await house.uploads.one(THERE, upload)
        with pytest.raises(UploadGone):
            await house.uploads.append(THERE, upload, 0, chunks(b"Hello"))
        with pytest.raises(UploadGone):
            await house.uploads.cancel(THERE, upload)


async def test_what_is_on_its_way_counts(house: House) -> None:
    small = House(house.pool, house.root, Limits(LIMITS.largest, quota=100))
    begun = await small.uploads.begin(HERE, 80)
    with pytest.raises(Refused, match="quota_reached"):
        await small.uploads.begin(HERE, 21)
    with pytest.raises(Refused, match="quota_reached"):
        await small.media.put(HERE, [b"x" * 21])
    await small.uploads.append(HERE, begun.id, 0, chunks(b"y" * 80))
    await small.media.put(HERE, [b"x" * 20])
    with pytest.raises(Refused, match="quota_reached"):
        await small.uploads.begin(HERE, 1)
    with pytest.raises(Refused, match="file_too_large"):
        await small.uploads.begin(THERE, 20_000_001)


async def test_a_cancelled_upload_gives_its_room_back(house: House) -> None:
    begun = await house.uploads.begin(HERE, 20_000_000)
    await house.uploads.append(HERE, begun.id, 0, chunks(bytes(SEGMENT)))
    await house.uploads.cancel(HERE, begun.id)
    assert list(house.files()) == []
    await house.uploads.begin(HERE, 20_000_000)


async def test_a_file_of_unknown_length_comes_in_one_go(house: House) -> None:
    for data in (TEXT, LARGE):
        pieces = [data[start : start + 1_000_001] for start in range(0, len(data), 1_000_001)]
        assert await house.content(await house.uploads.take(HERE, chunks(*pieces))) == data
    assert "uploads" not in house.files()
    with pytest.raises(ConnectionError):
        await house.uploads.take(HERE, broken(LARGE))
    assert "uploads" not in house.files()
    with pytest.raises(Refused, match="file_too_large"):
        await house.uploads.take(HERE, chunks(*[bytes(SEGMENT)] * 5))


async def test_chunks_are_not_without_number(house: House) -> None:
    begun = await house.uploads.begin(HERE, 20_000)
    async with house.pool.connection() as connection:
        await connection.execute("UPDATE media_uploads SET chunks = array_fill(1, ARRAY[%s])", [MOST_CHUNKS])
    with pytest.raises(Refused, match="too_many_chunks"):
        await house.uploads.append(HERE, begun.id, MOST_CHUNKS, chunks(b"x"))


@pytest.mark.parametrize("where", ["kept, and not noted", "noted, and not tidied"])
async def test_whoever_looks_ends_what_a_crash_left(house: House, where: str) -> None:
    begun = await house.uploads.begin(HERE, len(TEXT))
    _, became = await house.uploads.append(HERE, begun.id, 0, chunks(TEXT))
    if where == "kept, and not noted":
        async with house.pool.connection() as connection:
            await connection.execute("UPDATE media_uploads SET media = NULL, chunks = '{}' WHERE id = %s", [begun.id])
        _, again = await house.uploads.append(HERE, begun.id, 0, chunks(TEXT))
        assert again == became
    _, again = await house.uploads.one(HERE, begun.id)
    assert again == became
