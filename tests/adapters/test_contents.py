"""The content store keeps each text once, sealed, and opens it only in its workspace."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from adapters.contents import Contents, Recent
from adapters.sealing import SealBroken
from adapters.vault import Entry
from domain.message import Ref
from tests.adapters.vaulted import HERE, THERE, Vaulted, vaulted

NOBODYS = Ref("0" * 64)


@pytest.fixture
async def v(database_url: str) -> AsyncIterator[Vaulted]:
    async with vaulted(database_url) as everything:
        yield everything


async def stored(v: Vaulted) -> int:
    async with v.pool.connection() as connection:
        row = await (await connection.execute("SELECT count(*) FROM contents")).fetchone()
    assert row is not None
    return int(row[0])


def afresh(v: Vaulted) -> Contents:
    """The same store as another process sees it: nothing remembered."""
    return Contents(v.pool, v.sealing)


async def test_texts_come_back_under_their_references_in_the_order_given(v: Vaulted) -> None:
    texts = ["Hello {{name}}", "", "Γειά 👋", "Hello {{name}}"]
    refs = await v.contents.put_many(HERE, texts)
    assert refs[0] == refs[3]
    assert await afresh(v).open_many(HERE, refs) == dict(zip(refs, texts, strict=True))
    assert await stored(v) == 3


async def test_a_text_put_again_by_anybody_is_stored_once(v: Vaulted) -> None:
    for contents in (v.contents, v.contents, afresh(v)):
        await contents.put_many(HERE, ["Hello"])
    assert await stored(v) == 1


async def test_another_workspace_cannot_open_it_even_with_the_reference(v: Vaulted) -> None:
    refs = await v.contents.put_many(HERE, ["Hello"])
    assert await v.contents.open_many(THERE, refs) == {}
    await v.contents.put_many(THERE, ["Hello"])
    assert await stored(v) == 2


async def test_what_was_never_put_in_is_left_out(v: Vaulted) -> None:
    refs = await v.contents.put_many(HERE, ["Hello"])
    assert await v.contents.open_many(HERE, [*refs, NOBODYS]) == {refs[0]: "Hello"}
    assert await v.contents.open_many(HERE, []) == {}


@pytest.mark.parametrize("column", ["ref", "workspace"])
async def test_a_row_moved_elsewhere_does_not_open(v: Vaulted, column: str) -> None:
    refs = await v.contents.put_many(HERE, ["Hello"])
    moved = {"ref": NOBODYS, "workspace": THERE}[column]
    async with v.pool.connection() as connection:
        await connection.execute(f"UPDATE contents SET {column} = %s", [moved])
    workspace, ref = (THERE, refs[0]) if column == "workspace" else (HERE, NOBODYS)
    with pytest.raises(SealBroken):
        await afresh(v).open_many(workspace, [ref])


async def test_batches_that_share_texts_in_opposite_orders_all_get_through(v: Vaulted) -> None:
    texts = [f"text {number}" for number in range(300)]
    batches = [texts, texts[::-1], texts[100:] + texts[:100], texts[::-2] + texts[::2]] * 2
    async with asyncio.timeout(30):
        answers = await asyncio.gather(*(afresh(v).put_many(HERE, batch) for batch in batches))
    assert await stored(v) == 300
    assert all(len(set(refs)) == 300 for refs in answers)


async def test_a_text_counts_as_stored_only_once_it_is(v: Vaulted) -> None:
    async with v.pool.connection() as connection:
        await connection.execute("ALTER TABLE contents RENAME TO gone")
        with pytest.raises(Exception, match="contents"):
            await v.contents.put_many(HERE, ["Hello"])
        await connection.execute("ALTER TABLE gone RENAME TO contents")
    await v.contents.put_many(HERE, ["Hello"])
    assert await stored(v) == 1


async def test_a_small_memory_changes_nothing_but_speed(v: Vaulted) -> None:
    small = Contents(v.pool, v.sealing, known=2, opened=2)
    texts = [f"text {number}" for number in range(10)]
    for _ in range(2):
        refs = await small.put_many(HERE, texts)
        assert await small.open_many(HERE, refs) == dict(zip(refs, texts, strict=True))
    assert await stored(v) == 10


async def test_a_waiting_body_opens_only_under_its_own_key_and_workspace(v: Vaulted) -> None:
    key = uuid4()
    sealed = v.contents.seal(HERE, key, b'{"text": "Hello"}')
    assert b"Hello" not in sealed
    assert v.contents.unseal(HERE, key, sealed) == b'{"text": "Hello"}'
    for workspace, other in ((THERE, key), (HERE, uuid4())):
        with pytest.raises(SealBroken):
            v.contents.unseal(workspace, other, sealed)


def test_only_the_entries_used_last_are_remembered() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put([("a", 1), ("b", 2)])
    assert recent.get("a") == 1
    recent.put([("c", 3)])
    assert (recent.get("a"), recent.get("b"), recent.get("c"), len(recent)) == (1, None, 3, 2)


async def two_people(v: Vaulted) -> tuple[UUID, UUID]:
    """Somebody in the vault, and somebody else."""
    entries = [Entry(number, "US", {}) for number in ("+12025550101", "+12025550102")]
    async with v.pool.connection() as connection, connection.transaction():
        ana, bo = await v.vault.store(connection, HERE, entries)
    return ana.recipient_id, bo.recipient_id


async def test_equal_words_about_two_people_are_two_texts_that_go_with_their_person(v: Vaulted) -> None:
    ana, bo = await two_people(v)
    refs = await v.contents.put_personal(HERE, [(bo, "Form 12"), (ana, "Form 12"), (ana, "Form 12")])
    [shared] = await v.contents.put_many(HERE, ["Form 12"])
    assert len({shared, *refs}) == 3
    assert refs[1] == refs[2]
    assert await v.contents.open_many(HERE, [shared, *refs]) == dict.fromkeys((shared, *refs), "Form 12")
    await v.vault.erase(HERE, ana)
    assert await v.contents.open_many(HERE, [shared, *refs]) == dict.fromkeys((shared, refs[0]), "Form 12")
    assert await v.contents.put_personal(HERE, [(ana, "Form 12")]) == [refs[1]]
    assert await v.contents.open_many(HERE, refs) == {refs[0]: "Form 12"}  # of her nothing is kept again


async def test_a_command_that_comes_after_an_erasure_leaves_no_words_about_the_person(v: Vaulted) -> None:
    ana, bo = await two_people(v)
    async with v.pool.connection() as connection:
        await connection.execute("INSERT INTO erasures (recipient_id, workspace) VALUES (%s, %s)", [ana, HERE])
    refs = await v.contents.put_personal(HERE, [(ana, "Form 12"), (bo, "Form 12")])
    assert await v.contents.open_many(HERE, refs) == {refs[1]: "Form 12"}
