"""Media lie sealed under names that their content gives, whole or not at all, each tenant's apart."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from psycopg_pool import AsyncConnectionPool

from adapters.media import SEGMENT, Limits, Media, MediaGone, MediaRecord, name, segments_of
from adapters.media_images import Image, read_image
from adapters.media_kinds import HEAD
from adapters.media_opened import Opened
from adapters.media_store import Directory
from adapters.sealing import SealBroken, Sealing
from domain.content import MediaKind
from domain.message import Digest, Refused
from tests.adapters.files import TEXT, image, movie
from tests.adapters.vaulted import HERE, MASTER, PEPPER, THERE

LIMITS = Limits(dict.fromkeys(MediaKind, 40_000_000), quota=60_000_000)
LARGE = movie(data=2 * SEGMENT + 1_000)


@dataclass(frozen=True)
class Kept:
    """Media on a database and in a directory of this test."""

    pool: AsyncConnectionPool
    root: Path
    store: Directory
    opened: Opened
    media: Media

    def files(self) -> list[Path]:
        return [path for path in (self.root / "media").rglob("*") if path.is_file()]

    async def bytes_of(self, found: MediaRecord) -> bytes:
        return b"".join([segment async for segment in self.media.content(HERE, found)])

    async def rows(self) -> int:
        async with self.pool.connection() as connection:
            row = await (await connection.execute("SELECT count(*) FROM media")).fetchone()
            assert row is not None
            return int(row[0])


@pytest.fixture
def opened(scratch: Path) -> Iterator[Opened]:
    made = Opened(scratch / "opened", most=30_000_000)
    yield made
    made.close()


@pytest.fixture
async def kept(database_url: str, scratch: Path, opened: Opened) -> AsyncIterator[Kept]:
    async with AsyncConnectionPool(
        database_url, min_size=1, max_size=4, kwargs={"autocommit": True}, open=False
    ) as pool:
        store = Directory(scratch / "media")
        yield Kept(pool, scratch, store, opened, Media(pool, Sealing(MASTER, PEPPER), store, LIMITS, opened))


@pytest.mark.parametrize("data", [TEXT, image("JPEG"), LARGE], ids=["small", "image", "of several segments"])
async def test_what_was_put_in_comes_out_again(kept: Kept, data: bytes) -> None:
    found = await kept.media.put(HERE, [data])
    assert await kept.bytes_of(found) == data
    assert len(kept.files()) == segments_of(len(data))


@pytest.mark.parametrize("chunk", [1, 100, 1 << 20])
async def test_an_image_is_opened_in_the_pool_of_images_however_small_it_is(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    opened_in: list[str] = []

    def seen(data: bytes, mimetype: str) -> Image:
        opened_in.append(threading.current_thread().name)
        return read_image(data, mimetype)

    monkeypatch.setattr("adapters.media_kinds.read_image", seen)
    small = image("WEBP")
    assert len(small) < HEAD
    await kept.media.put(HERE, [small[start : start + chunk] for start in range(0, len(small), chunk)])
    assert [name.partition("_")[0] for name in opened_in] == ["images"]


async def test_it_lies_sealed_where_only_its_owner_reads(kept: Kept) -> None:
    await kept.media.put(HERE, [TEXT])
    (file,) = kept.files()
    assert b"name" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o777 for path in file.parents if path.is_relative_to(kept.root / "media")} == {0o700}


async def test_the_same_content_is_the_same_media(kept: Kept) -> None:
    first, again = await kept.media.put(HERE, [TEXT]), await kept.media.put(HERE, [TEXT[:3], TEXT[3:]])
    assert first == again
    assert len(kept.files()) == await kept.rows() == 1


async def test_tenants_cannot_tell_what_others_have(kept: Kept) -> None:
    here, there = await kept.media.put(HERE, [TEXT]), await kept.media.put(THERE, [TEXT])
    assert here.id != there.id
    assert await kept.media.known(HERE, [there.id]) == {}
    with pytest.raises(MediaGone):
        await kept.media.one(HERE, there.id)
    with pytest.raises(SealBroken):
        await kept.bytes_of(replace(here, id=there.id))


async def test_segments_cannot_be_swapped_or_left_out(kept: Kept) -> None:
    found = await kept.media.put(HERE, [LARGE])
    first, second = kept.root / "media" / name(found.id, 0), kept.root / "media" / name(found.id, 1)
    swapped = first.read_bytes(), second.read_bytes()
    second.write_bytes(swapped[0])
    first.write_bytes(swapped[1])
    with pytest.raises(SealBroken):
        await kept.bytes_of(found)
    first.write_bytes(swapped[0])
    with pytest.raises(SealBroken):
        await kept.bytes_of(replace(found, size=SEGMENT))


async def test_only_what_is_there_is_known(kept: Kept) -> None:
    found = await kept.media.put(HERE, [image("PNG")])
    assert await kept.media.known(HERE, [found.id, Digest("0" * 64)]) == {found.id: found}
    assert (found.kind, found.suffix, found.width, found.height) == (MediaKind.IMAGE, ".png", 64, 48)


async def test_a_refused_file_leaves_nothing(kept: Kept) -> None:
    with pytest.raises(Refused):
        await kept.media.put(HERE, [b"<svg/>"])
    assert kept.files() == []
    assert await kept.rows() == 0


async def test_a_workspace_keeps_no_more_than_its_quota(kept: Kept) -> None:
    small = Media(kept.pool, Sealing(MASTER, PEPPER), kept.store, replace(LIMITS, quota=2 * len(TEXT)), kept.opened)
    await small.put(HERE, [TEXT])
    with pytest.raises(Refused) as refused:
        await small.put(HERE, [TEXT + b"and more"])
    assert refused.value.rule == "quota_reached"
    assert refused.value.detail == {"maximum": 2 * len(TEXT), "used": len(TEXT)}
    await small.put(HERE, [TEXT])  # it counts once
    await small.put(THERE, [TEXT])  # and only there


async def test_two_that_put_at_once_do_not_pass_the_quota_together(kept: Kept) -> None:
    small = Media(kept.pool, Sealing(MASTER, PEPPER), kept.store, replace(LIMITS, quota=30), kept.opened)
    answers = await asyncio.gather(
        *(small.put(HERE, [b"twenty bytes long: %02d" % n]) for n in range(4)), return_exceptions=True
    )
    assert sum(isinstance(answer, MediaRecord) for answer in answers) == 1
    assert await kept.rows() == 1


async def test_what_is_deleted_is_shown_no_more_until_it_is_put_again(kept: Kept) -> None:
    found = await kept.media.put(HERE, [TEXT])
    await kept.media.delete(HERE, found.id)
    assert await kept.media.known(HERE, [found.id]) == {}
    for ask in (kept.media.one, kept.media.delete):
        with pytest.raises(MediaGone):
            await ask(HERE, found.id)
    assert (await kept.media.put(HERE, [TEXT])).id == found.id
    assert await kept.media.one(HERE, found.id) == found


async def test_it_is_opened_for_a_browser_in_a_private_file(kept: Kept) -> None:
    found = await kept.media.put(HERE, [LARGE])
    path = await kept.media.open(HERE, found.id)
    assert path.read_bytes() == LARGE
    assert path.suffix == ".mp4"
    assert path.stat().st_mode & 0o777 == 0o600
    assert await kept.media.open(HERE, found.id) == path
    with pytest.raises(MediaGone):
        await kept.media.open(THERE, found.id)
    kept.opened.close()
    assert not path.exists()
