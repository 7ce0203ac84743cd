"""What the processes of a running drumline show of themselves to whoever runs as the same user."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

KINDS = {  # by what their command lines hold
    "worker": "infra.cli work",
    "sandbox": "adapters.sandbox",
    "browser": "--user-data-dir=",
    "driver": "playwright",
    "nats": "nats-server",
    "postgres": "postgres",
}


def descendants(pid: int) -> Iterator[Path]:
    """The processes begun by a process, and by these."""
    children = defaultdict(list)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            children[int(parent)].append(process)
    found = children[pid]
    while found:
        process = found.pop()
        found += children[int(process.name)]
        yield process


def shown(pid: int) -> Mapping[str, set[str]]:
    """What the descendants of a process have in their environments and command lines, by their kind."""
    found = defaultdict[str, set[str]](set)
    for process in descendants(pid):
        with suppress(OSError):
            line = (process / "cmdline").read_text(errors="replace").replace("\0", " ").strip()
            variables = (process / "environ").read_text(errors="replace").split("\0")
            kind = next((kind for kind, words in KINDS.items() if words in line), "other")
            found[kind] |= {line, *variables}
    return found


def processes_on(data_dir: Path) -> dict[int, str]:
    """The command lines of processes that name this directory, by process id."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(data_dir) in line:
            found[int(entry.parent.name)] = line
    return found
