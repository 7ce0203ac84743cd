"""Faults F1 to F18, each with what a user is told: the account's state and reason, its session's, and what to do; or
what became of the message. One browser, hurt in turn; what heals without hands is seen to heal."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from adapters.sandbox.client import ControlRefused
from adapters.sends import QR, RESTART, live
from adapters.sessions import states
from api.standing import standing
from domain.account import RegisterAccount, ResumeAccount, Status
from domain.message import StreamId
from domain.send import delivery_id
from projections import accounts, deliveries
from projections.history import row_at
from tests.adapters.whatsapp.running import Sandbox, running_sandbox
from tests.workers.sending_house import HERE, House, core, house, now, running, until
from tests.workers.sending_steps import NUMBERS, open_workspace, submit
from workers import session as session_worker
from workers import session_reports
from workers.session import SessionWorker

PHONE = "+46701740605"
DEADLINE = 5.0  # seconds for a send
HEALED = ("ready", None, "ready", "main")


Told = tuple[tuple[str, str | None], ...]  # a delivery's state and reason: any of these


@dataclass
class Ground:
    """One account in one browser on one sandbox."""

    home: House
    sandbox: Sandbox
    account: UUID
    recipients: int = 0

    async def standing(self) -> tuple[str, str | None, str, str]:
        """The account's status and reason, its session's state and reason."""
        row = row_at(accounts.PROJECTION, await self.home.store.history(StreamId(f"account-{self.account}")))
        assert row is not None
        async with self.home.pool.connection() as connection:
            session = (await states(connection, [self.account]))[self.account]
        told = standing(Status(row.status), row.reason, paused=row.paused, session=session, now=now())
        self.says, self.do = told.says, told.do
        return str(row.status), row.reason and str(row.reason), str(session.state), session.reason

    async def is_told(self, *wanted: str | None) -> None:
        """Wait until a user is told this."""
        seen: tuple[Any, ...] = ()

        async def so() -> bool:
            nonlocal seen
            seen = await self.standing()
            return seen == wanted

        try:
            await until(so, 40)
        except TimeoutError:
            raise AssertionError(f"a user is told {seen}, not {wanted}") from None

    async def ask(self, verb: str) -> dict[str, Any]:
        answer = await self.home.bus.ask(live(self.account, verb))
        return {} if answer is None else dict(orjson.loads(answer))

    async def restart(self) -> None:
        async def asked() -> bool:
            return bool(await self.ask(RESTART))

        await until(asked)

    async def scan(self) -> None:
        async def scanned() -> bool:
            payload = (await self.ask(QR)).get("qr")
            if payload:
                await self.sandbox.control.scan(payload, PHONE)
            return bool(payload)

        await until(scanned, 40)

    async def send(self, *wanted: Told, fault: str = "") -> None:
        """A job to people of its own, struck by a fault; wait until each delivery is told as one of what is wanted."""
        people = len(wanted)
        numbers = NUMBERS[self.recipients : self.recipients + people]
        self.recipients += people
        for number in numbers if fault else ():
            await self.sandbox.control.arm(fault, number, 1)
        job = await submit(self.home, [self.account], numbers)

        async def row(recipient: UUID) -> Any:
            stream = StreamId(f"delivery-{delivery_id(job.job_id, recipient)}")
            return row_at(deliveries.PROJECTION, await self.home.store.history(stream))

        seen: list[tuple[str, str | None]] = []

        async def so() -> bool:
            rows = [one for recipient in job.recipients if (one := await row(recipient))]
            seen[:] = [(SENT.get(str(one.state), str(one.state)), one.reason and str(one.reason)) for one in rows]
            return len(seen) == people and all(one in told for one, told in zip(seen, wanted, strict=True))

        try:
            await until(so, 40)
        except TimeoutError:
            raise AssertionError(f"{fault}: a user is told {seen}, not {wanted}") from None


SENT = dict.fromkeys(("sent", "delivered", "read"), "sent")
TAKEN: Told = (("sent", None),)
UNHEARD: Told = (("unknown", "browser_gone"), *TAKEN)  # sent, once its receipt comes


@asynccontextmanager
async def ground(database_url: str, nats_url: str, scratch: Path) -> AsyncIterator[Ground]:
    flags = ("--delivered-after", "0.05", "--read-after", "600", "--read-share", "0")
    async with (
        running_sandbox(scratch / "sandbox", *flags) as sandbox,
        house(database_url, nats_url, scratch, sandbox.url) as home,
    ):
        tools = replace(home.tools, deadline=DEADLINE)
        async with running(*core(home), SessionWorker(tools).run):
            await open_workspace(home)
            account = UUID(int=7)
            await home.give(RegisterAccount(account, (await home.contents.put_many(HERE, ["Front desk"]))[0]))
            made = Ground(home, sandbox, account)
            await made.scan()
            await made.is_told(*HEALED)
            yield made


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_reports, "STALLED_AFTER", 3.0)
    monkeypatch.setattr(session_worker, "FIRST_PAUSE", 0.2)


# While it is armed: what a user is told.
LASTING = {
    "stuck_loading": ("degraded", "stalled", "syncing", "syncing"),  # F4
    "never_ready": ("degraded", "stalled", "loading", "page_loading"),  # F5
    "conflict": ("degraded", "conflict", "conflict", "used_elsewhere"),  # F15
    "deprecated_version": ("degraded", "stalled", "degraded", "deprecated_version"),
    "tos_block": ("restricted", "banned", "restricted", "tos_block"),
}
# What a message's delivery says.
SENDS: dict[str, Told] = {
    "not_on_whatsapp": (("failed", "not_on_whatsapp"),),
    "nack": (("failed", "refused"),),
    "ack_stuck": (("unknown", "deadline"),),  # F6
    "receipts_lost": TAKEN,  # F7
    "navigation": UNHEARD,  # F8
    "no_lid": TAKEN,  # F9, the second time
    "hang_after_wire": (("unknown", "deadline"), *TAKEN),  # F10
    "duplicate_refused": (("unknown", "duplicate_id"),),  # F11
    "profile_locked": (("unknown", "browser_gone"),),  # F13
    "killed_before_store": (("unknown", "browser_gone"),),  # F17
    "killed_after_store": UNHEARD,
    "killed_after_wire": UNHEARD,
    "killed_after_ack": UNHEARD,
}


async def lasting(on: Ground, faults: Sequence[str]) -> None:
    for fault in faults:
        await on.sandbox.control.arm(fault)
        await on.is_told(*LASTING[fault])
        assert on.do
        await on.sandbox.control.disarm()
        if fault == "tos_block":  # only a person ends that
            await on.is_told("restricted", "banned", "ready", "main")
            await on.home.give(ResumeAccount(on.account))
        await on.is_told(*HEALED)


async def struck(on: Ground, faults: Sequence[str]) -> None:
    """A session that was hurt is ready again without hands."""
    for fault in faults:
        await on.send(SENDS[fault], fault=fault)
        await on.sandbox.control.disarm()
        await on.is_told(*HEALED)


async def test_a_block_is_told_until_a_person_ends_it_and_a_killed_browser_comes_back(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with ground(database_url, nats_url, scratch) as on:
        await lasting(on, ["tos_block"])
        await struck(on, ["killed_after_wire"])


@pytest.mark.long
async def test_every_lasting_fault_is_told(database_url: str, nats_url: str, scratch: Path) -> None:
    async with ground(database_url, nats_url, scratch) as on:
        await lasting(on, list(LASTING))
        control = on.sandbox.control
        # F12: nobody is told anything, and messages go out.
        await control.arm("memory_growth")
        await on.send(TAKEN)
        assert await on.standing() == HEALED
        await control.disarm()
        # F1: lost at a restart, it shows a code. F3: the first codes run out, others come without hands.
        await control.arm("session_lost", PHONE, 1)
        await control.arm("codes_run_out", None, 1)
        await on.restart()
        await on.is_told("logged_out", "logged_out", "qr", "scan")
        assert on.do.startswith("Scan the QR")
        # F2: no code comes, and after a while that is told.
        await control.arm("no_code")
        await on.restart()
        await on.is_told("logged_out", "logged_out", "loading", "waiting_for_code")
        await control.disarm()
        await on.restart()
        # F3: a code that expired is refused on the phone, and another one is on show.
        await control.arm("codes_expired", None, 1)
        with pytest.raises(ControlRefused, match="code_expired"):
            await on.scan()
        await on.scan()
        await on.is_told(*HEALED)
        # F14: a ban logs the account out, and no phone can link it.
        await control.arm("banned", PHONE)
        await on.is_told("logged_out", "logged_out", "qr", "scan")
        with pytest.raises(ControlRefused, match="account_locked"):
            await on.scan()


@pytest.mark.long
async def test_every_fault_of_a_send_is_told_by_its_delivery(database_url: str, nats_url: str, scratch: Path) -> None:
    async with ground(database_url, nats_url, scratch) as on:
        await struck(on, list(SENDS))
        # F9: whom no LID is ever found for gets nothing, after five tries.
        await on.sandbox.control.arm("no_lid")
        await on.send((("failed", "not_ready"),))
        await on.sandbox.control.disarm()
        # F14: of three people in a row the server takes nothing: a person has to look.
        for fault in ("reachout_locked", "new_chats_capped"):
            await on.send(*[(("failed", "refused"),)] * 3, fault=fault)
            await on.is_told("restricted", "capped", "ready", "main")
            assert on.do.startswith("Wait until the phone sends again")
            await on.home.give(ResumeAccount(on.account))
            await on.is_told(*HEALED)
        # F16: what events do not tell, or tell twice or late, is told by nothing else, and nothing is told wrongly.
        for fault in ("events_dropped", "events_doubled", "events_shuffled"):
            await on.sandbox.control.arm(fault)
            await on.send(TAKEN)
            await on.sandbox.control.disarm()
