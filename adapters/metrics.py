"""What this process counts and times, for Prometheus. Labels come from fixed sets: nobody's words make a series."""

from collections import Counter as Tally
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as MEDIA_TYPE

from domain import catalog
from domain.message import Event
from domain.ports import SessionState
from domain.send import (
    DeliveryDelivered,
    DeliveryRead,
    DeliverySkipped,
    Receipt,
    SendConfirmed,
    SendRejected,
    SendUnknown,
)

__all__ = ["MEDIA_TYPE", "REGISTRY"]

OTHER = "other"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SEND_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
IMPORT_SECONDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0)
ITEMS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
RESULTS: dict[type[Event], str] = {
    SendConfirmed: "confirmed",
    SendRejected: "rejected",
    SendUnknown: "unknown",
    DeliverySkipped: "skipped",
}
RECEIPTS: dict[type[Event], Receipt] = {DeliveryDelivered: Receipt.DELIVERED, DeliveryRead: Receipt.READ}

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
REGISTRY = CollectorRegistry()


def counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"drumline_{name}", text, labels, registry=REGISTRY)


def gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"drumline_{name}", text, labels, registry=REGISTRY)


def histogram(name: str, text: str, buckets: Collection[float], *labels: str) -> Histogram:
    return Histogram(f"drumline_{name}", text, labels, registry=REGISTRY, buckets=tuple(buckets))


COMMANDS = counter(
    "commands_total", "Commands answered, by name, state and the rule that refused them.", "command", "state", "rule"
)
INTAKE_ITEMS = histogram("intake_batch_commands", "Commands that were taken off the bus together.", ITEMS)
INTAKE_SECONDS = histogram("intake_batch_duration_seconds", "Deciding and storing one batch of commands.", SECONDS)
INTAKE_APART = counter("intake_apart_messages_total", "Messages that were handled by themselves, for others' sake.")
INTAKE_STUCK = counter(
    "intake_stuck_messages_total", "Messages that the queue brought in vain, and were read by themselves."
)
APPENDED = counter("append_items_total", "Decisions that the log's writer judged, by its verdict.", "verdict")
APPEND_ITEMS = histogram("append_batch_items", "Decisions that shared one transaction of the log.", ITEMS)
APPEND_SECONDS = histogram("append_batch_duration_seconds", "One transaction of the log, with its commit.", SECONDS)
READ = counter("log_events_total", "Events that a reader of the log has taken in.", "reader")
OVER_RATE = counter("commands_over_rate_total", "Commands that came faster than their key's rate.")
WITHOUT_ROOM = counter(
    "commands_without_room_total",
    "Times that a command found no room on the bus, for its key had too many of it waiting; it is published later.",
)
BURIED = counter("buried_messages_total", "Messages put aside that nobody could handle, by the reason.", "reason")
NOT_KEPT = counter(
    "dead_letters_not_kept_total", "Messages put aside whose body was not kept, for a quota was reached.", "reason"
)
SENDS = counter("sends_total", "Outcomes of sends as recorded in the log, by result and reason.", "result", "reason")
SEND_TIME = histogram("send_duration_seconds", "Handing one text to WhatsApp, until it answered.", SEND_SECONDS)
RECEIVED = counter("receipts_total", "Receipts of phones that moved a delivery on.", "receipt")
ARRIVED = counter("messages_received_total", "Messages that people wrote to accounts, by what came of them.", "result")
REQUESTS = histogram(
    "http_request_duration_seconds",
    "HTTP requests, by method, the route's template and the class of the status.",
    SECONDS,
    *("method", "route", "status"),
)
SESSIONS = gauge("sessions", "Sessions that this worker holds, by state.", "state")
SESSION_READY = gauge("session_ready", "Whether an account's session here can send (1) or not (0).", "account")
UNPLACED = gauge("accounts_without_place", "Accounts without a session, for this host holds as many as it may.")
BROWSER_BYTES = gauge("browser_bytes", "Memory that an account's browser took at the last look.", "account")
BROWSERS = gauge("browsers", "Browsers that this worker has open.")
ERASED = counter("people_erased_total", "People of whom all was destroyed that was kept of them.")
LISTENERS = gauge("event_listeners", "Who listens to events now, over server-sent events or a WebSocket.")
CONNECTIONS = gauge("http_connections", "Connections that the HTTP server has open.")
CONNECTIONS_ENDED = counter("http_connections_ended_total", "Connections that the HTTP server ended, by why.", "reason")
HELD = gauge("quota_held", "What is held now of what each key and workspace may hold only so much of.", "quota")
OVER_QUOTA = counter(
    "quota_refusals_total",
    "Refusals of what would have been over a quota: a key's, a workspace's or all.",
    "quota",
    "of",
)
POOL_WAITING = gauge("pool_waiting", "Pieces of work that wait for a thread of a pool.", "pool")
LOST = counter("facts_lost_total", "Things that happened and are not recorded, by what and why.", "fact", "reason")
IMPORTS = counter("imports_total", "Imports that have ended, by how.", "state")
IMPORT_TIME = histogram("import_duration_seconds", "One import, from its upload until it has ended.", IMPORT_SECONDS)
IMPORT_ROWS = counter("import_rows_total", "Rows of lists that were imported, by what became of them.", "outcome")
DISK_FREE = gauge("disk_free_bytes", "Room on the fullest disk under the data directory, as this process saw it last.")
DISK_RESERVE = gauge("disk_reserve_bytes", "Below so much room new work is refused.")
IMPORT_PROGRESS = gauge("import_progress_rows", "Rows of the import that is under way, by how far they are.", "step")

_rules: set[str] = set()
_reasons = frozenset({"crashed", "no_principal", "no_command_id", "seal_broken", "too_large"})
_states: dict[UUID, SessionState] = {}
_browsers: set[UUID] = set()
_taken: set[UUID] = set()  # whose memory is told


def know_rules(rules: Iterable[str]) -> None:
    """The rules that may be told by name; any other is counted as "other"."""
    _rules.update(rules)


def answered(commands: Iterable[tuple[str, str, str]]) -> None:
    """A batch of commands was answered: (name, state, rule or "") of each."""
    for (name, state, rule), count in Tally(commands).items():
        known_name = name if name in catalog.COMMANDS else OTHER
        known_rule = rule if not rule or rule in _rules else OTHER
        COMMANDS.labels(known_name, state, known_rule).inc(count)


def appended(verdicts: Iterable[str], seconds: float) -> None:
    """The log's writer went through one transaction."""
    found = Tally(verdicts)
    APPEND_ITEMS.observe(found.total())
    APPEND_SECONDS.observe(seconds)
    for verdict, count in found.items():
        APPENDED.labels(verdict).inc(count)


def without_room() -> None:
    """A command found no room on the bus, for its key had too many of it waiting."""
    WITHOUT_ROOM.inc()


def buried(reason: str) -> None:
    """A message was put aside."""
    BURIED.labels(reason if reason in _reasons else OTHER).inc()


def not_kept(reason: str) -> None:
    """A message was put aside without its body, or nothing of it was kept: a quota was reached."""
    NOT_KEPT.labels(reason if reason in _reasons else OTHER).inc()


def lost(fact: str, reason: str) -> None:
    """Something that happened could not be recorded: a rule refused it, or it could not be read or stored."""
    LOST.labels(fact, reason if reason in _rules or reason in ("unreadable", "failed") else OTHER).inc()


def outcomes(events: Iterable[Event]) -> None:
    """These events were recorded of sends."""
    for event in events:
        if result := RESULTS.get(type(event)):
            SENDS.labels(result, getattr(event, "reason", "")).inc()
        elif receipt := RECEIPTS.get(type(event)):
            RECEIVED.labels(receipt).inc()


def requested(method: str, route: str | None, status: int, seconds: float) -> None:
    """A request was answered; `route` is the template, None when no route took it."""
    known_method = method if method in METHODS else OTHER
    REQUESTS.labels(known_method, route or "unmatched", f"{status // 100}xx").observe(seconds)


def connection_ended(reason: str) -> None:
    """The HTTP server ended a connection: its head, body or answer took too long, or there was no room for it."""
    CONNECTIONS_ENDED.labels(reason).inc()


def session(account: UUID, state: SessionState | None) -> None:
    """An account's session here came into a state; None: it is held here no more, and its browser is closed."""
    if state is None:
        _browsers.discard(account)
        BROWSERS.set(len(_browsers))
        if _states.pop(account, None) is not None:
            SESSION_READY.remove(str(account))
        if account in _taken:
            _taken.remove(account)
            BROWSER_BYTES.remove(str(account))
    else:
        _states[account] = state
        SESSION_READY.labels(str(account)).set(state is SessionState.READY)
    held = Tally(_states.values())
    for one in SessionState:
        SESSIONS.labels(one).set(held[one])


def browser_takes(account: UUID, size: int) -> None:
    """An account's browser here takes so many bytes."""
    _taken.add(account)
    BROWSER_BYTES.labels(str(account)).set(size)


def browser(account: UUID) -> None:
    """An account's browser was launched here."""
    _browsers.add(account)
    BROWSERS.set(len(_browsers))


def importing(read: int, written: int) -> None:
    """How far the import is that is under way; none is when both are 0."""
    IMPORT_PROGRESS.labels("read").set(read)
    IMPORT_PROGRESS.labels("written").set(written)


def import_ended(state: str, seconds: float) -> None:
    """An import has ended."""
    IMPORTS.labels(state).inc()
    IMPORT_TIME.observe(seconds)
    importing(0, 0)


def rows_imported(outcomes: Mapping[str, int]) -> None:
    """The rows of a list that was imported, by what became of them."""
    for outcome, count in outcomes.items():
        IMPORT_ROWS.labels(outcome).inc(count)


def exposition() -> bytes:
    """All of it as Prometheus reads it."""
    return generate_latest(REGISTRY)
