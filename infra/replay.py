"""A stream's history as people read it: every event in order, who and when, and the state after each."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from domain.catalog import DECIDERS, EVENT_NAMES
from domain.message import Recorded

SHOWN = 44  # characters of one value
INDENT = 13
HEAD = f"{'log':>6} {'v':>4}  {'UTC':<12}  {'by':<15} {'event':<26} state"


def table(title: str, history: Iterable[Recorded]) -> Group:
    """Two lines an event: where, when, who and what it is, with the state the fold has after it; then what it says."""
    lines: list[RenderableType] = [Text(title, style="bold"), Text(HEAD, style="dim")]
    for recorded, state in states(history):
        time = recorded.envelope.time.strftime("%H:%M:%S.%f")[:-3]
        row = f"{recorded.position:>6} {recorded.version:>4}  {time}  {recorded.envelope.actor:<15} "
        status = str(getattr(state, "status", ""))
        lines.append(Text.assemble(row, (f"{EVENT_NAMES[type(recorded.event)]:<26} ", "bold"), (status, "green")))
        if said := what(recorded.event):
            lines.append(Padding(Text(said, style="dim", overflow="fold"), (0, 0, 0, INDENT)))
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
