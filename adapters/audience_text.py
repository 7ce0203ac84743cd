"""The rows of a CSV file, read as its bytes come: encoding, delimiter, quotes, and bounds; or why it is no CSV.

Never more than one row and a piece of the file is held, however long either is said to be.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator

from domain.message import Refused

LONGEST_ROW = 1_000_000  # characters
HEAD = 65_536  # bytes that tell the encoding
DELIMITERS = ",;\t|"
QUOTED = re.compile(r'"[^"]*"')
SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # a first line of its own, as Excel writes it
WORKBOOK = "a ZIP archive (an Excel workbook is one too)"
FOREIGN = {
    b"PK\x03\x04": WORKBOOK,
    b"PK\x05\x06": WORKBOOK,
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
}


class ImportRefused(Refused):
    """A file that cannot be imported at all; the message is a sentence for its owner, without the file's contents."""

    def __init__(self, rule: str, field: str, sentence: str, **detail: int | str) -> None:
        super().__init__(rule, field=field, **detail)
        self.args = (sentence,)


class TooLong(csv.Error):
    """A row, or one of its cells, never ends."""


class Bytes(io.BufferedIOBase):
    """A file that comes in pieces, as the standard library's text reader wants it."""

    name = ""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = b""
        self._at = 0  # how much of it was read
        self.newlines = 0  # in what was read

    def readable(self) -> bool:
        return True

    def head(self) -> bytes:
        """The file's first bytes, not yet read."""
        while len(self._held) < HEAD and (piece := next(self._pieces, None)) is not None:
            self._held += piece
        return self._held[:HEAD]

    def read1(self, size: int = -1) -> bytes:
        while self._at == len(self._held):
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._held, self._at = piece, 0
        read = self._held[self._at : len(self._held) if size < 0 else self._at + size]
        self._at += len(read)
        self.newlines += read.count(b"\n")
        return read

    read = read1  # type: ignore[assignment]  # of a text reader's two calls the one is as good as the other


class Lines:
    """The lines of a text, each with its end; bounded from one row to the next."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._again: list[str] = []
        self._room = LONGEST_ROW

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._again:
            return self._again.pop()
        line = self._text.readline(self._room + 1)
        self._room -= len(line)
        if self._room < 0:
            raise TooLong
        if not line:
            raise StopIteration
        return line

    def first(self) -> str:
        """The first line that is not blank, and is read again by whoever iterates; empty if there is none."""
        seen: list[str] = []
        found = ""
        for line in self:
            seen.append(line)
            if line.strip():
                found = line
                break
        self._again = seen[::-1]
        self.row_ends()
        return found

    def drop_first(self) -> int:
        """Leave out what `first` looked at; how many lines that was."""
        dropped, self._again = len(self._again), []
        return dropped

    def row_ends(self) -> None:
        """The next row may be as long as any."""
        self._room = LONGEST_ROW


def read_rows(pieces: Iterable[bytes]) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line it begins on. Raises ImportRefused."""
    source = Bytes(pieces)
    encoding = encoding_of(source.head())
    lines = Lines(io.TextIOWrapper(source, encoding, newline=""))
    line = 1
    try:
        first = lines.first()
        if not first:
            raise ImportRefused("empty", "file", "The file is empty.")
        skipped = 0
        if said := SEPARATOR.fullmatch(first):
            skipped = lines.drop_first()
        reader = csv.reader(lines, delimiter=said[1] if said else delimiter_of(first), strict=True)
        line += skipped
        for cells in reader:
            lines.row_ends()
            if cells:
                yield line, cells
            line = reader.line_num + skipped + 1
    except UnicodeDecodeError as error:
        raise not_text(encoding, source, error) from None
    except csv.Error as error:
        # The standard library does not tell its errors apart but by their words.
        long = isinstance(error, TooLong) or "field limit" in str(error)
        why = f"is longer than {LONGEST_ROW:,} characters, or a cell of it than {csv.field_size_limit():,}"
        sentence = f"The row that begins on line {line} {why if long else 'is no CSV'}: look for a quotation mark "
        raise ImportRefused("not_csv", "file", sentence + "that is not closed.", line=line) from None


def encoding_of(head: bytes) -> str:
    """The encoding of a file that begins so. Raises ImportRefused for what is no text."""
    if not head:
        raise ImportRefused("empty", "file", "The file is empty.")
    for magic, what in FOREIGN.items():
        if head.startswith(magic):
            raise ImportRefused("not_csv", "file", f"The file is {what}, no CSV: save the list as CSV UTF-8.")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    some = head[:1_000]
    if len(some) > 3 and some.count(b"\0") > len(some) // 4:  # without a mark: every second byte of Latin letters is 0
        return "utf-16-be" if some[::2].count(0) > some[1::2].count(0) else "utf-16-le"
    return "utf-8-sig"


def delimiter_of(line: str) -> str:
    """What separates the cells of a first line: what it has most of outside quotation marks."""
    bare = QUOTED.sub("", line)
    return max(DELIMITERS, key=bare.count)


def not_text(encoding: str, source: Bytes, error: UnicodeDecodeError) -> ImportRefused:
    """What to say of bytes that are not in the encoding."""
    line = source.newlines - error.object.count(b"\n", error.start) + 1
    name = "UTF-16" if encoding.startswith("utf-16") else "UTF-8"
    sentence = f"The file is not {name}: line {line} has bytes that mean nothing in it. Save it as CSV UTF-8."
    return ImportRefused("not_utf8", "file", sentence, line=line)
