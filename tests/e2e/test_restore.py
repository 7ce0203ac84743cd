"""The how-to's way back to an older copy: who was erased or said STOP since is left alone, and nobody hears twice."""

import asyncio
import json
import os
import re
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.sandbox.client import SandboxControl
from adapters.sandbox.ledger import recount
from infra.client import Api, Problem
from infra.embedded import EmbeddedServers, take
from infra.ports import free_port
from tests.e2e.doc_shell import BLOCK, ROOT
from tests.e2e.test_up import up
from tests.waiting import until

ACCOUNT, ANA, BO, CY = "+12025550190", "+12025550111", "+12025550112", "+12025550113"
LIST = "\n".join(["number,name,consent", *(f"{number},Somebody,yes" for number in (ANA, BO, CY))])


@dataclass
class Run:
    """A running drumline and those who use it."""

    printed: str
    team: dict[str, Api]
    phones: SandboxControl

    async def person(self, number: str) -> str | None:
        found = (await self.team["author"].post("/v1/people/search", {"number": number}))["items"]
        return str(found[0]["id"]) if found else None

    async def consents(self, person: str) -> bool:
        return bool((await self.team["author"].get(f"/v1/recipients/{person}"))["consented"])


@asynccontextmanager
async def drumline(home: Path, sandbox: int) -> AsyncIterator[Run]:
    async with AsyncExitStack() as stack:
        running = up(home / ".drumline", sandbox_port=str(sandbox))
        url, printed = await asyncio.to_thread(running.__enter__)
        stack.push_async_callback(asyncio.to_thread, running.__exit__, None, None, None)
        keys = json.loads((home / ".drumline" / "keys.json").read_text())["keys"]
        team = {who: await stack.enter_async_context(Api(url, key, patience=30)) for who, key in keys.items()}
        phones = await stack.enter_async_context(SandboxControl(f"http://127.0.0.1:{sandbox}"))
        yield Run(printed, team, phones)


def commands() -> list[str]:
    """The shell blocks of the section, as they stand."""
    page = (ROOT / "docs" / "how-to.md").read_text()
    section = re.search(r"^## Back up and restore$(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    assert section is not None
    return BLOCK.findall(section[1])


async def tried(script: str, where: Path) -> tuple[int | None, str]:
    """Run a block of the how-to, which ends at the first failure: its exit code, and what it complains of."""
    run = await asyncio.create_subprocess_exec("bash", "-ec", script, cwd=where, env={**os.environ}, stderr=PIPE)
    _, complaint = await run.communicate()
    return run.returncode, complaint.decode()


async def shell(script: str, where: Path) -> None:
    """Run a block of the how-to, which succeeds."""
    assert await tried(script, where) == (0, "")


async def test_a_copy_is_restored_though_nobody_was_ever_erased_or_linked(scratch: Path) -> None:
    save, restore, *_ = commands()
    servers = EmbeddedServers(scratch / ".drumline")
    (servers.nats.home / "jetstream").mkdir(parents=True)
    held = take(servers.data_dir)
    assert await tried(save, scratch) == (1, "")  # drumline has the lock, and `flock -n` says no without a word
    assert not (scratch / "back-up").exists()
    held.close()
    await shell(save, scratch)
    await shell(restore, scratch)
    assert sorted(path.name for path in (scratch / ".drumline").iterdir()) == ["lock", "nats"]
    assert not (servers.nats.home / "jetstream").exists()


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_an_older_copy_is_restored_and_nothing_that_people_wanted_since_is_undone(scratch: Path) -> None:
    save, restore, *_ = commands()
    sandbox = free_port()
    async with drumline(scratch, sandbox) as run:
        account = await linked(run)
        job = await submitted(run, scratch, account)
        people = [await run.person(number) for number in (ANA, BO, CY)]
    await shell(save, scratch)

    async with drumline(scratch, sandbox) as run:
        await run.team["admin"].post(f"/v1/recipients/{people[0]}/erase")
        await until(lambda: (scratch / ".drumline" / "erasures.jsonl").exists(), 30)
        await ready(run, account)
        await run.phones.inbound(ACCOUNT, BO, "STOP")
        await until(lambda: opted_out(run, str(people[1])), 60)
        await approved(run, job)
        assert await over(run, job) == {"sent": 1, "skipped": 2}
    await shell(restore, scratch)
    shutil.rmtree(scratch / ".drumline" / "sandbox")  # the world outside has not been restored
    shutil.copytree(scratch / "broken" / "sandbox", scratch / ".drumline" / "sandbox")

    async with drumline(scratch, sandbox) as run:
        assert "Erased again, because the database is from before: 1." in run.printed
        await ready(run, account)
        await until(lambda: opted_out(run, str(people[1])), 60)
        await until(lambda: gone(run), 30)
        with pytest.raises(Problem) as caught:
            await run.team["admin"].get(f"/v1/people/{people[0]}/export")
        assert caught.value.rule == "unknown_recipient"
        await approved(run, job)
        told = await over(run, job)
        assert told["skipped"] == 2
        assert told.get("sent", 0) + told.get("unknown", 0) == 1
        wire = recount(scratch / ".drumline" / "sandbox" / "ledger.jsonl")
        assert (wire.distinct, wire.duplicates) == (1, 0)
        path = scratch / "list.csv"
        again = await run.team["author"].upload("/v1/audiences", path, title="Once more")
        assert again["recipients"] == 3
        assert await run.person(ANA) is None


async def linked(run: Run) -> str:
    await run.team["admin"].put("/v1/workspace/sending-policy", {"messages": 100, "seconds": 1})
    account = str((await run.team["operator"].post("/v1/accounts", {"label": "Front desk"}))["account_id"])
    scanned = set[str]()

    async def scan() -> bool:
        payload = await run.team["operator"].text(f"/v1/accounts/{account}/qr")
        if payload and payload not in scanned:
            scanned.add(payload)
            await run.phones.scan(payload.strip(), ACCOUNT)
        return await is_ready(run, account)

    await until(scan, 60)
    return account


async def is_ready(run: Run, account: str) -> bool:
    return bool((await run.team["operator"].get(f"/v1/accounts/{account}"))["status"] == "ready")


async def ready(run: Run, account: str) -> None:
    await until(lambda: is_ready(run, account), 60)


async def opted_out(run: Run, person: str) -> bool:
    return not await run.consents(person)


async def gone(run: Run) -> bool:
    return await run.person(ANA) is None


async def submitted(run: Run, scratch: Path, account: str) -> str:
    """A list, a campaign, and a job that waits for its review."""
    path = scratch / "list.csv"
    path.write_text(LIST)
    author = run.team["author"]
    audience = (await author.upload("/v1/audiences", path, title="Customers"))["audience_id"]
    body = {"title": "Spring", "parts": [{"text": "Hello {{name}}"}], "audience_id": audience}
    campaign = (await author.post("/v1/campaigns", body))["campaign_id"]
    return str((await author.post("/v1/jobs", {"campaign_id": campaign, "accounts": [account]}))["job_id"])


async def approved(run: Run, job: str) -> None:
    seen = (await run.team["moderator"].get(f"/v1/jobs/{job}"))["review_hash"]
    await run.team["moderator"].post(f"/v1/jobs/{job}/approve", {"review_hash": seen})


async def over(run: Run, job: str) -> dict[str, Any]:
    """What became of the three, once none is pending or on its way."""

    async def told() -> dict[str, Any]:
        return dict((await run.team["author"].get(f"/v1/jobs/{job}"))["counts"])

    async def settled() -> bool:
        counts = await told()
        return not counts["pending"] and not counts["intended"]

    await until(settled, 120)
    return {
        state: count for state, count in (await told()).items() if count and state in ("sent", "skipped", "unknown")
    }
