"""The ledger of what reached the wire: JSON lines, on disk before the server answers. Every fault test's oracle."""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "ledger.jsonl"  # in the sandbox's directory


@dataclass(frozen=True, slots=True)
class Entry:
    """One message on the wire: `at` in seconds since 1970, numbers in E.164, what it says only as its SHA-256."""

    seq: int
    at: float
    account: str
    chat: str
    wa_id: str
    sha256: str
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Count:
    """A ledger recounted: its lines, and the different message ids among them."""

    entries: int
    distinct: int

    @property
    def duplicates(self) -> int:
        return self.entries - self.distinct


class Ledger:
    """The writing side. `durable`: each entry is on the disk before `write` returns."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.path = path
        self._durable = durable
        path.parent.mkdir(parents=True, exist_ok=True)
        self._seq = max((entry.seq for entry in read(path)), default=0)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")  # a torn last line stays torn, and alone

    def write(self, account: str, chat: str, wa_id: str, body: str, kind: str = "text") -> Entry:
        self._seq += 1
        digest = hashlib.sha256(body.encode()).hexdigest()
        entry = Entry(self._seq, round(time.time(), 6), account, chat, wa_id, digest, kind)
        os.write(self._file, json.dumps(asdict(entry)).encode() + b"\n")
        if self._durable:
            os.fsync(self._file)
        return entry

    def close(self) -> None:
        os.close(self._file)


def read(path: Path) -> Iterator[Entry]:
    """The whole entries of a ledger file, in order; a line torn by a crash is not an entry: nobody was answered."""
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            try:
                yield Entry(**json.loads(line))
            except (ValueError, TypeError):
                continue


def recount(path: Path) -> Count:
    """Count a ledger anew from its file."""
    ids = [entry.wa_id for entry in read(path)]
    return Count(len(ids), len(set(ids)))
