"""Decisions on the real log: chained, decided anew when stale, each answered by itself."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from adapters.event_store import EventStore, Lease, Loaded
from domain.account import PauseAccount, RegisterAccount, ReportReady, ReportTrouble, Trouble
from domain.allowance import AllowanceGranted, GrantAllowance
from domain.campaign import ArchiveCampaign, Campaign, CreateCampaign, ReviseCampaign
from domain.content import TextPart
from domain.message import Actor, Command, PrincipalId, Ref, Role, StreamId, WorkspaceId
from domain.workspace import CreateWorkspace, SetModerationPolicy, SetSendingPolicy
from tests.workers.core import HERE, SYSTEM, Core, clock
from workers.decisions import Decisions, Outcome, Request
from workers.states import StateCache

AUTHOR = Actor(PrincipalId("author"), HERE, frozenset({Role.AUTHOR}))
ADMIN = Actor(PrincipalId("admin"), HERE, frozenset({Role.ADMIN, Role.OPERATOR}))
TITLE, TEXT = Ref("a" * 64), Ref("b" * 64)


def asked(
    command: Command, actor: Actor = AUTHOR, command_id: UUID | None = None, lease: Lease | None = None
) -> Request:
    return Request(command, actor, command_id or uuid4(), digest=b"d", lease=lease)


def create(campaign_id: UUID | None = None) -> CreateCampaign:
    return CreateCampaign(campaign_id or uuid4(), TITLE, (TextPart(TEXT),))


def other(house: Core) -> Decisions:
    """Decisions of another process: the same log, a cache of their own."""

    async def nothing(*_: object) -> object:
        raise AssertionError("asked for nothing that needs the vault")

    return Decisions(house.store, nothing, clock)  # type: ignore[arg-type]  # never asked


def said(outcome: Outcome) -> tuple[str, str | None, int]:
    return outcome.state, outcome.rule, outcome.version


async def test_a_batch_on_one_stream_is_decided_in_turn_each_on_what_the_former_did(house: Core) -> None:
    one = uuid4()
    outcomes = await house.decisions.make(
        [
            asked(create(one)),
            asked(create(one)),
            asked(ReviseCampaign(one, TEXT, (TextPart(TEXT),))),
            asked(ArchiveCampaign(one)),
            asked(ReviseCampaign(one, TITLE, (TextPart(TEXT),))),
            asked(create()),
        ]
    )
    assert [said(outcome) for outcome in outcomes] == [
        ("applied", None, 1),
        ("refused", "id_taken", 1),
        ("applied", None, 2),
        ("applied", None, 3),
        ("refused", "archived", 3),
        ("applied", None, 1),
    ]


async def test_a_decision_waits_for_an_earlier_one_that_writes_what_it_reads(house: Core) -> None:
    there = WorkspaceId("fresh")
    admin = Actor(ADMIN.id, there, ADMIN.roles)
    author = Actor(AUTHOR.id, there, AUTHOR.roles)
    before, made, after = await house.decisions.make(
        [asked(create(), author), asked(CreateWorkspace(), admin), asked(create(), author)]
    )
    assert said(before) == ("refused", "unknown_workspace", 0)
    assert said(made) == ("applied", None, 1)
    assert said(after) == ("applied", None, 1)


async def test_a_stale_state_is_read_again_and_decided_anew(house: Core) -> None:
    one = uuid4()
    theirs = other(house)
    await house.decisions.one(asked(create(one)))
    await theirs.one(asked(ReviseCampaign(one, TEXT, (TextPart(TEXT),))))
    await theirs.one(asked(ArchiveCampaign(one)))
    outcome = await house.decisions.one(asked(ReviseCampaign(one, TITLE, (TextPart(TITLE),))))
    assert said(outcome) == ("refused", "archived", 3)


async def test_a_refusal_on_a_stale_fact_is_decided_anew(house: Core) -> None:
    """A refusal is recorded for good, so it too must hold on what is true now."""
    there = WorkspaceId("late")
    author = Actor(AUTHOR.id, there, AUTHOR.roles)
    refused = await house.decisions.one(asked(create(), author))
    assert said(refused) == ("refused", "unknown_workspace", 0)
    await house.make_workspace(there)
    applied = await house.decisions.one(asked(create(), author))
    assert said(applied) == ("applied", None, 1)


async def test_rivals_on_one_stream_all_get_through_in_some_order(house: Core) -> None:
    one = uuid4()
    await house.decisions.one(asked(create(one)))
    rivals = [other(house) for _ in range(8)]
    texts = [Ref(f"{number:064x}") for number in range(len(rivals))]
    outcomes = await asyncio.gather(
        *(
            rival.one(asked(ReviseCampaign(one, text, (TextPart(TEXT),))))
            for rival, text in zip(rivals, texts, strict=True)
        )
    )
    assert sorted(outcome.version for outcome in outcomes) == list(range(2, 2 + len(rivals)))


async def test_the_same_id_again_gets_the_old_answer(house: Core) -> None:
    request = asked(create())
    first, second = await house.decisions.one(request), await other(house).one(request)
    assert (first.repeated, second.repeated) == (False, True)
    assert (second.state, second.version, second.position) == (first.state, first.version, first.position)
    reused = await house.decisions.one(Request(create(), AUTHOR, request.command_id, digest=b"other"))
    assert (reused.state, reused.rule) == ("refused", "id_reused")


async def test_a_role_that_is_missing_is_refused_and_recorded(house: Core) -> None:
    request = asked(SetSendingPolicy(1, 30), AUTHOR)
    assert said(await house.decisions.one(request)) == ("refused", "role_required", 1)
    row = await house.inbox.by_command(HERE, request.command_id)
    assert row is not None
    assert (row.rule, row.field) == ("role_required", "actor")


async def test_only_the_system_makes_the_systems_decisions(house: Core) -> None:
    account = await registered(house)
    assert said(await house.decisions.one(asked(ReportReady(account), ADMIN))) == ("refused", "role_required", 1)
    assert (await house.decisions.one(asked(ReportReady(account), SYSTEM))).state == "applied"


async def test_a_decision_of_the_system_that_was_refused_may_be_made_later(house: Core) -> None:
    """Its id follows from its cause, so a recorded refusal would stand for ever."""
    account = await registered(house)
    grant = asked(GrantAllowance(account), SYSTEM)
    assert (await house.decisions.one(grant)).rule == "account_not_ready"
    await house.decisions.one(asked(ReportReady(account), SYSTEM))
    assert (await house.decisions.one(grant)).state == "applied"


async def test_a_decision_of_the_system_is_never_passed_over_for_a_stale_state(house: Core) -> None:
    account = await registered(house)
    theirs = other(house)
    await house.decisions.one(asked(ReportReady(account), SYSTEM))
    await theirs.one(asked(ReportTrouble(account, Trouble.CRASHED), SYSTEM))
    again = await house.decisions.one(asked(ReportReady(account), SYSTEM))
    assert (again.state, len(again.events)) == ("applied", 1)


async def test_a_grant_sets_the_leases_permits(house: Core) -> None:
    account = await registered(house)
    await house.decisions.make(
        [
            asked(SetSendingPolicy(7, 1), ADMIN),
            asked(ReportReady(account), SYSTEM),
            asked(GrantAllowance(account), SYSTEM),
        ]
    )
    async with house.pool.connection() as connection:
        row = await (await connection.execute("SELECT permits FROM leases WHERE account = %s", [account])).fetchone()
    assert row == (7,)


async def test_a_lease_held_by_another_stops_the_append_and_is_not_recorded(house: Core) -> None:
    account = await registered(house)
    request = asked(ReportReady(account), SYSTEM, lease=Lease(account, fence=3))
    assert said(await house.decisions.one(request)) == ("refused", "fence", 1)
    assert await house.inbox.by_command(HERE, request.command_id) is None


async def test_another_workspaces_stream_is_as_none(house: Core) -> None:
    there = WorkspaceId("there")
    await house.make_workspace(there)
    account = await registered(house)
    stranger = Actor(ADMIN.id, there, ADMIN.roles)
    assert (await house.decisions.one(asked(PauseAccount(account), stranger))).rule == "unknown_account"
    taken = await house.decisions.one(asked(RegisterAccount(account, TITLE), stranger))
    assert (taken.rule, taken.field) == ("id_taken", "account_id")
    assert taken.version == 0  # as of none: what others do in theirs is not told


async def test_an_exception_for_one_says_so_and_asking_again_applies_the_others_once(
    house: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    ones = [uuid4(), uuid4()]
    batch = [asked(create(one)) for one in ones]
    append = EventStore.append

    async def lost(store: EventStore, items: object) -> object:
        await append(store, items)  # type: ignore[arg-type]  # handed through
        raise ConnectionError("the reply was lost")

    with monkeypatch.context() as patched:
        patched.setattr(EventStore, "append", lost)
        with pytest.raises(ConnectionError):
            await house.decisions.make(batch)
    outcomes = await house.decisions.make(batch)
    assert [(outcome.state, outcome.repeated) for outcome in outcomes] == [("applied", True)] * 2
    assert len(await house.events()) == 3


async def test_a_workspaces_rules_hold_from_the_next_decision_on(house: Core) -> None:
    account = await registered(house)
    outcomes = await house.decisions.make(
        [
            asked(SetModerationPolicy(2, own_approval=False), ADMIN),
            asked(SetSendingPolicy(3, 90), ADMIN),
            asked(ReportReady(account), SYSTEM),
            asked(GrantAllowance(account), SYSTEM),
        ]
    )
    (granted,) = outcomes[-1].events
    assert isinstance(granted, AllowanceGranted)
    assert (granted.permits, granted.until - granted.since) == (3, timedelta(seconds=90))


def test_the_cache_forgets_the_least_recently_used_first() -> None:
    cache = StateCache(most_bytes=2_500)
    names = [StreamId(f"campaign-{number}") for number in range(4)]
    for name in names:
        cache.put(name, Loaded(Campaign(version=1), 1, HERE))
        cache.get(names[0])
    assert cache.get(names[0]) is not None
    assert cache.get(names[1]) is None
    cache.put(names[0], Loaded(Campaign(version=2), 2, HERE))
    cache.put(names[0], Loaded(Campaign(version=1), 1, HERE))
    found = cache.get(names[0])
    assert found is not None
    assert found.version == 2


async def registered(house: Core) -> UUID:
    account = uuid4()
    await house.decisions.one(asked(RegisterAccount(account, TITLE), ADMIN))
    return account
