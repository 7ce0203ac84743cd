"""Processor time of the benchmark's processes: the honest figure where others share the machine."""

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cpu:
    """Which processes to look at, by name and the pid of the first of them: their children count with them."""

    roots: Mapping[str, int]

    def seconds(self) -> dict[str, float]:
        """What each has used so far, in user and kernel mode; children that ended are in their parent's account."""
        found = {int(path.name): stat for path in Path("/proc").glob("[0-9]*") if (stat := fields(path))}
        used = dict.fromkeys(self.roots, 0.0)
        names = {pid: name for name, pid in self.roots.items()}
        for pid, stat in found.items():
            ancestor = pid
            while ancestor not in names and ancestor in found:
                ancestor = int(found[ancestor][1])
            if ancestor in names:
                used[names[ancestor]] += sum(map(int, stat[11:15])) / TICKS
        return used


def fields(process: Path) -> list[str]:
    """What /proc/<pid>/stat says after the program's name; nothing when the process has ended."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def per_command(before: Mapping[str, float], after: Mapping[str, float], commands: int) -> dict[str, float]:
    """Microseconds of processor time a command."""
    return {name: round((after[name] - before[name]) * 1e6 / commands, 1) for name in before}


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of several runs, each process's median, and the sum of these."""
    found = {name: round(statistics.median(run[name] for run in runs), 1) for name in runs[0]}
    return found | {"all": round(sum(found.values()), 1)}
