"""What the read models must show, said another way: each stream by itself, folded by the domain's own functions."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from domain import catalog
from domain.account import (
    AccountDegraded,
    AccountLinked,
    AccountReady,
    AccountRegistered,
    AccountRestricted,
    AccountUnlinked,
    AllowanceGranted,
)
from domain.account import Status as AccountStatus
from domain.audience import AudienceImported
from domain.campaign import CampaignCreated
from domain.delivery import Status as Sent
from domain.job import JobApprovalGiven, JobApproved, JobCompleted, JobRejected, JobScheduled, JobStarted, JobStopped
from domain.message import Event, Recorded, StreamId
from domain.recipient import ConsentRecorded, RecipientOptedOut
from domain.send import DeliveryDelivered, DeliveryRead, DeliverySkipped, SendConfirmed, SendIntended
from domain.submission import JobSubmitted

Rows = dict[Any, dict[str, Any]]


def shown(log: Sequence[Recorded]) -> dict[str, Rows]:
    """Every table's rows by key, after this log."""
    streams: dict[StreamId, list[Recorded]] = defaultdict(list)
    for recorded in log:
        streams[recorded.stream].append(recorded)
    tables: dict[str, Rows] = {name: {} for name in TABLES}
    for stream, history in streams.items():
        aggregate, _, name = stream.partition("-")
        own = {} if aggregate == "workspace" else {"id": UUID(name)}
        for table, make in OF[aggregate].items():
            if (made := make(history)) is not None:
                tables[table][own.get("id", name)] = common(history) | own | made
    tables["read_job_counts"] = counts(tables["read_deliveries"])
    return tables


def common(history: Sequence[Recorded]) -> dict[str, Any]:
    return {
        "workspace": history[0].envelope.workspace,
        "born": history[0].position,
        "position": history[-1].position,
        "changed_at": history[-1].envelope.time,
    }


def last(history: Sequence[Recorded], *kinds: type[Event]) -> Any:
    """The last event of these kinds, or None."""
    return next((r.event for r in reversed(history) if isinstance(r.event, kinds)), None)


def when(history: Sequence[Recorded], *kinds: type[Event]) -> Any:
    """The time of the last event of these kinds, or None."""
    return next((r.envelope.time for r in reversed(history) if isinstance(r.event, kinds)), None)


def folded(history: Sequence[Recorded]) -> Any:
    return catalog.DECIDERS[history[0].stream.partition("-")[0]].fold([recorded.event for recorded in history])


def workspace(history: Sequence[Recorded]) -> dict[str, Any]:
    state = folded(history)
    return {name: getattr(state, name) for name in ("approvals", "own_approval", "messages", "seconds")}


def account(history: Sequence[Recorded]) -> dict[str, Any]:
    state = folded(history)
    granted = last(history, AllowanceGranted)
    moved = last(history, AccountLinked, AccountUnlinked, AccountReady, AccountDegraded, AccountRestricted)
    return {
        "label": last(history, AccountRegistered).label,
        "registered_at": when(history, AccountRegistered),
        "status": state.status,
        "reason": None if state.status is AccountStatus.READY else getattr(moved, "reason", None),
        "linked": state.linked,
        "paused": state.paused,
        "permits": granted.permits if granted else 0,
        "permits_until": state.until,
    }


def audience(history: Sequence[Recorded]) -> dict[str, Any]:
    event = last(history, AudienceImported)
    values = {name: getattr(event, name) for name in ("title", "count", "rejected", "merged")}
    return values | {"imported_at": history[0].envelope.time}


def recipient(history: Sequence[Recorded]) -> dict[str, Any]:
    consent, opted_out = last(history, ConsentRecorded), last(history, RecipientOptedOut)
    return {
        "consented": folded(history).consented,
        "source": consent.source if consent else None,
        "given_at": consent.given_at if consent else None,
        "opted_out_at": opted_out.at if opted_out else None,
    }


def campaign(history: Sequence[Recorded]) -> dict[str, Any]:
    state = folded(history)
    return {
        "title": state.title,
        "parts": [part.text for part in state.parts],
        "audience_id": state.audience_id,
        "created_by": history[0].envelope.actor,
        "created_at": when(history, CampaignCreated),
        "version": state.version,
        "archived": state.archived,
    }


def submission(history: Sequence[Recorded]) -> dict[str, Any]:
    event = last(history, JobSubmitted)
    same = ("campaign_id", "campaign_version", "title", "audience_id", "audience", "recipients", "start_at")
    more = ("messages", "seconds", "own_approval", "submitted_by", "review_hash")
    return {name: getattr(event, name) for name in (*same, *more)} | {
        "parts": [part.text for part in event.parts],
        "accounts": [str(one) for one in event.accounts],
        "approvals_needed": event.approvals,
        "submitted_at": when(history, JobSubmitted),
        "approved_by": [r.event.by for r in history if isinstance(r.event, JobApprovalGiven)],
    }


def job(history: Sequence[Recorded]) -> dict[str, Any]:
    rejected, scheduled = last(history, JobRejected), last(history, JobScheduled)
    made = submission(history) | {
        "status": folded(history).status,
        "rejected_by": rejected.by if rejected else None,
        "note": rejected.note if rejected else None,
        "approved_at": when(history, JobApproved),
        "started_at": when(history, JobStarted),
        "ended_at": when(history, JobRejected, JobStopped, JobCompleted),
    }
    return made | ({"start_at": scheduled.start_at} if scheduled else {})


def awaiting_review(history: Sequence[Recorded]) -> dict[str, Any] | None:
    """A job that nobody answered or stopped; what happens to one afterwards shows nowhere."""
    if last(history, JobApproved, JobRejected, JobStopped):
        return None
    own = [r for r in history if isinstance(r.event, JobSubmitted | JobApprovalGiven)]
    return submission(history) | {"position": own[-1].position, "changed_at": own[-1].envelope.time}


def delivery(history: Sequence[Recorded]) -> dict[str, Any]:
    state, first = folded(history), history[0].event
    assert isinstance(first, SendIntended | DeliverySkipped)
    steps = [r for r in history if not isinstance(r.event, DeliveryDelivered | DeliveryRead)]
    latest: Any = steps[-1].event
    intended = last(history, SendIntended)
    delivered = [r.envelope.time for r in history if isinstance(r.event, DeliveryDelivered) and r.event.final]
    read = [r.envelope.time for r in history if isinstance(r.event, DeliveryRead) and r.event.final]
    got = state.status.value
    if state.status is Sent.SENT:
        got = "read" if read else "delivered" if delivered else "sent"
    return {
        **{name: getattr(first, name) for name in ("job_id", "recipient_id", "account_id", "ordinal")},
        "state": got,
        "reason": getattr(latest, "reason", None),
        "part": latest.part,
        "parts": intended.parts if intended else None,
        "attempt": intended.attempt if intended else 0,
        "wa_id": intended.wa_id if intended else None,
        "intended_at": when(history, SendIntended),
        "sent_at": when(history, SendConfirmed),
        "delivered_at": delivered[-1] if delivered else None,
        "read_at": read[-1] if read else None,
    }


def counts(deliveries: Rows) -> Rows:
    """Of each job's deliveries, how many are in which state."""
    states = ("intended", "between", "sent", "delivered", "read", "failed", "partial", "skipped", "unknown")
    found: dict[UUID, Counter[str]] = defaultdict(Counter)
    for row in deliveries.values():
        found[row["job_id"]][row["state"]] += 1
    spaces = {row["job_id"]: row["workspace"] for row in deliveries.values()}
    return {job: {"id": job, "workspace": spaces[job], **{s: c[s] for s in states}} for job, c in found.items()}


OF: Mapping[str, Mapping[str, Any]] = {
    "workspace": {"read_workspaces": workspace},
    "account": {"read_accounts": account},
    "audience": {"read_audiences": audience},
    "recipient": {"read_recipients": recipient},
    "campaign": {"read_campaigns": campaign},
    "job": {"read_jobs": job, "read_review_queue": awaiting_review},
    "delivery": {"read_deliveries": delivery},
}
TABLES = [*(table for tables in OF.values() for table in tables), "read_job_counts"]
