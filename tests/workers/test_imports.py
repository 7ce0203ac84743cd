"""Imports of any length: what becomes of a list, of a repeated one, and of one whose worker is killed."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from adapters import metrics
from adapters.import_uploads import MOST_WAITING, Upload
from adapters.imports import Import
from domain.audience import AudienceImported
from domain.message import PrincipalId, Refused, WorkspaceId
from domain.recipient import ConsentRecorded, ConsentSource, EraseRecipient, OptOut
from tests.busy import shared_threads_busy
from tests.refusals import over_quota
from tests.waiting import until
from tests.workers.import_house import AUTHOR, HERE, House, import_house
from workers.decisions import Request

ANA, BO, CY = "+12025550101", "+14165550102", "+61491570006"
LIST = f"""\
Phone;Full Name;City;Consent;Consent source;Consent at;Consent proof
{ANA};Ana;Rome;yes;web form;2025-05-01T10:00:00+02:00;form 12
{BO};Bo;Oslo;;;;
12;Nobody;;;;;
+1 202-555-0101;Anna;;;;;
{CY};=cmd;;;;;
{CY};Cy;;yes;;;
""".encode()


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    async with import_house(database_url) as built:
        yield built


def tally(one: Import, *names: str) -> list[int]:
    return [one.tally[name] for name in names]


async def members(home: House, one: Import) -> list[tuple[int, Any, int]]:
    return await home.rows(
        "SELECT ordinal, recipient_id, vault_version FROM audience_members WHERE audience_id = %s ORDER BY 1",
        one.import_id,
    )


async def test_a_list_becomes_an_audience_with_its_people_and_consents(house: House) -> None:
    one = await house.imported(LIST)
    assert one.state == "done", one
    assert tally(one, "rows", "bad", "merged", "recipients", "written", "added", "consents") == [6, 2, 1, 3, 3, 3, 2]
    people = [await house.vault.person(recipient, version) for _, recipient, version in await members(house, one)]
    assert [(person.number, dict(person.variables)) for person in people] == [
        (ANA, {"name": "Anna", "city": "Rome"}),
        (BO, {"name": "Bo", "city": "Oslo"}),
        (CY, {"name": "Cy"}),
    ]
    events = await house.events()
    consents = [recorded.event for recorded in events if isinstance(recorded.event, ConsentRecorded)]
    assert sorted(consent.source for consent in consents) == [ConsentSource.IMPORT, ConsentSource.WEB_FORM]
    [proof] = [consent.proof for consent in consents if consent.proof]
    assert await house.contents.open_many(HERE, [proof]) == {proof: "form 12"}
    [made] = [recorded for recorded in events if isinstance(recorded.event, AudienceImported)]
    assert (made.event.count, made.event.rejected, made.event.merged) == (3, 2, 1)  # type: ignore[attr-defined]  # it is one
    assert made.envelope.actor == AUTHOR.id
    assert made is events[-1], "who sees the audience sees its consents"


async def test_what_became_of_rows_and_imports_is_counted(house: House) -> None:
    def counted(name: str, **labels: str) -> float:
        return metrics.REGISTRY.get_sample_value(f"drumline_{name}", labels) or 0.0

    outcomes = ("bad", "merged", "added", "changed", "erased", "unchanged")
    before = [counted("import_rows_total", outcome=outcome) for outcome in outcomes]
    ends = {state: counted("imports_total", state=state) for state in ("done", "refused", "checked")}
    working = asyncio.create_task(house.worker().run())  # on: it counts after an import is seen to have ended
    try:
        for file, dry_run in (
            *((LIST, False), (b"PK\x03\x04", False)),
            *((LIST, True), (LIST.replace(b"Oslo", b"Bonn"), False)),
        ):
            await house.ended(await house.give(file, dry_run=dry_run))
        await until(lambda: sum(counted("imports_total", state=state) - ends[state] for state in ends) == 4)
        await until(lambda: counted("import_rows_total", outcome="changed") > before[outcomes.index("changed")])
    finally:
        working.cancel()
        await asyncio.wait([working])
    after = [counted("import_rows_total", outcome=outcome) for outcome in outcomes]
    assert [new - old for new, old in zip(after, before, strict=True)] == [4, 2, 3, 1, 0, 2]
    assert {state: counted("imports_total", state=state) - ends[state] for state in ends} == {
        "done": 2,
        "refused": 1,
        "checked": 1,
    }
    assert counted("import_progress_rows", step="read") == 0


async def test_bad_rows_are_kept_with_line_and_reason_and_the_file_is_not(house: House) -> None:
    one = await house.imported(LIST)
    pages = [page async for page in house.imports.all_bad_rows(one)]
    assert [(row.line, row.reason, row.column) for page in pages for row in page] == [
        (4, "number_without_country", "number"),
        (6, "formula", "name"),
    ]
    assert await house.rows("SELECT 1 FROM import_chunks") == []


async def test_a_repeated_list_changes_only_what_changed(house: House) -> None:
    first = await house.imported(LIST)
    await house.projected()
    before, versions = len(await house.events()), await house.rows("SELECT count(*) FROM person_versions")
    again = await house.imported(LIST)
    assert tally(again, "written", "added", "changed") == [3, 0, 0]
    assert await house.rows("SELECT count(*) FROM person_versions") == versions
    assert await members(house, again) == await members(house, first)
    assert len(await house.events()) == before + 1, "the audience, and no consent again"
    changed = await house.imported(LIST.replace(b"Oslo", b"Bergen"))
    assert tally(changed, "added", "changed") == [0, 1]


async def test_a_dry_run_reads_everything_and_writes_nothing(house: House) -> None:
    await house.imported(f"number\n{BO}\n".encode())
    before = len(await house.events())
    one = await house.imported(LIST, dry_run=True)
    assert one.state == "checked"
    assert tally(one, "rows", "bad", "merged", "recipients", "added", "written") == [6, 2, 1, 3, 2, 0]
    assert [(column.name, column.by) for column in house.imports.columns(one)][:3] == [
        ("number", "name"),
        ("name", "name"),
        ("city", "name"),
    ]
    assert (await house.rows("SELECT count(*) FROM people"))[0][0] == 1
    assert len(await house.events()) == before
    assert len([page async for page in house.imports.all_bad_rows(one)]) == 1


async def test_the_country_and_what_the_owner_says_of_columns_count(house: House) -> None:
    one = await house.imported(
        "電話,Ort\n202 555 0101,Rom\n".encode(), country="US", columns={"1": "number", "Ort": ""}
    )
    [(_, recipient, version)] = await members(house, one)
    person = await house.vault.person(recipient, version)
    assert (person.number, dict(person.variables)) == (ANA, {})


async def test_a_list_is_read_while_the_threads_that_all_share_are_busy(house: House) -> None:
    async with shared_threads_busy():
        assert (await house.imported(LIST)).state == "done"


@pytest.mark.parametrize(
    ("file", "rule", "sentence"),
    [
        (b"PK\x03\x04 and so on", "not_csv", "ZIP"),
        (b"name\nAna\n", "missing_column", "No column"),
        (b"number\n" + b"+12025550101\n" * 20_000 + b"\xff\n", "not_utf8", "line 20002"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_whole(house: House, file: bytes, rule: str, sentence: str) -> None:
    one = await house.imported(file)
    assert (one.state, one.rule) == ("refused", rule)
    assert sentence in (one.sentence or "")
    for table in ("people", "audience_imports", "import_chunks", "import_bad_rows"):
        assert await house.rows(f"SELECT 1 FROM {table} LIMIT 1") == [], table


async def test_one_list_does_not_hold_up_the_next(house: House) -> None:
    bad, good = await house.give(b"x"), await house.give(LIST)
    running = asyncio.create_task(house.worker().run())
    assert [(await house.ended(one)).state for one in (bad, good)] == ["refused", "done"]
    running.cancel()
    await asyncio.wait([running])


async def test_workspaces_take_turns_and_none_has_too_many_waiting(house: House) -> None:
    mine, before = [await house.give(b"x") for _ in range(MOST_WAITING)], over_quota("imports")
    with pytest.raises(Refused, match="imports_waiting"):
        await house.imports.upload(HERE)
    assert over_quota("imports") == before + 1
    theirs = [await house.give(b"x", workspace=WorkspaceId("elsewhere")) for _ in range(2)]
    order = []
    for _ in range(5):
        claimed = await house.imports.claim()
        assert claimed is not None
        await house.imports.end(claimed, "refused")
        order.append(claimed.import_id)
    assert order == [one.import_id for one in (mine[0], theirs[0], mine[1], theirs[1], mine[2])]


async def test_of_forty_five_imports_begun_at_once_twenty_are_taken(house: House) -> None:
    begun = await asyncio.gather(*(house.imports.upload(HERE) for _ in range(45)), return_exceptions=True)
    taken = [one for one in begun if isinstance(one, Upload)]
    assert (len(taken), len(begun) - len(taken)) == (MOST_WAITING, 25)
    await taken[0].forget()
    await house.imports.upload(HERE)
    with pytest.raises(Refused, match="imports_waiting"):
        await house.imports.upload(HERE)
    await house.imports.upload(WorkspaceId("elsewhere"))


async def test_who_opted_out_is_not_consented_by_a_list(house: House) -> None:
    one = await house.imported(LIST)
    person = (await members(house, one))[2][1]
    assert (await house.decisions.one(Request(OptOut(person), AUTHOR, uuid4()))).state == "applied"
    await house.projected()
    again = await house.imported(LIST)
    assert (again.state, *tally(again, "consents", "refused_consents")) == ("done", 2, 1)


async def test_who_was_erased_is_not_brought_back(house: House) -> None:
    one = await house.imported(LIST)
    person = (await members(house, one))[0][1]
    assert (await house.decisions.one(Request(EraseRecipient(person), AUTHOR, uuid4()))).state == "applied"
    assert await house.vault.erase(HERE, person)
    again = await house.imported(LIST)
    assert (again.state, *tally(again, "recipients", "erased", "added", "refused_consents")) == ("done", 3, 1, 0, 1)
    assert (await members(house, again))[0][2] == 0
    assert (await house.rows("SELECT count(*) FROM people"))[0][0] == 2


async def test_many_rows_of_few_people_are_merged_across_batches(house: House) -> None:
    numbers = [f"+1{area}55501{line:02}" for area in (202, 212, 303, 416) for line in range(100)]
    lines = [f"{numbers[row % len(numbers)]},{row}" for row in range(13_000)]
    one = await house.imported("\n".join(["number,last", *lines]).encode())
    assert tally(one, "rows", "bad", "merged", "recipients") == [13_000, 0, 12_600, 400]
    found = await members(house, one)
    people = [await house.vault.person(recipient, version) for _, recipient, version in found]
    assert [person.number for person in people] == numbers
    assert [int(person.variables["last"]) for person in people] == [
        max(range(start, 13_000, len(numbers))) for start in range(len(numbers))
    ]
    assert {version for _, _, version in found} == {1}


async def test_the_same_upload_under_one_id_is_one_import_and_another_is_refused(house: House) -> None:
    import_id = uuid4()
    first = await house.give(LIST, import_id=import_id)
    again = await house.give([LIST[:9], LIST[9:]], import_id=import_id)
    assert again == first
    upload = await house.imports.upload(HERE)
    await upload.write(LIST + b"x")
    assert (
        await house.imports.add(import_id, AUTHOR, upload, first.title, house.imports.asked(first), dry_run=False)
        is None
    )
    assert len(await house.rows("SELECT DISTINCT upload FROM import_chunks")) == 1


async def test_uploads_that_broke_off_are_forgotten_and_others_are_not(house: House) -> None:
    one = await house.give(LIST)
    young, old = await house.imports.upload(HERE), await house.imports.upload(HERE)
    for upload in (young, old):
        await upload.write(LIST)
        await upload.whole()
    async with house.pool.connection() as connection:
        age = "UPDATE import_chunks SET received_at = now() - interval '1 hour' WHERE upload = ANY(%s)"
        await connection.execute(age, [[one.upload, old.id]])
    await house.imports.sweep()
    assert set(await house.rows("SELECT DISTINCT upload FROM import_chunks")) == {(one.upload,), (young.id,)}


async def test_a_list_given_by_whom_the_commands_do_not_allow_is_refused(house: House) -> None:
    async with house.pool.connection() as connection:
        one = await house.give(LIST)
        await connection.execute("UPDATE imports SET roles = '{auditor}' WHERE import_id = %s", [one.import_id])
    running = asyncio.create_task(house.worker().run())
    found = await house.ended(one)
    assert (found.state, found.rule) == ("refused", "role_required")
    running.cancel()
    await asyncio.wait([running])


async def test_no_plain_word_of_a_list_lies_anywhere_meanwhile(house: House) -> None:
    word = "Quetzalcoatl"
    one = await house.give(f"number,{word}\n{ANA},{word}\n".encode())
    for table in ("imports", "import_chunks"):
        everything = str(await house.rows(f"SELECT t::text FROM {table} t"))
        assert word not in everything
        assert word.encode().hex() not in everything
    assert PrincipalId("author") == one.principal


KILLED = """
import asyncio, sys
from tests.workers.import_house import import_house
from workers.crashpoints import arm

async def main():
    arm(sys.argv[2])
    async with import_house(sys.argv[1]) as house:
        await house.worker().run()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "point",
    [
        "import_writing:3",
        pytest.param("import_reading:2", marks=pytest.mark.long),
        pytest.param("after_import", marks=pytest.mark.long),
    ],
)
async def test_an_import_whose_worker_is_killed_is_carried_out_once_by_the_next(house: House, point: str) -> None:
    numbers = [f"+1{area}55501{line:02}" for area in range(201, 290) for line in range(100)]
    text = "\n".join(["number,name,consent", *(f"{number},Ana {number[-4:]},yes" for number in numbers[:6_000])])
    one = await house.give(text.encode())
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, house.database_url, point)
    assert await asyncio.wait_for(killed.wait(), 60) == -signal.SIGKILL
    found = await house.imports.one(HERE, one.import_id)
    assert found is not None
    assert found.ended_at is None
    assert await house.rows("SELECT 1 FROM read_audiences") == []
    running = asyncio.create_task(house.worker().run())
    found = await house.ended(one, 60)
    running.cancel()
    await asyncio.wait([running])
    assert found.state == "done"
    rows, bad, merged, recipients = tally(found, "rows", "bad", "merged", "recipients")
    assert (rows, rows - bad - merged) == (6_000, recipients)
    assert await house.rows("SELECT DISTINCT version FROM person_versions") == [(1,)]
    events = [recorded.event for recorded in await house.events()]
    assert sum(isinstance(event, ConsentRecorded) for event in events) == recipients
    assert sum(isinstance(event, AudienceImported) for event in events) == 1
    assert len(await members(house, one)) == recipients
