"""People lie sealed in versions that never change, each under a key of their own."""

from collections.abc import AsyncIterator, Mapping
from uuid import uuid4

import pytest

from adapters.sealing import SealBroken
from adapters.vault import Entry, Kept, Person, PersonGone
from domain.message import WorkspaceId
from tests.adapters.vaulted import HERE, THERE, Vaulted, vaulted

ANA, BO = "+12025550101", "+14165550102"


@pytest.fixture
async def v(database_url: str) -> AsyncIterator[Vaulted]:
    async with vaulted(database_url) as everything:
        yield everything


async def keep(v: Vaulted, *people: tuple[str, Mapping[str, str]], workspace: WorkspaceId = HERE) -> list[Kept]:
    entries = [Entry(number, "US", fields) for number, fields in people]
    async with v.pool.connection() as connection, connection.transaction():
        return await v.vault.store(connection, workspace, entries)


async def run(v: Vaulted, statement: str) -> None:
    async with v.pool.connection() as connection:
        await connection.execute(statement)


async def test_a_person_comes_back_as_they_were_put_in(v: Vaulted) -> None:
    [ana] = await keep(v, (ANA, {"name": "Ana", "city": "Rome"}))
    assert ana == Kept(v.sealing.recipient_id(HERE, ANA), 1)
    assert await v.vault.person(ana.recipient_id, 1) == Person(ANA, "Ana", {"name": "Ana", "city": "Rome"})


async def test_the_same_again_is_the_same_version(v: Vaulted) -> None:
    first = await keep(v, (ANA, {"name": "Ana"}), (BO, {}))
    assert await keep(v, (BO, {}), (ANA, {"name": "Ana"})) == first[::-1]


@pytest.mark.parametrize("fields", [{"name": "Anna"}, {"name": "Ana", "city": "Rome"}, {}])
async def test_whatever_changed_makes_a_new_version_and_the_old_one_stays(
    v: Vaulted, fields: Mapping[str, str]
) -> None:
    await keep(v, (ANA, {"name": "Ana"}), (BO, {}))
    ana, bo = await keep(v, (ANA, fields), (BO, {}))
    assert (ana.version, bo.version) == (2, 1)
    assert (await v.vault.person(ana.recipient_id, 1)).variables == {"name": "Ana"}
    assert (await v.vault.person(ana.recipient_id, 2)).variables == fields
    assert (await keep(v, (ANA, {"name": "Ana"})))[0].version == 3


async def test_two_workspaces_know_one_number_as_two_people(v: Vaulted) -> None:
    [here] = await keep(v, (ANA, {"name": "Ana"}))
    [there] = await keep(v, (ANA, {"name": "Mrs Duarte"}), workspace=THERE)
    assert here.recipient_id != there.recipient_id
    assert (await v.vault.person(here.recipient_id, 1)).name == "Ana"
    assert (await v.vault.person(there.recipient_id, 1)).name == "Mrs Duarte"


async def test_many_are_opened_at_once_and_who_is_gone_is_left_out(v: Vaulted) -> None:
    ana, bo = await keep(v, (ANA, {"name": "Ana"}), (BO, {"name": "Bo"}))
    wanted = [(ana.recipient_id, 1), (bo.recipient_id, 1), (bo.recipient_id, 2), (uuid4(), 1)]
    found = await v.vault.people(wanted)
    assert {key: person.name for key, person in found.items()} == {wanted[0]: "Ana", wanted[1]: "Bo"}
    assert await v.vault.people([]) == {}


async def test_who_was_never_imported_or_is_erased_is_gone(v: Vaulted) -> None:
    [ana] = await keep(v, (ANA, {"name": "Ana"}))
    await run(v, "DELETE FROM people")
    for recipient in (ana.recipient_id, uuid4()):
        with pytest.raises(PersonGone):
            await v.vault.person(recipient, 1)


async def test_more_people_than_one_batch_all_get_in(v: Vaulted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.vault.BATCH", 7)
    people = [(f"+120255501{number:02}", {"name": f"Person {number}"}) for number in range(40)]
    kept = await keep(v, *people)
    found = await v.vault.people([(person.recipient_id, person.version) for person in kept])
    assert [found[person.recipient_id, 1].number for person in kept] == [number for number, _ in people]


SWAP = """
UPDATE {table} a SET {column} = b.{column} FROM {table} b
WHERE a.recipient_id <> b.recipient_id AND a.version = b.version
"""
FIELDS = """
UPDATE person_versions SET sealed = sealed || jsonb_build_object('name', sealed->'city', 'city', sealed->'name')
"""
VERSIONS = """
UPDATE person_versions a SET sealed = b.sealed FROM person_versions b
WHERE a.recipient_id = b.recipient_id AND a.version <> b.version
"""


@pytest.mark.parametrize(
    "swap",
    [
        pytest.param(SWAP.format(table="person_versions", column="sealed"), id="the fields of two people"),
        pytest.param(SWAP.format(table="people", column="wrapped_key"), id="the keys of two people"),
        pytest.param(FIELDS, id="two fields of a person"),
        pytest.param(VERSIONS, id="two versions of a person"),
        pytest.param("UPDATE people SET workspace = 'there'", id="the workspace"),
    ],
)
async def test_what_was_swapped_in_the_database_does_not_open(v: Vaulted, swap: str) -> None:
    await keep(v, (ANA, {"name": "Ana", "city": "Rome"}), (BO, {"name": "Bo", "city": "Oslo"}))
    ana, bo = await keep(v, (ANA, {"name": "Anna", "city": "Lima"}), (BO, {"name": "Bob", "city": "Bonn"}))
    await v.vault.people([(ana.recipient_id, 2), (bo.recipient_id, 2)])
    await run(v, swap)
    for person in (ana, bo):
        with pytest.raises(SealBroken):
            await v.vault.person(person.recipient_id, 2)


# --- erasing ---------------------------------------------------------------------------------------------------------


async def everything(v: Vaulted) -> str:
    """All rows of all tables that the vault has anything to do with."""
    tables = ("people", "person_versions", "contents", "erasures", "audience_members")
    async with v.pool.connection() as connection:
        found = [await (await connection.execute(f"SELECT t::text FROM {table} t")).fetchall() for table in tables]
    return str(found)


async def test_of_an_erased_person_only_that_their_number_is_not_kept_again_stays(v: Vaulted) -> None:
    ana, bo = await keep(v, (ANA, {"name": "Ana"}), (BO, {"name": "Bo"}))
    await keep(v, (ANA, {"name": "Anna"}))
    await v.contents.put_personal(HERE, [(ana.recipient_id, "Form 12"), (bo.recipient_id, "Form 12")])
    assert await v.vault.erase(HERE, ana.recipient_id)
    left = await everything(v)
    assert str(ana.recipient_id) not in left
    assert str(bo.recipient_id) in left
    assert (await v.vault.person(bo.recipient_id, 1)).name == "Bo"
    async with v.pool.connection() as connection:
        rows = await (await connection.execute("SELECT workspace, number_hmac FROM suppressed")).fetchall()
    assert rows == [(HERE, v.sealing.number_hmac(HERE, ANA))]


async def test_who_was_erased_is_not_kept_again_and_the_others_of_the_list_are(v: Vaulted) -> None:
    [ana] = await keep(v, (ANA, {"name": "Ana"}))
    assert await v.vault.erase(HERE, ana.recipient_id)
    again, bo = await keep(v, (ANA, {"name": "Ana"}), (BO, {"name": "Bo"}))
    assert (again, again.suppressed) == (Kept(ana.recipient_id, 0), True)
    assert (bo.version, bo.suppressed) == (1, False)
    assert str(ana.recipient_id) not in await everything(v)
    [there] = await keep(v, (ANA, {"name": "Ana"}), workspace=THERE)
    assert there.version == 1


async def test_nobody_is_erased_from_another_workspace_and_twice_is_once(v: Vaulted) -> None:
    [ana] = await keep(v, (ANA, {"name": "Ana"}))
    assert await v.vault.erase(THERE, ana.recipient_id)
    assert (await v.vault.person(ana.recipient_id, 1)).name == "Ana"
    for _ in range(2):
        assert await v.vault.erase(HERE, ana.recipient_id)
    assert await v.audiences.held({(HERE, ana.recipient_id)}) == set()


async def test_an_erasure_waits_for_an_import_and_comes_again(v: Vaulted) -> None:
    [ana] = await keep(v, (ANA, {"name": "Ana"}))
    async with v.pool.connection() as connection, connection.transaction():
        await v.vault.store(connection, HERE, [Entry(ANA, "US", {"name": "Anna"})])
        assert not await v.vault.erase(HERE, ana.recipient_id)
    assert await v.vault.erase(HERE, ana.recipient_id)
    assert await v.vault.people([(ana.recipient_id, 1), (ana.recipient_id, 2)]) == {}


async def test_the_vault_tells_whom_it_holds_for_a_workspace(v: Vaulted) -> None:
    [ana] = await keep(v, (ANA, {"name": "Ana"}))
    asked = {(HERE, ana.recipient_id), (THERE, ana.recipient_id), (HERE, uuid4())}
    assert await v.audiences.held(asked) == {(HERE, ana.recipient_id)}


async def test_words_about_somebody_whom_the_workspace_does_not_have_are_not_kept(v: Vaulted) -> None:
    [ana] = await keep(v, (ANA, {"name": "Ana"}))
    for workspace, person in ((THERE, ana.recipient_id), (HERE, uuid4())):
        refs = await v.contents.put_personal(workspace, [(person, "Form 12")])
        assert await v.contents.open_many(workspace, refs) == {}
    refs = await v.contents.put_personal(HERE, [(ana.recipient_id, "Form 12")])
    assert list((await v.contents.open_many(HERE, refs)).values()) == ["Form 12"]
