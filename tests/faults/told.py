"""What a user is told of each of the sandbox's faults F1 to F18, and of those without a number: the table of the
reference (docs/reference.md), and what test_what_is_told.py sees."""

from dataclasses import dataclass

from api.standing import ACCOUNT, DELIVERY, NOTHING, RESTART, SESSION
from domain.account import Trouble
from domain.ports import SessionState
from projections.outcomes import Outcome

Path = tuple[str, ...]  # states of a delivery, each with its reason: those that it may pass through, then the last
READY = ("ready", None, "ready", "main")
SENT = "sent"
DOUBT = "unknown browser_gone"
LOST = SESSION[SessionState.QR, ""].do
HEALED = "Nothing."


@dataclass(frozen=True)
class Told:
    """What is told of one fault. `stands` is the account's status and reason, its session's state and reason."""

    report: str
    fault: str
    stands: tuple[str, str | None, str, str] = READY
    path: Path = ()
    do: str = HEALED
    later: str = ""  # what to do, once it has lasted for minutes


OF_SESSIONS = (
    Told("F1", "session_lost", ("logged_out", "logged_out", "qr", "scan"), do=LOST),
    Told("F2", "no_code", ("logged_out", "logged_out", "loading", "waiting_for_code"), do=NOTHING, later=RESTART),
    Told("F3", "codes_run_out", ("logged_out", "logged_out", "qr", "scan"), do=LOST),
    Told("F3", "codes_expired", ("logged_out", "logged_out", "qr", "scan"), do=LOST),
    Told("F4", "stuck_loading", ("degraded", "stalled", "syncing", "syncing"), do=NOTHING, later=RESTART),
    Told("F5", "never_ready", ("degraded", "stalled", "loading", "page_loading"), do=NOTHING, later=RESTART),
    Told("F12", "memory_growth", ("degraded", "crashed", "dead", "recycled"), do=NOTHING),
    Told("F14", "banned", ("logged_out", "logged_out", "qr", "scan"), do=LOST),
    Told("F15", "conflict", ("degraded", "conflict", "conflict", "used_elsewhere"), do=SESSION["conflict", ""].do),
    Told(
        "F15",
        "tos_block",
        ("restricted", "banned", "restricted", "tos_block"),
        do=ACCOUNT["restricted", Trouble.BANNED].do,
    ),
    Told(
        "F15",
        "deprecated_version",
        ("degraded", "stalled", "degraded", "deprecated_version"),
        do=SESSION["degraded", "deprecated_version"].do,
    ),
    Told("", "numbers_hidden"),
    Told("F16", "events_dropped", path=(SENT,)),
    Told("F16", "events_doubled", path=(SENT,)),
    Told("F16", "events_shuffled", path=(SENT,)),
)
OF_SENDS = (
    Told("", "not_on_whatsapp", path=("failed not_on_whatsapp",), do=DELIVERY["not_on_whatsapp"]),
    Told("", "nack", path=("failed refused",), do=DELIVERY["refused"]),
    Told("F6", "ack_stuck", path=("unknown deadline",), do=DELIVERY[Outcome.UNKNOWN]),
    Told("F7", "receipts_lost", path=(SENT,)),
    Told("F8", "navigation", path=(DOUBT, SENT)),
    Told("F9", "no_lid", path=(SENT,)),
    Told("F10", "hang_after_wire", path=("unknown deadline", SENT)),
    Told("F11", "duplicate_refused", path=("unknown duplicate_id",), do=DELIVERY[Outcome.UNKNOWN]),
    Told("F13", "profile_locked", path=(DOUBT,), do=DELIVERY[Outcome.UNKNOWN]),
    Told("F17", "killed_before_store", path=(DOUBT,), do=DELIVERY[Outcome.UNKNOWN]),
    Told("F17", "killed_after_store", path=(DOUBT,), do=DELIVERY[Outcome.UNKNOWN]),
    Told("F17", "killed_after_wire", path=(DOUBT, SENT)),
    Told("F17", "killed_after_ack", path=(DOUBT, SENT)),
    Told("F18", "slow_media", path=(SENT,)),
    Told("", "hang_before_wire", path=("unknown deadline",), do=DELIVERY[Outcome.UNKNOWN]),
)
# Refusals of three people in a row.
CAPPED = tuple(
    Told(
        "F14",
        fault,
        ("restricted", "capped", "ready", "main"),
        ("failed refused",),
        ACCOUNT["restricted", Trouble.CAPPED].do,
    )
    for fault in ("reachout_locked", "new_chats_capped")
)
ALL = {told.fault: told for told in (*OF_SESSIONS, *OF_SENDS, *CAPPED)}


def table() -> str:
    """The table as the reference has it."""
    rows = sorted(ALL.values(), key=lambda told: (int(told.report[1:] or 99), told.fault))
    return "\n".join(
        ["| fault | account | session | delivery | what to do |", "|---|---|---|---|---|", *map(row, rows)]
    )


def row(told: Told) -> str:
    status, trouble, session, reason = told.stands
    *before, last = told.path or ("",)
    delivery = f"{' or '.join(map(word, before))}, then {word(last)}" if before else word(last)
    do = f"{told.do} After two minutes: {told.later}" if told.later else told.do
    cells = [f"{told.report} `{told.fault}`".strip(), word(f"{status} {trouble or ''}"), word(f"{session} {reason}")]
    return f"| {' | '.join([*cells, delivery, do])} |"


def word(told: str) -> str:
    """A state and its reason."""
    state, _, reason = told.strip().partition(" ")
    return f"`{state}` (`{reason}`)" if reason else f"`{state}`" if state else ""
