"""What every Messenger does, whether a real browser drives the sandbox's page or a process speaks to it directly."""

import hashlib
import random
import time

import pytest

from adapters.sandbox.ledger import recount
from adapters.sandbox.nouns import lid_of
from domain.outgoing import Text
from domain.ports import Ack, Arrived, SendRejected, SendUncertain, SessionState, StateChanged, Unanswered
from tests.adapters.whatsapp.rig import ACCOUNT, Rig
from tests.adapters.whatsapp.running import link, new_id, new_number, until, until_state

pytestmark = pytest.mark.asyncio(loop_scope="session")


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
    await link(rig.messenger, rig.far.scan, phone)
    assert await rig.messenger.qr() is None
    await rig.messenger.stop()
    assert rig.messenger.state is SessionState.DEAD

    rig.notices.clear()
    await rig.messenger.start(rig.notices.append)
    await until_state(rig.messenger, SessionState.READY)
    assert SessionState.QR not in [n.state for n in rig.notices if isinstance(n, StateChanged)]

    await rig.far.unlink(phone)
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
    await linked.far.arm(fault, number)
    with pytest.raises(SendRejected, match=reason):
        await linked.messenger.send(number, Text("Hello"), wa_id, 10)
    assert linked.wire(wa_id) == []


@pytest.mark.parametrize(("fault", "entries"), [("hang_before_wire", 0), ("hang_after_wire", 1)])
async def test_a_send_that_never_settles_is_uncertain_by_its_deadline(linked: Rig, fault: str, entries: int) -> None:
    number, wa_id = f"+6149157000{6 if entries else 7}", new_id()
    await linked.far.arm("receipts_lost", number)  # else one tells, before the deadline
    await linked.far.arm(fault, number)
    started = time.monotonic()
    with pytest.raises(SendUncertain, match="deadline"):
        await linked.messenger.send(number, Text("Hello"), wa_id, 0.6)
    assert time.monotonic() - started < 3
    assert len(linked.wire(wa_id)) == entries


async def test_what_the_server_has_is_found_by_its_id_also_after_a_restart(rig: Rig) -> None:
    await rig.messenger.start(rig.notices.append)
    await link(rig.messenger, rig.far.scan, f"+1416555{random.randint(100, 199):04d}")
    number, sent, refused, never = new_number(), new_id(), new_id(), new_id()
    await rig.messenger.send(number, Text("Hello"), sent, 10)
    await rig.far.arm("nack", number)
    with pytest.raises(SendRejected):
        await rig.messenger.send(number, Text("Hello?"), refused, 10)
    await rig.messenger.stop()
    with pytest.raises(Unanswered, match="not_ready"):
        await rig.messenger.found([(number, sent)])
    await rig.messenger.start(rig.notices.append)
    await until_state(rig.messenger, SessionState.READY)
    found = await rig.messenger.found([(number, sent), (number, refused), (number, never)])
    assert list(found) == [sent]
    assert found[sent] in (Ack.SENT, Ack.DELIVERED, Ack.READ)


async def test_whether_a_number_is_on_whatsapp_is_looked_up_once(linked: Rig) -> None:
    number = new_number()
    await linked.messenger.send(number, Text("One"), new_id(), 10)
    await linked.far.arm("not_on_whatsapp", number)
    assert await linked.messenger.send(number, Text("Two"), new_id(), 10) is Ack.SENT
    assert not await linked.messenger.exists(number)  # whoever asks is told what is so now


async def test_no_time_left_means_no_act(linked: Rig) -> None:
    wa_id = new_id()
    with pytest.raises(SendRejected, match="deadline"):
        await linked.messenger.send(new_number(), Text("Hello"), wa_id, 0)
    assert linked.wire(wa_id) == []


async def test_the_ledger_tells_when_the_wire_was_doubled(linked: Rig) -> None:
    number, wa_id = "+4915228817386", new_id()
    await linked.far.arm("wire_doubled", number)
    before = recount(linked.ledger).duplicates
    await linked.messenger.send(number, Text("Twice"), wa_id, 10)
    assert len(linked.wire(wa_id)) == 2
    assert recount(linked.ledger).duplicates == before + 1


async def test_what_a_person_writes_arrives_with_its_words_and_who_wrote_it_but_is_not_told_when_printed(
    linked: Rig,
) -> None:
    number = "+525512345678"
    await linked.far.write(number, ACCOUNT, "Bitte STOP\nund Grüße")
    await until(lambda: len(linked.arrived(number)) == 1)
    [told] = linked.arrived(number)
    assert (told.kind, told.text, told.lid) == (Arrived.TEXT, "Bitte STOP\nund Grüße", lid_of(number))
    assert told.wa_id.isalnum()
    assert time.time() - told.at < 60
    assert not any(secret in repr(told) for secret in ("STOP", number, told.lid))


async def test_the_number_behind_a_linked_id_is_told_of_somebody_who_wrote(linked: Rig) -> None:
    number = "+525512345677"
    await linked.far.write(number, ACCOUNT, "Hello")
    await until(lambda: len(linked.arrived(number)) == 1)
    assert await linked.messenger.numbers([lid_of(number)]) == {lid_of(number): number}


async def test_what_this_account_sends_itself_does_not_arrive(linked: Rig) -> None:
    number = "+525512345679"
    await linked.messenger.send(number, Text("Hello"), new_id(), 10)
    await linked.far.write(number, ACCOUNT, "Hello yourself")
    await until(lambda: len(linked.arrived(number)) > 0)
    assert [told.text for told in linked.arrived(number)] == ["Hello yourself"]


async def test_of_a_forgotten_chat_nothing_is_left_and_of_the_others_all(linked: Rig) -> None:
    gone, kept, unknown = new_number(), new_number(), new_number()
    sent = {number: new_id() for number in (gone, kept)}
    for number, wa_id in sent.items():
        await linked.messenger.send(number, Text("Remember"), wa_id, 10)
        await linked.messenger.send(number, Text("And this"), new_id(), 10, quoted=wa_id)
    for number in (gone, gone, unknown):
        await linked.messenger.forget(number)
    with pytest.raises(SendRejected, match="quoted_not_found"):
        await linked.messenger.send(gone, Text("Do you?"), new_id(), 10, quoted=sent[gone])
    await linked.messenger.send(kept, Text("Do you?"), new_id(), 10, quoted=sent[kept])
