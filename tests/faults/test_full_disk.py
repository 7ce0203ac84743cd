"""A disk that fills up under a running job, first nearly, then to the last byte: nobody is lost, nobody hears twice."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from adapters.bus import Bus
from adapters.outages import OUTAGES
from adapters.sandbox.ledger import recount
from adapters.streams import COMMANDS, declare
from infra.client import Api, Problem
from infra.embedded import EmbeddedNats
from infra.ports import free_port
from tests.e2e.test_restore import Run, approved, drumline, linked
from tests.small_disk import needs_root, small_disk
from tests.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(500), needs_root]

MEGABYTE = 1_000_000
PEOPLE = [f"+1202555{200 + number:04}" for number in range(60)]
RESERVE = 80  # MB


async def test_a_job_on_a_disk_that_fills_up_reaches_everybody_once(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRUMLINE_DISK_RESERVE", str(RESERVE))
    data = scratch / ".drumline"
    data.mkdir(mode=0o711)
    with small_disk(scratch / "disk", 400) as disk:
        for server in ("postgres", "nats"):  # the world outside, the sandbox, has a disk of its own
            (disk.path / server).mkdir(mode=0o711)
            (data / server).symlink_to(disk.path / server)
        async with drumline(scratch, free_port()) as run:
            account = await linked(run)
            await run.team["admin"].put("/v1/workspace/sending-policy", {"messages": 4, "seconds": 1})
            job = await submitted(run, scratch, account)
            author, ledger = run.team["author"], data / "sandbox" / "ledger.jsonl"
            await approved(run, job)
            await until(lambda: recount(ledger).distinct >= 5, 60)

            disk.fill(RESERVE * MEGABYTE // 2)
            await until(lambda: refused(author), 30)
            await until(lambda: at_rest(run, job), 60)
            held = recount(ledger).distinct
            assert held < len(PEOPLE)
            disk.empty()
            await until(lambda: recount(ledger).distinct > held, 60)
            await until(lambda: ready(author), 60)

            disk.fill()
            await until(lambda: ran_out(disk.path), 120)
            stuck = recount(ledger).distinct
            disk.empty()
            await until(lambda: over(run, job), 240)
            counts = await told(run, job)
            wire = recount(ledger)
            assert (wire.distinct, wire.duplicates) == (len(PEOPLE), 0), (held, stuck, counts)
            assert counts.get("unknown", 0) == 0, counts
            assert await taken(author)
            await until(lambda: ready(author), 60)


def ran_out(disk: Path) -> bool:
    """Whether both servers complained of it."""
    said = [(disk / "postgres" / "postgres.log", "No space left"), (disk / "nats" / "nats.log", "no space left")]
    return all(words in path.read_text(errors="replace") for path, words in said)


async def submitted(run: Run, scratch: Path, account: str) -> str:
    path = scratch / "people.csv"
    path.write_text("\n".join(["number,name,consent", *(f"{number},Somebody,yes" for number in PEOPLE)]))
    author = run.team["author"]
    audience = (await author.upload("/v1/audiences", path, title="Customers"))["audience_id"]
    body = {"title": "Spring", "parts": [{"text": "Hello {{name}}"}], "audience_id": audience}
    campaign = (await author.post("/v1/campaigns", body))["campaign_id"]
    return str((await author.post("/v1/jobs", {"campaign_id": campaign, "accounts": [account]}))["job_id"])


async def taken(author: Api) -> bool:
    """Whether a new command is."""
    try:
        await author.post("/v1/campaigns", {"title": "More", "parts": [{"text": "Hello"}]})
    except Problem as problem:
        if problem.rule not in ("disk_full", "unavailable"):
            raise
        return False
    return True


async def refused(author: Api) -> bool:
    return not await taken(author)


async def ready(author: Api) -> bool:
    answer: dict[str, Any] = json.loads((await author._http.get("/readyz")).content)
    return bool(answer["status"] == "ok")


async def told(run: Run, job: str) -> dict[str, Any]:
    return dict((await run.team["author"].get(f"/v1/jobs/{job}"))["counts"])


async def at_rest(run: Run, job: str) -> bool:
    """Whether nothing is on its way, while some are still to come."""
    counts = await told(run, job)
    return counts["pending"] > 0 and not counts["intended"] and await unchanged(run, job, counts)


async def unchanged(run: Run, job: str, before: dict[str, Any]) -> bool:
    await asyncio.sleep(2.5)  # a block of the pace: who were still sending would have gone on
    return await told(run, job) == before


async def over(run: Run, job: str) -> bool:
    try:
        return bool((await run.team["author"].get(f"/v1/jobs/{job}"))["status"] == "completed")
    except Problem:
        return False


async def test_a_nats_whose_disk_was_full_is_known_and_stores_again_after_a_new_start(scratch: Path) -> None:
    with small_disk(scratch / "disk", 80) as disk:
        server = EmbeddedNats(disk.path / "nats")
        server.start()
        try:
            bus = await Bus.connect(server.url, "test")
            await declare(bus.js)
            await bus.js.publish("cmd.a.b.c.d", b"before", stream=COMMANDS)
            disk.fill()
            with pytest.raises(OUTAGES):
                await bus.js.publish("cmd.a.b.c.d", b"x" * 60_000, stream=COMMANDS, timeout=2)
            assert not server.starved()  # there is no room yet
            disk.empty()
            assert server.starved()
            await asyncio.to_thread(server.restart)
            assert not server.starved()
            await until(lambda: bus.nc.is_connected, 30)
            await bus.js.publish("cmd.a.b.c.d", b"after", stream=COMMANDS)
            first, last = [await bus.js.get_msg(COMMANDS, number) for number in (1, 2)]
            assert (first.data, last.data) == (b"before", b"after")
            await bus.close()
        finally:
            server.stop()
