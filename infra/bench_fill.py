"""A long history for `drumline bench reads`: rows straight in the tables, as a run of many jobs would have left them.

Their events are not in the log: reading asks the tables alone. Deliveries are written twice, as live ones are at least,
so that their table and its indexes have the gaps and the dead rows of a live one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncClientCursor, AsyncConnection

from domain.message import Digest, PrincipalId, Ref, WorkspaceId, derive

STEP = 50_000  # rows a statement
SHARES = ((1, 0.5), (10, 0.04), (100, 0.001))  # so many jobs, each with this share of all deliveries
ACCOUNTS, CAMPAIGNS, AUDIENCES, TIMERS = 20, 2_000, 300, 500
PENDING = 50  # one recipient in so many of the largest job is still to come
SINCE = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the history is, and who made it."""

    workspace: WorkspaceId
    principals: list[PrincipalId]
    titles: list[Ref]


@dataclass(frozen=True, slots=True)
class PastJob:
    """A job that ran; the largest one still does."""

    number: int
    recipients: int

    @property
    def id(self) -> UUID:
        return derive("bench", "job", self.number)

    @property
    def root(self) -> Digest:
        return Digest(f"{self.number:064x}")

    @property
    def begun(self) -> int:
        """How many of its recipients were begun."""
        return self.recipients - self.recipients // PENDING if self.number == 0 else self.recipients


def past_jobs(deliveries: int) -> list[PastJob]:
    """The jobs that so many deliveries are of."""
    sizes = [max(int(deliveries * share), 1) for many, share in SHARES for _ in range(many)]
    return [PastJob(number, size) for number, size in enumerate(sizes)]


ACCOUNT = "md5('account' || {} %% 20)::uuid"
STATE = """(CASE WHEN g %% 100 < 60 THEN 'read' WHEN g %% 100 < 80 THEN 'delivered'
WHEN g %% 100 < 90 THEN 'sent' WHEN g %% 100 < 95 THEN 'failed'
WHEN g %% 100 < 98 THEN 'skipped' WHEN g %% 100 < 99 THEN 'partial' ELSE 'unknown' END)"""
ROWS = {
    "read_accounts": """
INSERT INTO read_accounts (id, workspace, born, position, changed_at, label, registered_at, status, linked, paused,
    permits)
SELECT md5('account' || g)::uuid, %(workspace)s, g + 1, g + 1, %(since)s,
    (%(titles)s::text[])[1 + g %% %(kinds)s], %(since)s,
    CASE WHEN g = 0 THEN 'degraded' ELSE 'ready' END, true, false, 0 FROM generate_series(%(first)s, %(last)s) g""",
    "read_audiences": """
INSERT INTO read_audiences (id, workspace, born, position, changed_at, title, count, rejected, merged, imported_at)
SELECT md5('audience' || g)::uuid, %(workspace)s, g + 1, g + 1, %(since)s,
    (%(titles)s::text[])[1 + g %% %(kinds)s], 100, 0, 0,
    %(since)s + g * interval '1 minute' FROM generate_series(%(first)s, %(last)s) g""",
    "read_campaigns": """
INSERT INTO read_campaigns (id, workspace, born, position, changed_at, title, parts, audience_id, created_by,
    created_at, version, archived)
SELECT md5('campaign' || g)::uuid, %(workspace)s, g + 1, g + 1, %(since)s, title,
    jsonb_build_array(jsonb_build_object('kind', 'text', 'text', title, 'delay', 0, 'reply_to', null)),
    md5('audience' || g %% 300)::uuid, (%(principals)s::text[])[1 + g %% 5],
    %(since)s + g * interval '1 minute', 1, g %% 7 = 0
FROM generate_series(%(first)s, %(last)s) g, LATERAL (SELECT (%(titles)s::text[])[1 + g %% %(kinds)s]) t (title)""",
    "read_recipients": """
INSERT INTO read_recipients (id, workspace, born, position, changed_at, consented, source, given_at, opted_out_at)
SELECT md5('recipient' || g)::uuid, %(workspace)s, g + 1, g + 1, %(since)s, g %% 50 <> 0,
    CASE WHEN g %% 2000 = 0 THEN 'paper' ELSE 'web_form' END, %(since)s, CASE WHEN g %% 50 = 0 THEN %(since)s END
FROM generate_series(%(first)s, %(last)s) g""",
    "commands": """
INSERT INTO commands (key, command_id, workspace, principal, name, digest, state, rule, field, stream, version,
    position, received_at, answered_at)
SELECT md5('key' || g)::uuid, md5('command' || g)::uuid, %(workspace)s, (%(principals)s::text[])[1 + g %% 5],
    CASE WHEN g %% 3 = 0 THEN 'recipient.record-consent' ELSE 'campaign.create' END, 'x',
    CASE WHEN g %% 200 = 0 THEN 'refused' ELSE 'applied' END, CASE WHEN g %% 200 = 0 THEN 'id_taken' END,
    CASE WHEN g %% 200 = 0 THEN 'campaign_id' END, 'campaign-' || md5('campaign' || g %% 2000)::uuid, 1, g + 1,
    %(since)s + g * interval '1 second', %(since)s + g * interval '1 second'
FROM generate_series(%(first)s, %(last)s) g""",
    "timers": """
INSERT INTO timers (id, workspace, kind, subject, serves, due_at)
SELECT md5('timer' || g)::uuid, %(workspace)s, 'start', md5('job' || g)::uuid, 1,
    now() + interval '1 day' + g * interval '1 minute' FROM generate_series(%(first)s, %(last)s) g""",
}
FROZEN = f"""
INSERT INTO frozen_audience (root, ordinal, recipient_id, vault_version, account_id)
SELECT %(root)s, g, md5('recipient' || (g + %(offset)s) %% %(people)s)::uuid, 1, {ACCOUNT.format("g")}
FROM generate_series(%(first)s, %(last)s) g"""  # noqa: S608  # of constants
BEGUN = f"""
INSERT INTO read_deliveries (id, workspace, born, position, changed_at, job_id, recipient_id, account_id, ordinal,
    state, part, parts, attempt, wa_id, intended_at)
SELECT md5('delivery' || %(offset)s + g)::uuid, %(workspace)s, %(offset)s + g, %(offset)s + g, %(since)s, %(job)s,
    md5('recipient' || (g + %(offset)s) %% %(people)s)::uuid, {ACCOUNT.format("g")}, g, 'intended', 0, 1, 1,
    '3EB0' || upper(left(md5('wa' || %(offset)s + g), 18)), %(since)s FROM generate_series(%(first)s, %(last)s) g"""  # noqa: S608  # of constants
ENDED = f"""
UPDATE read_deliveries SET state = {STATE.replace("g ", "ordinal ")}, sent_at = %(since)s,
    reason = CASE WHEN ordinal %% 100 BETWEEN 90 AND 94 THEN 'not_on_whatsapp' WHEN ordinal %% 100 IN (95, 96, 97)
    THEN 'opted_out' WHEN ordinal %% 100 = 99 THEN 'deadline' END
WHERE job_id = %(job)s AND ordinal BETWEEN %(first)s AND %(last)s"""  # noqa: S608  # of constants
JOB = """
INSERT INTO read_jobs (id, workspace, born, position, changed_at, campaign_id, campaign_version, title, parts,
    audience_id, audience, recipients, accounts, messages, seconds, approvals_needed, own_approval, submitted_by,
    submitted_at, review_hash, approved_by, status, approved_at, started_at)
SELECT %(job)s, %(workspace)s, %(number)s + 1, %(number)s + 1, %(since)s, md5('campaign' || %(number)s)::uuid, 1,
    (%(titles)s::text[])[1 + %(number)s %% %(kinds)s],
    jsonb_build_array(
        jsonb_build_object('kind', 'text', 'text', (%(titles)s::text[])[1], 'delay', 0, 'reply_to', null)),
    md5('audience' || %(number)s)::uuid,
    %(root)s, %(recipients)s, to_jsonb(%(accounts)s::uuid[]), 1, 30, 1, false,
    (%(principals)s::text[])[1 + %(number)s %% 5],
    %(since)s + %(number)s * interval '1 hour', %(root)s, '[]', %(status)s, %(since)s, %(since)s"""
REACHED = """
INSERT INTO send_cursors (job_id, audience, account_id, ordinal) SELECT %(job)s, %(root)s, unnest(%(accounts)s::uuid[]),
    %(begun)s"""
COUNTED = """
INSERT INTO read_job_counts (id, workspace, intended, "between", sent, delivered, "read", failed, partial, skipped,
    unknown)
SELECT job_id, min(workspace), 0, 0, count(*) FILTER (WHERE state = 'sent'),
    count(*) FILTER (WHERE state = 'delivered'), count(*) FILTER (WHERE state = 'read'),
    count(*) FILTER (WHERE state = 'failed'),
    count(*) FILTER (WHERE state = 'partial'), count(*) FILTER (WHERE state = 'skipped'),
    count(*) FILTER (WHERE state = 'unknown') FROM read_deliveries GROUP BY job_id"""
SUMMED = """
INSERT INTO {table}_sums (workspace, word, rows) SELECT workspace, {word}, count(*) FROM {table} GROUP BY 1, 2
ON CONFLICT (workspace, word) DO UPDATE SET rows = excluded.rows"""
SUMS = {
    "read_accounts": "status",
    "read_audiences": "'imported'",
    "read_campaigns": "CASE WHEN archived THEN 'archived' ELSE 'open' END",
    "read_jobs": "status",
    "read_recipients": "CASE WHEN consented THEN 'consented' ELSE 'opted_out' END",
}


async def fill(connection: AsyncConnection, place: Place, deliveries: int) -> list[PastJob]:
    """Write a history with so many deliveries; its jobs, the largest first."""
    cursor = AsyncClientCursor(connection)  # puts values into the statements' text: they need no types there
    people, jobs = max(deliveries // 4, 100), past_jobs(deliveries)
    found = await cursor.execute(b"SELECT md5('account' || g)::uuid FROM generate_series(0, 19) g")
    accounts = [row[0] for row in await found.fetchall()]
    whole: dict[str, Any] = {
        "workspace": place.workspace,
        "since": SINCE,
        "titles": place.titles,
        "kinds": len(place.titles),
        "principals": place.principals,
        "people": people,
        "accounts": accounts,
    }
    many = {
        "read_accounts": ACCOUNTS,
        "read_audiences": AUDIENCES,
        "read_campaigns": CAMPAIGNS,
        "read_recipients": people,
        "commands": max(deliveries // 5, 100),
        "timers": TIMERS,
    }
    for table, rows in many.items():
        await in_steps(cursor, ROWS[table], whole, 0, rows - 1)
    before = 0
    for job in jobs:
        own = {
            "job": job.id,
            "number": job.number,
            "root": job.root,
            "recipients": job.recipients,
            "begun": job.begun,
            "offset": before,
            "status": "running" if job.number == 0 else "completed",
        }
        await cursor.execute(JOB.encode(), whole | own)
        await cursor.execute(REACHED.encode(), whole | own)
        await in_steps(cursor, FROZEN, whole | own, 1, job.recipients)
        await in_steps(cursor, BEGUN, whole | own, 1, job.begun)
        await in_steps(cursor, ENDED, whole | own, 1, job.begun)
        before += job.recipients
    await cursor.execute(COUNTED.encode())
    for table, word in SUMS.items():
        await cursor.execute(SUMMED.format(table=table, word=word).encode())
    await cursor.execute(b"VACUUM ANALYZE")
    return jobs


async def in_steps(cursor: AsyncClientCursor, statement: str, values: dict[str, Any], first: int, last: int) -> None:
    """Run a statement for rows from `first` to `last`, some thousands at a time."""
    for start in range(first, last + 1, STEP):
        await cursor.execute(statement.encode(), values | {"first": start, "last": min(start + STEP - 1, last)})
