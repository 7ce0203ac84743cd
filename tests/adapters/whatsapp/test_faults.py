"""Each fault of the sandbox does what it says: seen in the page, on the phones and on the wire, without the product."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Error

from adapters.sandbox.client import ControlRefused
from adapters.sandbox.nouns import lid_of
from adapters.whatsapp_web.browser import kill_former
from adapters.whatsapp_web.driver import WhatsAppWeb
from adapters.whatsapp_web.session import LaunchFailed
from tests.adapters.whatsapp.running import Sandbox, new_number, until_answered
from tests.adapters.whatsapp.tabs import Tab, new_tab, on_profile

pytestmark = pytest.mark.asyncio(loop_scope="session")
ACCOUNT = "+13125550100"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(browser: Browser, sandbox: Sandbox) -> AsyncIterator[Tab]:
    """One linked page for what does no lasting harm."""
    async with new_tab(browser, sandbox) as tab:
        yield await tab.link(ACCOUNT)


@pytest_asyncio.fixture(loop_scope="session")
async def linked(shared: Tab, sandbox: Sandbox) -> AsyncIterator[Tab]:
    await shared.ready()
    yield shared
    await sandbox.control.disarm()
    await shared.ready()


@pytest_asyncio.fixture(loop_scope="session")
async def tab(browser: Browser, sandbox: Sandbox) -> AsyncIterator[Tab]:
    """A page of a test's own, not linked yet."""
    async with new_tab(browser, sandbox) as fresh:
        yield fresh
    await sandbox.control.disarm()


async def arm(tab: Tab, fault: str, number: str | None, times: int | None = 1) -> None:
    await tab.sandbox.control.arm(fault, number, times)


async def spent(tab: Tab, fault: str) -> None:
    """Wait until a fault that was armed once has struck."""

    async def gone() -> bool:
        return fault not in [armed["name"] for armed in await tab.sandbox.control.armed()]

    await until_answered(gone)


def resident_of(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


# -- sessions ---------------------------------------------------------------------------------------------------------


async def test_f1_after_its_next_start_the_session_is_lost_without_a_log_out(tab: Tab) -> None:
    await tab.link("+13125550101")
    await arm(tab, "session_lost", "+13125550101")
    await tab.page.reload()
    await spent(tab, "session_lost")
    assert await until_answered(tab.code)
    assert await tab.told("logout", "reason") == []
    phones = (await tab.sandbox.control.phones())["phones"]
    (phone,) = [phone for phone in phones if phone["phone"] == "+13125550101"]
    assert [device["online"] for device in phone["devices"]] == [False]  # the phone knows nothing of it


async def test_f2_no_code_ever_comes(browser: Browser, sandbox: Sandbox) -> None:
    await sandbox.control.arm("no_code")
    async with new_tab(browser, sandbox) as other:
        await other.until("window.WPP?.conn?.getStreamData?.().mode === 'QR' && WPP.conn.isOnline()")
        assert await other.code() is None
        assert not await other.is_("WPP.conn.isIdle()")
        await sandbox.control.disarm()
        await other.is_("void WPP.conn.refreshQR()")
        assert await until_answered(other.code)


async def test_f3_codes_run_out_at_once_and_a_new_list_can_be_asked_for(browser: Browser, sandbox: Sandbox) -> None:
    await sandbox.control.arm("codes_run_out", times=1)
    async with new_tab(browser, sandbox) as other:
        await other.until("window.WPP?.conn?.isIdle?.()")
        assert await other.code() is None
        await other.is_("void WPP.conn.refreshQR()")
        assert await until_answered(other.code)


async def test_f3_a_code_has_expired_when_it_is_scanned(tab: Tab) -> None:
    code = await until_answered(tab.code)
    assert code is not None
    await arm(tab, "codes_expired", "+13125550102")
    with pytest.raises(ControlRefused, match="code_expired"):
        await tab.sandbox.control.scan(code, "+13125550102")
    await tab.sandbox.control.scan(code, "+13125550102")


async def test_f4_loading_never_ends_while_the_fault_is_armed(linked: Tab) -> None:
    await arm(linked, "stuck_loading", ACCOUNT, None)
    await linked.until("WPP.conn.getStreamData().mode === 'SYNCING'")
    assert await linked.is_("WPP.conn.isAuthenticated()")
    assert not await linked.is_("WPP.isFullReady")
    assert await linked.is_("WPP.conn.getHistorySyncProgress().progress") == 100
    await linked.sandbox.control.disarm()
    await linked.ready()


async def test_f5_ready_flags_stay_false_with_the_chats_on_show(linked: Tab) -> None:
    await arm(linked, "never_ready", ACCOUNT, None)
    await linked.until("!WPP.isReady")
    assert not await linked.is_("WPP.isFullReady")
    assert not await linked.is_("WPP.conn.isMainReady()")
    assert await linked.mode() == "MAIN"
    assert await linked.page.locator("main.app").is_visible()


async def test_f12_memory_grows_to_a_bound_while_the_fault_is_armed(linked: Tab, browser: Browser) -> None:
    session = await browser.new_browser_cdp_session()

    async def resident() -> int:
        processes = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
        pids = [process["id"] for process in processes if process["type"] == "renderer"]
        return sum(resident_of(pid) for pid in pids)

    before = await resident()
    await arm(linked, "memory_growth", ACCOUNT, None)

    async def grown() -> bool:
        return await resident() > before + 48 * 1024**2

    await until_answered(grown)


async def test_f14_a_ban_logs_out_as_locked_and_the_phone_can_link_nothing(tab: Tab) -> None:
    account = "+13125550103"
    await tab.link(account)
    reasons: list[str] = []
    await tab.page.expose_function("keep", lambda reason: reasons.append(reason))
    await tab.is_("void WPP.on('conn.logout_reason', keep)")
    await arm(tab, "banned", account, None)
    code = await until_answered(tab.code)
    assert reasons == ["account_locked"]
    assert code is not None
    with pytest.raises(ControlRefused, match="account_locked"):
        await tab.sandbox.control.scan(code, account)
    await tab.sandbox.control.disarm("banned")
    await tab.sandbox.control.scan(code, account)


@pytest.mark.parametrize(
    ("fault", "mode"),
    [("conflict", "CONFLICT"), ("tos_block", "TOS_BLOCK"), ("deprecated_version", "DEPRECATED_VERSION")],
)
async def test_f15_the_stream_is_in_another_mode_while_the_fault_is_armed(linked: Tab, fault: str, mode: str) -> None:
    await arm(linked, fault, ACCOUNT, None)
    await linked.until(f"WPP.conn.getStreamData().mode === '{mode}'")
    await linked.sandbox.control.disarm(fault)
    await linked.ready()


async def test_a_lasting_fault_of_one_account_leaves_others_alone(linked: Tab) -> None:
    await arm(linked, "conflict", "+13125550199", None)
    await arm(linked, "never_ready", ACCOUNT, None)
    await linked.until("!WPP.isReady")  # so it was told of what is armed
    assert await linked.mode() == "MAIN"


# -- sends ------------------------------------------------------------------------------------------------------------


async def reconnect(tab: Tab) -> None:
    before = len(await tab.told("online"))
    await tab.sandbox.control.hang_up()
    await tab.until(f"told.filter(([kind]) => kind === 'online').length >= {before + 2}")  # off, and on again
    await tab.ready()


async def test_f6_ready_and_online_a_message_stays_at_the_clock_until_the_page_connects_anew(linked: Tab) -> None:
    number = new_number()
    await arm(linked, "ack_stuck", number)
    stuck = await linked.begin(number)
    await spent(linked, "ack_stuck")
    await linked.send(new_number())  # others go their way meanwhile
    assert await linked.pending(stuck)
    assert (await linked.row(stuck), linked.on_wire(stuck)) == ({"ack": 0, "failed": False}, 0)
    assert await linked.mode() == "MAIN"
    await reconnect(linked)
    assert (await linked.outcome(stuck))[1] == "OK"
    assert linked.on_wire(stuck) == 1


async def test_f7_read_on_the_phone_and_the_page_knows_nothing_before_it_connects_anew(linked: Tab) -> None:
    number = new_number()
    phone, account = [await linked.sandbox.control.phone(each) for each in (number, ACCOUNT)]
    await arm(linked, "receipts_lost", number)
    sent = await linked.send(number)

    async def read_there() -> bool:
        return any(m["id"] == sent and m["ack"] == 3 for m in await phone.chat(account))

    await until_answered(read_there)
    heard = await linked.send(new_number())
    await linked.until(f"told.some(([kind, id, ack]) => id === '{heard}' && ack === 3)")
    assert [ack for _, wa_id, ack in await linked.told("ack") if wa_id == sent] == [1]
    assert await linked.row(sent) == {"ack": 1, "failed": False}
    await reconnect(linked)
    await linked.until(f"told.some(([kind, id, ack]) => id === '{sent}' && ack === 3)")


async def test_f8_a_navigation_in_a_send_takes_away_who_waited_but_not_the_message(linked: Tab) -> None:
    number = new_number()
    await arm(linked, "navigation", number)
    sending = (
        "number => new Promise(done => sending(number, '3EB0AAAAAAAAAAAAAAAA', (to, how) =>"
        " WPP.chat.sendTextMessage(to, 'Hello', how)).then(done))"
    )
    with pytest.raises(Error, match=r"context was destroyed|navigation"):
        await linked.page.evaluate(sending, number.removeprefix("+"))
    await linked.ready()
    assert linked.on_wire("3EB0AAAAAAAAAAAAAAAA") == 1


async def test_f9_the_number_exists_but_no_chat_can_be_found(linked: Tab) -> None:
    number = "+13125550110"
    await arm(linked, "no_lid", number)
    assert await linked.page.evaluate("async id => Boolean(await WPP.contact.queryWidExists(id))", "13125550110@c.us")
    failed = await linked.begin(number)
    assert "No LID for user" in await linked.outcome(failed)
    assert (await linked.row(failed), linked.on_wire(failed)) == (None, 0)
    await linked.send(number)


async def test_f10_a_file_is_on_the_wire_and_its_promise_hangs(linked: Tab) -> None:
    number = new_number()
    await arm(linked, "hang_after_wire", number)
    hanging = await linked.begin(number, file=True)
    await spent(linked, "hang_after_wire")
    await linked.send(new_number())
    assert await linked.pending(hanging)
    assert linked.on_wire(hanging) == 1


async def test_f11_a_fresh_message_is_refused_as_a_duplicate(linked: Tab) -> None:
    number = new_number()
    await arm(linked, "duplicate_refused", number)
    refused = await linked.begin(number)
    assert "DuplicateMessageError" in await linked.outcome(refused)
    assert (await linked.row(refused), linked.on_wire(refused)) == (None, 0)
    await linked.send(number)


@pytest.mark.parametrize("fault", ["reachout_locked", "new_chats_capped"])
async def test_f14_only_who_never_wrote_is_out_of_reach(linked: Tab, fault: str) -> None:
    number = "+13125550120" if fault == "reachout_locked" else "+13125550121"
    await arm(linked, fault, number, None)
    refused = await linked.begin(number)
    assert await linked.outcome(refused) == [-1, "ERROR_UNKNOWN"]
    assert (await linked.row(refused), linked.on_wire(refused)) == ({"ack": -1, "failed": True}, 0)
    await linked.sandbox.control.inbound(ACCOUNT, number, "Hello?")
    await linked.send(number)


async def test_f16_events_are_dropped_though_the_store_has_what_they_told(linked: Tab) -> None:
    await arm(linked, "events_dropped", ACCOUNT, None)
    await linked.is_("new Promise(done => setTimeout(done))")
    number = new_number()
    phone, account = [await linked.sandbox.control.phone(each) for each in (number, ACCOUNT)]
    sent = await linked.begin(number)
    assert (await linked.outcome(sent))[1] == "OK"

    async def stored() -> bool:
        return (await linked.row(sent) or {}).get("ack") == 3

    await until_answered(stored)
    before = len(await linked.told("new"))
    assert await phone.write(account, "Hello?") == 1

    async def arrived() -> bool:
        return bool((await phone.chat(account))[-1]["ack"] >= 2)

    await until_answered(arrived)
    assert [event for event in await linked.told("ack") if event[1] == sent] == []
    assert len(await linked.told("new")) == before


async def test_f16_events_are_doubled(linked: Tab) -> None:
    await arm(linked, "events_doubled", ACCOUNT, None)
    sent = await linked.begin(new_number())
    await linked.until(f"told.filter(([kind, id, ack]) => id === '{sent}' && ack === 3).length === 2")
    assert [ack for _, wa_id, ack in await linked.told("ack") if wa_id == sent] == [1, 1, 2, 2, 3, 3]
    assert linked.on_wire(sent) == 1


async def test_f16_events_come_in_another_order(linked: Tab) -> None:
    await arm(linked, "events_shuffled", ACCOUNT, None)
    sent = await linked.begin(new_number())
    await linked.until(f"told.filter(([, id]) => id === '{sent}').length === 4")
    order = [event[2] if event[0] == "ack" else 0 for event in await linked.told("ack", "new") if event[1] == sent]
    assert sorted(order) == [0, 1, 2, 3]
    assert order != sorted(order)


async def test_the_number_behind_a_linked_id_is_hidden_while_the_fault_is_armed(linked: Tab) -> None:
    number = new_number()
    await linked.send(number)
    asked = f"(await WPP.contact.getPnLidEntry('{lid_of(number)}@lid'))"
    assert await linked.is_(f"(async () => {asked}.phoneNumber.id)()") == number.removeprefix("+")
    await arm(linked, "numbers_hidden", ACCOUNT, None)
    await linked.until(f"(async () => !{asked}.phoneNumber)()")
    assert await linked.is_(f"(async () => {asked}.lid.id)()") == lid_of(number)


async def test_f18_a_slow_file_is_on_the_wire_late_and_a_text_is_not(linked: Tab) -> None:
    number = new_number()
    await arm(linked, "slow_media", number)
    slow = await linked.begin(number, file=True)
    await spent(linked, "slow_media")
    await linked.send(number)
    assert linked.on_wire(slow) == 0
    assert (await linked.outcome(slow))[1] == "OK"
    assert linked.on_wire(slow) == 1


async def test_f19_the_wire_has_it_twice_and_the_phone_shows_it_once(linked: Tab) -> None:
    number = new_number()
    phone, account = [await linked.sandbox.control.phone(each) for each in (number, ACCOUNT)]
    await arm(linked, "wire_doubled", number)
    sent = await linked.send(number)
    assert linked.on_wire(sent) == 2

    async def shown() -> list[str]:
        return [m["id"] for m in await phone.chat(account) if m["id"] == sent]

    assert await until_answered(shown) == [sent]


@pytest.mark.parametrize(
    ("fault", "outcome", "row"),
    [
        ("not_on_whatsapp", None, None),
        ("nack", [-1, "ERROR_UNKNOWN"], {"ack": -1, "failed": True}),
        ("hang_before_wire", "pending", {"ack": 0, "failed": False}),
    ],
)
async def test_faults_without_a_number_of_their_own_leave_the_wire_clean(
    linked: Tab, fault: str, outcome: Any, row: dict[str, Any] | None
) -> None:
    number = new_number()
    await arm(linked, fault, number)
    if outcome is None:
        query = "async id => await WPP.contact.queryWidExists(id)"
        assert await linked.page.evaluate(query, f"{number.removeprefix('+')}@c.us") is None
        return
    sent = await linked.begin(number)
    await spent(linked, fault)
    await linked.send(new_number())
    assert await linked.is_(f"outcomes['{sent}']") == outcome
    assert (await linked.row(sent), linked.on_wire(sent)) == (row, 0)


# -- browsers that die ------------------------------------------------------------------------------------------------


async def dies_in_a_send(tab: Tab, fault: str, number: str) -> str:
    """Send into a fault that kills the browser; returns the message's id."""
    gone = asyncio.Event()
    tab.page.context.on("close", lambda _: gone.set())
    await arm(tab, fault, number)
    sent = await tab.begin(number)
    await asyncio.wait_for(gone.wait(), 30)
    return sent


@pytest.mark.parametrize(
    ("fault", "row", "on_wire"),
    [
        pytest.param("killed_before_store", None, 0, marks=pytest.mark.long),
        pytest.param("killed_after_store", {"ack": 0, "failed": True}, 0, marks=pytest.mark.long),
        ("killed_after_wire", None, 1),
        pytest.param("killed_after_ack", None, 1, marks=pytest.mark.long),
    ],
)
async def test_f17_a_browser_is_killed_at_each_point_of_a_send(
    web: WhatsAppWeb, sandbox: Sandbox, profile: Path, fault: str, row: dict[str, Any] | None, on_wire: int
) -> None:
    number = new_number()
    async with on_profile(web.launch, profile, sandbox) as tab:
        await tab.link("+13125550104")
        sent = await dies_in_a_send(tab, fault, number)
    await kill_former(profile, None)
    assert tab.on_wire(sent) == on_wire
    async with on_profile(web.launch, profile, sandbox) as again:
        await again.ready()

        async def settled() -> bool:
            stored = await again.row(sent)
            # A profile need not have on disk what a page wrote just before it died.
            return stored is None or stored["failed"] or stored["ack"] == 3

        await until_answered(settled)
        found = await again.row(sent)
    if on_wire == 0:
        assert found == row
    else:
        assert found in (None, {"ack": 3, "failed": False})


async def test_f13_a_killed_browser_leaves_its_profile_locked_in_the_name_of_another_host(
    web: WhatsAppWeb, sandbox: Sandbox, profile: Path
) -> None:
    async with on_profile(web.launch, profile, sandbox) as tab:
        await tab.link("+13125550105")
        sent = await dies_in_a_send(tab, "profile_locked", new_number())
    assert tab.on_wire(sent) == 0
    with pytest.raises(LaunchFailed):
        await web.launch(profile)
    await kill_former(profile, None)
    async with on_profile(web.launch, profile, sandbox) as again:
        await again.ready()
