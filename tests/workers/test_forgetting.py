"""A person is erased in the middle of a run: nothing more is sent to them, and nothing of them is left."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from adapters.dead_letters import DeadLetters
from adapters.erasure_ledger import Erased, ErasureLedger
from adapters.erasures import Erasures
from adapters.sealing import Sealing
from adapters.vault import Vault
from domain.job import Status
from domain.message import WorkspaceId
from domain.outgoing import Text
from domain.ports import SendRejected
from domain.recipient import EraseRecipient
from domain.send import DeliverySkipped, SkipReason
from tests.workers.sending_house import HERE, House, core, house, now, running, sessions, until
from tests.workers.sending_steps import NUMBERS, approve_job, link, open_workspace, sent, status_is, submit, told
from workers.forgetting import Forgetting

OTHER_FORMS = [
    pytest.param(form, marks=pytest.mark.long) for form in ("(202) 555-0101", "1 202 555 0101", "+1-202-555.0101")
]
BURY = """
INSERT INTO dead_letters (id, workspace, principal, name, reason, body)
VALUES (%s, %s, '', 'unreadable', 'no_command_id', %s)
"""
SEALING = Sealing(bytes(range(32)), bytes(range(32, 64)))  # as the house's


def forgetting(home: House) -> Forgetting:
    ledger = ErasureLedger(home.data / "erasures.jsonl")
    dead = DeadLetters(home.pool, home.contents, None, now)
    return Forgetting(Vault(home.pool, SEALING), Erasures(home.pool), dead, ledger, home.decisions)


async def kept_of(home: House, person: object) -> list[tuple[int]]:
    return await home.rows(
        "SELECT (SELECT count(*) FROM people WHERE recipient_id = %s) + (SELECT count(*) FROM person_versions WHERE "
        "recipient_id = %s) + (SELECT count(*) FROM erasures WHERE done_at IS NULL)",
        person,
        person,
    )


async def test_who_is_erased_during_the_run_gets_nothing_more_and_the_job_completes(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home:
        async with running(*core(home), *sessions(home), forgetting(home).run):
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


@pytest.mark.parametrize("written", [NUMBERS[1], *OTHER_FORMS])
async def test_a_list_that_names_an_erased_person_again_does_not_reach_them(
    database_url: str, nats_url: str, scratch: Path, written: str
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        accounts = await link(home, 1)
        first = await submit(home, accounts, NUMBERS[:2], approve=False)
        gone = first.recipients[1]
        await home.give(EraseRecipient(gone))

        async def destroyed() -> bool:
            return await forgetting(home).step() == 1

        await until(destroyed)
        forms = f"{NUMBERS[0]}\n{written}\n"
        report = await home.imports.run(HERE, uuid4(), f"number\n{forms}".encode(), "US")
        assert (report.recipients, report.bad) == (2, 0)
        assert await kept_of(home, gone) == [(0,)]
        members = await home.rows(
            "SELECT recipient_id FROM audience_members WHERE audience_id = %s AND vault_version > 0",
            report.audience_id,
        )
        assert members == [(first.recipients[0],)]


async def test_chats_with_an_erased_person_go_from_the_account_that_wrote_as_soon_as_it_is_there(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):
        async with running(*sessions(home)):
            await open_workspace(home)
            accounts = await link(home, 2)
            job = await submit(home, accounts, NUMBERS[:3])
            await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        gone = job.recipients[1]
        [(wrote, wa_id)] = await home.rows(
            "SELECT d.account_id, m.wa_id FROM send_progress d JOIN sent_messages m USING (delivery_id) "
            "WHERE d.recipient_id = %s",
            gone,
        )
        await home.give(EraseRecipient(gone))

        async def destroyed() -> bool:
            return await forgetting(home).step() == 1

        async def orders() -> list[tuple[UUID, UUID]]:
            return await home.rows("SELECT account_id, recipient_id FROM forgotten_chats")

        await until(destroyed)
        assert await orders() == [(wrote, gone)]
        async with running(*sessions(home)):

            async def carried_out() -> bool:
                return await orders() == []

            await until(carried_out)
            with pytest.raises(SendRejected, match="quoted_not_found"):
                await home.used[wrote].send(NUMBERS[1], Text("Again"), "3EB0" + "A" * 18, 5, quoted=wa_id)


async def test_who_was_erased_after_a_back_up_is_erased_again_in_what_was_restored(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home:
        ledger = ErasureLedger(home.data / "erasures.jsonl")
        async with running(*core(home), *sessions(home)):
            await open_workspace(home)
            job = await submit(home, await link(home, 1), NUMBERS[:2], approve=False)
            later, stranger = job.recipients[1], SEALING.recipient_id(HERE, NUMBERS[2])
            ledger.note(
                [
                    Erased(one, HERE, SEALING.number_hmac(HERE, number))
                    for one, number in ((later, NUMBERS[1]), (stranger, NUMBERS[2]))
                ]
            )  # as another core did, on the newer database
            assert await forgetting(home).again() == 2
            await approve_job(home, job.job_id)
            await until(lambda: status_is(home, job.job_id, Status.COMPLETED))

            async def destroyed() -> bool:
                await forgetting(home).step()
                return await kept_of(home, later) == [(0,)]

            await until(destroyed)
            assert await forgetting(home).again() == 0
        assert [entry.chat for entry in home.wire()] == [NUMBERS[0]]
        report = await home.imports.run(HERE, uuid4(), f"number\n{NUMBERS[1]}\n{NUMBERS[2]}\n".encode())
        assert report.recipients == 2
        assert [await kept_of(home, one) for one in (later, stranger)] == [[(0,)], [(0,)]]


async def test_dead_letters_that_name_an_erased_person_are_dropped_and_the_others_kept(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home:
        async with running(*core(home), *sessions(home)):
            await open_workspace(home)
            job = await submit(home, await link(home, 1), NUMBERS[:2], approve=False)
            gone, stays = job.recipients
            named = {
                "by id": f'{{"recipient_id": "{str(gone).upper()}"}}',
                "by number": f"call {NUMBERS[0]}",
                "another": f'{{"recipient_id": "{stays}"}} {NUMBERS[1]}',
            }
            letters = {what: uuid4() for what in named}
            for what, body in named.items():
                owner = "" if what == "by number" else HERE
                sealed = home.contents.seal(WorkspaceId(owner), letters[what], body.encode())
                await home.rows(BURY + " RETURNING id", letters[what], owner, sealed)
            await home.give(EraseRecipient(gone))

            async def destroyed() -> bool:
                return await forgetting(home).step() == 1

            await until(destroyed)
        left = await home.rows("SELECT id FROM dead_letters WHERE body IS NOT NULL")
        assert left == [(letters["another"],)]
