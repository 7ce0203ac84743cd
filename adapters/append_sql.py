"""The statement that judges, spends, inserts and records a wave of items at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from adapters.appending import Item, unstorable
from adapters.binary_arrays import NULL, Array, Blobs, Int4s, Int8s, Texts, Uuids
from adapters.inbox import COLUMNS
from domain.message import Envelope, Recorded

CHANNEL = "drumline_log"

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"  # each statement must see what the lock waited for

# The first statement of every transaction that appends, alone: positions must become visible in order, or tailing
# readers lose events for good. A LOCK TABLE would stand still with each VACUUM. "log" as a number.
LOCK = "SELECT pg_advisory_xact_lock(7106407)"

# The statement is planned once, perhaps on empty tables and always without knowing how long its arrays are: whole
# tables must not be scanned, nor every item compared with every other.
SESSION = """
SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_nestloop = off;
SET lock_timeout = '20s'; SET statement_timeout = '30s'
"""

# A stream is its first event's workspace's: what each event's envelope says is the condition of the next, so that no
# stream has events of two. To any other workspace it does not exist: its version is 0, and nothing is added to it.
APPEND = """
WITH item AS MATERIALIZED (
    SELECT * FROM unnest(
        %b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::text[], %b::bytea[], %b::text[], %b::text[], %b::text[],
        %b::text[], %b::text[], %b::text[], %b::int8[], %b::int4[], %b::uuid[], %b::int8[], %b::int4[], %b::int4[],
        %b::int8[]
    ) WITH ORDINALITY t(
        key, command_id, workspace, principal, name, digest, state, rule, field,
        detail, traceparent, stream, expected, events, account, fence, spend, grants,
        ticket, i
    )
), outdated AS (
    SELECT DISTINCT i FROM unnest(%b::int4[], %b::text[], %b::int8[]) c(i, stream, version)
    WHERE version <> coalesce(
        (SELECT max(e.originator_version) FROM stored_events e WHERE e.originator_id = c.stream), 0)
    UNION SELECT i FROM unnest(%b::int4[], %b::uuid[], %b::int8[]) f(i, key, ticket)
    WHERE ticket IS DISTINCT FROM (SELECT k.ticket FROM commands k WHERE k.key = f.key)
), held AS MATERIALIZED (
    SELECT account, fence, permits FROM leases WHERE account = ANY(%b::uuid[]) ORDER BY account FOR NO KEY UPDATE
), whose AS MATERIALIZED (
    SELECT item.*, coalesce((
        SELECT CASE WHEN convert_from(e.state, 'UTF8')::json #>> '{envelope,workspace}' = item.workspace
            THEN e.originator_version ELSE -1 END
        FROM stored_events e WHERE e.originator_id = stream ORDER BY e.originator_version DESC LIMIT 1
    ), 0) AS seen
    FROM item
), fact AS MATERIALIZED (
    SELECT item.*, greatest(seen, 0) AS current,
        (SELECT k.state FROM commands k
         WHERE k.key = item.key AND (k.state <> 'pending' OR k.digest <> item.digest)) AS answer
    FROM whose item
), verdict AS MATERIALIZED (
    SELECT f.*, CASE
        WHEN answer IS NOT NULL THEN 'duplicate'
        WHEN seen < 0 AND events > 0 THEN 'foreign'
        WHEN current <> expected THEN 'conflict'
        WHEN o.i IS NOT NULL THEN 'condition'
        WHEN f.fence IS NOT NULL AND h.fence IS DISTINCT FROM f.fence THEN 'fence'
        WHEN spend > 0 AND coalesce(h.permits, 0) < spend THEN 'permits'
        ELSE 'ok' END AS code
    FROM fact f LEFT JOIN outdated o ON o.i = f.i LEFT JOIN held h ON h.account = f.account
), leased AS (
    INSERT INTO leases (account, permits) SELECT v.account, coalesce(grants, h.permits - spend)
    FROM verdict v LEFT JOIN held h USING (account)
    WHERE code = 'ok' AND (spend > 0 OR grants IS NOT NULL) ORDER BY account
    ON CONFLICT (account) DO UPDATE SET permits = excluded.permits
), stored AS (
    INSERT INTO stored_events (originator_id, originator_version, topic, state)
    SELECT v.stream, v.current + e.k, e.topic, e.state
    FROM unnest(%b::int4[], %b::int4[], %b::text[], %b::bytea[]) e(i, k, topic, state) JOIN verdict v USING (i)
    WHERE code = 'ok' ORDER BY e.i, e.k
    RETURNING originator_id, notification_id
), placed AS MATERIALIZED (
    SELECT originator_id, max(notification_id) AS position FROM stored GROUP BY originator_id
), recorded AS (
    INSERT INTO commands (key, command_id, workspace, principal, name, digest, state, rule, field, detail,
        stream, version, position, answered_at, traceparent, ticket)
    SELECT key, command_id, workspace, principal, name, digest, state, rule, field, detail::jsonb,
        nullif(stream, ''), current + events, position, clock_timestamp(), traceparent, ticket
    FROM verdict LEFT JOIN placed ON originator_id = stream WHERE code = 'ok'
    ON CONFLICT (key) DO UPDATE SET state = excluded.state, rule = excluded.rule, field = excluded.field,
        detail = excluded.detail, stream = excluded.stream, version = excluded.version, position = excluded.position,
        answered_at = excluded.answered_at, ticket = excluded.ticket, body = NULL
)
SELECT i, code, CASE code WHEN 'ok' THEN current + events ELSE current END, position
FROM verdict LEFT JOIN placed ON code = 'ok' AND originator_id = stream
"""

OLD_ANSWERS = f"SELECT ticket, {COLUMNS} FROM commands WHERE key = ANY(%s)"  # noqa: S608  # of constants


REFUSAL: tuple[type[Array], ...] = (Texts, Texts, Texts, Texts)
LEASE: tuple[type[Array], ...] = (Uuids, Int8s, Int4s, Int4s)
ITEM: tuple[type[Array], ...] = (
    *(Uuids, Uuids, Texts, Texts, Texts, Blobs, Texts, Texts, Texts, Texts),
    *(Texts, Texts, Int8s, Int4s, Uuids, Int8s, Int4s, Int4s),
)
CONDITION: tuple[type[Array], ...] = (Texts, Int8s)
FOLLOWED: tuple[type[Array], ...] = (Uuids, Int8s)
EVENT: tuple[type[Array], ...] = (Int4s, Texts, Blobs)


@dataclass(slots=True)
class Entry:
    """An item made ready for the writer: every value of its rows as it goes over the wire."""

    item: Item
    envelopes: Sequence[Envelope]  # of its events
    cells: Sequence[bytes]
    conditions: Sequence[Sequence[bytes]]
    events: Sequence[Sequence[bytes]]
    size: int
    ticket: int = 0  # tells this append of it from any other
    followed: Sequence[Sequence[bytes]] = ()

    def recorded(self, position: int, version: int) -> list[Recorded]:
        """Its events, the last of them at this position and version."""
        earlier = len(self.item.events) - 1  # events before the last
        return [
            Recorded(position - earlier + k, self.item.stream, version - earlier + k, event, envelope)
            for k, (event, envelope) in enumerate(zip(self.item.events, self.envelopes, strict=True))
        ]


word = lru_cache(maxsize=4_096)(Texts.encode)  # for what many items have in common
APPLIED = (word("applied"), NULL, NULL, NULL)
NO_LEASE = (NULL, NULL, Int4s.encode(0), NULL)


def prepared(item: Item, envelopes: Sequence[Envelope], stored: Sequence[tuple[str, bytes]]) -> Entry | str:
    """An item with its events as topics and bytes, ready; or, in a word, why the log cannot store it."""
    lease, refusal = item.lease, item.refusal
    detail = orjson.dumps(refusal.detail).decode() if refusal is not None and refusal.detail else None
    size = sum([len(state) for _, state in stored])
    if reason := unstorable(item, detail or "", size):
        return reason
    return Entry(
        item,
        envelopes,
        (
            *(Uuids.encode(item.key), Uuids.encode(item.command_id), word(item.workspace), word(item.principal)),
            *(word(item.name), Blobs.encode(item.digest)),
            *(APPLIED if refusal is None else cells(REFUSAL, ("refused", refusal.rule, refusal.field, detail))),
            *(word(item.traceparent), Texts.encode(item.stream)),
            *(NULL if item.expected is None else Int8s.encode(item.expected), Int4s.encode(len(stored))),
            *(NO_LEASE if lease is None else cells(LEASE, (lease.account, lease.fence, lease.spend, lease.grant))),
        ),
        [(word(stream), Int8s.encode(version)) for stream, version in item.conditions.items()],
        [(Int4s.encode(k), word(name), Blobs.encode(state)) for k, (name, state) in enumerate(stored, 1)],
        size,
    )


def cells(kinds: Sequence[type[Array]], values: Sequence[Any]) -> list[bytes]:
    """The values of one row, each of its column's kind."""
    return [NULL if value is None else kind.encode(value) for kind, value in zip(kinds, values, strict=True)]


def number(entries: Sequence[Entry], first: int) -> None:
    """Give entries their tickets, and with them tell those that follow others which appends they mean."""
    tickets: dict[UUID, int] = {}
    for ticket, entry in enumerate(entries, first):
        entry.ticket = ticket
        key = entry.item.key
        tickets[key] = -1 if key in tickets else ticket
        if entry.item.follows:  # -1: what it follows is not among these, stands here twice, or could not be stored
            entry.followed = [cells(FOLLOWED, (one, tickets.get(one, -1))) for one in entry.item.follows]


def arrays(wave: Sequence[Entry]) -> list[Array]:
    """The parameters of APPEND."""
    conditions: list[Sequence[bytes]] = []
    followed: list[Sequence[bytes]] = []
    events: list[Sequence[bytes]] = []
    for i, entry in enumerate(wave, 1):
        place = Int4s.encode(i)
        followed += [(place, *one) for one in entry.followed]
        conditions += [(place, *condition) for condition in entry.conditions]
        events += [(place, *event) for event in entry.events]
    return [
        *columns(ITEM, [entry.cells for entry in wave]),
        Int8s.of(entry.ticket for entry in wave),
        *columns((Int4s, *CONDITION), conditions),
        *columns((Int4s, *FOLLOWED), followed),
        Uuids.of(entry.item.lease.account for entry in wave if entry.item.lease is not None),
        *columns((Int4s, *EVENT), events),
    ]


def columns(kinds: Sequence[type[Array]], rows: Sequence[Sequence[bytes]]) -> list[Array]:
    """Rows of cells as one array a column, also when there is no row."""
    if not rows:
        return [kind.joined(()) for kind in kinds]
    return [kind.joined(column) for kind, column in zip(kinds, zip(*rows, strict=True), strict=True)]
