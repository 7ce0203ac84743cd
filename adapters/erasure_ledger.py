"""The ledger of erasures: a file beside the database, so that no back-up from before an erasure brings anybody back."""

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from domain.message import WorkspaceId

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Erased:
    """A person to be forgotten: the id, and the HMAC of the number, if there is one, that is not to be kept again."""

    recipient_id: UUID
    workspace: WorkspaceId
    number: bytes | None = field(default=None, repr=False)

    @property
    def whose(self) -> tuple[WorkspaceId, UUID]:
        """The workspace, and the person there: what names an erasure."""
        return self.workspace, self.recipient_id


class ErasureLedger:
    """One line of JSON an erasure; lines are only ever added, and a repeated one says nothing new.

    Files of several hosts are one when they are put together (`cat`).
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def note(self, erased: Sequence[Erased]) -> None:
        """Add them; they are on the disk when this returns."""
        lines = "".join(f"{line_of(one)}\n" for one in erased)
        new = not self._file.exists()
        descriptor = os.open(self._file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size and os.pread(descriptor, 1, size - 1) != b"\n":  # a write that was cut short
                lines = f"\n{lines}"
            file.write(lines.encode())
            file.flush()
            os.fsync(descriptor)
        if new:
            self._sync_directory()

    def read(self) -> list[Erased]:
        """All there are; a line that was cut short tells of an erasure that was noted again."""
        if not self._file.exists():
            return []
        found: dict[Erased, None] = {}
        for number, line in enumerate(self._file.read_bytes().splitlines(), 1):
            try:
                found[erased_of(line)] = None
            except (ValueError, KeyError, TypeError):
                log.warning("the ledger of erasures cannot be read in line %d", number)
        return list(found)

    def _sync_directory(self) -> None:
        directory = os.open(self._file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def line_of(one: Erased) -> str:
    """As it stands in the file."""
    number = None if one.number is None else one.number.hex()
    return json.dumps({"workspace": one.workspace, "recipient_id": str(one.recipient_id), "number": number})


def erased_of(line: bytes) -> Erased:
    """Raises ValueError, KeyError or TypeError."""
    said = json.loads(line)
    number = None if said["number"] is None else bytes.fromhex(said["number"])
    return Erased(UUID(said["recipient_id"]), WorkspaceId(said["workspace"]), number)
