"""What happens when the browser or the server dies: nothing is sent twice, the session comes back."""

import asyncio
import fcntl
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from adapters.sandbox.client import ControlRefused
from adapters.sandbox.ledger import read
from adapters.whatsapp_web.browser import (
    LOCK,
    LOCKS,
    FormerBrowserAlive,
    in_use,
    kill_former,
    memory_of,
    process_group_of,
)
from adapters.whatsapp_web.catching_up import HEARD
from adapters.whatsapp_web.driver import WhatsAppWeb
from adapters.whatsapp_web.session import LaunchFailed, WhatsAppWebSession
from domain.outgoing import Text
from domain.ports import Ack, MessageArrived, Notice, SendRejected, SendUncertain, SessionState, StateChanged
from tests.adapters.whatsapp.running import (
    Sandbox,
    link,
    new_id,
    new_number,
    running_sandbox,
    until,
    until_answered,
    until_state,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended while we looked
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                return True
    return False


async def fault_is_spent(sandbox: Sandbox, number: str = "+14165550102") -> bool:
    return number not in [fault["number"] for fault in await sandbox.control.armed()]


async def test_a_browser_that_dies_before_its_page_is_open_did_not_launch(web: WhatsAppWeb, profile: Path) -> None:
    async def killed(group: int) -> None:
        os.killpg(group, signal.SIGKILL)

    session = web.session(profile, launched=killed)
    with pytest.raises(LaunchFailed, match="before its page was open"):
        await session.start(lambda _: None)
    assert session.state is SessionState.DEAD
    await session.stop()
    assert process_group_of(profile) is None


async def test_a_browser_killed_in_a_send_comes_back_linked_still_refuses_the_same_id_and_stops_without_a_trace(
    web: WhatsAppWeb, sandbox: Sandbox, profile: Path
) -> None:
    groups: list[int] = []

    async def launched(group: int) -> None:
        groups.append(group)

    session = web.session(profile, launched=launched)
    await session.start(lambda _: None)
    await link(session, sandbox.control.scan, "+14165550101")
    number, lost, sent = "+14165550102", new_id(), new_id()
    await session.send(number, Text("First"), sent, 10)
    await sandbox.control.arm("hang_before_wire", number, 1)
    sending = asyncio.create_task(session.send(number, Text("Second"), lost, 20))
    await until_answered(lambda: fault_is_spent(sandbox))

    assert groups == [session.process_group]
    os.killpg(groups[0], signal.SIGKILL)
    with pytest.raises(SendUncertain, match="page_gone"):
        await sending
    await until_state(session, SessionState.DEAD, within=3)

    again = web.session(profile)
    await kill_former(profile, groups[0])
    notices: list[StateChanged] = []
    await again.start(lambda n: notices.append(n) if isinstance(n, StateChanged) else None)
    await until_state(again, SessionState.READY)
    assert SessionState.QR not in [n.state for n in notices]
    for wa_id in (lost, sent):
        with pytest.raises(SendUncertain, match="duplicate_id"):
            await again.send(number, Text("Second"), wa_id, 10)
    on_wire = [entry.wa_id for entry in read(sandbox.ledger)]
    assert (on_wire.count(sent), on_wire.count(lost)) == (1, 0)
    assert await again.send(number, Text("Third"), new_id(), 10) is Ack.SENT

    group = again.process_group
    assert group is not None
    assert alive(group)
    assert memory_of(group) > 20 << 20
    assert in_use(profile)
    await again.stop()
    assert not in_use(profile)
    assert not alive(group)
    assert memory_of(group) == 0
    assert process_group_of(profile) is None


async def test_a_profile_that_a_browser_of_another_container_has_open_is_left_alone(
    web: WhatsAppWeb, profile: Path
) -> None:
    await asyncio.to_thread(profile.mkdir, parents=True)
    (profile / "SingletonLock").symlink_to("this-host-42")
    with (profile / LOCK).open("w") as elsewhere:  # held by a process that nothing names
        fcntl.flock(elsewhere, fcntl.LOCK_EX)
        with pytest.raises(FormerBrowserAlive, match="elsewhere"):
            await kill_former(profile, None, within=0.1)
        assert (profile / "SingletonLock").is_symlink()
        with pytest.raises(LaunchFailed):
            await web.session(profile).start(lambda _: None)
    await kill_former(profile, None)
    assert not (profile / "SingletonLock").is_symlink()


async def test_a_former_browser_is_killed_with_its_whole_group_and_its_locks_removed(
    web: WhatsAppWeb, profile: Path
) -> None:
    session = web.session(profile)
    await session.start(lambda _: None)
    group = session.process_group
    assert group is not None
    assert (profile / "SingletonLock").is_symlink()
    # Nobody recorded the group: the profile in its command line is enough.
    assert await kill_former(profile, None) > 1
    assert not alive(group)
    assert not any((profile / name).is_symlink() for name in LOCKS)
    await until_state(session, SessionState.DEAD, within=3)
    await session.stop()


async def test_children_that_outlive_their_browser_die_by_the_recorded_group(web: WhatsAppWeb, profile: Path) -> None:
    session = web.session(profile)
    await session.start(lambda _: None)
    group = session.process_group
    assert group is not None
    os.killpg(group, signal.SIGSTOP)  # so that the children cannot leave by themselves
    os.kill(group, signal.SIGKILL)
    await until(lambda: process_group_of(profile) is None)
    assert alive(group)
    await kill_former(profile, group)
    assert not alive(group)
    await session.stop()


async def test_a_group_id_that_now_belongs_to_somebody_else_is_left_alone(profile: Path) -> None:
    stranger = await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True)
    try:
        assert await kill_former(profile, stranger.pid) == 0
        assert stranger.returncode is None
        assert alive(stranger.pid)
    finally:
        stranger.kill()
        await stranger.wait()


async def test_a_server_that_dies_takes_nothing_with_it(tmp_path: Path, profile: Path) -> None:
    async with running_sandbox(tmp_path / "own") as own, WhatsAppWeb(url=own.url) as web:
        session = web.session(profile)
        await session.start(lambda _: None)
        await link(session, own.control.scan, "+14165550103")
        await session.send(new_number(), Text("Before"), new_id(), 10)

        await own.kill()
        await until_state(session, SessionState.DEGRADED)
        assert session.reason == "offline"
        with pytest.raises(SendRejected, match="not_ready"):
            await session.send(new_number(), Text("While"), new_id(), 10)

        await own.start()
        await until_state(session, SessionState.READY)
        await session.send(new_number(), Text("After"), new_id(), 10)
        assert len(list(read(own.ledger))) == 2


async def test_codes_turn_run_out_and_are_renewed_without_hands(tmp_path: Path, profile: Path) -> None:
    flags = ("--first-code", "0.6", "--next-code", "0.3", "--codes", "2")
    async with running_sandbox(tmp_path / "own", *flags) as own, WhatsAppWeb(url=own.url) as web:
        session = web.session(profile)
        await session.start(lambda _: None)
        seen: list[str] = []

        async def another() -> bool:
            code = await session.qr()
            if code is not None and code not in seen:
                seen.append(code)
            return len(seen) == 4

        await until_answered(another)
        with pytest.raises(ControlRefused, match=r"code_expired|code_unknown"):
            await own.control.scan(seen[0], "+14165550104")

        async def scanned() -> bool:
            code = await session.qr()
            try:
                return code is not None and bool(await own.control.scan(code, "+14165550104"))
            except ControlRefused:  # it turned meanwhile
                return False

        await until_answered(scanned)
        await until_state(session, SessionState.READY)


async def test_what_a_person_wrote_is_heard_though_its_event_was_lost_and_the_browser_killed(
    sandbox: Sandbox, web: WhatsAppWeb, profile: Path
) -> None:
    account, person = "+14165550107", "+14165550108"
    heard: list[str] = []

    def listen(notice: Notice) -> None:
        if isinstance(notice, MessageArrived):
            heard.append(notice.text)

    session = web.session(profile)
    await session.start(listen)
    await sandbox.control.inbound(account, person, "Before it was linked")
    await link(session, sandbox.control.scan, account)
    await sandbox.control.inbound(account, person, "Hello")
    await until(lambda: heard == ["Hello"])
    await until((profile / HEARD).exists)
    await sandbox.control.arm("events_dropped", account)
    await sandbox.control.inbound(account, person, "STOP")
    await until_answered(lambda: is_stored(session))
    group = session.process_group
    assert group is not None
    os.killpg(group, signal.SIGKILL)
    await until_state(session, SessionState.DEAD)
    await session.stop()
    await sandbox.control.disarm("events_dropped")
    assert heard == ["Hello"]

    again = web.session(profile)
    await again.start(listen)
    await until(lambda: "STOP" in heard)
    assert "Before it was linked" not in heard
    await again.stop()


async def is_stored(session: WhatsAppWebSession) -> bool:
    """Whether the browser has the person's second message, though nobody was told of it."""
    assert session._page is not None
    chats = await session._page.evaluate("WPP.chat.list().then(chats => chats.map(chat => chat.unreadCount))")
    return bool(chats == [2])
