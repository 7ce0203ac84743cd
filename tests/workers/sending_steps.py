"""What tests of sending do in the house: link accounts, submit a job, look how it goes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID, uuid4

import orjson

from domain import job as jobs
from domain.account import RegisterAccount
from domain.audience import ImportAudience
from domain.campaign import CreateCampaign
from domain.content import Part, TextPart
from domain.job import ApproveJob
from domain.message import Actor, Event, PrincipalId, Ref, Role
from domain.recipient import RecordConsent
from domain.submission import SubmitJob
from domain.workspace import CreateWorkspace, SetSendingPolicy
from tests.workers.sending_house import AUTHOR, HERE, House, until
from workers.decisions import Request

MODERATOR = Actor(PrincipalId("moderator"), HERE, frozenset({Role.MODERATOR}))
NUMBERS = [f"+1202555{n:04}" for n in range(100, 200)] + [f"+1416555{n:04}" for n in range(100, 200)]


async def link(home: House, count: int) -> list[UUID]:
    """Accounts, registered, and linked by scanning the code that their session worker answers live."""
    accounts = [uuid4() for _ in range(count)]
    label = (await home.contents.put_many(HERE, ["Front desk"]))[0]
    for account in accounts:
        await home.give(RegisterAccount(account, label))
    for account in accounts:
        await until(partial(scan, home, account))
    await until(lambda: all_ready(home, accounts))
    return accounts


async def scan(home: House, account: UUID) -> bool:
    """Scan an account's code with its phone, if it shows one."""
    answer = await home.bus.ask(f"ctl.session.{account}.qr")
    payload = orjson.loads(answer)["qr"] if answer else None
    if payload:
        phone = home.phones.setdefault(account, f"+467017406{5 + len(home.phones):02}")
        home.world.scan(payload, phone)
    return payload is not None


async def all_ready(home: House, accounts: Sequence[UUID]) -> bool:
    states = await home.store.load([f"account-{account}" for account in accounts])  # type: ignore[misc]  # test data
    return all(loaded.version and loaded.state.may_send for loaded in states.values())


async def open_workspace(home: House, messages: int = 1000, seconds: int = 1) -> None:
    await home.give(CreateWorkspace())
    await home.give(SetSendingPolicy(messages, seconds))


def csv(numbers: Sequence[str], consented: Callable[[int], bool]) -> bytes:
    lines = [f"{number},Person {index},{'yes' if consented(index) else 'no'}" for index, number in enumerate(numbers)]
    return "\n".join(["number,name,consent", *lines]).encode()


@dataclass(frozen=True)
class Submitted:
    job_id: UUID
    recipients: Sequence[UUID]  # by ordinal - 1


def as_texts(refs: Sequence[Ref]) -> Sequence[Part]:
    return [TextPart(ref) for ref in refs]


async def submit(
    home: House,
    accounts: Sequence[UUID],
    numbers: Sequence[str],
    *,
    texts: Sequence[str] = ("Hello {{name}}",),
    make: Callable[[Sequence[Ref]], Sequence[Part]] = as_texts,
    consented: Callable[[int], bool] = lambda index: True,
    start_at: datetime | None = None,
    approve: bool = True,
) -> Submitted:
    """A list, a campaign of the parts made of the texts, a job of it, approved by another than its submitter."""
    audience_id, campaign_id, job_id = uuid4(), uuid4(), uuid4()
    report = await home.imports.run(HERE, audience_id, csv(numbers, consented))
    refs = await home.contents.put_many(HERE, ["Title", *texts])
    consents = [RecordConsent(one.recipient_id, one.source, one.given_at) for one in report.consents]
    for start in range(0, len(consents), 500):
        made = [Request(command, AUTHOR, uuid4()) for command in consents[start : start + 500]]
        assert {outcome.state for outcome in await home.decisions.make(made)} == {"applied"}
    imported = ImportAudience(audience_id, refs[0], report.recipients, report.bad, report.merged, report.digest)
    await home.give(imported)
    parts = tuple(make([Ref(ref) for ref in refs[1:]]))
    await home.give(CreateCampaign(campaign_id, refs[0], parts, audience_id))
    await home.give(SubmitJob(job_id, campaign_id, tuple(accounts), start_at))
    if approve:
        await approve_job(home, job_id)
    members = await home.rows(
        "SELECT recipient_id FROM audience_members WHERE audience_id = %s ORDER BY ordinal", audience_id
    )
    return Submitted(job_id, [member[0] for member in members])


async def approve_job(home: House, job_id: UUID) -> None:
    state = await home.job(job_id)
    assert state.review_hash is not None
    await home.give(ApproveJob(job_id, state.review_hash), MODERATOR)


async def status_is(home: House, job_id: UUID, status: jobs.Status) -> bool:
    return (await home.job(job_id)).status is status


async def told(home: House) -> list[Event]:
    """The events of the whole log."""
    return [recorded.event for recorded in await home.events()]


async def sent(home: House, at_least: int) -> bool:
    return len(home.wire()) >= at_least
