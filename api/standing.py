"""What an account's state means to a person, and what there is to be done about it, or about a delivery."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from adapters.sessions import SessionNow
from domain.account import Status, Trouble
from domain.ports import SessionState as State
from domain.send import Rejection
from projections.outcomes import Outcome

LONG = timedelta(minutes=2)  # of what passes by itself


@dataclass(frozen=True, slots=True)
class Advice:
    """Two sentences."""

    says: str
    do: str


NOTHING = "Nothing: it goes on by itself."
RESTART = "Restart the session (`POST /v1/accounts/{account_id}/restart`)."
SCAN = "Scan the QR with the phone (WhatsApp, Linked devices), or ask for a link code and type it there."
AGAIN = "Link the phone again: the session shows a new QR."

# By the account's own state, where that outweighs its session's; a reason of "" is any.
ACCOUNT: Mapping[tuple[str, str], Advice] = {
    (Status.REMOVED, ""): Advice("The account was given up for good.", "Register another account for this number."),
    (Status.LOGGING_OUT, ""): Advice("Somebody wants it logged out; its session does so now.", NOTHING),
    (Status.RESTRICTED, Trouble.CAPPED): Advice(
        "WhatsApp lets this number write to no new people for a time, or to nobody.",
        "Wait until the phone sends again, send less, then resume the account; never go on with another number.",
    ),
    (Status.RESTRICTED, Trouble.BANNED): Advice(
        "WhatsApp banned this number, or blocked it for its terms of service.",
        "Open WhatsApp on the phone and ask for a review; resume the account only once the phone can send again.",
    ),
    ("paused", ""): Advice("Somebody paused it: nothing is sent.", "Resume it when it may send again."),
}
# By its session's.
SESSION: Mapping[tuple[str, str], Advice] = {
    (State.LAUNCHING, ""): Advice("Its browser is starting.", NOTHING),
    (State.LOADING, ""): Advice("WhatsApp Web is loading.", NOTHING),
    (State.LOADING, "waiting_for_code"): Advice("WhatsApp has not given it a QR yet.", NOTHING),
    (State.QR, ""): Advice("It waits for a phone.", SCAN),
    (State.QR, "idle"): Advice("Its QR codes ran out unscanned; new ones are on their way.", NOTHING),
    (State.SYNCING, ""): Advice("A phone has linked it, and its messages are being fetched.", NOTHING),
    (State.READY, ""): Advice("It can send and receive.", "Nothing."),
    (State.DEGRADED, ""): Advice("It cannot send at the moment.", RESTART),
    (State.DEGRADED, "offline"): Advice(
        "It has lost its connection to WhatsApp.",
        "Nothing: it connects again by itself; if not, look at this host's network.",
    ),
    (State.DEGRADED, "unreachable"): Advice(
        "WhatsApp Web cannot be reached from this host; it is tried every two seconds.",
        "Look at this host's network and names, and at `DRUMLINE_WHATSAPP_URL`.",
    ),
    (State.DEGRADED, "page_hung"): Advice("Its page does not answer.", RESTART),
    (State.DEGRADED, "page_error"): Advice("Its page says what drumline cannot read.", RESTART),
    (State.DEGRADED, "needs_update"): Advice("WhatsApp wants its page loaded anew.", RESTART),
    (State.DEGRADED, "deprecated_version"): Advice(
        "WhatsApp no longer serves this version of its page or of the browser.",
        "Restart the session; if that does not help, bring Chromium and drumline up to date.",
    ),
    (State.CONFLICT, ""): Advice(
        "Another window uses WhatsApp Web with this profile.", "Close the other one, then restart the session."
    ),
    (State.RESTRICTED, ""): Advice(
        "WhatsApp forbids this number to send.",
        "Look at WhatsApp on the phone; resume the account once it can send again.",
    ),
    (State.RESTRICTED, "proxy_block"): Advice(
        "WhatsApp blocks the address that this host comes from.",
        "Let it come from another network, then resume the account.",
    ),
    (State.LOGGED_OUT, ""): Advice("The phone has unlinked it.", AGAIN),
    (State.DEAD, ""): Advice("Its browser is gone; it is opened anew, after a pause that grows to a minute.", NOTHING),
    (State.DEAD, "recycled"): Advice("Its browser had taken too much memory, and is opened anew.", NOTHING),
    (State.DEAD, "launch_failed"): Advice(
        "Its browser does not start; it is tried again.",
        "If it stays so, run `drumline doctor`, and look at the worker's log.",
    ),
    (State.DEAD, "no_room"): Advice(
        "It has no session: this host holds as many as it may.",
        "Raise `DRUMLINE_SESSIONS_MAX` if there is memory for it, run a further host, or remove an account.",
    ),
    (State.DEAD, "no_worker"): Advice(
        "It has no session: no worker holds it.", "Start `drumline work sessions` on the host that has its profile."
    ),
}
# Of a delivery: by its reason where it was not sent, by its state where nobody can tell.
RESOLVE = "resolve the delivery (`POST /v1/deliveries/{delivery_id}/resolve`). Nothing of it is sent again."
DELIVERY: Mapping[str, str] = {
    Outcome.UNKNOWN: f"What the account's page shows is found without you; else look at the chat, and {RESOLVE}",
    Outcome.GIVEN_UP: f"Look at the chat, and {RESOLVE}",
    Rejection.NOT_ON_WHATSAPP: "Correct the number, or leave it out of the next list.",
    Rejection.REFUSED: "Look at WhatsApp on the account's phone: it may say why.",
    Rejection.TOO_LONG: "Shorten the text, or what its variables bring, and send another job.",
    Rejection.UNRENDERABLE: "Give this person what the text's variables need, and send another job.",
    Rejection.MEDIA_GONE: "Upload the file again, and send another job.",
    Rejection.NOT_READY: "See that the account's session stays ready, and send another job.",
}
STUCK = Advice("It has been starting for minutes, and WhatsApp Web does not get further.", RESTART)
LATE = {State.LAUNCHING, State.LOADING, State.SYNCING}
# Of an account without a session's word: what was last said of it.
PAST: Mapping[Status, tuple[str, str]] = {
    Status.LINKED: (State.SYNCING, ""),
    Status.READY: (State.READY, ""),
    Status.DEGRADED: (State.DEGRADED, ""),
    Status.LOGGED_OUT: (State.LOGGED_OUT, ""),
}
OPEN = (Outcome.PENDING, Outcome.INTENDED)
SOON = Advice("No worker has opened its session yet.", "Nothing, if `drumline work sessions` runs: else start it.")


def to_do(outcome: Outcome, reason: str | None) -> str:
    """What there is to be done about a delivery."""
    unsent = outcome in (Outcome.FAILED, Outcome.PARTIAL)
    return DELIVERY.get(reason or "" if unsent else outcome, NOTHING if outcome in OPEN else "Nothing.")


def standing(
    status: Status, reason: Trouble | None, *, paused: bool, session: SessionNow | None, now: datetime
) -> Advice:
    """What is to be told. A restriction, a log-out or a removal outweighs a pause, that what its session says."""
    told = ACCOUNT.get((status, reason or "")) or ACCOUNT.get((status, ""))
    if told is None and paused:
        told = ACCOUNT["paused", ""]
    if told is not None:
        return told
    if session is None:
        return SESSION[PAST[status]] if status in PAST else SOON
    if session.state in LATE and now - session.at > LONG:
        return STUCK
    return SESSION.get((session.state, session.reason)) or SESSION[session.state, ""]
