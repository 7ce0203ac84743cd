"""The job that runs beside `drumline bench reads`: its events, as sessions would append them, at a rate."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

from adapters.appending import Item
from domain.account import AccountLinked, AccountReady, AccountRegistered
from domain.content import TextPart
from domain.message import Digest, Event, PrincipalId, Ref, StreamId, WorkspaceId, derive
from domain.review import JobApproved
from domain.run import JobStarted
from domain.send import DeliveryDelivered, DeliveryRead, SendConfirmed, SendIntended, delivery_id, wa_id
from domain.submission import JobSubmitted
from infra import bootstrap
from infra.bootstrap import Parts

PAUSE = 0.1  # seconds between two appends
SESSION = PrincipalId("system-session")
JOB, ACCOUNT, ROOT = derive("bench", "beside"), derive("bench", "beside", "account"), Digest("b" * 64)
FREEZE = """
INSERT INTO frozen_audience (root, ordinal, recipient_id, vault_version, account_id)
SELECT %s, g, md5('beside' || g)::uuid, 1, %s FROM generate_series(1, %s) g
"""


@dataclass(frozen=True, slots=True)
class Beside:
    """A job in the log, with its account and its frozen audience."""

    parts: Parts
    workspace: WorkspaceId
    recipients: int
    title: Ref

    async def begin(self) -> None:
        """Submit, approve and start it."""
        async with self.parts.pool.connection() as connection:
            await connection.execute(FREEZE, [ROOT, ACCOUNT, self.recipients])
        submitted = JobSubmitted(
            campaign_id=derive("bench", "campaign"),
            campaign_version=1,
            title=self.title,
            parts=(TextPart(self.title),),
            audience_id=derive("bench", "audience"),
            audience=ROOT,
            recipients=self.recipients,
            accounts=(ACCOUNT,),
            start_at=None,
            messages=1,
            seconds=30,
            approvals=1,
            own_approval=False,
            submitted_by=SESSION,
            review_hash=ROOT,
        )
        account, job = StreamId(f"account-{ACCOUNT}"), StreamId(f"job-{JOB}")
        await self.append(account, AccountRegistered(self.title), AccountLinked(), AccountReady())
        await self.append(job, submitted, JobApproved(ROOT), JobStarted())

    async def append(self, stream: StreamId, *events: Event) -> None:
        (verdict,) = await self.parts.store.append([self.item(stream, *events)])
        assert verdict.code == "ok", verdict

    def item(self, stream: StreamId, *events: Event) -> Item:
        now, id_ = bootstrap.clock(), uuid4()
        return Item(id_, id_, self.workspace, SESSION, "Bench", b"", stream, None, events, {}, now, id_)

    async def run(self, rate: float) -> None:
        """Send, so many recipients a second: of each an intent, its outcome, and two receipts, a little later each."""
        steps: list[list[int]] = [[], [], [], []]
        many, ordinals = max(int(rate * PAUSE), 1), iter(range(1, self.recipients + 1))
        while True:
            steps = [list(itertools.islice(ordinals, many)), *steps[:3]]
            items = list(self.items(steps))
            if not items:
                return
            await asyncio.gather(self.parts.store.append(items), asyncio.sleep(PAUSE))

    def items(self, steps: list[list[int]]) -> Iterator[Item]:
        """The next event of each recipient who is on the way."""
        for step, ordinals in enumerate(steps):
            for ordinal in ordinals:
                person = derive("bench", "beside", ordinal)
                delivery = delivery_id(JOB, person)
                name = wa_id(delivery, 0)
                event: Event = (
                    SendIntended(JOB, person, ACCOUNT, ordinal, 0, 1, 1, name, 1, ACCOUNT),
                    SendConfirmed(JOB, 0, 1, name, True),
                    DeliveryDelivered(JOB, 0, final=True),
                    DeliveryRead(JOB, 0, final=True),
                )[step]
                yield self.item(StreamId(f"delivery-{delivery}"), event)
