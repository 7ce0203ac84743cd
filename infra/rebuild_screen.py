"""How a rebuild is told: a bar in a terminal, lines in a pipe, and at the end a table of what was compared."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from workers.rebuild import Progress, Rebuilt

EVERY = 2.0  # seconds between lines
PHASES = {
    "load": "taking in the log",
    "index": "making indexes",
    "compare": "comparing",
    "swap": "changing places",
    "done": "done",
}


@contextmanager
def told() -> Iterator[Callable[[Progress], None]]:
    """Tells progress on stderr."""
    console = Console(stderr=True)
    with (bar if console.is_terminal else lines)(console) as tell:
        yield tell


@contextmanager
def lines(console: Console) -> Iterator[Callable[[Progress], None]]:
    """A line at each new phase, and one now and then."""
    told: tuple[str, float] = ("", 0.0)

    def tell(progress: Progress) -> None:
        nonlocal told
        if progress.phase != told[0] or time.monotonic() - told[1] > EVERY:
            told = (progress.phase, time.monotonic())
            console.print(
                f"{PHASES[progress.phase]}: position {progress.position} of {progress.head}, "
                f"{progress.events:,} events, {progress.rate:,.0f}/s",
                highlight=False,
                soft_wrap=True,
            )

    yield tell


@contextmanager
def bar(console: Console) -> Iterator[Callable[[Progress], None]]:
    """A bar of positions."""
    columns = (TextColumn("{task.description:<17}"), BarColumn(), TextColumn("{task.fields[done]}"))
    with Bar(*columns, console=console) as progress_bar:
        task = progress_bar.add_task("", total=None, done="")

        def tell(progress: Progress) -> None:
            progress_bar.update(
                task,
                description=PHASES[progress.phase],
                completed=progress.position,
                total=progress.head,
                done=f"{progress.events:,} events, {progress.rate:,.0f}/s",
            )

        yield tell


def show(rebuilt: Rebuilt) -> None:
    """What came of it."""
    rows = Table("table", "rows", "sha256 live", "sha256 rebuilt", "", box=None, pad_edge=False)
    for table in rebuilt.tables:
        verdict = "the same" if table.same else f"differs in {table.differing:,} rows: {', '.join(table.keys)}, …"
        rows.add_row(table.table, f"{table.rows:,}", table.live_sha256[:16], table.sha256[:16], verdict)
    console = Console(highlight=False)
    console.print(rows)
    console.print(
        f"Compared at position {rebuilt.compared_at}, after {rebuilt.events:,} events at {rebuilt.rate:,.0f}/s."
    )
    if rebuilt.swapped_at is not None:
        console.print(
            f"The new tables serve since position {rebuilt.swapped_at}. Readers stood still for "
            f"{rebuilt.readers_stood * 1000:.0f} ms at most, the projector for {rebuilt.projector_stood * 1000:.0f} ms."
        )
