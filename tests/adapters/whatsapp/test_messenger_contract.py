"""What every Messenger does, whether a real browser drives the sandbox's page or a process speaks to it directly."""

import hashlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.sandbox.ledger import Entry, read, recount
from adapters.sandbox.memory import InstantMessenger
from adapters.sandbox.nouns import lid_of
from adapters.sandbox.world import Timings, World
from adapters.whatsapp_web.driver import WhatsAppWeb
from domain.outgoing import Text
from domain.ports import (
    Ack,
    AckChanged,
    Arrived,
    MessageArrived,
    Messenger,
    Notice,
    SendRejected,
    SendUncertain,
    SessionState,
    StateChanged,
)
from tests.adapters.whatsapp.running import Sandbox, link, new_id, new_number, until, until_state

pytestmark = pytest.mark.asyncio(loop_scope="session")
ACCOUNT = "+12025550100"


@dataclass
class Rig:
    """A messenger, the phone at its other end, and what it said."""

    messenger: Messenger
    scan: Callable[[str, str], Awaitable[object]]
    arm: Callable[[str, str], Awaitable[object]]
    unlink: Callable[[str], Awaitable[object]]
    inbound: Callable[[str, str, str], Awaitable[object]]
    ledger: Path
    notices: list[Notice] = field(default_factory=list)

    def wire(self, wa_id: str) -> list[Entry]:
        return [entry for entry in read(self.ledger) if entry.wa_id == wa_id]

    def acks(self, wa_id: str) -> list[Ack]:
        return [n.ack for n in self.notices if isinstance(n, AckChanged) and wa_id in n.wa_ids]

    def arrived(self, number: str) -> list[MessageArrived]:
        return [n for n in self.notices if isinstance(n, MessageArrived) and n.number == number]


def in_memory(tmp_path: Path) -> Rig:
    world = World(tmp_path, Timings(delivered_after=0.01, read_after=0.02, read_share=1.0), durable=False)

    async def scan(payload: str, phone: str) -> None:
        world.scan(payload, phone)

    async def arm(fault: str, number: str) -> None:
        world.faults.arm(fault, number)

    async def unlink(phone: str) -> None:
        world.unlink(phone)

    async def inbound(phone: str, sender: str, text: str) -> None:
        world.receive(phone, sender, text)

    return Rig(InstantMessenger(world), scan, arm, unlink, inbound, world.ledger.path)


def in_browser(web: WhatsAppWeb, sandbox: Sandbox, tmp_path: Path) -> Rig:
    control = sandbox.control
    session = web.session(tmp_path / "profile")
    return Rig(session, control.scan, control.arm, control.unlink, control.inbound, sandbox.ledger)


@pytest_asyncio.fixture(params=["memory", "browser"], loop_scope="session")
async def rig(request: pytest.FixtureRequest, web: WhatsAppWeb, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Rig]:
    """A messenger that was not started yet."""
    made = in_memory(tmp_path) if request.param == "memory" else in_browser(web, sandbox, tmp_path)
    yield made
    await made.messenger.stop()


@pytest_asyncio.fixture(params=["memory", "browser"], scope="session", loop_scope="session")
async def linked(
    request: pytest.FixtureRequest, web: WhatsAppWeb, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rig]:
    """One linked messenger that the tests below share: each takes a number and ids of its own."""
    path = tmp_path_factory.mktemp(request.param)
    made = in_memory(path) if request.param == "memory" else in_browser(web, sandbox, path)
    await made.messenger.start(made.notices.append)
    await link(made.messenger, made.scan, ACCOUNT)
    yield made
    await made.messenger.stop()


async def test_a_new_session_waits_for_a_scan_and_sends_nothing_before(rig: Rig) -> None:
    await rig.messenger.start(rig.notices.append)
    await until_state(rig.messenger, SessionState.QR)
    with pytest.raises(SendRejected, match="not_ready"):
        await rig.messenger.send(new_number(), Text("Hello"), new_id(), 5)
    code = await rig.messenger.qr()
    assert code is not None
    assert len(code.split(",")) == 4


async def test_scanned_stopped_and_started_it_is_ready_without_another_scan_until_the_phone_unlinks_it(
    rig: Rig,
) -> None:
    phone = f"+1416555{random.randint(100, 199):04d}"
    await rig.messenger.start(rig.notices.append)
    await link(rig.messenger, rig.scan, phone)
    assert await rig.messenger.qr() is None
    await rig.messenger.stop()
    assert rig.messenger.state is SessionState.DEAD

    rig.notices.clear()
    await rig.messenger.start(rig.notices.append)
    await until_state(rig.messenger, SessionState.READY)
    assert SessionState.QR not in [n.state for n in rig.notices if isinstance(n, StateChanged)]

    await rig.unlink(phone)
    await until_state(rig.messenger, SessionState.LOGGED_OUT)
    with pytest.raises(SendRejected, match="not_ready"):
        await rig.messenger.send(new_number(), Text("Hello"), new_id(), 5)


async def test_a_text_is_on_the_wire_once_when_the_call_returns_and_receipts_follow(linked: Rig) -> None:
    number, wa_id = new_number(), new_id()
    assert await linked.messenger.send(number, Text("Grüße, José\nline two"), wa_id, 10) is Ack.SENT
    (entry,) = linked.wire(wa_id)
    assert (entry.account, entry.chat) == (ACCOUNT, number)
    assert entry.sha256 == hashlib.sha256("Grüße, José\nline two".encode()).hexdigest()
    await until(lambda: linked.acks(wa_id)[-1:] == [Ack.READ])
    assert linked.acks(wa_id) == [Ack.SENT, Ack.DELIVERED, Ack.READ]


async def test_an_id_used_twice_is_uncertain_and_does_not_reach_the_wire_again(linked: Rig) -> None:
    number, wa_id = new_number(), new_id()
    await linked.messenger.send(number, Text("Once"), wa_id, 10)
    with pytest.raises(SendUncertain, match="duplicate_id"):
        await linked.messenger.send(number, Text("Once"), wa_id, 10)
    assert len(linked.wire(wa_id)) == 1


@pytest.mark.parametrize(("fault", "reason"), [("not_on_whatsapp", "not_on_whatsapp"), ("nack", "refused_by_server")])
async def test_a_definite_refusal_is_rejected_and_nothing_is_on_the_wire(linked: Rig, fault: str, reason: str) -> None:
    number, wa_id = f"+4670174060{5 if fault == 'nack' else 6}", new_id()
    await linked.arm(fault, number)
    with pytest.raises(SendRejected, match=reason):
        await linked.messenger.send(number, Text("Hello"), wa_id, 10)
    assert linked.wire(wa_id) == []


@pytest.mark.parametrize(("fault", "entries"), [("hang_before_wire", 0), ("hang_after_wire", 1)])
async def test_a_send_that_never_settles_is_uncertain_by_its_deadline(linked: Rig, fault: str, entries: int) -> None:
    number, wa_id = f"+6149157000{6 if entries else 7}", new_id()
    await linked.arm(fault, number)
    started = time.monotonic()
    with pytest.raises(SendUncertain, match="deadline"):
        await linked.messenger.send(number, Text("Hello"), wa_id, 0.6)
    assert time.monotonic() - started < 3
    assert len(linked.wire(wa_id)) == entries


async def test_no_time_left_means_no_act(linked: Rig) -> None:
    wa_id = new_id()
    with pytest.raises(SendRejected, match="deadline"):
        await linked.messenger.send(new_number(), Text("Hello"), wa_id, 0)
    assert linked.wire(wa_id) == []


async def test_the_ledger_tells_when_the_wire_was_doubled(linked: Rig) -> None:
    number, wa_id = "+4915228817386", new_id()
    await linked.arm("wire_doubled", number)
    before = recount(linked.ledger).duplicates
    await linked.messenger.send(number, Text("Twice"), wa_id, 10)
    assert len(linked.wire(wa_id)) == 2
    assert recount(linked.ledger).duplicates == before + 1


async def test_what_a_person_writes_arrives_with_its_words_and_who_wrote_it_but_is_not_told_when_printed(
    linked: Rig,
) -> None:
    number = "+525512345678"
    await linked.inbound(ACCOUNT, number, "Bitte STOP\nund Grüße")
    await until(lambda: len(linked.arrived(number)) == 1)
    [told] = linked.arrived(number)
    assert (told.kind, told.text, told.lid) == (Arrived.TEXT, "Bitte STOP\nund Grüße", lid_of(number))
    assert told.wa_id.isalnum()
    assert time.time() - told.at < 60
    assert not any(secret in repr(told) for secret in ("STOP", number, told.lid))


async def test_what_this_account_sends_itself_does_not_arrive(linked: Rig) -> None:
    number = "+525512345679"
    await linked.messenger.send(number, Text("Hello"), new_id(), 10)
    await linked.inbound(ACCOUNT, number, "Hello yourself")
    await until(lambda: len(linked.arrived(number)) > 0)
    assert [told.text for told in linked.arrived(number)] == ["Hello yourself"]
