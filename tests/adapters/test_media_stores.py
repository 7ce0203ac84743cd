"""Both stores keep named bytes whole or not at all: the directory, and the bucket on a server that speaks S3."""

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg_pool import AsyncConnectionPool

from adapters.media import SEGMENT, Limits, Media, name
from adapters.media_opened import Opened
from adapters.media_removal import Removal
from adapters.media_s3 import Bucket
from adapters.media_store import ABANDONED, Directory, SegmentMissing, Store, StoreUnavailable
from adapters.media_uploads import Uploads
from adapters.sealing import Sealing
from domain.content import MediaKind
from tests.adapters.files import movie
from tests.adapters.s3 import KEY, REGION, bucket, s3
from tests.adapters.test_media_uploads import chunks
from tests.adapters.vaulted import HERE, MASTER, PEPPER


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3() as address:
        yield address


@pytest.fixture(params=["directory", "bucket"])
def store(request: pytest.FixtureRequest, scratch: Path) -> Store:
    if request.param == "directory":
        return Directory(scratch / "data" / "media")
    made: Bucket = bucket(request.getfixturevalue("endpoint"))
    return made


async def test_what_was_written_is_read(store: Store) -> None:
    for place, data in (("ab/one-0", b"first"), ("ab/one-1", bytes(4 << 20)), ("uploads/two-0", b"\x00\xff")):
        await store.write(place, data)
        assert await store.read(place) == data


async def test_a_name_written_again_has_the_newer_bytes(store: Store) -> None:
    await store.write("ab/one-0", b"a longer text")
    await store.write("ab/one-0", b"newer")
    assert await store.read("ab/one-0") == b"newer"


async def test_what_was_deleted_is_missing_and_missed_only_once(store: Store) -> None:
    await store.write("ab/one-0", b"first")
    await store.write("ab/two-0", b"second")
    for _ in range(2):
        await store.delete(["ab/one-0", "ab/one-1"])
    with pytest.raises(SegmentMissing):
        await store.read("ab/one-0")
    assert await store.read("ab/two-0") == b"second"


async def test_a_bucket_that_is_away_or_refuses_is_an_outage_that_names_no_secret(endpoint: str) -> None:
    away = Bucket("none", region=REGION, endpoint="http://127.0.0.1:1", access_key=KEY, secret_key="hidden")
    missing = Bucket("none", region=REGION, endpoint=endpoint, access_key=KEY, secret_key="hidden")
    for store in (away, missing):
        with pytest.raises(StoreUnavailable) as error:
            await store.write("ab/one-0", b"first")
        assert "hidden" not in str(error.value)
        assert "127.0.0.1" not in str(error.value)


async def test_a_directory_that_cannot_be_written_is_an_outage(scratch: Path) -> None:
    (scratch / "media").write_bytes(b"a file")
    with pytest.raises(StoreUnavailable):
        await Directory(scratch / "media").write("ab/one-0", b"first")


async def test_what_a_killed_writer_left_is_tidied_once_it_is_old(scratch: Path) -> None:
    store = Directory(scratch / "media")
    await store.write("ab/one-0", b"first")
    left, fresh = (scratch / "media" / "unfinished" / name for name in ("left", "fresh"))
    for path in (left, fresh):
        path.write_bytes(b"ha")
    os.utime(left, times=(0, time.time() - ABANDONED - 1))
    await store.tidy()
    assert (left.exists(), fresh.exists()) == (False, True)
    assert await store.read("ab/one-0") == b"first"


async def test_media_and_uploads_live_in_either(store: Store, database_url: str, scratch: Path) -> None:
    data = movie(data=SEGMENT + 1_000)
    async with AsyncConnectionPool(
        database_url, min_size=1, max_size=3, kwargs={"autocommit": True}, open=False
    ) as pool:
        sealing, opened = Sealing(MASTER, PEPPER), Opened(scratch / "opened", most=0)
        media = Media(pool, sealing, store, Limits(dict.fromkeys(MediaKind, 10_000_000), 10_000_000), opened)
        uploads = Uploads(pool, sealing, store, media, timedelta(0))
        begun = await uploads.begin(HERE, len(data))
        await uploads.append(HERE, begun.id, 0, chunks(data[:1_000_000]))
        _, found = await uploads.append(HERE, begun.id, 1_000_000, chunks(data[1_000_000:]))
        assert found is not None
        assert (await media.open(HERE, found.id)).read_bytes() == data
        assert data[-500:] not in await store.read(name(found.id, 1))
        assert await Removal(pool, store, uploads).step(set()) == 2
        with pytest.raises(SegmentMissing):
            await store.read(name(found.id, 0))
        opened.close()
