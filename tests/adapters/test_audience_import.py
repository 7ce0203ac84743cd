"""Importing a list fills the vault and the audience together, once, and leaves no plain word in the database."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from adapters import audience_import
from adapters.audience_csv import ImportRefused
from adapters.audience_import import ImportReport
from adapters.audience_staging import Consent
from domain.message import WorkspaceId
from domain.recipient import ConsentSource
from tests.adapters.vaulted import HERE, NOW, THERE, Vaulted, vaulted

LIST = b"""number,name,city,consent,consent_source,consent_at,consent_proof
+1 202 555 0101,Ana,Rome,yes,paper,2025-03-01,form 12
+1 416 555 0102,Bo,Oslo,yes,paper,,
+1 202 555 0101,Anna,,,,,
nobody,Cy,Bonn,yes,,,
+61 491 570 006,Di,Bern,no,,,
"""


class Clock:
    """A clock that a test sets."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def v(database_url: str, clock: Clock) -> AsyncIterator[Vaulted]:
    async with vaulted(database_url, clock) as everything:
        yield everything


async def count(v: Vaulted, table: str) -> int:
    async with v.pool.connection() as connection:
        row = await (await connection.execute(f"SELECT count(*) FROM {table}")).fetchone()
    assert row is not None
    return int(row[0])


async def members(v: Vaulted, audience_id: UUID) -> list[tuple[int, UUID, int]]:
    statement = (
        "SELECT ordinal, recipient_id, vault_version FROM audience_members WHERE audience_id = %s ORDER BY ordinal"
    )
    async with v.pool.connection() as connection:
        return await (await connection.execute(statement, [audience_id])).fetchall()


async def dump(v: Vaulted) -> str:
    """Every row of every table, as PostgreSQL writes it."""
    tables = "SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = 'public'"
    async with v.pool.connection() as connection:
        names = [row[0] for row in await (await connection.execute(tables)).fetchall()]
        rows = [await (await connection.execute(f"SELECT t::text FROM {name} t")).fetchall() for name in names]
    return "\n".join(row[0] for table in rows for row in table)


async def test_a_list_becomes_an_audience_in_its_order(v: Vaulted) -> None:
    audience = uuid4()
    report = await v.imports.run(HERE, audience, LIST)
    assert (report.rows, report.bad, report.merged, report.recipients) == (5, 1, 1, 3)
    assert [(row.line, row.reason, row.column) for row in report.bad_rows] == [(5, "number_unreadable", "number")]
    people = await members(v, audience)
    assert [ordinal for ordinal, _, _ in people] == [1, 2, 3]
    found = [await v.vault.person(recipient, version) for _, recipient, version in people]
    assert [(person.number, person.name, person.variables["city"]) for person in found] == [
        ("+12025550101", "Anna", "Rome"),
        ("+14165550102", "Bo", "Oslo"),
        ("+61491570006", "Di", "Bern"),
    ]


async def test_consents_are_reported_for_the_caller_to_record(v: Vaulted) -> None:
    report = await v.imports.run(HERE, uuid4(), LIST)
    ana, bo = (v.sealing.recipient_id(HERE, number) for number in ("+12025550101", "+14165550102"))
    assert report.consents == [
        Consent(ana, ConsentSource.PAPER, datetime.fromisoformat("2025-03-01T00:00Z"), "form 12"),
        Consent(bo, ConsentSource.IMPORT, NOW, None),
    ]


async def test_a_file_that_is_too_large_is_refused_and_one_at_the_limit_is_not(
    v: Vaulted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience_import, "LARGEST", len(LIST))
    with pytest.raises(ImportRefused) as refused:
        await v.imports.run(HERE, uuid4(), LIST + b"\n")
    assert (refused.value.rule, refused.value.field) == ("too_large", "file")
    assert await count(v, "people") == 0
    assert (await v.imports.run(HERE, uuid4(), LIST)).recipients == 3


async def test_the_same_list_under_the_same_id_is_imported_once_and_reported_alike(v: Vaulted, clock: Clock) -> None:
    audience = uuid4()
    first = await v.imports.run(HERE, audience, LIST)
    clock.now += timedelta(days=30)
    assert await v.imports.run(HERE, audience, LIST) == first
    assert await count(v, "audience_members") == 3
    assert await count(v, "person_versions") == 3


async def test_the_same_list_under_two_ids_is_two_audiences_of_the_same_people(v: Vaulted) -> None:
    one, other = await v.imports.run(HERE, uuid4(), LIST), await v.imports.run(HERE, uuid4(), LIST)
    assert await members(v, one.audience_id) == await members(v, other.audience_id)
    assert one.digest == other.digest
    assert await count(v, "people") == 3


async def test_an_audience_keeps_the_versions_it_was_imported_with(v: Vaulted) -> None:
    first, second = uuid4(), uuid4()
    one = await v.imports.run(HERE, first, LIST)
    other = await v.imports.run(HERE, second, LIST.replace(b"Oslo", b"Paris"))
    assert one.digest != other.digest
    assert [version for _, _, version in await members(v, first)] == [1, 1, 1]
    assert [version for _, _, version in await members(v, second)] == [1, 2, 1]
    for audience, city in ((first, "Oslo"), (second, "Paris")):
        _, recipient, version = (await members(v, audience))[1]
        assert (await v.vault.person(recipient, version)).variables["city"] == city


@pytest.mark.parametrize("change", [b"+1 202 555 0103,Flo,Rome,,,,\n", b"nobody,,,,,,\n", b"+61 491 570 006,,,,,,\n"])
async def test_the_digest_tells_of_every_row_more(v: Vaulted, change: bytes) -> None:
    one, other = await v.imports.run(HERE, uuid4(), LIST), await v.imports.run(HERE, uuid4(), LIST + change)
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("workspace", "data"), [(THERE, LIST), (HERE, LIST + b"+1 202 555 0103,Flo,Rome,,,,\n")], ids=["abroad", "at home"]
)
async def test_another_list_cannot_take_an_audiences_id(v: Vaulted, workspace: WorkspaceId, data: bytes) -> None:
    audience = uuid4()
    await v.imports.run(HERE, audience, LIST)
    before = await dump(v)
    with pytest.raises(ImportRefused) as refused:
        await v.imports.run(workspace, audience, data)
    assert (refused.value.rule, refused.value.field) == ("id_taken", "audience_id")
    assert await dump(v) == before


async def test_imported_at_once_by_several_it_is_still_imported_once(v: Vaulted) -> None:
    audience = uuid4()
    async with asyncio.timeout(30):
        reports = await asyncio.gather(*(v.imports.run(HERE, audience, LIST) for _ in range(6)))
    assert all(report == reports[0] for report in reports)
    assert (await count(v, "audience_imports"), await count(v, "audience_members")) == (1, 3)


async def test_lists_that_share_people_can_be_imported_at_once(v: Vaulted) -> None:
    lists = [LIST.replace(b"Oslo", f"City {number}".encode()) for number in range(6)]
    async with asyncio.timeout(30):
        reports: list[ImportReport] = await asyncio.gather(*(v.imports.run(HERE, uuid4(), data) for data in lists))
    found = [(await members(v, report.audience_id))[1] for report in reports]
    assert sorted(version for _, _, version in found) == [1, 2, 3, 4, 5, 6]
    cities = [(await v.vault.person(recipient, version)).variables["city"] for _, recipient, version in found]
    assert cities == [f"City {number}" for number in range(6)]


async def test_an_import_that_fails_midway_leaves_nothing(v: Vaulted) -> None:
    async with v.pool.connection() as connection:
        await connection.execute("ALTER TABLE audience_members ADD CHECK (ordinal < 3)")
    before = await dump(v)
    with pytest.raises(Exception, match="audience_members"):
        await v.imports.run(HERE, uuid4(), LIST)
    assert await dump(v) == before


async def test_no_plain_word_of_a_list_or_a_text_is_anywhere_in_the_database(v: Vaulted) -> None:
    words = ["Quetzalcoatl", "Zanzibar", "12025550199", "2025550199", "Xylophone greetings"]
    text = f"number,name,city\n+{words[2]},{words[0]},{words[1]}\n"
    report = await v.imports.run(HERE, uuid4(), text.encode())
    await v.contents.put_many(HERE, [words[4]])
    freeze = await v.audiences.freeze(HERE, report.audience_id, [uuid4()], ["city"])
    await v.audiences.keep(freeze)
    everything = await dump(v)
    assert report.digest in everything
    for word in words:
        for form in (word, word.encode().hex(), b64encode(word.encode()).decode().rstrip("=")):
            assert form.lower() not in everything.lower()
    assert words[0] not in repr(report)
