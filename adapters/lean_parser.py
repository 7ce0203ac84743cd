"""Takes messages off the wire: whatever the bytes of one are, the connection and the messages after it go on.

A publisher chooses the bytes of subject, headers and body, and the server passes nearly all of them on. The library
takes white space of any kind for the end of a subject, and decodes strictly: either would end the connection, and the
message would come again.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from nats.aio.msg import Msg
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from adapters.cloudevents import ID, MSG_ID, SOURCE, SPEC, TIME, TYPE

if TYPE_CHECKING:
    from adapters.lean_client import LeanClient

log = logging.getLogger(__name__)

VERSION = b"NATS/1.0"
PLAIN = VERSION + b"\r\n"
STATUS, DESCRIPTION = "Status", "Description"  # as the library names what stands behind the version
BLANK = " \t\n\r\v\f"
# What nearly every header is called: these need no check, and all messages share the text.
NAMES = {name: name for name in (MSG_ID, SPEC, ID, TYPE, SOURCE, TIME, "Nats-Batch-Id", "Nats-Batch-Sequence")}


class LeanParser(Parser):
    """The library's parser, that takes messages in by itself: to listeners at once, to the library otherwise."""

    nc: "LeanClient"
    resets = 0  # how often

    def reset(self) -> None:
        """Forget what came over a connection that was lost."""
        super().reset()
        self.rest = b""  # what came and is not taken in yet
        self.missing = 0  # how long it is at least when its first message is whole
        self.resets += 1

    async def parse(self, data: bytes = b"") -> None:
        """Take in what came, however it was cut. Raises ProtocolError where no end of a message can be seen."""
        self.rest = self.rest + data if self.rest else data
        if len(self.rest) < self.missing:
            return
        self.missing, resets = 0, self.resets
        while (theirs := self._taken()) is not None:
            await self._safely(theirs)
            if self.resets != resets:  # the connection was lost meanwhile
                return

    async def _safely(self, act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except (ProtocolError, OSError):  # these are the connection's
            raise
        except Exception as error:  # noqa: BLE001  # one message's fault must not end the connection
            log.error("bus: what came cannot be taken in: %s", type(error).__name__)  # noqa: TRY400  # it may quote somebody

    def _taken(self) -> Callable[[], Awaitable[None]] | None:
        """Hand on what is for listeners, up to the first thing that is for the library to do; None: more must come."""
        data, position, listeners = self.rest, 0, self.nc.listeners
        try:
            while (line_end := data.find(b"\r\n", position)) >= 0:
                if not data.startswith((b"HMSG ", b"MSG "), position):
                    line, position = data[position : line_end + 2], line_end + 2
                    return lambda: self._control(line)
                sid, subject, reply, start, body, end = read_line(data, position, line_end)
                if len(data) < end + 2:
                    self.missing = end + 2 - position
                    return None
                position = end + 2
                listener = listeners.get(sid)
                if listener is None:
                    theirs = (int(sid), subject, reply, data[body:end], data[start:body])
                    return lambda: self.nc._process_msg(*theirs)
                self._hand_on(listener, subject, reply, data[start:body], data[body:end])
            return None
        finally:
            self.rest = data[position:]

    def _hand_on(self, listener: Callable[[Msg], None], subject: bytes, reply: bytes, head: bytes, body: bytes) -> None:
        self.nc.stats["in_msgs"] += 1
        self.nc.stats["in_bytes"] += len(body)
        message = message_of(self.nc, subject, reply, head, body)
        try:
            listener(message)
        except Exception as error:  # noqa: BLE001  # one message's fault must not end the connection
            log.error("bus: a message cannot be handed on: %s", type(error).__name__)  # noqa: TRY400  # it may quote somebody

    async def _control(self, line: bytes) -> None:
        """A line that is the server's own word."""
        self.buf = bytearray(line)
        await super().parse()
        if self.buf:
            raise ProtocolError("a line that no server says")


def read_line(data: bytes, start: int, end: int) -> tuple[bytes, bytes, bytes, int, int, int]:
    """A message's line: subscription, subject, reply, where its headers and its body begin, and where it ends.

    The server parts its words by one space; a subject may have any white space in it but that and line breaks.
    Raises ProtocolError.
    """
    words = data[start:end].split(b" ")
    block = end + 2
    try:
        body = block + int(words.pop(-2)) if words[0] == b"HMSG" else block
        over = block + int(words.pop())
        if len(words) == 3:
            words.append(b"")  # no reply
        _, subject, sid, reply = words
    except (ValueError, IndexError):
        raise ProtocolError("a message's line that no server says") from None
    return sid, subject, reply, block, body, over


def message_of(nc: "LeanClient", subject: bytes, reply: bytes, head: bytes, body: bytes) -> Msg:
    """A message from its bytes; one that cannot be read has no subject and no headers: for its reader to refuse."""
    try:
        return Msg(nc, shared(subject), decoded(reply), body, headers_of(head) or None)
    except Exception as error:  # noqa: BLE001  # one message's fault must not end the connection
        log.error("bus: a message cannot be read: %s", type(error).__name__)  # noqa: TRY400  # it may quote somebody
        return Msg(nc, "", reply.decode("ascii", "replace"), body, None)


def headers_of(block: bytes) -> dict[str, str]:
    """The headers in a block, whatever its bytes: none in one without the version's line, none of a malformed name.

    What is no UTF-8 in a value becomes U+FFFD. Of two with one name the last counts.
    """
    if block.startswith(PLAIN):
        return header_lines(block[len(PLAIN) :])
    first, _, lines = block.partition(b"\r\n")
    if not first.startswith(VERSION + b" "):
        return {}
    status, _, words = first[len(VERSION) + 1 :].partition(b" ")  # what the server says by itself
    found = {STATUS: status.decode()} if status.isdigit() else {}
    if words:
        found[DESCRIPTION] = words.decode(errors="replace")
    return found | header_lines(lines)


def header_lines(lines: bytes) -> dict[str, str]:
    """What the library reads in them, in half the time."""
    found: dict[str, str] = {}
    for line in lines.decode(errors="replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon and (known := NAMES.get(name)):
            found[known] = value.strip(BLANK)
        elif colon and (key := name.strip(BLANK)).isascii() and key.split() == [key]:
            found[key] = value.strip(BLANK)
    return found


@lru_cache(4_096)
def shared(subject: bytes) -> str:
    """The same text for all messages on a subject."""
    return decoded(subject)


def decoded(subject: bytes) -> str:
    """A subject as text: what is no UTF-8 is written as `\\xff`, which no name of ours has in it."""
    return subject.decode(errors="backslashreplace")
