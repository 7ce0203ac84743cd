"""A person is erased in the middle of a run: nothing more is sent to them, and nothing of them is left."""

from pathlib import Path
from uuid import uuid4

from adapters.sealing import Sealing
from adapters.vault import Vault
from domain.job import Status
from domain.recipient import EraseRecipient
from domain.send import DeliverySkipped, SkipReason
from tests.workers.sending_house import HERE, House, core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, link, open_workspace, sent, status_is, submit, told
from workers.forgetting import Forgetting

SEALING = Sealing(bytes(range(32)), bytes(range(32, 64)))  # as the house's


async def kept_of(home: House, person: object) -> list[tuple[int]]:
    return await home.rows(
        "SELECT (SELECT count(*) FROM people WHERE recipient_id = %s) + (SELECT count(*) FROM person_versions WHERE "
        "recipient_id = %s) + (SELECT count(*) FROM erasures)",
        person,
        person,
    )


async def test_who_is_erased_during_the_run_gets_nothing_more_and_the_job_completes(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home:
        vault = Vault(home.pool, SEALING)
        async with running(*core(home), *sessions(home), Forgetting(vault).run):
            await open_workspace(home, messages=3, seconds=1)  # two parts for the first, one for the second
            job = await submit(home, await link(home, 1), NUMBERS[:3], texts=("One", "Two"))
            await until(lambda: sent(home, 3))
            for recipient in job.recipients[1:]:
                await home.give(EraseRecipient(recipient))
            await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
            skipped = [event for event in await told(home) if isinstance(event, DeliverySkipped)]

            async def forgotten() -> bool:
                return [await kept_of(home, one) for one in job.recipients[1:]] == [[(0,)], [(0,)]]

            await until(forgotten)
        assert [(event.recipient_id, event.part, event.reason) for event in skipped] == [
            (job.recipients[1], 1, SkipReason.ERASED),
            (job.recipients[2], 0, SkipReason.ERASED),
        ]
        assert len(home.wire()) == 3
        assert await kept_of(home, job.recipients[0]) == [(2,)]


async def test_a_list_that_names_an_erased_person_again_does_not_reach_them(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home:
        vault = Vault(home.pool, SEALING)
        async with running(*core(home), *sessions(home)):
            await open_workspace(home)
            accounts = await link(home, 1)
            first = await submit(home, accounts, NUMBERS[:2], approve=False)
            gone = first.recipients[1]
            await home.give(EraseRecipient(gone))

            async def destroyed() -> bool:
                return await Forgetting(vault).step() == 1

            await until(destroyed)
            report = await home.imports.run(HERE, uuid4(), f"number\n{NUMBERS[0]}\n{NUMBERS[1]}\n".encode())
            assert await kept_of(home, gone) == [(0,)]
            members = await home.rows(
                "SELECT recipient_id FROM audience_members WHERE audience_id = %s AND vault_version > 0",
                report.audience_id,
            )
            assert members == [(first.recipients[0],)]
