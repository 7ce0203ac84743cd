"""What happens in a demo: rules, accounts, a list, a campaign, its review, and the job as it runs."""

import asyncio
import contextlib
import json
from collections.abc import Collection, Mapping, Sequence
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

TITLE = "Spring workshop"
TEXT = "Hi {{name|friend}}, our spring workshop in {{city|your town}} opens on Monday at nine. Your seat is kept."
CAPTION = "Where to find us in {{city|your town}}, and what to bring"
POSTER = Path(__file__).parents[1] / "examples" / "spring-workshop.jpg"
PACE = {"messages": 100, "seconds": 5}  # an account; far from any that is safe on the real service
DESK = 50  # recipients for each who says, after the list was frozen and before it is sent, that they want nothing more
HEARD = 0.2  # of so many recipients at least are over when one of the others writes STOP
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
        """Campaign, submission, the author's own approval refused, some opt-outs, the moderator's approval."""
        media: str = await self.journal.once("poster", self._poster)
        parts = [{"text": TEXT}, {"kind": "image", "media": media, "caption": CAPTION}]
        self.screen.step("Campaign", f'"{TEXT}", and {POSTER.name}: "{CAPTION}"')
        submit = partial(self._submit, parts, imported["audience_id"], accounts)
        job_id: str = await self.journal.once("job", submit)
        shown = await self.people["moderator"].get(f"/v1/jobs/{job_id}")
        seen = {"review_hash": shown["review_hash"]}
        self.screen.step(
            "Submitted", f"job {job_id[:8]}, {shown['recipients']} recipients, hash {seen['review_hash'][:16]}…"
        )
        path = f"/v1/jobs/{job_id}/approve"
        rule, field = await self.journal.once("own-approval", lambda key: self._refused(path, seen, key))
        self.screen.step("Refused", f"the author's own approval: rule {rule}, field {field}", good=False)
        if leaving := shown["recipients"] // DESK:
            await self.journal.once("opt-outs", partial(self._opt_outs, job_id, leaving))
            self.screen.step("Opted out", f"{leaving} people at the desk, after the list was frozen")
        await self.journal.once("approval", lambda key: self.people["moderator"].post(path, seen, key))
        self.screen.step("Approved", "by the moderator: exactly these words, this picture, people, accounts and pace")
        return UUID(job_id)

    async def _poster(self, key: str) -> str:
        kept = await self.people["author"].send("/v1/media", POSTER, "image/jpeg", key)
        return str(kept["id"])

    async def _submit(self, parts: Sequence[Any], audience: str, accounts: list[str], key: str) -> str:
        author = self.people["author"]
        body = {"title": TITLE, "parts": parts, "audience_id": audience}
        campaign = await author.post("/v1/campaigns", body, key)
        wanted = {"campaign_id": campaign["campaign_id"], "accounts": accounts}
        return str((await author.post("/v1/jobs", wanted, f"{key}-job"))["job_id"])

    async def _opt_outs(self, job_id: str, leaving: int, key: str) -> None:
        """The first of the list say that they want nothing more."""
        page = await self.people["author"].get(f"/v1/jobs/{job_id}/deliveries", limit=leaving)
        for one in page["items"]:
            whom = one["recipient_id"]
            await self.people["operator"].post(f"/v1/recipients/{whom}/opt-out", key=f"{key}-{whom}")

    async def _refused(self, path: str, seen: Mapping[str, str], key: str) -> list[str]:
        """The rule and the field by which the author's own approval is refused."""
        try:
            await self.people["author"].post(path, seen, key)
        except Problem as refused:
            return [refused.rule, refused.field]
        raise AssertionError("the author approved the own job")

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
                    if recipients >= DESK and 0 < counts["pending"] < (1 - HEARD) * recipients:
                        await self.journal.once("stop", partial(self._stop, job_id))
                    if job["status"] in ("completed", "stopped") or settled > SETTLED:
                        return
                    await asyncio.sleep(0.25)

    async def _stop(self, job_id: UUID, _key: str) -> str:
        """Somebody whose turn is still to come writes STOP to the account that would write to them; the delivery."""
        page = await self.people["author"].get(f"/v1/jobs/{job_id}/deliveries", state="pending", limit=100)
        if not page["items"]:
            return ""
        last = page["items"][-1]
        person = await self.people["author"].get(f"/v1/people/{last['recipient_id']}")
        account = await self.people["operator"].get(f"/v1/accounts/{last['account_id']}")
        await self.phone.inbound(PHONES[account["label"]], person["number"], "STOP")
        self.screen.step("STOP", f"written to {account['label']} by somebody whose turn is still to come")
        return str(last["id"])


def over(counts: Mapping[str, int]) -> bool:
    """Whether nobody is left to be written to."""
    return not counts["pending"] and not counts["intended"]
