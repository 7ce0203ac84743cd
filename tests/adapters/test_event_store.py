"""The log as its users see it: what is appended under which conditions, and what is read back."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from adapters.event_store import EventStore, Lease
from domain import account, catalog
from domain.message import Refused, StreamId, WorkspaceId, derive
from tests.adapters.logs import an_item, codes, opened, rows
from tests.builders import (
    AUTHOR,
    CAMPAIGN_CREATED,
    CAMPAIGN_STREAM,
    CREATED,
    HERE,
    NORTH,
    NORTH_STREAM,
    NOW,
    READY,
    RULES_STREAM,
    SOUTH_STREAM,
    granted,
)

PAUSED, RESUMED = account.AccountPaused(), account.AccountResumed()
LEASE = "SELECT fence, permits FROM leases WHERE account = %s"


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[EventStore]:
    async with opened(database_url) as log:
        yield log


async def test_what_is_appended_is_loaded_as_its_fold(store: EventStore) -> None:
    [verdict] = await store.append([an_item(NORTH_STREAM, *READY)])
    loaded = await store.load([NORTH_STREAM, SOUTH_STREAM])

    assert (verdict.code, verdict.version) == ("ok", 3)
    assert loaded[NORTH_STREAM].state == account.DECIDER.fold(READY)
    assert (loaded[NORTH_STREAM].version, loaded[NORTH_STREAM].workspace) == (3, HERE)
    assert (loaded[SOUTH_STREAM].state, loaded[SOUTH_STREAM].version) == (account.Account(), 0)
    assert loaded[SOUTH_STREAM].workspace is None


async def test_an_event_comes_back_in_its_envelope(store: EventStore) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    item = an_item(CAMPAIGN_STREAM, CAMPAIGN_CREATED, conditions={RULES_STREAM: 0}, traceparent=trace)
    [verdict] = await store.append([item])
    [recorded] = await store.page(0)

    assert (recorded.stream, recorded.version, recorded.position) == (CAMPAIGN_STREAM, 1, verdict.position)
    assert recorded.event == CAMPAIGN_CREATED
    envelope = recorded.envelope
    assert envelope.event_id == derive("event", item.key, 1)
    assert (envelope.actor, envelope.workspace, envelope.time) == (AUTHOR.id, HERE, NOW)
    assert (envelope.causation, envelope.correlation) == (item.command_id, item.correlation)
    assert (envelope.facts, envelope.traceparent) == ({RULES_STREAM: 0}, trace)


async def test_pages_follow_each_other_without_a_hole(store: EventStore) -> None:
    await store.append([an_item(StreamId(f"account-{uuid4()}"), *READY) for _ in range(10)])
    pages, after = [], 0
    while page := await store.page(after, 7):
        pages.append(page)
        after = page[-1].position

    assert [len(page) for page in pages] == [7, 7, 7, 7, 2]
    positions = [recorded.position for page in pages for recorded in page]
    assert positions == sorted(set(positions))
    assert await store.head() == positions[-1]


async def test_an_empty_log_has_no_head_and_no_pages(store: EventStore) -> None:
    assert (await store.head(), await store.page(0), await store.history(NORTH_STREAM)) == (0, [], [])


async def test_a_history_is_one_streams_and_ends_where_asked(store: EventStore) -> None:
    await store.append([an_item(NORTH_STREAM, *READY), an_item(SOUTH_STREAM, *READY)])

    assert [recorded.event for recorded in await store.history(NORTH_STREAM)] == list(READY)
    assert [recorded.version for recorded in await store.history(NORTH_STREAM, upto=2)] == [1, 2]


async def test_the_latest_event_is_one_streams(store: EventStore) -> None:
    await store.append([an_item(NORTH_STREAM, *READY), an_item(SOUTH_STREAM, PAUSED)])

    latest = await store.latest(NORTH_STREAM)
    assert latest is not None
    assert (latest.event, latest.version) == (READY[-1], len(READY))
    assert await store.latest(StreamId(f"account-{uuid4()}")) is None


async def test_an_append_on_an_old_version_is_a_conflict(store: EventStore) -> None:
    await store.append([an_item(NORTH_STREAM, *READY)])
    [verdict] = await store.append([an_item(NORTH_STREAM, PAUSED, expected=2)])

    assert (verdict.code, verdict.version) == ("conflict", 3)
    assert len(await store.history(NORTH_STREAM)) == 3


async def test_an_append_without_an_expected_version_goes_on_where_the_stream_ends(store: EventStore) -> None:
    await store.append([an_item(NORTH_STREAM, *READY)])
    [verdict] = await store.append([an_item(NORTH_STREAM, PAUSED, expected=None)])

    assert (verdict.code, verdict.version) == ("ok", 4)


async def test_an_append_on_an_outdated_fact_is_refused_and_its_neighbours_are_not(store: EventStore) -> None:
    await store.append([an_item(RULES_STREAM, CREATED)])
    items = [
        an_item(NORTH_STREAM, *READY, conditions={RULES_STREAM: 0}),
        an_item(SOUTH_STREAM, *READY, conditions={RULES_STREAM: 1}),
    ]

    assert await codes(store, items) == ["condition", "ok"]
    assert await store.history(NORTH_STREAM) == []


async def test_each_item_of_a_batch_sees_what_the_earlier_ones_did(store: EventStore) -> None:
    items = [
        an_item(RULES_STREAM, CREATED),
        an_item(NORTH_STREAM, *READY, conditions={RULES_STREAM: 1}),
        an_item(NORTH_STREAM, PAUSED, expected=3),
        an_item(NORTH_STREAM, PAUSED, expected=3),
        an_item(SOUTH_STREAM, *READY, conditions={NORTH_STREAM: 3}),
    ]

    assert await codes(store, items) == ["ok", "ok", "ok", "conflict", "condition"]


async def test_a_repeated_decision_gets_the_old_answer(store: EventStore) -> None:
    item = an_item(NORTH_STREAM, *READY)
    first, second = await store.append([item, item])
    [third] = await store.append([replace(item, digest=b"\2" * 32, expected=3)])

    assert [first.code, second.code, third.code] == ["ok", "duplicate", "duplicate"]
    for repeated in (second, third):
        assert repeated.previous is not None
        assert (repeated.previous.state, repeated.previous.digest) == ("applied", item.digest)
        assert (repeated.previous.version, repeated.previous.position) == (first.version, first.position)
    assert len(await store.history(NORTH_STREAM)) == 3


async def test_a_decision_that_changes_nothing_is_recorded(store: EventStore) -> None:
    await store.append([an_item(NORTH_STREAM, *READY)])
    item = an_item(NORTH_STREAM, expected=3)
    [first] = await store.append([item])
    [second] = await store.append([item])

    assert (first.code, first.version, first.position) == ("ok", 3, None)
    assert second.previous is not None
    assert (second.previous.state, second.previous.version, second.previous.position) == ("applied", 3, None)


async def test_a_refusal_is_recorded_under_the_same_conditions(store: EventStore, database_url: str) -> None:
    refused = Refused("id_taken", field="account_id", status="ready")
    stale = an_item(NORTH_STREAM, expected=4, refusal=refused)
    item = an_item(NORTH_STREAM, conditions={RULES_STREAM: 0}, refusal=refused)

    assert await codes(store, [stale, item, item]) == ["conflict", "ok", "duplicate"]
    [row] = rows(database_url, "SELECT state, rule, field, detail, stream, version, position FROM commands")
    assert row == {
        "state": "refused",
        "rule": "id_taken",
        "field": "account_id",
        "detail": {"status": "ready"},
        "stream": NORTH_STREAM,
        "version": 0,
        "position": None,
    }


async def test_a_refusal_of_what_has_no_stream_is_recorded_too(store: EventStore, database_url: str) -> None:
    assert await codes(store, [an_item(StreamId(""), refusal=Refused("unknown_command", field="name"))]) == ["ok"]
    assert rows(database_url, "SELECT rule, stream FROM commands") == [{"rule": "unknown_command", "stream": None}]


async def test_a_lease_with_another_fence_refuses(store: EventStore, database_url: str) -> None:
    rows(database_url, "INSERT INTO leases (account, fence) VALUES (%s, 7) RETURNING 1", NORTH)
    held = [Lease(NORTH, fence=6), Lease(uuid4(), fence=7), Lease(NORTH, fence=7), Lease(NORTH)]
    items = [an_item(StreamId(f"account-{uuid4()}"), PAUSED, lease=lease) for lease in held]

    assert await codes(store, items) == ["fence", "fence", "ok", "ok"]


async def test_permits_are_granted_and_spent_with_the_events_and_not_without(
    store: EventStore, database_url: str
) -> None:
    items = [
        an_item(NORTH_STREAM, granted(), lease=Lease(NORTH, grant=2)),
        an_item(StreamId("delivery-1"), PAUSED, lease=Lease(NORTH, spend=1)),
        an_item(StreamId("delivery-2"), PAUSED, expected=5, lease=Lease(NORTH, spend=1)),
        an_item(StreamId("delivery-3"), PAUSED, lease=Lease(NORTH, fence=0, spend=1)),
        an_item(StreamId("delivery-4"), PAUSED, lease=Lease(NORTH, fence=0, spend=1)),
    ]

    assert await codes(store, items) == ["ok", "ok", "conflict", "ok", "permits"]
    assert rows(database_url, LEASE, NORTH) == [{"fence": 0, "permits": 0}]
    assert await codes(store, [an_item(NORTH_STREAM, granted(), expected=1, lease=Lease(NORTH, grant=5))]) == ["ok"]
    assert rows(database_url, LEASE, NORTH) == [{"fence": 0, "permits": 5}]


async def test_permits_of_an_account_without_a_row_are_none(store: EventStore) -> None:
    assert await codes(store, [an_item(NORTH_STREAM, PAUSED, lease=Lease(NORTH, spend=1))]) == ["permits"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"name": "a\0b"}, "unprintable"),
        ({"traceparent": "x" * 201}, "name_too_long"),
        ({"conditions": {StreamId("job-\ud800"): 1}}, "unprintable"),
        ({"refusal": Refused("rule", field="f", note="\0")}, "unprintable"),
        ({"refusal": Refused("rule", field="f", note="x" * 300_000)}, "too_large"),
    ],
)
async def test_what_the_database_would_choke_on_is_refused_alone(
    store: EventStore, given: dict[str, Any], reason: str
) -> None:
    verdicts = await store.append([an_item(NORTH_STREAM, **given), an_item(SOUTH_STREAM, *READY)])

    assert [(verdict.code, verdict.reason) for verdict in verdicts] == [("failed", reason), ("ok", "")]


async def test_a_thousand_items_of_one_call_are_answered_in_order(store: EventStore) -> None:
    names = [StreamId(f"account-{uuid4()}") for _ in range(1_200)]
    verdicts = await store.append([an_item(name, *READY[: 1 + n % 3]) for n, name in enumerate(names)])

    assert [verdict.version for verdict in verdicts] == [1 + n % 3 for n in range(1_200)]
    assert await store.append([]) == []


async def test_a_long_stream_folds_the_same_from_a_snapshot(store: EventStore, database_url: str) -> None:
    events = [READY[0], *([PAUSED, RESUMED] * 100), granted(), PAUSED, *READY[1:]]
    await store.append([an_item(NORTH_STREAM, *events[:-2]), an_item(SOUTH_STREAM, *READY)])
    before = await store.load([NORTH_STREAM, SOUTH_STREAM])
    await store.append([an_item(NORTH_STREAM, *events[-2:], expected=len(events) - 2)])
    after = await store.load([NORTH_STREAM, SOUTH_STREAM])

    assert rows(database_url, "SELECT originator_id, originator_version AS version FROM snapshots") == [
        {"originator_id": NORTH_STREAM, "version": 203}
    ]
    assert before[NORTH_STREAM].state == account.DECIDER.fold(events[:-2])
    assert after[NORTH_STREAM].state == account.DECIDER.fold(events)
    assert (after[NORTH_STREAM].version, after[NORTH_STREAM].workspace) == (205, HERE)
    assert after[SOUTH_STREAM] == before[SOUTH_STREAM]


async def test_a_very_long_stream_is_folded_in_parts(store: EventStore, database_url: str) -> None:
    events = [READY[0], *([PAUSED, RESUMED] * 1_050), PAUSED]
    parts = [an_item(NORTH_STREAM, *events[n : n + 500], expected=n) for n in range(0, len(events), 500)]
    assert set(await codes(store, [*parts, an_item(SOUTH_STREAM, *READY)])) == {"ok"}
    loaded = await store.load([NORTH_STREAM, SOUTH_STREAM])

    assert loaded[NORTH_STREAM].state == account.DECIDER.fold(events)
    assert [loaded[name].version for name in (NORTH_STREAM, SOUTH_STREAM)] == [2_102, 3]
    kept = rows(database_url, "SELECT originator_version AS version FROM snapshots ORDER BY 1")
    assert [row["version"] for row in kept] == [1_000, 2_000]


async def test_a_snapshot_is_what_a_load_starts_from(store: EventStore, database_url: str) -> None:
    await store.append([an_item(NORTH_STREAM, READY[0], *([PAUSED, RESUMED] * 101))])
    await store.load([NORTH_STREAM])
    rows(database_url, "UPDATE stored_events SET state = 'unreadable' WHERE originator_version < 204 RETURNING 1")

    assert (await store.load([NORTH_STREAM]))[NORTH_STREAM].version == 203


async def test_a_snapshot_of_another_fold_is_left_alone(store: EventStore, database_url: str) -> None:
    await store.append([an_item(NORTH_STREAM, READY[0], *([PAUSED, RESUMED] * 101))])
    rows(
        database_url,
        "INSERT INTO snapshots VALUES (%s, 203, 'account.0123456789abcdef', 'unreadable') RETURNING 1",
        NORTH_STREAM,
    )

    assert (await store.load([NORTH_STREAM]))[NORTH_STREAM].state.status is account.Status.REGISTERED


async def test_another_workspaces_stream_tells_whose_it_is(store: EventStore) -> None:
    await store.append([an_item(NORTH_STREAM, *READY, workspace=WorkspaceId("globex"))])

    assert (await store.load([NORTH_STREAM]))[NORTH_STREAM].workspace == "globex"


async def test_every_kind_of_aggregate_can_be_loaded(store: EventStore) -> None:
    names = [StreamId(f"{aggregate}-x") for aggregate in catalog.DECIDERS]

    assert {name: loaded.state for name, loaded in (await store.load(names)).items()} == {
        decider.stream("x"): decider.initial for decider in catalog.DECIDERS.values()
    }


async def test_times_keep_their_microseconds_and_their_offset(store: EventStore) -> None:
    event = granted(since=NOW + timedelta(microseconds=123_456))
    await store.append([an_item(NORTH_STREAM, event)])

    assert [recorded.event for recorded in await store.history(NORTH_STREAM)] == [event]
