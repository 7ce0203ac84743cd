"""Faults F1 to F18, each with what a user is told: the account's state and reason, its session's, and what to do; or
what became of the message. One browser, hurt in turn; what heals without hands is seen to heal."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from adapters.sandbox.client import ControlRefused
from adapters.sandbox.faults import FAULTS
from adapters.sends import QR, RESTART, live
from adapters.sessions import states
from api.standing import LONG, standing, to_do
from domain.account import RegisterAccount, ResumeAccount, Status
from domain.content import MediaKind, MediaPart, Part
from domain.message import Digest, Recorded, Ref, StreamId
from domain.send import delivery_id
from projections import accounts, deliveries
from projections.history import row_at
from projections.outcomes import Outcome
from tests.adapters.files import image
from tests.adapters.whatsapp.running import Sandbox, running_sandbox
from tests.faults.told import ALL, CAPPED, OF_SENDS, Told, table
from tests.workers.sending_house import HERE, House, core, house, now, running, until
from tests.workers.sending_steps import NUMBERS, as_texts, open_workspace, submit
from workers import doubts, outgrown, session_reports
from workers import session as session_worker
from workers.session import SessionWorker

ROOT = Path(__file__).parents[2]
PHONE = "+46701740605"
DEADLINE = 5.0  # seconds for a send
HEALTHY = Told("", "none")
LARGE = 420 << 20  # bytes: more than a browser takes here, less than one that grows by 256 MB
Stands = tuple[str, str | None, str, str]


@dataclass
class Ground:
    """One account in one browser on one sandbox."""

    home: House
    sandbox: Sandbox
    account: UUID
    file: Digest  # a picture
    recipients: int = 0

    async def standing(self) -> Stands:
        """The account's status and reason, its session's state and reason."""
        row = row_at(accounts.PROJECTION, await self.home.store.history(StreamId(f"account-{self.account}")))
        assert row is not None
        async with self.home.pool.connection() as connection:
            session = (await states(connection, [self.account]))[self.account]
        told, later = (
            standing(Status(row.status), row.reason, paused=row.paused, session=session, now=at)
            for at in (now(), now() + 2 * LONG)
        )
        self.do, self.later = told.do, later.do
        return str(row.status), row.reason and str(row.reason), str(session.state), session.reason

    async def is_told(self, told: Told) -> None:
        """Wait until a user is told this."""
        seen: tuple[Any, ...] = ()

        async def so() -> bool:
            nonlocal seen
            seen = (await self.standing(), self.do, self.later)
            return seen == (told.stands, told.do, told.later or told.do)

        try:
            await until(so, 40)
        except TimeoutError:
            raise AssertionError(f"{told}: a user is told {seen}") from None

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

    async def send(self, told: Told, people: int = 1) -> None:
        """A job to people of its own; wait until each delivery ended as is told, and look what it went through."""
        numbers = NUMBERS[self.recipients : self.recipients + people]
        self.recipients += people
        for number in numbers if told in (*OF_SENDS, *CAPPED) else ():
            await self.sandbox.control.arm(told.fault, number, 1)
        make = self.picture if told.fault == "slow_media" else as_texts
        job = await submit(self.home, [self.account], numbers, make=make)
        streams = [StreamId(f"delivery-{delivery_id(job.job_id, recipient)}") for recipient in job.recipients]
        passed: list[list[str]] = []

        async def so() -> bool:
            passed[:] = [path(await self.home.store.history(stream)) for stream in streams]
            return all(one[-1:] == [told.path[-1]] for one in passed)

        try:
            await until(so, 60)
        except TimeoutError:
            raise AssertionError(f"{told}: deliveries went through {passed}") from None
        assert all(set(one) <= set(told.path) for one in passed), f"{told}: {passed}"
        if told in OF_SENDS:
            state, _, reason = told.path[-1].partition(" ")
            assert to_do(Outcome(state), reason or None) == told.do

    def picture(self, _refs: Sequence[Ref]) -> Sequence[Part]:
        return [MediaPart(MediaKind.IMAGE, self.file)]


def path(history: Sequence[Recorded]) -> list[str]:
    """The states that a delivery went through, each with its reason, as a user is told them."""
    rows = [row_at(deliveries.PROJECTION, history[:many]) for many in range(1, len(history) + 1)]
    told = [(SENT.get(row.state, str(row.state)), row.reason) for row in rows if row and row.state not in ON_ITS_WAY]
    words = [f"{state} {reason or ''}".strip() for state, reason in told]
    return [word for word, _ in groupby(words)]


State = deliveries.State
SENT = dict.fromkeys((State.SENT, State.DELIVERED, State.READ), "sent")
ON_ITS_WAY = (State.INTENDED, State.AGAIN)


@asynccontextmanager
async def ground(
    database_url: str, nats_url: str, scratch: Path, *, browser_memory: int = 8 << 30
) -> AsyncIterator[Ground]:
    flags = ("--delivered-after", "0.05", "--read-after", "600", "--read-share", "0", "--slow-media", "2")
    async with (
        running_sandbox(scratch / "sandbox", *flags) as sandbox,
        house(database_url, nats_url, scratch, sandbox.url) as home,
    ):
        tools = replace(home.tools, deadline=DEADLINE, browser_memory=browser_memory)
        async with running(*core(home), SessionWorker(tools).run):
            await open_workspace(home)
            account = UUID(int=7)
            await home.give(RegisterAccount(account, (await home.contents.put_many(HERE, ["Front desk"]))[0]))
            file = (await home.media.put(HERE, [image("PNG")])).id
            made = Ground(home, sandbox, account, file)
            await made.scan()
            await made.is_told(HEALTHY)
            yield made


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_reports, "STALLED_AFTER", 3.0)
    monkeypatch.setattr(session_worker, "FIRST_PAUSE", 0.2)
    monkeypatch.setattr(doubts, "PAGE", (0.2, 1.0))


async def lasting(on: Ground, faults: Sequence[str]) -> None:
    """What lasts as long as it is armed, and ends with it."""
    for fault in faults:
        await on.sandbox.control.arm(fault)
        await on.is_told(ALL[fault])
        await on.sandbox.control.disarm()
        if fault == "tos_block":  # only a person ends that
            await on.is_told(replace(ALL[fault], stands=("restricted", "banned", "ready", "main")))
            await on.home.give(ResumeAccount(on.account))
        await on.is_told(HEALTHY)


async def struck(on: Ground, faults: Sequence[str]) -> None:
    """A session that was hurt is ready again without hands."""
    for fault in faults:
        await on.send(ALL[fault])
        await on.sandbox.control.disarm()
        await on.is_told(HEALTHY)


def test_the_reference_names_every_fault_and_what_is_told_of_it() -> None:
    assert table() in (ROOT / "docs" / "reference.md").read_text()
    assert {told.report for told in ALL.values()} - {""} == {f"F{number}" for number in range(1, 19)}
    doubled = {name for name, says in FAULTS.items() if says.startswith("F19")}  # that one is for oracles
    assert set(ALL) == set(FAULTS) - doubled


async def test_a_block_is_told_until_a_person_ends_it_and_a_killed_browser_comes_back(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with ground(database_url, nats_url, scratch) as on:
        await lasting(on, ["tos_block"])
        await struck(on, ["killed_after_wire"])


@pytest.mark.long
async def test_every_lasting_fault_is_told(database_url: str, nats_url: str, scratch: Path) -> None:
    async with ground(database_url, nats_url, scratch) as on:
        await lasting(on, ["stuck_loading", "never_ready", "conflict", "deprecated_version", "tos_block"])
        control = on.sandbox.control
        # F1: lost at a restart, it shows a code. F3: the first codes run out, others come without hands.
        await control.arm("session_lost", PHONE, 1)
        await control.arm("codes_run_out", None, 1)
        await on.restart()
        await on.is_told(ALL["session_lost"])
        await on.is_told(ALL["codes_run_out"])
        # F2: no code comes, and after a while that is told.
        await control.arm("no_code")
        await on.restart()
        await on.is_told(ALL["no_code"])
        await control.disarm()
        await on.restart()
        # F3: a code that expired is refused on the phone, and another one is on show.
        await control.arm("codes_expired", None, 1)
        with pytest.raises(ControlRefused, match="code_expired"):
            await on.scan()
        await on.is_told(ALL["codes_expired"])
        await on.scan()
        await on.is_told(HEALTHY)
        # F14: a ban logs the account out, and no phone can link it.
        await control.arm("banned", PHONE)
        await on.is_told(ALL["banned"])
        with pytest.raises(ControlRefused, match="account_locked"):
            await on.scan()


@pytest.mark.long
async def test_a_page_that_grows_too_large_is_opened_anew_between_two_sends(
    database_url: str, nats_url: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgrown, "LOOK", 0.5)
    async with ground(database_url, nats_url, scratch, browser_memory=LARGE) as on:
        await on.sandbox.control.arm("memory_growth")  # F12
        await on.is_told(ALL["memory_growth"])
        await on.sandbox.control.disarm()
        await on.is_told(HEALTHY)
        await on.send(ALL["events_doubled"])


@pytest.mark.long
@pytest.mark.parametrize("half", [OF_SENDS[0::2], OF_SENDS[1::2]], ids=["one half", "the other half"])
async def test_every_fault_of_a_send_is_told_by_its_delivery(
    database_url: str, nats_url: str, scratch: Path, half: Sequence[Told]
) -> None:
    async with ground(database_url, nats_url, scratch) as on:
        await struck(on, [told.fault for told in half])


@pytest.mark.long
async def test_refusals_in_a_row_and_lost_events_are_told(database_url: str, nats_url: str, scratch: Path) -> None:
    async with ground(database_url, nats_url, scratch) as on:
        # F9: whom no LID is ever found for gets nothing, after five tries.
        await on.sandbox.control.arm("no_lid")
        await on.send(Told("F9", "no_lid for ever", path=("failed not_ready",)))
        await on.sandbox.control.disarm()
        # F14: of three people in a row the server takes nothing: a person has to look.
        for told in CAPPED:
            await on.send(told, 3)
            await on.is_told(told)
            await on.home.give(ResumeAccount(on.account))
            await on.is_told(HEALTHY)
        # F16: what events do not tell, or tell twice or late, is told by nothing else, and nothing is told wrongly.
        for fault in ("events_dropped", "events_doubled", "events_shuffled"):
            await on.sandbox.control.arm(fault)
            await on.send(ALL[fault])
            await on.is_told(ALL[fault])
            await on.sandbox.control.disarm()
