"""`drumline demo`: a whole campaign on the sandbox, seen from outside, and every row of the list accounted for."""

import asyncio
import json
import shutil
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.console import Console

from adapters.event_store import EventStore
from adapters.sandbox.client import SandboxControl
from adapters.sandbox.faults import FAULTS
from adapters.sandbox.ledger import recount
from domain import job as jobs
from domain.message import Recorded, StreamId
from infra import deploy
from infra.client import Api, Problem, until
from infra.demo_screen import Screen
from infra.embedded import refuse_in_use
from infra.people import People
from infra.ports import free_port, in_use
from infra.replay import table
from infra.report import Report, report
from infra.settings import Settings, SettingsError
from infra.up import END_SIGNALS, MARK, House

EXAMPLE = Path(__file__).parents[1] / "examples" / "contacts.csv"
WORKSPACE = "demo"
VARIABLES = {
    "name": " {{name}}",
    "city": " in {{city}}",
}  # where a list of one's own may lack them, the text goes without
PACE = {"messages": 10, "seconds": 5}  # an account; far from any that is safe on the real service
PHONES = {"Ward Street": "+12025550190", "Harbour Road": "+12025550191"}
SETTLED = 8  # looks at a job whose recipients are all terminal or unknown: an unknown one keeps it from completing
LONGEST_RUN = 600.0  # seconds until a demo gives up waiting; and one more for each recipient
SANDBOX = ("--delivered-after", "0.3", "--read-after", "0.8")
PAGE = 1_000


class Demo:
    """One run. `contacts`: a CSV of one's own; `faults`: what the sandbox is told to do wrong."""

    def __init__(self, settings: Settings, contacts: Path | None, faults: tuple[str, ...]) -> None:
        self.settings = settings
        self.contacts = (contacts or EXAMPLE).absolute()
        self.faults = [fault_named(name) for name in faults]
        self.screen = Screen(Console(highlight=False))

    async def run(self) -> int:
        """Run it all; the exit code: 0 only when every sum holds and nothing is doubled, lost or unknown."""
        if not self.contacts.is_file():
            raise SettingsError(f"{self.contacts} is not a file.")
        self.settings = self.settings.model_copy(update=out_of_the_way(self.settings))
        begin_anew(self.settings.data_dir)
        task = asyncio.current_task()
        assert task is not None

        def end() -> None:
            self.screen.note("Ending …")
            task.cancel()

        for name in END_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(name, end)
        try:
            counted = await self._run()
        except asyncio.CancelledError:
            self.screen.step("Stopped", f"everything was ended cleanly; data in {self.settings.data_dir}")
            return 130
        wrong = counted.wrong()
        for sentence in wrong:
            self.screen.wrong(sentence)
        print(json.dumps(counted.line()), flush=True)
        return 1 if wrong else 0

    async def _run(self) -> Report:
        self.screen.title("drumline demo", "many messages, one cadence, nothing unproven")
        async with AsyncExitStack() as stack:
            house = await stack.enter_async_context(House(self.settings, self.screen.note, SANDBOX))
            self.settings = house.settings
            versions = "  ".join(f"{name} {version}" for name, version in house.versions.items())
            self.screen.step("Servers", f"{versions}  data in {self.settings.data_dir}")
            phone = await stack.enter_async_context(SandboxControl(self.settings.sandbox_url))
            team = await self._people(house)
            author, moderator, admin, operator = [
                await stack.enter_async_context(Api(self.settings.api_url, team.keys[name]))
                for name in ("author", "moderator", "admin", "operator")
            ]
            await self._rules(admin)
            accounts = await self._accounts(operator, phone)
            imported = await self._import(author)
            job_id = await self._review(author, moderator, imported, accounts)
            for fault in self.faults:
                await phone.arm(fault, times=1)
                self.screen.step("Fault", f"{fault}: {FAULTS[fault]}")
            await self._follow(author, job_id, imported["recipients"])
            ledger = await phone.ledger_path()
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
        return counted

    async def _people(self, house: House) -> People:
        team = await house.welcome(WORKSPACE)
        self.screen.step("People", f"{', '.join(team.keys)}; their keys are in {self.settings.keys_file}")
        return team

    async def _rules(self, admin: Api) -> None:
        await admin.put("/v1/workspace/sending-policy", PACE)
        told = [recorded for recorded in await self._log() if recorded.stream.startswith("workspace-")][-1]
        pace = json.dumps({"messages": PACE["messages"], "seconds": PACE["seconds"]})
        self.screen.step(
            "Limits", f"event {told.position}, workspace.sending-policy-set by {told.envelope.actor}: {pace}"
        )

    async def _accounts(self, operator: Api, phone: SandboxControl) -> list[str]:
        """Two accounts, each linked by scanning the QR code that its browser shows."""
        made = [await operator.post("/v1/accounts", {"label": label}) for label in PHONES]
        ids = [str(one["account_id"]) for one in made]
        await asyncio.gather(*(self._link(operator, phone, one, label) for one, label in zip(ids, PHONES, strict=True)))
        return ids

    async def _link(self, operator: Api, phone: SandboxControl, account: str, label: str) -> None:
        payload = await until(lambda: operator.text(f"/v1/accounts/{account}/qr"))
        await phone.scan(payload.strip(), PHONES[label], label)

        async def ready() -> bool:
            return bool((await operator.get(f"/v1/accounts/{account}"))["status"] == "ready")

        await until(ready)
        self.screen.step("Account", f"{label} {account[:8]}: QR scanned by the sandbox phone, ready")

    async def _import(self, author: Api) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = await author.upload("/v1/audiences", self.contacts, title="Spring list")
        except Problem as problem:
            raise SettingsError(f"{self.contacts.name}: {problem.document.get('detail', problem.rule)}") from None
        counts = ", ".join(f"{answer[name]} {name}" for name in ("rows", "bad", "merged", "recipients"))
        self.screen.step("Import", f"{self.contacts.name}: {counts}")
        for row in answer["bad_rows"][:5]:
            self.screen.note(f"line {row['line']}: {row['reason']}")
        if not answer["recipients"]:
            raise SettingsError(f"{self.contacts.name}: no row of it names a person who can be written to.")
        if not answer["consents"]:
            self.screen.note("nobody in it agrees (a column `consent` with a yes): nothing will be sent")
        return answer

    async def _review(self, author: Api, moderator: Api, imported: Mapping[str, Any], accounts: list[str]) -> UUID:
        """Campaign, submission, the author's own approval refused, the moderator's given."""
        job_id = await self._submit(author, imported["audience_id"], accounts)
        shown = await moderator.get(f"/v1/jobs/{job_id}")
        seen = {"review_hash": shown["review_hash"]}
        self.screen.step(
            "Submitted", f"job {job_id[:8]}, {shown['recipients']} recipients, hash {seen['review_hash'][:16]}…"
        )
        try:
            await author.post(f"/v1/jobs/{job_id}/approve", seen)
        except Problem as refused:
            self.screen.step(
                "Refused", f"the author's own approval: rule {refused.rule}, field {refused.field}", good=False
            )
        else:
            raise AssertionError("the author approved the own job")
        await moderator.post(f"/v1/jobs/{job_id}/approve", seen)
        self.screen.step("Approved", "by the moderator: exactly these words, people, accounts and this pace")
        return UUID(job_id)

    async def _submit(self, author: Api, audience: str, accounts: list[str]) -> str:
        """The job of a campaign; one whose text has a variable that somebody lacks is refused, and written anew."""
        lacked: set[str] = set()
        while True:
            said = text(lacked)
            body = {"title": "Spring workshop", "parts": [{"text": said}], "audience_id": audience}
            campaign = await author.post("/v1/campaigns", body)
            self.screen.step("Campaign", f'"{said}"')
            try:
                job = await author.post("/v1/jobs", {"campaign_id": campaign["campaign_id"], "accounts": accounts})
            except Problem as refused:
                lacking = refused.document.get("params", {})
                if refused.rule != "variable_missing" or lacking["variable"] in lacked:
                    raise
                lacked.add(lacking["variable"])
                why = f"variable {lacking['variable']}, recipients without it: {lacking['recipients']}"
                self.screen.step("Refused", f"rule {refused.rule}, field {refused.field}; {why}", good=False)
            else:
                return str(job["job_id"])

    async def _follow(self, author: Api, job_id: UUID, recipients: int) -> None:
        """Show the job until each recipient is terminal or unknown."""
        async with asyncio.timeout(LONGEST_RUN + recipients):
            with self.screen.progress() as show:
                settled = 0
                while True:
                    job = await author.get(f"/v1/jobs/{job_id}")
                    counts = job["counts"] | {"recipients": job["recipients"]}
                    show(counts, job["status"])
                    settled = settled + 1 if over(counts) else 0
                    if job["status"] in ("completed", "stopped") or settled > SETTLED:
                        return
                    await asyncio.sleep(0.25)

    async def _log(self) -> list[Recorded]:
        """The whole log, read from the start."""
        store = EventStore(deploy.database_of(self.settings))
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


def text(lacked: Collection[str] = ()) -> str:
    """What the demo says, without the variables that somebody on the list lacks."""
    name, city = ("" if variable in lacked else said for variable, said in VARIABLES.items())
    return f"Hi{name}, our spring workshop{city} opens on Monday at nine. Your seat is kept until Friday."


def over(counts: Mapping[str, int]) -> bool:
    """Whether nobody is left to be written to."""
    return not counts["pending"] and not counts["intended"]


def fault_named(name: str) -> str:
    """A fault by its name, or by its number in the list of reports (F19)."""
    for fault, meaning in FAULTS.items():
        if name == fault or meaning.startswith(f"{name}:"):
            return fault
    raise SettingsError(f"The sandbox knows no fault {name!r}: choose among {', '.join(FAULTS)}.")


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


def begin_anew(data_dir: Path) -> None:
    """Empty a directory that only a demo has used; refuse one that holds anybody's data, or that is in use."""
    if not is_demos(data_dir):
        raise SettingsError(f"{data_dir} holds data that is not a demo's: give the demo another --data-dir.")
    if data_dir.exists():
        refuse_in_use(data_dir)
        shutil.rmtree(data_dir)
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    (data_dir / MARK).touch()
