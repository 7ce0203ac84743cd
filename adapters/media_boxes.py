"""MP4 and its kin: boxes, one after the other, each with its length before it (ISO/IEC 14496-12)."""

import re
from dataclasses import dataclass, field

PICTURES = re.compile(rb"hdlr.{8}vide", re.DOTALL)
LONG_HEADER = 16  # bytes
TOLD = frozenset({b"moov", b"mdat", b"moof"})  # the boxes that tell whether it can be played
MOST = 100_000  # boxes; a film in fragments of a second has two for each


@dataclass(slots=True)
class Boxes:
    """Walks from box to box as the file comes in, keeping nothing but headers."""

    pictures: bool = False  # whether a track of pictures is declared
    _next: int = 0  # where the next box begins
    _seen: int = 0
    _header: bytes = b""  # of the box at `_next`, as far as it was seen
    _count: int = 0
    _names: set[bytes] = field(default_factory=set)
    _open: bool = False  # the last box goes on to the end
    _broken: bool = False

    def feed(self, chunk: bytes, overlapping: bytes) -> None:
        """The next bytes; `overlapping` are the same, with the last ones before them."""
        self.pictures = self.pictures or PICTURES.search(overlapping) is not None
        end = self._seen + len(chunk)
        while not self._broken and not self._open and self._next + len(self._header) < end:
            start = self._next + len(self._header) - self._seen
            self._header += chunk[start : start + LONG_HEADER - len(self._header)]
            if len(self._header) < LONG_HEADER and self._next + LONG_HEADER > end and not self._short():
                break
            self._step()
        self._seen = end

    def whole(self, size: int) -> bool:
        """Whether the boxes end where the file does, and tell how to play it."""
        ends = self._open or (self._next == size and not self._header)
        return not self._broken and ends and b"moov" in self._names and bool(self._names & {b"mdat", b"moof"})

    def _short(self) -> bool:
        """Whether the header seen so far is all that this box has."""
        return len(self._header) >= 8 and self._header[:4] != b"\x00\x00\x00\x01"

    def _step(self) -> None:
        length, name = int.from_bytes(self._header[:4], "big"), self._header[4:8]
        header = 8
        if length == 1:
            length, header = int.from_bytes(self._header[8:16], "big"), LONG_HEADER
        self._count += 1
        self._names |= {name} & TOLD
        self._header = b""
        if length == 0:
            self._open = True
        elif length < header or self._count > MOST:
            self._broken = True
        else:
            self._next += length
