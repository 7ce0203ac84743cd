"""`drumline demo`: a whole campaign on the sandbox, seen from outside, and every row of the list accounted for."""

import asyncio
import json
import re
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

from rich.console import Console

from adapters.event_store import EventStore
from adapters.sandbox.client import SandboxControl
from adapters.sandbox.faults import FAULTS
from adapters.sandbox.ledger import NAME as LEDGER
from adapters.sandbox.ledger import recount
from domain import job as jobs
from domain.message import Recorded, StreamId
from infra import deploy
from infra.child import usable
from infra.client import Api
from infra.demo_journal import Journal
from infra.demo_screen import Screen
from infra.demo_story import PHONES, Story
from infra.embedded import refuse_in_use
from infra.people import People
from infra.ports import free_port, in_use
from infra.replay import table
from infra.report import Report, report
from infra.settings import Settings, SettingsError
from infra.up import END_SIGNALS, MARK, House

EXAMPLE = Path(__file__).parents[1] / "examples" / "contacts.csv"
WORKSPACE = "demo"
PORTS = ("http_port", "sandbox_port", "nats_port")
PATIENCE = 60.0  # seconds in which what died is running again
SANDBOX = ("--delivered-after", "0.3", "--read-after", "0.8")
PAGE = 1_000
NUMBERED = re.compile(r"F\d+:")  # a fault that the list of reports knows by a number


class Demo:
    """One run, or what a crash left of one. `contacts`: a CSV of one's own; `faults`: what the sandbox does wrong."""

    def __init__(
        self, settings: Settings, contacts: Path | None, faults: tuple[str, ...] = (), *, resume: bool = False
    ) -> None:
        self.settings = settings
        if resume and (contacts or faults):
            raise SettingsError("A demo is resumed with its own list and faults: leave out --contacts and --fault.")
        self.contacts = (contacts or EXAMPLE).absolute()
        self.faults = [fault_named(name) for name in faults]
        self.resume = resume
        self.screen = Screen(Console(highlight=False))

    async def run(self) -> int:
        """Run it all; the exit code: 0 only when every sum holds and nothing is doubled, lost or unknown.

        Of what a crash interrupted an account may have left one message unknown: resumed, so many are no fault.
        """
        journal = self._resumed() if self.resume else self._begun()
        task = asyncio.current_task()
        assert task is not None

        def end() -> None:
            if not task.cancelling():  # a second one would interrupt the ending, and leave browsers behind
                self.screen.note("Ending …")
                task.cancel()

        for name in END_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(name, end)
        try:
            counted = await self._run(journal)
        except asyncio.CancelledError:
            self.screen.step("Stopped", f"everything was ended cleanly; data in {self.settings.data_dir}")
            return 130
        wrong = counted.wrong(allowed=len(PHONES) if self.resume else 0)
        for sentence in wrong:
            self.screen.wrong(sentence)
        print(json.dumps(counted.line()), flush=True)
        return 1 if wrong else 0

    def _begun(self) -> Journal:
        """A new run, in a directory of its own."""
        if not self.contacts.is_file():
            raise SettingsError(f"{self.contacts} is not a file.")
        self.settings = self.settings.model_copy(update=out_of_the_way(self.settings))
        interrupted = begin_anew(self.settings.data_dir)
        if interrupted:
            self.screen.note("an interrupted demo was here (--resume would have ended it); begun anew")
        journal = Journal(self.settings.data_dir / MARK)
        ports = {name: getattr(self.settings, name) for name in PORTS}
        journal.put("begun", {"contacts": str(self.contacts), "faults": self.faults, "ports": ports})
        return journal

    def _resumed(self) -> Journal:
        """The run that was begun in the directory, with its list, its faults and its ports."""
        if self.settings.data_dir.exists():
            refuse_in_use(self.settings.data_dir)
        journal = Journal(self.settings.data_dir / MARK)
        begun = journal.done.get("begun")
        if begun is None:
            raise SettingsError(f"{self.settings.data_dir} holds no demo that could be resumed.")
        self.contacts, self.faults = Path(begun["contacts"]), begun["faults"]
        # A page's storage belongs to its address: on another port the sandbox's phones would not be linked.
        self.settings = self.settings.model_copy(update=begun["ports"])
        return journal

    async def _run(self, journal: Journal) -> Report:
        self.screen.title("drumline demo", "many messages, one cadence, nothing unproven")
        async with AsyncExitStack() as stack:
            house = await stack.enter_async_context(House(self.settings, self.screen.note, SANDBOX))
            self.settings = house.settings
            versions = "  ".join(f"{name} {version}" for name, version in house.versions.items())
            self.screen.step("Servers", f"{versions}  data in {self.settings.data_dir}")
            phone = await stack.enter_async_context(SandboxControl(self.settings.sandbox_url))
            team = await self._people(house)
            people = {
                name: await stack.enter_async_context(Api(self.settings.api_url, key, patience=PATIENCE))
                for name, key in team.keys.items()
            }
            story = Story(self.screen, journal, people, phone)
            await story.rules()
            accounts = await story.accounts()
            imported = await story.audience(self.contacts)
            job_id = await story.review(imported, accounts)
            await story.arm(self.faults)
            await story.follow(job_id, imported["recipients"])
            ledger = self.settings.data_dir / "sandbox" / LEDGER
            log = await self._log()
            counted = report(
                job_id,
                log,
                rows=imported["rows"],
                bad=imported["bad"],
                merged=imported["merged"],
                wire=recount(ledger),
                ledger=ledger,
                seconds=self.screen.seconds(),
            )
            self._tell(counted, log, job_id)
        journal.put("ended", counted.line())
        return counted

    async def _people(self, house: House) -> People:
        team = await house.welcome(WORKSPACE)
        self.screen.step("People", f"{', '.join(team.keys)}; their keys are in {self.settings.keys_file}")
        return team

    async def _log(self) -> list[Recorded]:
        """The whole log, read from the start."""
        store = EventStore(await deploy.database_of(self.settings))
        store.start()
        try:
            log: list[Recorded] = []
            while page := await store.page(log[-1].position if log else 0, PAGE):
                log.extend(page)
            return log
        finally:
            await store.stop()

    def _tell(self, counted: Report, log: list[Recorded], job_id: UUID) -> None:
        stream = jobs.DECIDER.stream(job_id)
        self.screen.outcomes(counted)
        history = [recorded for recorded in log if recorded.stream == StreamId(stream)]
        self.screen.table(table(f"Replayed from the log: {stream}", history))


def fault_named(name: str) -> str:
    """A fault by its name, or by its number in the list of reports (F19)."""
    for fault, meaning in FAULTS.items():
        if name == fault or (NUMBERED.match(meaning) and meaning.startswith(f"{name}:")):
            return fault
    numbers = {fault: meaning.partition(":")[0] for fault, meaning in FAULTS.items() if NUMBERED.match(meaning)}
    known = ", ".join(f"{numbers[fault]} {fault}" if fault in numbers else fault for fault in FAULTS)
    raise SettingsError(f"The sandbox knows no fault {name!r}: choose among {known}.")


def out_of_the_way(settings: Settings) -> dict[str, object]:
    """What nobody chose and is taken by an `up`, chosen anew: a demo is to run beside it."""
    chosen: dict[str, object] = {}
    if "data_dir" not in settings.model_fields_set and not is_demos(settings.data_dir):
        chosen["data_dir"] = settings.data_dir.with_name(f"{settings.data_dir.name}-demo")
    for name in ("http_port", "sandbox_port"):
        if name not in settings.model_fields_set and in_use(getattr(settings, name)):
            chosen[name] = free_port()
    return chosen


def is_demos(data_dir: Path) -> bool:
    """Whether a demo may empty this directory: nothing is in it, or only demos have used it."""
    return not data_dir.exists() or not any(data_dir.iterdir()) or (data_dir / MARK).exists()


def begin_anew(data_dir: Path) -> bool:
    """Empty a directory that only a demo has used; whether that one had been interrupted.

    Refuse one that holds anybody's data, or that is in use.
    """
    if not is_demos(data_dir):
        raise SettingsError(f"{data_dir} holds data that is not a demo's: give the demo another --data-dir.")
    if data_dir.exists():
        refuse_in_use(data_dir)
    interrupted = Journal(data_dir / MARK).interrupted
    with usable(data_dir):
        if data_dir.exists():
            shutil.rmtree(data_dir)
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return interrupted
