"""The client's shortcuts do what the library does, only faster."""

from collections.abc import AsyncIterator
from functools import partial

import nats.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg

from adapters.bus import Bus
from adapters.lean_client import BadFrame, LeanClient, frame, head_of
from adapters.lean_parser import header_lines, headers_of
from tests.waiting import until

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126) | st.sampled_from(" é漢"), max_size=40)
PIECES = [
    b"ce-id",
    b"\x1c",
    b"a",
    b":",
    b" ",
    b"\t",
    b"\r\n",
    b"\r",
    b"\n",
    b"\x00",
    b"\xff",
    b"\xc2\x85",
    "é".encode(),
]
ODD = [b"cmd.a.\xff\xfe", b"cmd.\x0b", b"a\x0c7", b"\x1c", "é".encode(), b"\xc2\xa0", b"\x00", b"MSG", b"\xed\xa0\x80"]


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    made = await Bus.connect(nats_url, "test")
    yield made
    await made.close()


async def test_frames_arrive_as_the_librarys_own_publishes_do(bus: Bus, nats_url: str) -> None:
    plain, heard = Client(), list[Msg]()
    await plain.connect(nats_url)

    async def hear(message: Msg) -> None:
        heard.append(message)

    async def heard_of(subject: str) -> bool:
        await bus.nc.publish(subject, b"")
        await bus.nc.flush()
        return bool(heard)

    await plain.subscribe("out.>", cb=hear)
    await until(lambda: heard_of("out.begin"))  # the server knows of who listens, in its own time
    headers = {"ce-id": "1", "Drl-Prev": "7"}
    await bus.nc.put(
        [frame("out.a.b", b"one", headers), frame("out.a.b", b"two"), frame("out.a.b", b"", headers, "back")]
    )
    await bus.nc.publish("out.a.b", b"one", headers=headers)
    await until(lambda: len([one for one in heard if one.subject != "out.begin"]) == 4)
    told = [(one.subject, one.data, one.headers, one.reply) for one in heard if one.subject != "out.begin"]
    assert told == [
        ("out.a.b", b"one", headers, ""),
        ("out.a.b", b"two", None, ""),
        ("out.a.b", b"", headers, "back"),
        ("out.a.b", b"one", headers, ""),
    ]
    await plain.close()


async def test_a_flush_that_nobody_waits_for_any_more_does_not_cost_the_connection(bus: Bus) -> None:
    before = bus.nc.stats["reconnects"]
    for _ in range(3):
        with pytest.raises(nats.errors.TimeoutError):
            await bus.nc.flush(timeout=1e-9)  # type: ignore[arg-type]  # it takes fractions too
    await bus.nc.flush()
    assert bus.nc.is_connected
    assert bus.nc.stats["reconnects"] == before


async def test_a_frame_larger_than_the_server_takes_is_not_sent(bus: Bus) -> None:
    with pytest.raises(nats.errors.MaxPayloadError):
        await bus.nc.put([frame("out.a.b", b"x" * (bus.nc.max_payload + 1))])
    assert bus.nc.is_connected


async def test_frames_to_a_closed_connection_are_refused(nats_url: str) -> None:
    closed = await Bus.connect(nats_url, "closed")
    await closed.close()
    with pytest.raises(nats.errors.ConnectionClosedError):
        await closed.nc.put([frame("out.a.b", b"")])


@pytest.mark.parametrize("size", [1, 7, 100, 1_000_000])
async def test_a_listener_hears_what_a_subscriber_of_the_library_hears_however_it_is_cut(size: int) -> None:
    """The same bytes, in pieces of any size, through the library's parser and through ours."""
    ours, theirs = LeanClient(), Client()
    heard: dict[Client, list[tuple[object, ...]]] = {ours: [], theirs: []}

    def hear(client: Client, message: Msg) -> None:
        heard[client].append((message.subject, message.reply, message.data, message.headers))

    async def process(sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        hear(theirs, Msg(theirs, subject.decode(), reply.decode(), data, await theirs._process_headers(headers)))

    async def left(sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        hear(ours, ours._build_message(sid, subject, reply, data, await ours._process_headers(headers)))

    theirs._process_msg = process  # type: ignore[method-assign]  # nobody is connected: only the parsers are compared
    ours._process_msg = left  # type: ignore[method-assign]  # as above
    ours.listeners = {b"7": partial(hear, ours), b"8": partial(hear, ours)}
    said = b"".join(
        [
            hmsg(7, b"body", "reply.1", {"ce-id": "1", "odd": "a:b"}),
            b"PONG\r\n",
            hmsg(8, b"HMSG x 7 y 3 4\r\n", "reply.2", {"ce-id": "2"}),
            hmsg(7, b"", "", {"Status": "x"}),
            b"MSG subject 7 plain 5\r\nhello\r\n",
            b"MSG subject 9 5\r\nhello\r\n",
            hmsg(9, b"body", "reply.3", {"ce-id": "3"}),
            b"HMSG inbox 7 28 28\r\nNATS/1.0 408 Timed Out !\r\n\r\n\r\n",
            b"+OK\r\n",
            *[hmsg(7, b"x" * n, f"reply.{n}", {"ce-id": str(n)}) for n in range(0, 500, 7)],
        ]
    )
    for start in range(0, len(said), size):
        await ours._ps.parse(said[start : start + size])
        await theirs._ps.parse(said[start : start + size])
    assert heard[ours] == heard[theirs]
    assert len(heard[ours]) == 7 + 72


def hmsg(sid: int, body: bytes, reply: str, headers: dict[str, str]) -> bytes:
    """A message with headers as the server sends it."""
    head = head_of(headers)
    words = f"HMSG subject {sid} {reply} {len(head)} {len(head) + len(body)}".split()
    return " ".join(words).encode() + b"\r\n" + head + body + b"\r\n"


@given(st.dictionaries(NAMES, VALUES, max_size=12))
def test_headers_are_read_as_the_library_reads_them(headers: dict[str, str]) -> None:
    raw = head_of(headers)[len(b"NATS/1.0\r\n") :]
    assert header_lines(raw) == Client._parse_header_lines(raw)


@pytest.mark.parametrize(
    "raw", [b"no colon\r\n", b"a b: c\r\n", b"name:\ttabbed \r\n", b"x:y:z\r\n", b"\r\n", b"a: b\r\nno colon\r\n\r\n"]
)
def test_odd_headers_are_read_as_the_library_reads_them(raw: bytes) -> None:
    assert header_lines(raw) == Client._parse_header_lines(raw)


@given(st.binary(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_of_any_bytes_the_headers_are_what_the_library_reads(raw: bytes) -> None:
    theirs = Client._parse_header_lines(raw)
    theirs.pop("", None)
    assert header_lines(raw) == theirs
    headers_of(raw)


@pytest.mark.parametrize("size", [*range(1, 60), 1_000_000])
async def test_any_bytes_in_subject_and_headers_are_handed_on_however_they_are_cut(size: int) -> None:
    """To listeners and to the library's subscriptions; in pieces of any size."""
    client, heard, left = LeanClient(), list[Msg](), list[Msg]()

    async def process(sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        left.append(client._build_message(sid, subject, reply, data, await client._process_headers(headers)))

    client._process_msg = process  # type: ignore[method-assign]  # nobody is connected
    client.listeners = {b"7": heard.append}
    said = bytearray()
    for subject in ODD:
        for sid in (7, 8):
            said += b"MSG %b %d r 2\r\n\r\n\r\n" % (subject, sid)
            said += b"HMSG %b %d r 4 6\r\n\xff\r\n\x00MS\r\n" % (subject, sid)
            said += b"HMSG %b %d r 16 16\r\nNATS/1.0 \xff\xff\xff\r\n\r\n\r\n" % (subject, sid)
    for start in range(0, len(said), size):
        await client._ps.parse(bytes(said[start : start + size]))
    assert [(one.reply, one.data, one.headers) for one in heard] == [
        ("r", b"\r\n", None),
        ("r", b"MS", None),
        ("r", b"", None),
    ] * len(ODD)
    assert [one.subject for one in heard[::3]] == [one.decode(errors="backslashreplace") for one in ODD]
    assert [(one.subject, one.data) for one in left] == [(one.subject, one.data) for one in heard]


async def test_a_fault_in_handling_one_message_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it strikes in reading it (then it comes without subject and headers) or in whoever takes it."""
    client, heard = LeanClient(), list[Msg]()

    def take(message: Msg) -> None:
        heard.append(message)
        if message.data == b"2":
            raise ZeroDivisionError

    def faulty(block: bytes) -> dict[str, str]:
        if b"sick" in block:
            raise RecursionError
        return headers_of(block)

    monkeypatch.setattr("adapters.lean_parser.headers_of", faulty)
    client.listeners = {b"7": take}
    for body, name in (b"1", "sick"), (b"2", "ce-id"), (b"3", "ce-id"):
        await client._ps.parse(hmsg(7, body, "reply", {name: "x"}))
    assert [(one.subject, one.reply, one.data, one.headers) for one in heard] == [
        ("", "reply", b"1", None),
        ("subject", "reply", b"2", {"ce-id": "x"}),
        ("subject", "reply", b"3", {"ce-id": "x"}),
    ]


@pytest.mark.parametrize(
    "line", [b"MSG a 7\r\n", b"HMSG a 7 r 9\r\n", b"HMSG a 7 r x 9\r\n", b"MSG a 7 r q 9\r\n", b"NO\r\n"]
)
async def test_a_line_that_no_server_says_ends_the_connection(line: bytes) -> None:
    with pytest.raises(nats.errors.ProtocolError):
        await LeanClient()._ps.parse(line)


@pytest.mark.parametrize("value", ["a\r\nb", "a\nNats-Msg-Id: 7", "a\rb"])
def test_a_header_cannot_smuggle_in_another(value: str) -> None:
    with pytest.raises(BadFrame):
        frame("out.a", b"", {"ce-id": value})


@pytest.mark.parametrize("subject", ["out.a b", "out.a\r\nPUB x 0", ""])
def test_a_subject_cannot_smuggle_in_a_line(subject: str) -> None:
    with pytest.raises(BadFrame):
        frame(subject, b"")
