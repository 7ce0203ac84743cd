"""A stream's history as people read it: every event in order, who and when, and the state after each."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from adapters.event_store import EventStore
from domain.catalog import DECIDERS, EVENT_NAMES
from domain.message import Recorded, StreamId
from infra import deploy
from infra.settings import Settings, SettingsError

SHOWN = 44  # characters of one value
INDENT = 13
WIDE = 10_000  # a file has no width
HEAD = f"{'log':>6} {'v':>4}  {'UTC':<12}  {'by':<15} {'event':<26} state"


async def run(settings: Settings, stream: str, version: int | None, at: int | None, as_of: str) -> None:
    """Print a stream's history up to a version of it, a position of the log, a time: the first that is reached."""
    until = moment(as_of) if as_of else None
    store = EventStore(await deploy.database_of(settings))
    store.start()
    try:
        whole, head = await store.history(StreamId(stream)), await store.head()
    finally:
        await store.stop()
    if not whole:
        raise SettingsError(f"There is no stream {stream}.")
    first = whole[0]
    if version is not None and version > whole[-1].version:
        raise SettingsError(f"--version: {stream} ends at version {whole[-1].version}.")
    if at is not None and at > head:
        raise SettingsError(f"--at: the log ends at position {head}.")
    if at is not None and at < first.position:
        raise SettingsError(f"--at: {stream} begins at position {first.position}.")
    if until is not None and until < first.envelope.time:
        raise SettingsError(f"--as-of: {stream} begins at {first.envelope.time.isoformat()}.")
    history = [
        recorded
        for recorded in whole
        if (version is None or recorded.version <= version)
        and (at is None or recorded.position <= at)
        and (until is None or recorded.envelope.time <= until)
    ]
    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    console.print(table(stream, history))


def moment(text: str) -> datetime:
    """A time that names its offset. Raises SettingsError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"--as-of: {text} is not a time, as in 2026-11-21T09:00:00+01:00.") from None
    if found.tzinfo is None:
        raise SettingsError(f"--as-of: {text} does not name its offset, as in 2026-11-21T09:00:00+01:00.")
    return found


def table(title: str, history: Iterable[Recorded]) -> Group:
    """Two lines an event: where, when, who and what it is, with the state the fold has after it; then what it says."""
    lines: list[RenderableType] = [Text(title, style="bold"), Text(HEAD, style="dim")]
    for recorded, state in states(history):
        time = recorded.envelope.time.strftime("%H:%M:%S.%f")[:-3]
        row = f"{recorded.position:>6} {recorded.version:>4}  {time}  {recorded.envelope.actor:<15} "
        status = str(getattr(state, "status", ""))
        lines.append(Text.assemble(row, (f"{EVENT_NAMES[type(recorded.event)]:<26} ", "bold"), (status, "green")))
        if said := what(recorded.event):
            lines.append(Padding(Text(said, style="dim", overflow="fold"), (0, 0, 0, INDENT), expand=False))
    return Group(*lines)


def states(history: Iterable[Recorded]) -> Iterable[tuple[Recorded, Any]]:
    """Each event with the state it led to."""
    state: Any = None
    for recorded in history:
        decider = DECIDERS[recorded.stream.partition("-")[0]]
        state = decider.evolve(decider.initial if state is None else state, recorded.event)
        yield recorded, state


def what(event: Any) -> str:
    """An event's own fields, short."""
    return " ".join(f"{field.name}={short(getattr(event, field.name))}" for field in fields(event))


def short(value: Any) -> str:
    """A value on a line: lists by their length when long, digests by their beginning."""
    if isinstance(value, tuple):
        return f"[{', '.join(short(one) for one in value[:2])}{', …' if len(value) > 2 else ''}]"
    if is_dataclass(value):
        return "(" + " ".join(short(getattr(value, field.name)) for field in fields(value)) + ")"
    text = str(value.value if isinstance(value, Enum) else value)
    if len(text) in (36, 64):
        return text[:8]
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
