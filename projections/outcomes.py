"""What is asked of deliveries: every recipient of a job in order, reached or not; a person's in all jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any, NewType
from uuid import UUID

from psycopg import AsyncConnection, sql

from domain.message import WorkspaceId
from domain.send import delivery_id
from projections import deliveries
from projections.deliveries import TABLE, Row, State
from projections.jobs import CUT_OFF, Job
from projections.listing import Filter, Listing, Way
from projections.table import COMMA

Reason = NewType("Reason", str)  # a word of domain/send.py


class Outcome(StrEnum):
    """Where a recipient of a job stands, as people are told."""

    PENDING = "pending"
    INTENDED = "intended"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    PARTIAL = "partial"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    GIVEN_UP = "given_up"
    STOPPED = "stopped"


NOT_BEGUN = (Outcome.PENDING, Outcome.STOPPED)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A recipient of a job; `row` is None until the delivery is begun."""

    id: UUID
    job_id: UUID
    recipient_id: UUID
    account_id: UUID
    ordinal: int
    outcome: Outcome
    row: Row | None


ACCOUNT = Filter("account", UUID, "account_id", "Only those by this account.", "0f6d7a52-1b1c-5d0e-8f57-1a1d3a0f6c22")
RECIPIENT = Filter(
    "recipient", UUID, "recipient_id", "Only that of this recipient.", "e7e9a1f0-55f0-5b5a-8a0c-2b1c0d9e8f33"
)
REASON = Filter("reason", Reason, "reason", "Only those skipped, failed or unknown for this reason.", "opted_out")
PART = Filter("part", int, "part", "Only those whose last begun part is this one, from 1.", 1)
JOB = Filter("job", UUID, "job_id", "Only that of this job.", "d0a3b7f4-2f2f-5a0c-9a43-6f0c6f3b8e21")
STATE = Filter("state", Outcome, "state", "Only recipients in this state.", "failed")

OF_JOB = {one.name: one for one in (STATE, REASON, ACCOUNT, RECIPIENT, PART)}  # what a job's may be asked for
ONE = Filter("id", UUID, "id", "", None)
BEGUN = Listing(
    TABLE.name,
    Row,
    [JOB, STATE, REASON, ACCOUNT, PART, ONE],
    [Way(("job", "reason")), Way(("job", "state")), Way(("job",))],
    order=("ordinal",),
    newest=False,
)
OF_PERSON = {one.name: one for one in (JOB, ACCOUNT, REASON)}
OF_RECIPIENT = Listing(TABLE.name, Row, [RECIPIENT, *OF_PERSON.values()], [Way(("recipient",))])

COLUMNS = COMMA.join(sql.Identifier("begun", column) for column in TABLE.columns)
MEMBERS = sql.SQL("""
WITH members AS MATERIALIZED (SELECT * FROM ({}) bounded LIMIT %(limit)s)
SELECT members.*, {} FROM members
LEFT JOIN LATERAL (
    SELECT * FROM read_deliveries WHERE job_id = %(job)s AND ordinal = members.ordinal LIMIT 1
) begun ON true ORDER BY members.ordinal
""")
MEMBER = "SELECT recipient_id, account_id, ordinal FROM frozen_audience WHERE root = %(root)s AND ordinal > %(after)s"
MOST = 1_000  # said to the planner, who takes an unknown limit for a tenth of the table
IN_ORDER = f" ORDER BY ordinal LIMIT {MOST}"
# Nobody up to an account's cursor is still to come: that is where to look from. It may be gone; then all are looked at.
WAITING = f"""
SELECT member.* FROM unnest(%(accounts)s::uuid[]) AS account (id)
LEFT JOIN send_cursors reached
ON reached.job_id = %(job)s AND reached.audience = %(root)s AND reached.account_id = account.id
CROSS JOIN LATERAL (
    SELECT * FROM (
        SELECT recipient_id, account_id, ordinal FROM frozen_audience member
        WHERE root = %(root)s AND account_id = account.id
        AND ordinal > greatest(%(after)s, coalesce(reached.ordinal, 0))
        AND (SELECT id FROM read_deliveries WHERE job_id = %(job)s AND ordinal = member.ordinal LIMIT 1) IS NULL
        ORDER BY ordinal LIMIT {MOST}
    ) bounded LIMIT %(limit)s
) member ORDER BY ordinal LIMIT {MOST}
"""  # noqa: S608  # of constants


def with_begun(query: str) -> bytes:
    """The statement for members of a job's audience, with what was begun of them."""
    return MEMBERS.format(sql.SQL(query), COLUMNS).as_bytes()


EVERYBODY = with_begun(MEMBER + IN_ORDER)
OF_ACCOUNT = with_begun(f"{MEMBER} AND account_id = %(account)s{IN_ORDER}")
PERSON = with_begun(
    "SELECT recipient_id, account_id, ordinal FROM (SELECT * FROM frozen_audience WHERE recipient_id = %(recipient)s "
    "OFFSET 0) few WHERE root = %(root)s AND ordinal > %(after)s"
)
STILL = with_begun(WAITING)
STATUSES = "SELECT id, status FROM read_jobs WHERE id = ANY(%s)"


def outcome_of(row: Row | None, status: str | None) -> Outcome:
    """What people are told of a delivery, given its job's status."""
    stopped = status in CUT_OFF
    if row is None or row.state == State.AGAIN:
        return Outcome.STOPPED if stopped else Outcome.PENDING
    if row.state == State.BETWEEN:  # one part was sent, the next will be, unless the job was stopped
        return Outcome.PARTIAL if stopped else Outcome.INTENDED
    return Outcome(row.state)


def states_of(outcome: Outcome, status: str) -> list[State]:
    """The states of begun deliveries that are told as this outcome."""
    if outcome in NOT_BEGUN:
        return [State.AGAIN]
    between = Outcome.PARTIAL if status in CUT_OFF else Outcome.INTENDED
    return [State(outcome), State.BETWEEN] if outcome is between else [State(outcome)]


def told(row: Row, status: str | None) -> Delivery:
    """A delivery that was begun."""
    outcome = outcome_of(row, status)
    return Delivery(row.id, row.job_id, row.recipient_id, row.account_id, row.ordinal, outcome, row)


Part = tuple[list[Delivery], int | None]
"""Deliveries in order, and the ordinal up to which there are no others; None: there are none at all."""


async def of_job(connection: AsyncConnection, job: Job, asked: Mapping[str, Any], after: int, limit: int) -> Part:
    """Recipients of a job, of those behind ordinal `after`, that fit what is asked for (by OF_JOB)."""
    outcome = asked.get("state")
    if outcome in NOT_BEGUN and (outcome is not outcome_of(None, job.row.status) or not getattr(job.counts, outcome)):
        return [], None
    of_what_was_begun = "reason" in asked or "part" in asked
    parts = []
    if outcome is not None or of_what_was_begun:
        parts += await begun(connection, job, asked, after, limit)
    if (outcome is None or outcome in NOT_BEGUN) and not of_what_was_begun:
        parts.append(await in_audience(connection, job, asked, after, limit))
    edge = min((edge for _, edge in parts if edge is not None), default=None)
    found = sorted((one for part, _ in parts for one in part), key=attrgetter("ordinal"))
    found = [one for one in found if edge is None or one.ordinal <= edge]
    return (found[:limit], found[limit - 1].ordinal) if len(found) > limit else (found, edge)


async def begun(connection: AsyncConnection, job: Job, asked: Mapping[str, Any], after: int, limit: int) -> list[Part]:
    """Those that were begun, a part for each state that is told as the one asked for."""
    row, values = job.row, {name: value for name, value in asked.items() if name not in ("state", "recipient")}
    values["job"] = row.id
    if "recipient" in asked:
        values["id"] = delivery_id(row.id, asked["recipient"])
    if "part" in asked:
        values["part"] = asked["part"] - 1  # people count from 1
    states = [{"state": state} for state in states_of(asked["state"], row.status)] if "state" in asked else [{}]
    pages = [await BEGUN.page(connection, row.workspace, values | state, [after], limit) for state in states]
    return [([told(one, row.status) for one in page.rows], page.next[0] if page.next else None) for page in pages]


async def in_audience(connection: AsyncConnection, job: Job, asked: Mapping[str, Any], after: int, limit: int) -> Part:
    """Members of a job's audience; when a state is asked for, only those of whom nothing was begun."""
    found = await (await connection.execute(*question(job, asked, after, limit))).fetchall()
    members = [member(one, job) for one in found]
    fits = [one for one in members if asked.get("account", one.account_id) == one.account_id]
    if "state" in asked:
        fits = [one for one in fits if one.row is None]
    return fits[:limit], fits[limit - 1].ordinal if len(fits) > limit else None


def question(job: Job, asked: Mapping[str, Any], after: int, limit: int) -> tuple[bytes, dict[str, Any]]:
    """The statement that leads to these members of an audience, and its parameters."""
    accounts = [asked["account"]] if "account" in asked else job.row.accounts
    values = {"job": job.row.id, "root": job.row.audience, "accounts": accounts, "after": after, "limit": limit + 1}
    if "recipient" in asked:
        return PERSON, values | {"recipient": asked["recipient"]}
    if "state" in asked:
        return STILL, values
    return (OF_ACCOUNT, values | {"account": asked["account"]}) if "account" in asked else (EVERYBODY, values)


async def told_all(connection: AsyncConnection, found: Sequence[Row]) -> list[Delivery]:
    """Deliveries of several jobs, each told by how its job stands."""
    jobs_of = list({row.job_id for row in found})
    statuses: dict[UUID, str] = dict(await (await connection.execute(STATUSES, [jobs_of])).fetchall())
    return [told(row, statuses.get(row.job_id)) for row in found]


def member(found: Sequence[Any], job: Job) -> Delivery:
    """A member of the job's audience, with the delivery if it was begun."""
    recipient, account, ordinal, *begun = found
    row = Row(*begun) if begun[TABLE.columns.index("id")] is not None else None
    outcome = outcome_of(row, job.row.status)
    id_ = row.id if row else delivery_id(job.row.id, recipient)
    return Delivery(id_, job.row.id, recipient, account, ordinal, outcome, row)


async def one(connection: AsyncConnection, workspace: WorkspaceId, id_: UUID) -> Delivery | None:
    """A delivery that was begun, by its id."""
    row = await deliveries.TABLE.one(connection, workspace, id_)
    return (await told_all(connection, [row]))[0] if row else None
