"""A stream's history as people read it: every event in order, who and when, and the state after each."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from rich.table import Table
from rich.text import Text

from domain.catalog import DECIDERS, EVENT_NAMES
from domain.message import Recorded

SHOWN = 44  # characters of one value


def table(title: str, history: Iterable[Recorded]) -> Table:
    """One row an event; `state` is the status that the fold has after it, where the aggregate has one."""
    rows = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column, justify in (("log", "right"), ("v", "right"), ("time (UTC)", "left"), ("by", "left")):
        rows.add_column(column, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # rich's literal type
    rows.add_column("event", no_wrap=True)
    rows.add_column("state", no_wrap=True)
    rows.add_column("what", overflow="ellipsis", no_wrap=True)
    for recorded, state in states(history):
        rows.add_row(
            str(recorded.position),
            str(recorded.version),
            recorded.envelope.time.strftime("%H:%M:%S.%f")[:-3],
            recorded.envelope.actor,
            EVENT_NAMES[type(recorded.event)],
            str(getattr(state, "status", "")),
            Text(what(recorded.event), style="dim"),
        )
    return rows


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
