"""What a demo shows: steps, live progress (plain lines without a terminal), a table of outcomes."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from domain import delivery
from infra.report import Report

Show = Callable[[Mapping[str, int], str], None]
BAR = 40  # cells at most; the words behind it have the rest of the line
SHADES = (("read", "cyan"), ("delivered", "green"), ("sent", "yellow"), ("skipped", "blue"), ("failed", "red"))
USUAL = ("read", "delivered", "sent", "skipped")
EVERY = 2.0  # seconds between plain lines


class Screen:
    """The demo's terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def title(self, name: str, motto: str) -> None:
        self._console.print(Text.assemble("\n", (name, "bold"), "  ", (motto, "dim"), "\n"))

    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._began

    def step(self, name: str, what: str, *, good: bool = True) -> None:
        """Something that happened, with the second it happened in."""
        mark = ("✓", "green") if good else ("✗", "yellow")
        seconds = f"{self.seconds():5.1f}s "
        head = Text.assemble((seconds, "dim"), mark, " ", (f"{name:<10}", "bold"))
        if not self._console.is_terminal:  # a log has no width
            self._console.print(Text.assemble(head, " ", what), soft_wrap=True)
            return
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(head, Text(what))
        self._console.print(grid)

    def note(self, what: str) -> None:
        if self._console.is_terminal:
            self._console.print(Padding(Text(what, style="dim"), (0, 0, 0, 20), expand=False))
        else:
            self._console.print(f"{'':20}{what}", soft_wrap=True)

    def wrong(self, sentence: str) -> None:
        self._console.print(Text(f"✗ {sentence}", style="bold red"))

    def table(self, rows: RenderableType) -> None:
        self._console.print()
        self._console.print(rows)
        self._console.print()

    @contextmanager
    def progress(self) -> Iterator[Show]:
        """Show a job's counts as they change: one live line on a terminal, else a line every two seconds."""
        if self._console.is_terminal:
            with Live(console=self._console, refresh_per_second=8) as live:
                yield lambda counts, status: live.update(board(counts, status, self._console.width))
        else:
            yield self._plain()

    def _plain(self) -> Show:
        told, at = "", 0.0

        def show(counts: Mapping[str, int], status: str) -> None:
            nonlocal told, at
            line = words(counts, status)
            if line != told and (time.monotonic() - at >= EVERY or status not in ("running", "approved")):
                self._console.print(line)
                told, at = line, time.monotonic()

        return show

    def outcomes(self, counted: Report) -> None:
        """Each state with its reasons, then the ledger of the wire beside our count."""
        rows = Table(title="Recipients", title_justify="left", box=None, pad_edge=False, header_style="bold")
        rows.add_column("state", style="bold")
        rows.add_column("recipients", justify="right")
        rows.add_column("reasons")
        of = counted.outcomes
        failures = reasons(counted.failures)
        lines = (
            ("sent", of[delivery.Status.SENT], "each part acknowledged by the server"),
            ("partial", of[delivery.Status.PARTIAL], ""),
            ("failed", of[delivery.Status.FAILED], failures),
            ("skipped", sum(counted.skipped.values()), reasons(counted.skipped)),
            ("stopped", counted.stopped, ""),
            ("given up", of[delivery.Status.GIVEN_UP], ""),
            ("unknown", of[delivery.Status.UNKNOWN], ""),
            ("lost", counted.lost, ""),
        )
        for state, number, why in lines:
            style = "dim" if not number else "red" if state in ("unknown", "lost") else ""
            rows.add_row(state, str(number), why if number else "", style=style)
        self.table(rows)
        wire = Table(title="The wire", title_justify="left", box=None, pad_edge=False, header_style="bold")
        for column in ("our log: confirmed parts", "ledger: message ids", "ledger: doubled"):
            wire.add_column(column, justify="right")
        wire.add_row(str(counted.parts), str(counted.wire), str(counted.duplicates))
        self._console.print(wire)


def reasons(counts: Mapping[str, int]) -> str:
    """`no_consent 4, opted_out 1`."""
    return ", ".join(f"{reason} {number}" for reason, number in sorted(counts.items()))


def words(counts: Mapping[str, int], status: str) -> str:
    """A job's counts on a line."""
    told = " ".join(f"{name} {counts[name]}" for name in ("pending", "sent", "delivered", "read", "skipped", "failed"))
    return f"        {status:<10} {told}"


def board(counts: Mapping[str, int], status: str, width: int) -> Text:
    """A job's counts as a bar of its recipients, with the words behind it, on one line."""
    whole = max(counts["recipients"], 1)
    line = Text(f"        {status:<10} ", no_wrap=True, overflow="ellipsis")
    told = [(f"  {name} {counts[name]}", colour) for name, colour in SHADES if counts[name]]
    usual = sum(len(f"  {name} {whole}") for name in USUAL)  # so that the bar seldom changes its length
    bar = max(0, min(BAR, width - len(line) - max(usual, sum(len(said) for said, _ in told))))
    used = people = 0
    for name, colour in SHADES:
        people += counts[name]
        cells = min(round(people * bar / whole), bar)  # of the sum: thirds fill the whole
        line.append("█" * (cells - used), style=colour)
        used = cells
    line.append("░" * (bar - used), style="dim")
    for said, colour in told:
        line.append(said, style=colour)
    return line
