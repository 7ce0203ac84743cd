"""A stream is one workspace's: no other begins it, adds to it, or hears that it is there."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from adapters.erasures import Erasures
from adapters.event_store import Item, Loaded
from adapters.sealing import Sealing
from adapters.vault import Entry, Vault
from domain.campaign import ArchiveCampaign, Campaign, CampaignArchived, CreateCampaign, ReviseCampaign
from domain.content import TextPart
from domain.message import Actor, Command, PrincipalId, Ref, Role, StreamId, WorkspaceId
from domain.ports import Arrived, Gathered
from domain.recipient import (
    DECIDER,
    ConsentSource,
    EraseRecipient,
    OptOut,
    ReceiveMessage,
    RecordConsent,
)
from tests.workers.core import HERE, MASTER, PEPPER, SYSTEM, Client, Core, clock
from workers.decisions import Decisions, Outcome, Request
from workers.states import StateCache

THERE = WorkspaceId("there")
NUMBER, EVERYTHING = "+12025550101", frozenset(set(Role) - {Role.SYSTEM})
OURS, THEIRS = (Actor(PrincipalId("key"), workspace, EVERYTHING) for workspace in (HERE, THERE))
TITLE = Ref("a" * 64)


def asked(command: Command, actor: Actor = OURS) -> Request:
    return Request(command, actor, uuid4(), digest=b"d")


def about(person: UUID) -> Sequence[Command]:
    """All that may be decided of a person."""
    return (RecordConsent(person, ConsentSource.PAPER, clock()), OptOut(person), EraseRecipient(person))


def said(outcome: Outcome) -> tuple[str, str | None, str | None, int]:
    return outcome.state, outcome.rule, outcome.field, outcome.version


UNKNOWN = ("refused", "unknown_recipient", "recipient_id", 0)


async def somebody(house: Core, number: str = NUMBER) -> UUID:
    """A person of ours who was imported without a consent: nothing is in the log of them."""
    await house.make_workspace(THERE)
    vault = Vault(house.pool, Sealing(MASTER, PEPPER))
    async with house.pool.connection() as connection, connection.transaction():
        [kept] = await vault.store(connection, HERE, [Entry(number, "US", {})])
    return kept.recipient_id


@pytest.mark.parametrize("which", range(3), ids=["consent", "opt-out", "erasure"])
async def test_a_person_without_an_event_is_taken_away_by_nobody(house: Core, which: int) -> None:
    """What another workspace did first was all that ever was: ours was refused for good, and a STOP, too."""
    person = await somebody(house)
    assert said(await house.decisions.one(asked(about(person)[which], THEIRS))) == UNKNOWN
    stop = ReceiveMessage(person, uuid4(), uuid4(), Arrived.TEXT, clock(), None, opts_out=True)
    for command in (about(person)[0], stop, *about(person)[1:]):
        actor = SYSTEM if command is stop else OURS
        assert (await house.decisions.one(asked(command, actor))).state == "applied", command
    state = (await house.store.load([DECIDER.stream(person)]))[DECIDER.stream(person)]
    assert (state.workspace, state.state.erased) == (HERE, True)


async def test_a_key_of_another_workspace_is_answered_over_the_bus_as_if_nobody_were_there(house: Core) -> None:
    person = await somebody(house)
    theirs = await Client(house, await house.principal(Role.SERVICE, workspace=THERE)).listen()
    bodies = {
        "recipient.opt-out": {},
        "recipient.erase": {},
        "recipient.record-consent": {"source": "paper", "given_at": "2026-01-01T00:00:00Z", "proof": "Form 12"},
    }
    async with house.running(house.intake().run):
        for name, body in bodies.items():
            foreign, absent = [await theirs.ask(name, {"recipient_id": str(one), **body}) for one in (person, uuid4())]
            for told in (foreign, absent):
                told.pop("command_id")
                told.pop("stream")
            assert foreign == absent
            assert (foreign["state"], foreign["rule"], foreign["version"]) == ("refused", "unknown_recipient", 0)
    async with house.pool.connection() as connection:
        kept = await (await connection.execute("SELECT count(*) FROM contents")).fetchone()
    assert kept == (0,)  # the words of what was refused would go with nobody


async def test_what_was_recorded_of_a_person_before_they_were_imported_can_still_be_undone(house: Core) -> None:
    """Once a consent was taken of an id of nobody's: to opt out of it, or to be erased, is refused to nobody."""
    there_were_no_checks = Decisions(house.store, Everybody(), clock)
    for command in (OptOut, EraseRecipient):
        person = uuid4()
        await there_were_no_checks.one(asked(about(person)[0]))
        assert (await house.decisions.one(asked(command(person)))).state == "applied"


class Everybody:
    """A vault that knows everybody."""

    async def __call__(self, command: Command, actor: Actor, states: Mapping[StreamId, Any]) -> Gathered:
        raise AssertionError("asked for nothing but people")

    async def held(self, people: Collection[tuple[WorkspaceId, UUID]]) -> Collection[tuple[WorkspaceId, UUID]]:
        return people


def create(campaign: UUID) -> CreateCampaign:
    return CreateCampaign(campaign, TITLE, (TextPart(TITLE),))


def item(stream: StreamId, workspace: WorkspaceId, expected: int | None) -> Item:
    """An append as a mistaken process might try it: the log itself judges it."""
    id_ = uuid4()
    return Item(
        id_, id_, workspace, OURS.id, "test.decide", b"", stream, expected, (CampaignArchived(),), {}, clock(), id_
    )


@pytest.mark.parametrize("expected", [0, 1, 2, None])
async def test_nothing_is_added_to_another_workspaces_stream_whatever_version_is_expected(
    house: Core, expected: int | None
) -> None:
    campaign = uuid4()
    await house.decisions.one(asked(create(campaign)))
    stream = StreamId(f"campaign-{campaign}")
    there, here = await house.store.append([item(stream, THERE, expected), item(stream, HERE, 1)])
    assert (there.code, there.version, there.position) == ("foreign", 0, None)
    assert (here.code, here.version) == ("ok", 2)
    assert {one.envelope.workspace for one in await house.store.history(stream)} == {HERE}


async def test_of_two_workspaces_that_begin_one_stream_at_once_one_does(house: Core) -> None:
    await house.make_workspace(THERE)
    campaigns = [uuid4() for _ in range(20)]
    makers = [Decisions(house.store, Everybody(), clock, StateCache()) for _ in range(2)]
    asking = zip(makers, (OURS, THEIRS), strict=True)
    both = await asyncio.gather(*(maker.make([asked(create(one), who) for one in campaigns]) for maker, who in asking))
    for campaign, outcomes in zip(campaigns, zip(*both, strict=True), strict=True):
        assert sorted(map(said, outcomes), key=lambda one: one[0]) == [
            ("applied", None, None, 1),
            ("refused", "id_taken", "campaign_id", 0),
        ]
        assert len(await house.store.history(StreamId(f"campaign-{campaign}"))) == 1


async def test_within_one_batch_too_the_second_workspace_finds_the_id_taken(house: Core) -> None:
    await house.make_workspace(THERE)
    campaign = uuid4()
    first, second, third = await house.decisions.make(
        [asked(create(campaign)), asked(create(campaign), THEIRS), asked(ArchiveCampaign(campaign), THEIRS)]
    )
    assert said(first) == ("applied", None, None, 1)
    assert said(second) == ("refused", "id_taken", "campaign_id", 0)
    assert said(third) == ("refused", "unknown_campaign", "campaign_id", 0)


async def test_a_cache_that_is_mistaken_about_the_workspace_is_corrected_by_the_log(house: Core) -> None:
    campaign = uuid4()
    await house.decisions.one(asked(create(campaign)))
    cache = StateCache()
    cache.put(StreamId(f"campaign-{campaign}"), Loaded(Campaign(version=1), 1, THERE))
    await house.make_workspace(THERE)
    theirs = Decisions(house.store, Everybody(), clock, cache)
    revised = await theirs.one(asked(ReviseCampaign(campaign, TITLE, (TextPart(TITLE),)), THEIRS))
    assert said(revised) == ("refused", "unknown_campaign", "campaign_id", 0)
    assert len(await house.store.history(StreamId(f"campaign-{campaign}"))) == 1


async def test_an_erasure_of_another_workspace_hides_none_of_ours(house: Core) -> None:
    """Also not one that an older version let in."""
    person = await somebody(house)
    async with house.pool.connection() as connection:
        for workspace in (THERE, HERE):
            await connection.execute(
                "INSERT INTO erasures (recipient_id, workspace) VALUES (%s, %s)", [person, workspace]
            )
    pending = {one.workspace: one.number for one in await Erasures(house.pool).pending()}
    assert pending[THERE] is None
    assert pending[HERE] is not None
