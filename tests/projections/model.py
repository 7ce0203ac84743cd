"""What the read models must show, said another way: each stream by itself, folded by the domain's own functions."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

import orjson

from domain import catalog
from domain.account import (
    AccountDegraded,
    AccountLinked,
    AccountReady,
    AccountRegistered,
    AccountRemoved,
    AccountRestricted,
    AccountResumed,
    AccountUnlinked,
)
from domain.allowance import AllowanceClosed, AllowanceGranted
from domain.audience import AudienceChosen, AudienceImported
from domain.campaign import CampaignCreated
from domain.content import Part, kind_of
from domain.delivery import Status as Sent
from domain.job import (
    JobApprovalGiven,
    JobApprovalVoided,
    JobApproved,
    JobChangesRequested,
    JobCompleted,
    JobExpired,
    JobFlagged,
    JobRejected,
    JobScheduled,
    JobStartDeferred,
    JobStarted,
    JobStopped,
)
from domain.message import Event, Recorded, StreamId
from domain.recipient import ConsentRecorded, MessageReceived, RecipientErased, RecipientOptedOut
from domain.send import (
    DeliveryDelivered,
    DeliveryRead,
    DeliverySkipped,
    Resolution,
    SendConfirmed,
    SendIntended,
    SendResolved,
)
from domain.submission import JobRevised, JobSubmitted
from domain.template import TemplateCreated

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
    tables |= {f"{table}_sums": sums(tables[table], word) for table, word in SUMS.items()}
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


RULES = (
    "approvals",
    "own_approval",
    "flag_above",
    "flag_links",
    "flagged_approvals",
    "review_messages",
    "messages",
    "seconds",
)
CAPS = ("per_minute", "per_hour", "per_day")


def workspace(history: Sequence[Recorded]) -> dict[str, Any]:
    state = folded(history)
    return {name: getattr(state, name) for name in (*RULES, *CAPS)}


def account(history: Sequence[Recorded]) -> dict[str, Any]:
    state = folded(history)
    since_removed = history[max((i for i, r in enumerate(history) if isinstance(r.event, AccountRemoved)), default=0) :]
    block = last(since_removed, AllowanceGranted, AllowanceClosed)
    return {
        "label": last(history, AccountRegistered).label,
        "registered_at": when(history, AccountRegistered),
        "status": state.status,
        **why(history),
        "session": state.session,
        "linked": state.linked,
        "paused": state.paused,
        "leaving": state.leaving,
        "permits": getattr(block, "spent", getattr(block, "permits", 0)),
        "permits_until": state.allowance.until,
        "deferred_until": state.allowance.deferred_until,
        "deferred_by": state.allowance.deferred_by,
    }


def why(history: Sequence[Recorded]) -> dict[str, Any]:
    """The reasons: of the session's last news, of the restriction that stands, and the one that is shown."""
    moves = (AccountLinked, AccountUnlinked, AccountReady, AccountDegraded)
    session = restriction = None
    ready = False
    for recorded in history:
        match recorded.event:
            case AccountRestricted() as event:
                session, restriction, ready = event.reason if ready else session, event.reason, False
            case AccountResumed():
                restriction = None
            case AccountRemoved():
                session, restriction, ready = None, None, False
            case event if isinstance(event, moves):
                session, ready = getattr(event, "reason", None), isinstance(event, AccountReady)
    return {"reason": restriction or session, "session_reason": session, "restriction": restriction}


def audience(history: Sequence[Recorded]) -> dict[str, Any]:
    event = last(history, AudienceImported, AudienceChosen)
    values = {name: getattr(event, name) for name in ("title", "count")}
    values |= {name: getattr(event, name, 0) for name in ("rejected", "merged")}
    return values | {"imported_at": history[0].envelope.time, "filter": getattr(event, "filter", None)}


def recipient(history: Sequence[Recorded]) -> dict[str, Any]:
    erased = last(history, RecipientErased)
    since = history[max((n for n, one in enumerate(history, 1) if isinstance(one.event, RecipientErased)), default=0) :]
    consent, opted_out, heard = (last(since, kind) for kind in (ConsentRecorded, RecipientOptedOut, MessageReceived))
    return {
        "consented": folded(history).consented,
        "source": consent.source if consent else None,
        "given_at": consent.given_at if consent else None,
        "opted_out_at": opted_out.at if opted_out else None,
        "opted_out_source": opted_out.source if opted_out else None,
        "heard_at": heard.sent_at if heard else None,
        "erased_at": erased.at if erased else None,
    }


def of_person(row: Mapping[str, Any]) -> str:
    """The word by which a person is counted."""
    named = ("erased", row["erased_at"]), ("consented", row["consented"]), ("opted_out", row["opted_out_at"])
    return next((word for word, so in named if so), "heard")


def kept(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Parts by their fields, as JSON has them, each with its kind."""
    return [orjson.loads(orjson.dumps({"kind": kind_of(part), **asdict(part)})) for part in parts]


def campaign(history: Sequence[Recorded]) -> dict[str, Any]:
    state = folded(history)
    return {
        "title": state.title,
        "parts": kept(state.parts),
        "audience_id": state.audience_id,
        "created_by": history[0].envelope.actor,
        "created_at": when(history, CampaignCreated),
        "version": state.version,
        "archived": state.archived,
        "template_id": state.template.template_id if state.template else None,
        "template_version": state.template.version if state.template else None,
    }


def template(history: Sequence[Recorded]) -> dict[str, Any]:
    state = folded(history)
    return {
        "title": state.title,
        "parts": kept(state.parts),
        "created_by": history[0].envelope.actor,
        "created_at": when(history, TemplateCreated),
        "version": state.version,
        "archived": state.archived,
    }


def job(history: Sequence[Recorded]) -> dict[str, Any]:
    first, state = last(history, JobSubmitted), folded(history)
    begun = max(i for i, r in enumerate(history) if isinstance(r.event, JobSubmitted | JobRevised))
    seen, since = history[begun].event, history[begun:]
    assert isinstance(seen, JobSubmitted | JobRevised)
    revisions = [r for r in history if isinstance(r.event, JobRevised)]
    flagged, scheduled, rejected = last(since, JobFlagged), last(since, JobScheduled), last(history, JobRejected)
    changes = last(since, JobChangesRequested)
    deferred = last(since, JobStartDeferred, JobStarted, JobApprovalVoided)
    deferred = deferred if isinstance(deferred, JobStartDeferred) else None
    approved = last(since, JobApproved, JobApprovalVoided)
    same = ("campaign_version", "title", "audience_id", "audience", "recipients", "messages", "seconds", "own_approval")
    approvals, voided = list[str](), list[dict[str, str]]()
    for recorded in history:
        match recorded.event:
            case JobRevised():
                approvals = []
            case JobApprovalGiven(by=by):
                approvals.append(by)
            case JobApprovalVoided(approvals=void, reason=reason):
                approvals = [by for by in approvals if by not in void]
                at = recorded.envelope.time.isoformat()
                voided += [{"by": by, "reason": reason.value, "at": at} for by in void]
    return {name: getattr(seen, name) for name in (*same, "zone", "expires_at", "review_hash")} | {
        "campaign_id": first.campaign_id,
        "parts": kept(seen.parts),
        "accounts": [str(one) for one in seen.accounts],
        "start_at": scheduled.start_at if scheduled else seen.start_at,
        "start_local": seen.start_local.isoformat() if seen.start_local else None,
        "approvals_needed": flagged.approvals if flagged else seen.approvals,
        "flags": [flag.value for flag in flagged.reasons] if flagged else [],
        "submitted_by": first.submitted_by,
        "submitted_at": when(history, JobSubmitted),
        "revisions": len(revisions),
        "revised_by": revisions[-1].event.revised_by if revisions else None,  # type: ignore[attr-defined]  # as filtered
        "revised_at": when(history, JobRevised),
        "approved_by": approvals,
        "voided": voided,
        "status": state.status,
        "rejected_by": rejected.by if rejected else None,
        "note": rejected.note if rejected else None,
        "changes_by": changes.by if changes else None,
        "changes_note": changes.note if changes else None,
        "deferred": deferred.reason if deferred else None,
        "deferred_until": deferred.until if deferred else None,
        "approved_at": when(since, JobApproved) if isinstance(approved, JobApproved) else None,
        "started_at": when(history, JobStarted),
        "ended_at": when(history, JobRejected, JobStopped, JobCompleted, JobExpired),
    }


def delivery(history: Sequence[Recorded]) -> dict[str, Any]:
    state, first = folded(history), history[0].event
    assert isinstance(first, SendIntended | DeliverySkipped)
    steps = [r for r in history if not isinstance(r.event, DeliveryDelivered | DeliveryRead)]
    latest: Any = steps[-1].event
    intended = last(history, SendIntended)
    delivered = [r.envelope.time for r in history if isinstance(r.event, DeliveryDelivered) and r.event.final]
    read = [r.envelope.time for r in history if isinstance(r.event, DeliveryRead) and r.event.final]
    proofs = [r.envelope.time for r in history if proves(r.event)]
    got = state.status.value
    if state.status is Sent.SENT:
        got = "read" if read else "delivered" if delivered else "sent"
    if state.status is Sent.AGAIN:
        got = "between" if latest.part else "again"
    return {
        **{name: getattr(first, name) for name in ("job_id", "recipient_id", "account_id", "ordinal")},
        "state": got,
        "reason": None if proves(latest) else getattr(latest, "reason", getattr(latest, "outcome", None)),
        "part": latest.part,
        "parts": intended.parts if intended else None,
        "attempt": intended.attempt if intended else 0,
        "wa_id": intended.wa_id if intended else None,
        "intended_at": when(history, SendIntended),
        "sent_at": proofs[-1] if proofs else None,
        "delivered_at": delivered[-1] if delivered else None,
        "read_at": read[-1] if read else None,
    }


def proves(event: Event) -> bool:
    """Whether a part was sent, by this event."""
    return isinstance(event, SendConfirmed) or (isinstance(event, SendResolved) and event.outcome is Resolution.SENT)


def counts(deliveries: Rows) -> Rows:
    """Of each job's deliveries, how many are in which state."""
    begun = ("intended", "between", "again", "sent", "delivered", "read")
    states = (*begun, "failed", "partial", "skipped", "unknown", "given_up")
    found: dict[UUID, Counter[str]] = defaultdict(Counter)
    for row in deliveries.values():
        found[row["job_id"]][row["state"]] += 1
    spaces = {row["job_id"]: row["workspace"] for row in deliveries.values()}
    return {job: {"id": job, "workspace": spaces[job], **{s: c[s] for s in states}} for job, c in found.items()}


def sums(rows: Rows, word: Callable[[dict[str, Any]], str]) -> Rows:
    """How many rows a table has, by a word of each."""
    found = Counter((row["workspace"], word(row)) for row in rows.values())
    return {key: {"workspace": key[0], "word": key[1], "rows": many} for key, many in found.items()}


SUMS: Mapping[str, Callable[[dict[str, Any]], str]] = {
    "read_accounts": lambda row: row["status"],
    "read_audiences": lambda row: "chosen" if row["filter"] else "imported",
    "read_campaigns": lambda row: "archived" if row["archived"] else "open",
    "read_jobs": lambda row: row["status"],
    "read_recipients": of_person,
    "read_templates": lambda row: "archived" if row["archived"] else "open",
}
OF: Mapping[str, Mapping[str, Any]] = {
    "workspace": {"read_workspaces": workspace},
    "account": {"read_accounts": account},
    "audience": {"read_audiences": audience},
    "recipient": {"read_recipients": recipient},
    "template": {"read_templates": template},
    "campaign": {"read_campaigns": campaign},
    "job": {"read_jobs": job},
    "delivery": {"read_deliveries": delivery},
}
TABLES = [
    *(table for tables in OF.values() for table in tables),
    "read_job_counts",
    *(f"{table}_sums" for table in SUMS),
]
