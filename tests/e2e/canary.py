"""Words that must lie nowhere in plain, all forms that they could lie in, and all places where one looks."""

import base64
import json
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
from nats.js.errors import NotFoundError
from psycopg import sql

from adapters.bus import Bus
from adapters.sandbox.nouns import lid_of
from adapters.streams import COMMANDS, DEAD, EVENTS, SENDS

TABLES = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
"""


def forms(word: str) -> set[bytes]:
    """A word as programs write it down."""
    plain = word.encode()
    every = {plain, word.encode("utf-16-le"), word.encode("utf-16-be"), plain.hex().encode(), quote(word).encode()}
    every |= {plain.hex().upper().encode(), json.dumps(word)[1:-1].encode()}
    for before in range(3):  # base64 has three ways to write it: the bytes before decide; the edges are others' too
        encoded = base64.b64encode(b"\0" * before + plain)
        every.add(encoded[(before * 8 + 5) // 6 : len(encoded) - 4])
    return every


def forms_of_number(number: str) -> set[bytes]:
    """A number as people and WhatsApp write it, also as a linked id, and in binary."""
    digits = number.removeprefix("+")
    written = [digits[1:], f"{digits[1:4]}-{digits[4:7]}-{digits[7:]}", f"{digits[4:7]} {digits[7:]}"]
    binary = {struct.pack(order, int(digits)) for order in (">q", "<q")}
    return binary.union(*map(forms, [*written, f"{digits[4:7]}-{digits[7:]}", lid_of(number)]))


class Canaries:
    """Words by what they are, and a number; `found` tells which of them lie in some bytes."""

    def __init__(self, words: Mapping[str, str], number: str) -> None:
        self._forms = {what: forms(word) for what, word in words.items()} | {"number": forms_of_number(number)}

    def found(self, content: bytes) -> list[str]:
        return [what for what, known in self._forms.items() if any(form in content for form in known)]

    def anywhere(self, places: Iterable[tuple[str, bytes]]) -> list[tuple[str, list[str]]]:
        """The places that hold one, and which."""
        return [(where, found) for where, content in places if (found := self.found(content))]


def files(directory: Path, without: Collection[str] = ()) -> Iterator[tuple[str, bytes]]:
    """All files under a directory, and their names."""
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_file() and not path.is_symlink() and name.partition("/")[0] not in without:
            yield name, name.encode() + b"\0" + path.read_bytes()


def tables(url: str) -> Iterator[tuple[str, bytes]]:
    """All rows of all tables, as PostgreSQL's binary format has them: each column in its own bytes."""
    with psycopg.connect(url) as connection:
        for schema, table in connection.execute(TABLES).fetchall():
            copied = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(schema, table))
            with connection.cursor() as cursor, cursor.copy(copied) as copy:
                yield table, b"".join(bytes(block) for block in copy)


async def streams(url: str) -> list[tuple[str, bytes]]:
    """All messages that the streams keep: subjects, headers and bodies."""
    bus = await Bus.connect(url, "canary")
    try:
        found = []
        for stream in (COMMANDS, SENDS, EVENTS, DEAD):
            state = (await bus.js.stream_info(stream)).state
            for sequence in range(state.first_seq, state.last_seq + 1) if state.messages else ():
                try:
                    message = await bus.js.get_msg(stream, sequence)
                except NotFoundError:
                    continue
                told = f"{message.subject} {message.headers}".encode() + (message.data or b"")
                found.append((f"{stream} {message.subject}", told))
        return found
    finally:
        await bus.close()
