"""What happens in a demo: rules, accounts, a list, a campaign, its review, and the job as it runs."""

import asyncio
import contextlib
import json
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from adapters.sandbox.client import ControlRefused, SandboxControl
from adapters.sandbox.faults import FAULTS
from infra.client import Api, Problem
from infra.demo_journal import Journal
from infra.demo_screen import Screen
from infra.settings import SettingsError

VARIABLES = {
    "name": " {{name}}",
    "city": " in {{city}}",
}  # where a list of one's own may lack them, the text goes without
PACE = {"messages": 10, "seconds": 5}  # an account; far from any that is safe on the real service
PHONES = {"Ward Street": "+12025550190", "Harbour Road": "+12025550191"}
SETTLED = 8  # looks at a job whose recipients are all terminal or unknown: an unknown one keeps it from completing
LONGEST_RUN = 600.0  # seconds until a demo gives up waiting; and one more for each recipient
LONGEST_LINK = 120.0  # seconds until an account must be ready
LOOK_AGAIN = 0.1  # seconds


class Story:
    """The steps, in this order. One that the journal has is not done again; one that was interrupted is."""

    def __init__(self, screen: Screen, journal: Journal, people: Mapping[str, Api], phone: SandboxControl) -> None:
        self.screen = screen
        self.journal = journal
        self.people = people
        self.phone = phone

    async def rules(self) -> None:
        """The workspace's pace, and that it holds."""
        admin = self.people["admin"]
        told = await self.journal.once("rules", lambda key: admin.put("/v1/workspace/sending-policy", PACE, key))
        self.screen.step("Limits", f"workspace.sending-policy-set, position {told['position']}: {json.dumps(PACE)}")

    async def accounts(self) -> list[str]:
        """Two accounts, each linked by scanning the QR code that its browser shows."""
        ids = [await self.journal.once(label, partial(self._register, label)) for label in PHONES]
        async with asyncio.timeout(LONGEST_LINK):
            await asyncio.gather(*(self._link(one, label) for one, label in zip(ids, PHONES, strict=True)))
        return ids

    async def _register(self, label: str, key: str) -> str:
        made = await self.people["operator"].post("/v1/accounts", {"label": label}, key.replace(" ", "-"))
        return str(made["account_id"])

    async def _link(self, account: str, label: str) -> None:
        """Scan what is shown until the account is ready."""
        operator, scanned = self.people["operator"], set[str]()
        while (await operator.get(f"/v1/accounts/{account}"))["status"] != "ready":
            payload = await operator.text(f"/v1/accounts/{account}/qr")
            if payload and payload not in scanned:
                scanned.add(payload)
                with contextlib.suppress(ControlRefused, httpx.TransportError):  # shown no more: another one follows
                    await self.phone.scan(payload.strip(), PHONES[label], label)
            await asyncio.sleep(LOOK_AGAIN)
        how = "QR scanned by the sandbox phone" if scanned else "linked"
        self.screen.step("Account", f"{label} {account[:8]}: {how}, ready")

    async def audience(self, contacts: Path) -> dict[str, Any]:
        """The list, uploaded, with what became of its rows."""
        answer: dict[str, Any] = await self.journal.once("audience", lambda key: self._upload(contacts, key))
        counts = ", ".join(f"{answer[name]} {name}" for name in ("rows", "bad", "merged", "recipients"))
        self.screen.step("Import", f"{contacts.name}: {counts}")
        for row in answer["bad_rows"][:5]:
            self.screen.note(f"line {row['line']}: {row['reason']}")
        if not answer["recipients"]:
            raise SettingsError(f"{contacts.name}: no row of it names a person who can be written to.")
        if not answer["consents"]:
            self.screen.note("nobody in it agrees (a column `consent` with a yes): nothing will be sent")
        return answer

    async def _upload(self, contacts: Path, key: str) -> Any:
        try:
            return await self.people["author"].upload("/v1/audiences", contacts, key, title="Spring list")
        except Problem as problem:
            raise SettingsError(f"{contacts.name}: {problem.document.get('detail', problem.rule)}") from None

    async def review(self, imported: Mapping[str, Any], accounts: list[str]) -> UUID:
        """Campaign, submission, the author's own approval refused, the moderator's given."""
        job_id: str = await self.journal.once("job", lambda key: self._submit(imported["audience_id"], accounts, key))
        shown = await self.people["moderator"].get(f"/v1/jobs/{job_id}")
        seen = {"review_hash": shown["review_hash"]}
        self.screen.step(
            "Submitted", f"job {job_id[:8]}, {shown['recipients']} recipients, hash {seen['review_hash'][:16]}…"
        )
        path = f"/v1/jobs/{job_id}/approve"
        rule, field = await self.journal.once("own-approval", lambda key: self._refused(path, seen, key))
        self.screen.step("Refused", f"the author's own approval: rule {rule}, field {field}", good=False)
        await self.journal.once("approval", lambda key: self.people["moderator"].post(path, seen, key))
        self.screen.step("Approved", "by the moderator: exactly these words, people, accounts and this pace")
        return UUID(job_id)

    async def _refused(self, path: str, seen: Mapping[str, str], key: str) -> list[str]:
        """The rule and the field by which the author's own approval is refused."""
        try:
            await self.people["author"].post(path, seen, key)
        except Problem as refused:
            return [refused.rule, refused.field]
        raise AssertionError("the author approved the own job")

    async def _submit(self, audience: str, accounts: list[str], key: str) -> str:
        """The job of a campaign; one whose text has a variable that somebody lacks is refused, and written anew."""
        author = self.people["author"]
        lacked: set[str] = set()
        while True:
            said, own_key = text(lacked), "-".join([key, *sorted(lacked)])
            body = {"title": "Spring workshop", "parts": [{"text": said}], "audience_id": audience}
            campaign = await author.post("/v1/campaigns", body, own_key)
            self.screen.step("Campaign", f'"{said}"')
            wanted = {"campaign_id": campaign["campaign_id"], "accounts": accounts}
            try:
                return str((await author.post("/v1/jobs", wanted, own_key))["job_id"])
            except Problem as refused:
                lacking = refused.document.get("params", {})
                if refused.rule != "variable_missing" or lacking["variable"] in lacked:
                    raise
                lacked.add(lacking["variable"])
                why = f"variable {lacking['variable']}, recipients without it: {lacking['recipients']}"
                self.screen.step("Refused", f"rule {refused.rule}, field {refused.field}; {why}", good=False)

    async def arm(self, faults: Collection[str]) -> None:
        """Have the sandbox do wrong what was asked for."""
        for fault in faults:
            await self.journal.once(fault, partial(self._arm, fault))
            self.screen.step("Fault", f"{fault}: {FAULTS[fault]}")

    async def _arm(self, fault: str, _key: str) -> None:
        await self.phone.arm(fault, times=1)

    async def follow(self, job_id: UUID, recipients: int) -> None:
        """Show the job until each recipient is terminal or unknown."""
        author = self.people["author"]
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


def text(lacked: Collection[str] = ()) -> str:
    """What the demo says, without the variables that somebody on the list lacks."""
    name, city = ("" if variable in lacked else said for variable, said in VARIABLES.items())
    return f"Hi{name}, our spring workshop{city} opens on Monday at nine. Your seat is kept until Friday."


def over(counts: Mapping[str, int]) -> bool:
    """Whether nobody is left to be written to."""
    return not counts["pending"] and not counts["intended"]
