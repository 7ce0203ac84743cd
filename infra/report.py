"""What became of a job: our count from the log beside the recount of the wire, and whether the sums hold."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from adapters.sandbox.ledger import Count
from domain import delivery, job, send
from domain.message import Recorded, StreamId

DELIVERY = delivery.DECIDER


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where one recipient's delivery ended, from its own stream."""

    state: delivery.Status
    reason: str
    parts: int  # SendConfirmed


@dataclass(frozen=True, slots=True)
class Report:
    """The last line of the demo; every figure is counted, none is inferred from another."""

    rows: int
    bad: int
    merged: int
    recipients: int
    outcomes: Counter[delivery.Status]
    skipped: Counter[str]
    stopped: int
    parts: int
    wire: int
    duplicates: int
    lost: int
    seconds: float
    ledger: Path
    failures: Counter[str] = field(default_factory=Counter)

    def line(self) -> dict[str, Any]:
        """The JSON of the last line."""
        of = self.outcomes
        return {
            "rows": self.rows,
            "bad": self.bad,
            "merged": self.merged,
            "recipients": self.recipients,
            "sent": of[delivery.Status.SENT],
            "partial": of[delivery.Status.PARTIAL],
            "failed": of[delivery.Status.FAILED],
            "skipped": dict(sorted(self.skipped.items())),
            "stopped": self.stopped,
            "given_up": of[delivery.Status.GIVEN_UP],
            "unknown": of[delivery.Status.UNKNOWN],
            "parts": self.parts,
            "wire": self.wire,
            "duplicates": self.duplicates,
            "lost": self.lost,
            "seconds": self.seconds,
            "ledger": str(self.ledger),
        }

    def wrong(self, allowed: int = 0) -> list[str]:
        """Each rule that does not hold, as a sentence with its figures; empty when all is well.

        `allowed`: so many recipients may be unknown. The message of each may be on the wire, or not.
        """
        of = self.outcomes
        unknown = of[delivery.Status.UNKNOWN]
        given_up = of[delivery.Status.GIVEN_UP]
        states = sum(self.skipped.values()) + self.stopped + given_up + unknown
        states += of[delivery.Status.SENT] + of[delivery.Status.PARTIAL] + of[delivery.Status.FAILED]
        rules = {
            f"rows {self.rows} = bad {self.bad} + merged {self.merged} + recipients {self.recipients}": self.rows
            == self.bad + self.merged + self.recipients,
            f"recipients {self.recipients} = states {states} + lost {self.lost}": self.recipients == states + self.lost,
            f"duplicates {self.duplicates} = 0": self.duplicates == 0,
            f"lost {self.lost} = 0": self.lost == 0,
        }
        if open_ := unknown + given_up:
            rules[f"unknown {open_} {f'<= {allowed}' if allowed else '= 0'}"] = open_ <= allowed
            rules[f"parts {self.parts} <= wire {self.wire} <= parts + unknown {open_}"] = (
                self.parts <= self.wire <= self.parts + open_
            )
        else:
            rules[f"wire {self.wire} = parts {self.parts}"] = self.wire == self.parts
        return [f"does not hold: {rule}" for rule, holds in rules.items() if not holds]


def outcomes(job_id: UUID, log: Iterable[Recorded]) -> dict[StreamId, Outcome]:
    """Each delivery of a job that was acted on, folded from the log itself."""
    streams: dict[StreamId, list[Recorded]] = {}
    for recorded in log:
        if recorded.stream.startswith("delivery-"):
            streams.setdefault(recorded.stream, []).append(recorded)
    return {
        stream: outcome([recorded.event for recorded in history])
        for stream, history in streams.items()
        if getattr(history[0].event, "job_id", None) == job_id
    }


def outcome(history: Sequence[Any]) -> Outcome:
    """The end of one delivery's history."""
    reasons = [str(event.reason) for event in history if hasattr(event, "reason")]
    confirmed = sum(isinstance(event, send.SendConfirmed) for event in history)
    return Outcome(DELIVERY.fold(history).status, reasons[-1] if reasons else "", confirmed)


def report(
    job_id: UUID,
    log: Sequence[Recorded],
    *,
    rows: int,
    bad: int,
    merged: int,
    wire: Count,
    ledger: Path,
    seconds: float,
) -> Report:
    """Count a job's outcomes from the log."""
    found = outcomes(job_id, log).values()
    job_stream = job.DECIDER.stream(job_id)
    state = job.DECIDER.fold([recorded.event for recorded in log if recorded.stream == job_stream])
    ended = [one for one in found if one.state not in (delivery.Status.INTENDED, *delivery.OPEN)]
    stopped = state.recipients - len(found) if state.status is job.Status.STOPPED else 0
    return Report(
        rows=rows,
        bad=bad,
        merged=merged,
        recipients=state.recipients,
        outcomes=Counter(one.state for one in ended),
        skipped=Counter(one.reason for one in ended if one.state is delivery.Status.SKIPPED),
        stopped=stopped,
        parts=sum(one.parts for one in found),
        wire=wire.distinct,
        duplicates=wire.entries - wire.distinct,
        lost=state.recipients - len(ended) - stopped,
        seconds=round(seconds, 1),
        ledger=ledger,
        failures=Counter(one.reason for one in ended if one.state is delivery.Status.FAILED),
    )
