"""Rebuilding read models: the same rows under the same names, whatever goes on beside it, or nothing at all."""

import asyncio

import psycopg
import pytest

from infra.rebuild import named, rebuild
from projections.apply import PROJECTIONS
from projections.beside import RebuildRefused, beside
from tests.rebuild.ground import EVENTS, TABLES, Ground, connected, kinds
from workers.rebuild import Progress, Rebuild


async def test_every_read_table_belongs_to_one_read_model(here: Ground) -> None:
    found = await here.run("SELECT relname FROM pg_class WHERE relname LIKE 'read\\_%%' AND relkind = 'r' ORDER BY 1")
    assert [name for (name,) in found] == TABLES


async def test_all_are_rebuilt_row_for_row_and_look_as_before(here: Ground) -> None:
    await here.run("GRANT SELECT ON read_jobs TO PUBLIC")
    before, looks, oids = await here.hashes(), await here.looks(), await here.run("SELECT 'read_jobs'::regclass::oid")
    assert "read_deliveries_of_job" in kinds(looks, "read_deliveries", "index")
    rebuilt = await rebuild(here.url)
    assert rebuilt.same
    assert rebuilt.events == EVENTS
    assert rebuilt.compared_at == rebuilt.swapped_at == await here.store.head()
    assert [(one.table, one.live_rows) for one in rebuilt.tables] == [(one.table, one.rows) for one in rebuilt.tables]
    assert sorted(one.table for one in rebuilt.tables) == TABLES
    assert await here.run("SELECT 'read_jobs'::regclass::oid") != oids
    assert await here.hashes() == before
    assert await here.looks() == looks
    assert await here.schemas() == ["public"]


async def test_wrong_rows_are_told_and_mended(here: Ground) -> None:
    before = await here.hashes()
    await here.run("UPDATE read_deliveries SET attempt = 77 WHERE id IN (SELECT id FROM read_deliveries LIMIT 5)")
    await here.run("DELETE FROM read_campaigns WHERE id = (SELECT id FROM read_campaigns LIMIT 1)")
    await here.run("INSERT INTO read_job_counts SELECT gen_random_uuid(), 'w1', 0, 0, 0, 0, 0, 0, 0, 0, 0")
    rebuilt = await rebuild(here.url)
    assert not rebuilt.same
    found = {one.table: one.differing for one in rebuilt.tables if not one.same}
    assert found == {"read_deliveries": 5, "read_campaigns": 1, "read_job_counts": 1}
    assert {len(one.keys) for one in rebuilt.tables} == {0, 1, 3}
    assert await here.hashes() == before


async def test_a_check_only_compares(here: Ground) -> None:
    await here.run("UPDATE read_jobs SET recipients = recipients + 1")
    before, oids = await here.hashes(), await here.run("SELECT 'read_jobs'::regclass::oid")
    checked = await rebuild(here.url, named("jobs"), swap=False)
    assert [one.table for one in checked.tables if not one.same] == ["read_jobs"]
    assert checked.swapped_at is None
    assert await here.hashes() == before
    assert await here.run("SELECT 'read_jobs'::regclass::oid") == oids
    assert await here.schemas() == ["public"]


@pytest.mark.parametrize(
    "projection",
    [one if one.name == "jobs" else pytest.param(one, marks=pytest.mark.long) for one in PROJECTIONS],
    ids=lambda projection: projection.name,
)
async def test_one_alone_is_rebuilt_with_the_tables_it_keeps(here: Ground, projection: object) -> None:
    assert projection in PROJECTIONS
    before = await here.hashes()
    [one] = named(getattr(projection, "name", ""))
    await here.run(f"TRUNCATE {', '.join(one.tables)}")
    rebuilt = await rebuild(here.url, [one])
    assert [table.table for table in rebuilt.tables] == list(one.tables)
    assert await here.hashes() == before


async def test_a_rebuild_stops_where_the_live_tables_are_and_both_go_on_from_there(here: Ground) -> None:
    before = await here.hashes()
    middle = (await here.store.page(0, EVENTS // 2))[-1].position
    await here.run(f"TRUNCATE {', '.join(TABLES)}")
    await here.run("UPDATE projected SET position = 0")
    await here.models.apply(0, await here.store.page(0, EVENTS // 2))
    rebuilt = await rebuild(here.url, named("deliveries"))
    assert rebuilt.same
    assert rebuilt.swapped_at == middle == await here.models.position()
    await here.project()
    assert await here.hashes() == before


async def test_the_second_of_two_is_refused(here: Ground) -> None:
    async with beside(here.url, PROJECTIONS):
        with pytest.raises(RebuildRefused, match="Another rebuild"):
            await rebuild(here.url)
    assert (await rebuild(here.url)).same


async def test_a_reader_that_does_not_end_delays_the_swap_and_nobody_else(here: Ground) -> None:
    reader, other = await connected(here.url), await connected(here.url)
    swapping, waits = asyncio.Event(), []
    async with reader, other:
        await reader.execute("BEGIN")
        await reader.execute("SELECT count(*) FROM read_jobs")

        def told(progress: Progress) -> None:
            if progress.phase == "swap":
                swapping.set()

        rebuilding = asyncio.create_task(rebuild(here.url, PROJECTIONS, told))
        await asyncio.wait_for(swapping.wait(), 60)
        for _ in range(40):
            since = asyncio.get_running_loop().time()
            row = await (await other.execute("SELECT count(*) FROM read_jobs")).fetchone()
            waits.append(asyncio.get_running_loop().time() - since)
            assert row is not None
            assert row[0] > 0
            await asyncio.sleep(0.02)
        assert not rebuilding.done()
        await reader.execute("COMMIT")
        rebuilt = await rebuilding
    assert rebuilt.same
    assert max(waits) < 2  # 0.1 s where nothing else runs


async def test_tables_migrated_meanwhile_are_not_swapped(here: Ground) -> None:
    before = await here.hashes()
    async with beside(here.url, PROJECTIONS) as new:
        await here.run("ALTER TABLE read_jobs ADD COLUMN newer bigint")
        await here.run("INSERT INTO schema_migrations (number, name, checksum) VALUES (9999, '9999_newer', '')")
        with pytest.raises(RebuildRefused, match="migrated"):
            await Rebuild(here.store, new).run()
    await here.run("ALTER TABLE read_jobs DROP COLUMN newer")
    assert await here.hashes() == before
    assert await here.schemas() == ["public"]


async def test_tables_emptied_meanwhile_are_not_swapped(here: Ground) -> None:
    async with beside(here.url, PROJECTIONS) as new:
        rebuild = Rebuild(here.store, new)
        await rebuild.run(swap=False)
        await here.run("UPDATE projected SET position = 0")
        with pytest.raises(RebuildRefused, match="set back"):
            await rebuild.run()


async def test_a_handler_that_fails_leaves_everything_as_it_was(here: Ground) -> None:
    before, looks = await here.hashes(), await here.looks()
    await here.run("ALTER TABLE read_campaigns RENAME COLUMN archived TO archived_once")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        await rebuild(here.url)
    await here.run("ALTER TABLE read_campaigns RENAME COLUMN archived_once TO archived")
    assert await here.hashes() == before
    assert await here.looks() == looks
    assert await here.schemas() == ["public"]
