"""A running drumline with a job that sends, and blows against it at random; how long each takes to be got over."""

import asyncio
import csv
import logging
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from uuid import uuid4

from rich.console import Console

from adapters.sandbox.client import SandboxControl
from adapters.sandbox.ledger import NAME, read
from adapters.whatsapp_web.browser import process_group_of
from infra import demo_story
from infra.client import Api
from infra.demo_journal import Journal
from infra.demo_screen import Screen
from infra.ports import free_port
from infra.settings import Settings
from infra.up import House
from tests.faults.test_long_job import people
from tests.waiting import until

log = logging.getLogger(__name__)

PLACES = {"core": "run/core", "sessions": "run/sessions", "api": "run/api", "nats": "nats", "postgres": "postgres"}
VICTIMS = (*PLACES, "browser", "everything")
STOPPED = 0.2  # the share of blows that stop and let go on, where the others kill
PACE = {"messages": 1, "seconds": 1}  # an account
PATIENCE = 90.0  # seconds after which a blow counts as not got over
CAMPAIGN = {"title": "Hello", "parts": [{"text": "Hello"}]}


@dataclass
class Blow:
    """What was done, and how many seconds later commands were answered and every account sent again."""

    victim: str
    how: str
    commands: float = PATIENCE
    sends: float = PATIENCE
    told: list[str] = field(default_factory=list)

    @property
    def recovery(self) -> float:
        return max(self.commands, self.sends)


@dataclass
class Target:
    """The running drumline: its people, its accounts and what it has sent."""

    data: Path
    author: Api
    accounts: list[str]
    told: list[str]

    @property
    def ledger(self) -> Path:
        return self.data / "sandbox" / NAME

    def pids(self, victim: str) -> list[int]:
        """The processes of a victim, or their groups (negative); none where it does not run just now."""
        if victim == "everything":
            return [pid for one in (*PLACES, *self.accounts) for pid in self.pids(one)]
        if victim in PLACES:
            return [int((self.data / PLACES[victim] / "process").read_text().split()[0])]
        group = process_group_of(self.data / "profiles" / victim)  # of an account: its browser
        return [-group] if group else []

    def choose(self, chosen: random.Random) -> tuple[str, list[int]]:
        """A victim and its processes: somebody whom a blow can hit."""
        while True:
            victim = chosen.choice(VICTIMS)
            if pids := self.pids(chosen.choice(self.accounts) if victim == "browser" else victim):
                return victim, pids

    async def strike(self, victim: str, pids: list[int], stop: float | None) -> Blow:
        """Kill, or stop for some seconds, and wait until all is as before."""
        send(pids, signal.SIGKILL if stop is None else signal.SIGSTOP)
        if stop is not None:
            await asyncio.sleep(stop)
            send(pids, signal.SIGCONT)
        blow = Blow(victim, "killed" if stop is None else f"stopped {stop:.0f} s")
        began, said_before = time.time(), len(self.told)
        await asyncio.gather(self._command(blow, began), self._send(blow, began))
        blow.told = self.told[said_before:]
        return blow

    async def _command(self, blow: Blow, began: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.author.post("/v1/campaigns", CAMPAIGN, uuid4().hex)
                blow.commands = time.time() - began

    async def _send(self, blow: Blow, began: float) -> None:
        def times() -> dict[str, float]:
            first: dict[str, float] = {}
            for entry in read(self.ledger):
                if entry.at > began:
                    first.setdefault(entry.account, entry.at - began)
            return first

        with suppress(TimeoutError):
            await until(lambda: len(times()) == len(self.accounts), PATIENCE)
            blow.sends = max(times().values())


def send(pids: list[int], sign: signal.Signals) -> None:
    """Signal processes, or groups of them (negative)."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, sign)


@asynccontextmanager
async def target(scratch: Path, recipients: int) -> AsyncIterator[Target]:
    """All of it, with two accounts that send to so many people, a message a second each."""
    contacts = scratch / "contacts.csv"
    with contacts.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["number", "name", "consent", "consent_source", "consent_at"])
        rows.writerows(
            [number, "Someone", "yes", "web_form", "2025-01-14T09:30:00+00:00"] for number in people(recipients)
        )
    data, told = scratch / "data", list[str]()
    settings = Settings(data_dir=data, http_port=free_port(), sandbox_port=free_port())
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(House(settings, told.append))
        phone = await stack.enter_async_context(SandboxControl(settings.sandbox_url))
        apis = {
            name: await stack.enter_async_context(Api(settings.api_url, key, patience=PATIENCE))
            for name, key in (await house.welcome("demo")).keys.items()
        }
        story = demo_story.Story(Screen(Console(quiet=True)), Journal(scratch / "journal"), apis, phone)
        await apis["admin"].put("/v1/workspace/sending-policy", PACE)
        accounts = await story.accounts()
        author = apis["author"]
        imported = await author.upload("/v1/audiences", contacts, title="Many")
        wanted = {"title": "Many", "parts": CAMPAIGN["parts"], "audience_id": imported["audience_id"]}
        campaign = (await author.post("/v1/campaigns", wanted))["campaign_id"]
        job = (await author.post("/v1/jobs", {"campaign_id": campaign, "accounts": accounts}))["job_id"]
        seen = {"review_hash": (await author.get(f"/v1/jobs/{job}"))["review_hash"]}
        await apis["moderator"].post(f"/v1/jobs/{job}/approve", seen)
        yield Target(data, author, accounts, told)


async def blows(struck: Target, count: int, seconds: float, seed: int) -> list[Blow]:
    """So many blows at random, each after the one before was got over; fewer when the seconds are over."""
    chosen = random.Random(seed)
    end, found = time.monotonic() + seconds, list[Blow]()
    while len(found) < count and time.monotonic() < end:
        stop = chosen.uniform(3.0, 24.0) if chosen.random() < STOPPED else None
        await asyncio.sleep(chosen.uniform(0.2, 3.0))
        blow = await struck.strike(*struck.choose(chosen), stop)
        found.append(blow)
        figures = f"{blow.victim:10} {blow.how:13} commands {blow.commands:5.1f} s, sends {blow.sends:5.1f} s"
        log.warning("%s  %s", figures, " | ".join(blow.told) if blow.recovery > 5 else "")
    return found


def table(found: list[Blow]) -> Iterator[str]:
    """Lines of Markdown: by victim, and all together."""
    yield "| what | times | median | p90 | most |"
    yield "|---|---|---|---|---|"
    for victim in (*VICTIMS, ""):
        times = sorted(blow.recovery for blow in found if victim in ("", blow.victim))
        if times:
            p90 = quantiles(times, n=10, method="inclusive")[-1] if len(times) > 1 else times[0]
            yield f"| {victim or 'all'} | {len(times)} | {median(times):.1f} | {p90:.1f} | {times[-1]:.1f} |"
