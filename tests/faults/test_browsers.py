"""The same with real browsers: what a killed worker leaves behind is gone before its account is opened again."""

import os
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import pytest

from adapters.sandbox import ledger
from adapters.whatsapp_web.browser import process_group_of
from domain.account import RegisterAccount
from domain.send import SendConfirmed, SendIntended, SendUnknown
from tests.adapters.whatsapp.running import Sandbox, running_sandbox
from tests.faults.test_crashes import Victim, over
from tests.workers.sending_house import HERE, House, core, house, running, until
from tests.workers.sending_steps import NUMBERS, all_ready, open_workspace, submit

PHONE = "+46701740605"


@pytest.fixture
async def sandbox(scratch: Path) -> AsyncIterator[Sandbox]:
    flags = ("--delivered-after", "0.05", "--read-after", "0.1", "--read-share", "1")
    async with running_sandbox(scratch / "sandbox", *flags) as server:
        yield server


async def scan(home: House, sandbox: Sandbox, account: UUID) -> bool:
    answer = await home.bus.ask(f"ctl.session.{account}.qr")
    payload = orjson.loads(answer)["qr"] if answer else None
    if payload:
        await sandbox.control.scan(payload, PHONE)
    return payload is not None


def gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_worker_killed_after_the_act_starts_again_with_one_browser_and_sends_nothing_twice(
    database_url: str, nats_url: str, scratch: Path, sandbox: Sandbox
) -> None:
    victim = Victim(database_url, nats_url, scratch)
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):
        await open_workspace(home)
        account = uuid4()
        await home.give(RegisterAccount(account, (await home.contents.put_many(HERE, ["Front desk"]))[0]))
        profile = scratch / "profiles" / str(account)
        async with victim.process("sessions", "after_act:3", sandbox.url) as process:
            await until(partial(scan, home, sandbox, account), 40)
            await until(lambda: all_ready(home, [account]), 40)
            [(former,)] = await home.rows("SELECT browser_group FROM leases WHERE account = %s", account)
            assert former == process_group_of(profile)
            job = await submit(home, [account], NUMBERS[:6])
            await victim.dies(process)
        async with victim.process("sessions", page=sandbox.url):
            await until(lambda: over(home, job.job_id), 60)
            [(latter,)] = await home.rows("SELECT browser_group FROM leases WHERE account = %s", account)
            assert latter == process_group_of(profile) != former
            assert gone(former)
        events = [recorded.event for recorded in await home.events()]
    wire = list(ledger.read(sandbox.ledger))
    assert Counter(entry.chat for entry in wire) == Counter(NUMBERS[:6])
    assert sum(isinstance(event, SendIntended) for event in events) == 6
    # What the third one came to shows only if its receipt had not reached the former browser yet.
    assert sum(isinstance(event, SendConfirmed) for event in events) in (5, 6)
    assert sum(isinstance(event, SendUnknown) for event in events) in (0, 1)
