"""Freezing an audience: one hash over who gets it from which account, and the facts that a submission is decided on."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from adapters.audience_import import ImportReport
from adapters.audiences import Freeze, FrozenRow
from domain.account import PauseAccount
from domain.audience import ImportAudience
from domain.campaign import Campaign
from domain.content import TextPart
from domain.lifecycle import Job
from domain.merkle import root
from domain.message import Actor, PrincipalId, Ref, Role, StreamId, WorkspaceId
from domain.ports import Gather, Gathered
from domain.submission import CampaignVersion, ReviseJob, SubmitJob, Version
from tests.adapters.vaulted import HERE, THERE, Vaulted, vaulted
from tests.busy import shared_threads_busy

NORTH, SOUTH = UUID(int=1), UUID(int=2)
LIST = b"number,name,city\n" + b"".join(b"+120255501%02d,Person %d,City\n" % (number, number) for number in range(60))
GAPS = b"number,name,city\n+12025550101,Ana,Rome\n+12025550102,Bo,\n+12025550103,, \n"
TITLE = Ref("0" * 64)


@pytest.fixture
async def v(database_url: str) -> AsyncIterator[Vaulted]:
    async with vaulted(database_url) as everything:
        yield everything


async def imported(v: Vaulted, data: bytes = LIST) -> ImportReport:
    return await v.imports.run(HERE, uuid4(), data)


async def frozen(v: Vaulted, audience: UUID, *accounts: UUID) -> Freeze:
    return await v.audiences.freeze(HERE, audience, accounts or (NORTH, SOUTH), ())


async def share(v: Vaulted, freeze: Freeze, account: UUID, from_ordinal: int = 1, limit: int = 100) -> list[FrozenRow]:
    return await v.audiences.rows(freeze.frozen.root, account, from_ordinal, limit)


# --- freezing --------------------------------------------------------------------------------------------------------


async def test_every_member_is_frozen_once_with_one_of_the_accounts(v: Vaulted) -> None:
    freeze = await frozen(v, (await imported(v)).audience_id)
    assert freeze.frozen.count == 60
    assert [row.ordinal for row in freeze.rows] == list(range(1, 61))
    assert len({row.recipient_id for row in freeze.rows}) == 60
    assert {row.account_id for row in freeze.rows} == {NORTH, SOUTH}


async def test_an_audience_is_frozen_while_the_threads_that_all_share_are_busy(v: Vaulted) -> None:
    audience = (await imported(v)).audience_id
    async with shared_threads_busy():
        assert (await frozen(v, audience)).frozen.count == 60


async def test_the_same_audience_and_accounts_always_freeze_alike(v: Vaulted) -> None:
    audience = (await imported(v)).audience_id
    once = await frozen(v, audience, NORTH, SOUTH)
    again = await frozen(v, audience, SOUTH, NORTH)
    assert (again.frozen, again.rows) == (once.frozen, once.rows)


async def test_other_accounts_or_other_people_freeze_under_another_root(v: Vaulted) -> None:
    audience, other = (
        (await imported(v)).audience_id,
        (await imported(v, LIST + b"+14165550101,Zoe,City\n")).audience_id,
    )
    changed = (await imported(v, LIST.replace(b"Person 7,", b"Person VII,"))).audience_id
    freezes = [await frozen(v, audience), await frozen(v, audience, NORTH)]
    freezes += [await frozen(v, other), await frozen(v, changed)]
    assert len({freeze.frozen.root for freeze in freezes}) == 4


async def test_the_root_is_the_merkle_root_of_the_rows_and_each_field_counts(v: Vaulted) -> None:
    freeze = await frozen(v, (await imported(v)).audience_id)
    assert freeze.frozen.root == root(row.leaf for row in freeze.rows)
    row = freeze.rows[0]
    others = [
        replace(row, ordinal=2),
        replace(row, recipient_id=uuid4()),
        replace(row, vault_version=2),
        replace(row, account_id=uuid4()),
    ]
    assert len({row.leaf, *(other.leaf for other in others)}) == 5


async def test_another_workspaces_audience_has_nobody_in_it(v: Vaulted) -> None:
    audience = (await imported(v, GAPS)).audience_id
    freeze = await v.audiences.freeze(THERE, audience, [NORTH], ["city"])
    assert (freeze.frozen.count, freeze.frozen.missing) == (0, {})


async def test_who_lacks_a_variable_is_counted_and_an_empty_cell_is_lacking(v: Vaulted) -> None:
    audience = (await imported(v, GAPS)).audience_id
    freeze = await v.audiences.freeze(HERE, audience, [NORTH], ["name", "city", "shop"])
    assert freeze.frozen.missing == {"name": 1, "city": 2, "shop": 3}
    complete = await v.audiences.freeze(HERE, (await imported(v)).audience_id, [NORTH], ["name", "city"])
    assert complete.frozen.missing == {}


async def test_the_number_is_no_variable_so_everybody_lacks_it(v: Vaulted) -> None:
    audience = (await imported(v, GAPS)).audience_id
    freeze = await v.audiences.freeze(HERE, audience, [NORTH], ["number", "name"])
    assert freeze.frozen.missing == {"number": 3, "name": 1}
    people = await v.vault.people([(row.recipient_id, row.vault_version) for row in freeze.rows])
    assert not any("number" in person.variables for person in people.values())


# --- keeping and reading ---------------------------------------------------------------------------------------------


async def test_a_frozen_audience_is_kept_once_and_read_by_account_in_pages(v: Vaulted) -> None:
    freeze = await frozen(v, (await imported(v)).audience_id)
    assert await share(v, freeze, NORTH) == []
    await v.audiences.keep(freeze)
    await v.audiences.keep(freeze)
    north, south = await share(v, freeze, NORTH), await share(v, freeze, SOUTH)
    assert sorted([*north, *south], key=lambda row: row.ordinal) == freeze.rows
    assert await share(v, freeze, NORTH, limit=3) == north[:3]
    assert await share(v, freeze, NORTH, from_ordinal=north[3].ordinal) == north[3:]
    assert await share(v, freeze, uuid4()) == []


async def test_what_was_frozen_can_be_opened_although_the_people_changed_since(v: Vaulted) -> None:
    freeze = await frozen(v, (await imported(v)).audience_id)
    await v.audiences.keep(freeze)
    await imported(v, LIST.replace(b"City", b"Elsewhere"))
    rows = [*await share(v, freeze, NORTH), *await share(v, freeze, SOUTH)]
    people = await v.vault.people([(row.recipient_id, row.vault_version) for row in rows])
    assert len(people) == 60
    assert {person.variables["city"] for person in people.values()} == {"City"}


# --- the facts of a decision -----------------------------------------------------------------------------------------


def actor(workspace: WorkspaceId = HERE) -> Actor:
    return Actor(PrincipalId("author"), workspace, frozenset({Role.AUTHOR}))


async def submission(
    v: Vaulted, audience: UUID | None, *texts: str, accounts: tuple[UUID, ...] = (NORTH, SOUTH)
) -> Gathered:
    refs = await v.contents.put_many(HERE, texts)
    campaign = Campaign(version=1, title=TITLE, parts=tuple(TextPart(ref) for ref in refs), audience_id=audience)
    command = SubmitJob(uuid4(), uuid4(), accounts)
    gather: Gather = v.facts
    return await gather(command, actor(), {StreamId(f"campaign-{command.campaign_id}"): campaign})


async def test_a_submission_is_told_the_root_the_size_and_what_is_missing_over_all_parts(v: Vaulted) -> None:
    audience = (await imported(v, GAPS)).audience_id
    gathered = await submission(v, audience, "Hello {{name}}", "From {{ city }} to {{name}}", "Bye")
    assert gathered.frozen is not None
    assert gathered.frozen.root == (await frozen(v, audience)).frozen.root
    assert (gathered.frozen.count, gathered.frozen.missing) == (3, {"name": 1, "city": 2})


async def test_it_is_told_how_many_texts_have_a_link_but_no_text(v: Vaulted) -> None:
    audience = (await imported(v)).audience_id
    gathered = await submission(v, audience, "Hello", "See https://example.test/a", "and example.com")
    assert gathered.frozen is not None
    assert gathered.frozen.links == 2


async def test_a_revision_freezes_the_jobs_own_words_and_people_or_the_campaigns_newest(v: Vaulted) -> None:
    own, newest = (await imported(v, GAPS)).audience_id, (await imported(v)).audience_id
    said, says = await v.contents.put_many(HERE, ["From {{city}}", "example.com"])
    job = Job(says=Version(1, TITLE, (TextPart(said),), own))
    campaign = Campaign(version=2, title=TITLE, parts=(TextPart(says),), audience_id=newest)
    revision = ReviseJob(uuid4(), (SOUTH,))
    chosen = replace(revision, campaign=CampaignVersion(uuid4(), 2))
    assert chosen.campaign is not None
    states = {StreamId(f"job-{revision.job_id}"): job, StreamId(f"campaign-{chosen.campaign.campaign_id}"): campaign}
    kept, taken = await v.facts(revision, actor(), states), await v.facts(chosen, actor(), states)
    assert kept.frozen == replace((await frozen(v, own, SOUTH)).frozen, missing={"city": 2})
    assert taken.frozen == replace((await frozen(v, newest, SOUTH)).frozen, links=1)
    nobody = {StreamId(f"job-{revision.job_id}"): Job()}
    assert await v.facts(revision, actor(), nobody) == await v.facts(chosen, actor(), nobody) == Gathered()


async def test_nothing_is_kept_before_the_submission_is_accepted(v: Vaulted) -> None:
    audience = (await imported(v)).audience_id
    gathered, freeze = await submission(v, audience, "Hello"), await frozen(v, audience)
    assert await share(v, freeze, NORTH) == []
    assert gathered.keep is not None
    await gathered.keep()
    assert len(await share(v, freeze, NORTH)) + len(await share(v, freeze, SOUTH)) == 60


async def test_without_a_campaign_an_audience_or_an_account_there_is_nothing_to_freeze(v: Vaulted) -> None:
    audience = (await imported(v)).audience_id
    assert await v.facts(SubmitJob(uuid4(), uuid4(), (NORTH,)), actor(), {}) == Gathered()
    assert await submission(v, None, "Hello") == Gathered()
    assert await submission(v, audience, "Hello", accounts=()) == Gathered()
    assert await v.facts(PauseAccount(NORTH), actor(), {}) == Gathered()


async def test_an_import_is_told_the_digest_only_if_it_counts_what_lies_in_the_vault(v: Vaulted) -> None:
    report = await imported(v, LIST + b"nobody,,\n+1 202 555 0107,,\n")
    command = ImportAudience(report.audience_id, TITLE, report.recipients, report.bad, report.merged, report.digest)
    assert (command.count, command.rejected, command.merged) == (60, 1, 1)
    assert await v.facts(command, actor(), {}) == Gathered(imported=report.digest)
    for untrue in (
        replace(command, audience_id=uuid4()),
        replace(command, count=61),
        replace(command, rejected=0),
        replace(command, merged=0),
    ):
        assert await v.facts(untrue, actor(), {}) == Gathered()
    assert await v.facts(command, actor(THERE), {}) == Gathered()
