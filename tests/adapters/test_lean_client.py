"""The client's shortcuts do what the library does, only faster."""

from collections.abc import AsyncIterator

import nats.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg

from adapters.bus import Bus
from adapters.lean_client import BadFrame, LeanClient, frame, head_of

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126) | st.sampled_from(" é漢"), max_size=40)


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

    await plain.subscribe("out.>", cb=hear)
    await plain.flush()
    headers = {"ce-id": "1", "Drl-Prev": "7"}
    await bus.nc.put(
        [frame("out.a.b", b"one", headers), frame("out.a.b", b"two"), frame("out.a.b", b"", headers, "back")]
    )
    await bus.nc.publish("out.a.b", b"one", headers=headers)
    await bus.nc.flush()
    await plain.flush()
    told = [(message.subject, message.data, message.headers, message.reply) for message in heard]
    assert told == [
        ("out.a.b", b"one", headers, ""),
        ("out.a.b", b"two", None, ""),
        ("out.a.b", b"", headers, "back"),
        ("out.a.b", b"one", headers, ""),
    ]
    await plain.close()


async def test_a_frame_larger_than_the_server_takes_is_not_sent(bus: Bus) -> None:
    with pytest.raises(nats.errors.MaxPayloadError):
        await bus.nc.put([frame("out.a.b", b"x" * (bus.nc.max_payload + 1))])
    assert bus.nc.is_connected


async def test_frames_to_a_closed_connection_are_refused(nats_url: str) -> None:
    closed = await Bus.connect(nats_url, "closed")
    await closed.close()
    with pytest.raises(nats.errors.ConnectionClosedError):
        await closed.nc.put([frame("out.a.b", b"")])


@given(st.dictionaries(NAMES, VALUES, max_size=12))
def test_headers_are_read_as_the_library_reads_them(headers: dict[str, str]) -> None:
    raw = head_of(headers)[len(b"NATS/1.0\r\n") :]
    assert LeanClient._parse_header_lines(raw) == Client._parse_header_lines(raw)


@pytest.mark.parametrize("raw", [b"no colon\r\n", b"a b: c\r\n", b"name:\ttabbed \r\n", b"x:y:z\r\n", b"\r\n"])
def test_odd_headers_are_read_as_the_library_reads_them(raw: bytes) -> None:
    assert LeanClient._parse_header_lines(raw) == Client._parse_header_lines(raw)


@pytest.mark.parametrize("value", ["a\r\nb", "a\nNats-Msg-Id: 7", "a\rb"])
def test_a_header_cannot_smuggle_in_another(value: str) -> None:
    with pytest.raises(BadFrame):
        frame("out.a", b"", {"ce-id": value})


@pytest.mark.parametrize("subject", ["out.a b", "out.a\r\nPUB x 0", ""])
def test_a_subject_cannot_smuggle_in_a_line(subject: str) -> None:
    with pytest.raises(BadFrame):
        frame(subject, b"")
