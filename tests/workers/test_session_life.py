"""A session's life: linked by a code, opened anew, logged out, given no place; and what people write to it."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from adapters.leases import Leases, Owner, boot_id, namespace, started
from adapters.sandbox.memory import InstantMessenger
from adapters.sends import LINK_CODE, QR, RESTART, live
from adapters.sessions import states
from domain.account import AccountRestricted, LogOutAccount, PauseAccount, RegisterAccount, RemoveAccount, ResumeAccount
from domain.job import Status
from domain.ports import Arrived, MessageArrived, SessionState
from domain.recipient import MessageReceived, OptOutSource, RecipientOptedOut
from domain.send import DeliverySkipped, Rejection, SendConfirmed, SendRejected, SkipReason
from tests.workers.sending_house import HERE, House, core, house, profile_of, running, sessions, until
from tests.workers.sending_steps import NUMBERS, all_ready, link, open_workspace, sent, status_is, submit, told
from workers import session as session_worker
from workers.session import SessionWorker

ANOTHER_PHONE = "+46701740699"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_worker, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(session_worker, "LOOK_AGAIN", 0.2)


async def asked(home: House, account: UUID, verb: str) -> dict[str, Any]:
    """What a session answers live."""
    answer = await home.bus.ask(live(account, verb))
    return {} if answer is None else dict(orjson.loads(answer))


async def asked_for_code(home: House, account: UUID, number: str) -> dict[str, Any]:
    """The same of a link code, which is sealed both ways."""
    inbound = home.tools.inbound
    answer = await home.bus.ask(live(account, LINK_CODE), inbound.sealed(HERE, account, number))
    return {} if answer is None else dict(inbound.opened(HERE, account, answer))


async def shows_code(home: House, account: UUID) -> bool:
    return bool((await asked(home, account, QR)).get("qr"))


async def is_in(home: House, account: UUID, state: SessionState, reason: str) -> bool:
    async with home.pool.connection() as connection:
        now = (await states(connection, [account])).get(account)
    return now is not None and (now.state, now.reason) == (state, reason)


async def number_of(home: House, account: UUID) -> str | None:
    async with home.pool.connection() as connection:
        return (await home.tools.inbound.numbers(connection, HERE, [account])).get(account)


async def is_number(home: House, account: UUID, number: str | None) -> bool:
    return await number_of(home, account) == number


async def registered(home: House) -> UUID:
    account = uuid4()
    await home.give(RegisterAccount(account, (await home.contents.put_many(HERE, ["Front desk"]))[0]))
    return account


async def test_a_phone_links_an_account_by_a_code_that_only_the_asker_hears(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        account = await registered(home)
        await until(partial(shows_code, home, account))
        code = (await asked_for_code(home, account, ANOTHER_PHONE))["code"]
        assert len(code) == 8
        home.world.enter_code(ANOTHER_PHONE, f"{code[:4]}-{code[4:].lower()}")
        await until(lambda: all_ready(home, [account]))
        await until(lambda: is_number(home, account, ANOTHER_PHONE))
        again = await asked_for_code(home, account, ANOTHER_PHONE)
        assert (again["code"], again["refused"], again["state"]) == (None, "not_waiting", "ready")
        everything = await home.rows("SELECT string_agg(t::text, '') FROM account_numbers t")
        assert ANOTHER_PHONE not in str(everything)


async def test_a_session_that_is_opened_anew_is_ready_without_a_code(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        (account,) = await link(home, 1)
        before = home.used[account]
        assert (await asked(home, account, RESTART))["state"] == "ready"
        await until(lambda: another(home, account, before))
        await until(lambda: is_in(home, account, SessionState.READY, "main"))
        await until(lambda: all_ready(home, [account]))


async def another(home: House, account: UUID, before: InstantMessenger) -> bool:
    return home.used[account] is not before


async def test_an_account_is_logged_out_at_both_ends_and_can_be_linked_again(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):
        await open_workspace(home)
        async with running(*sessions(home)):
            (account,) = await link(home, 1)
            await until(lambda: is_number(home, account, home.phones[account]))
            await home.give(LogOutAccount(account))
            await until(partial(shows_code, home, account))
            assert not any(home.world.post.linked(home.phones[account]))
            assert await number_of(home, account) is None
            home.phones[account] = ANOTHER_PHONE
            home.world.scan((await asked(home, account, QR))["qr"], ANOTHER_PHONE)
            await until(lambda: all_ready(home, [account]))
        await home.give(LogOutAccount(account))  # while nobody holds it
        async with running(*sessions(home)):
            await until(partial(shows_code, home, account))
        assert not any(home.world.post.linked(ANOTHER_PHONE))


async def test_the_profile_of_a_removed_account_is_destroyed(database_url: str, nats_url: str, scratch: Path) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        (account,) = await link(home, 1)
        await home.rows("INSERT INTO forgotten_chats VALUES (%s, %s, 'here', 'broken') RETURNING 1", account, account)
        await home.give(PauseAccount(account))
        await home.give(RemoveAccount(account))
        await until(lambda: forgotten(home, account))
        assert not profile_of(home.world, account).linked
        assert await number_of(home, account) is None
        assert await home.rows("SELECT 1 FROM forgotten_chats") == []


async def forgotten(home: House, account: UUID) -> bool:
    return not await home.rows("SELECT 1 FROM session_accounts WHERE account_id = %s", account)


async def test_a_host_holds_so_many_accounts_in_all_its_processes_and_says_who_has_no_place(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):
        await open_workspace(home)
        owner = Owner(boot_id(), namespace(), 1, started(1) or "")  # another process, one that lives
        beside = replace(home.tools, leases=Leases(home.pool, owner))
        async with running(SessionWorker(home.tools, most=1).run, SessionWorker(beside, most=1).run):
            (first,) = await link(home, 1)
            second = await registered(home)
            await until(lambda: is_in(home, second, SessionState.DEAD, "no_room"))
            assert await is_in(home, first, SessionState.READY, "main")
            await home.give(PauseAccount(first))
            await home.give(RemoveAccount(first))
            await until(partial(shows_code, home, second))


async def test_what_a_person_writes_is_received_once_whatever_restarts_and_lies_sealed(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    said = "May I come at five?"
    async with house(database_url, nats_url, scratch) as home, running(*core(home)):
        await open_workspace(home)
        async with running(*sessions(home)):
            (account,) = await link(home, 1)
            arrived = MessageArrived("3A00112233445566778899", Arrived.TEXT, 1_790_000_000.0, NUMBERS[0], "17", said)
            for _ in range(2):
                home.used[account]._notify(arrived)
            await until(lambda: received(home, 1))
        async with running(*sessions(home)):
            await until(lambda: all_ready(home, [account]))
            home.used[account]._notify(arrived)
            home.world.receive(home.phones[account], NUMBERS[1], "Me too")
            await until(lambda: received(home, 2))
        events = [one for one in await home.events() if isinstance(one.event, MessageReceived)]
        assert len(events) == 2
        first = events[0]
        recipient = UUID(first.stream.removeprefix("recipient-"))
        async with home.pool.connection() as connection:
            (message,) = await home.tools.inbound.of(connection, HERE, recipient, None, 10)
            assert not await home.tools.inbound.of(connection, HERE, recipient, message.number, 10)
        assert (message.text, message.wa_id, message.account_id) == (said, arrived.wa_id, account)
        assert isinstance(first.event, MessageReceived)
        assert first.event.message_id == message.message_id
        kept = str(await home.rows("SELECT encode(sealed, 'escape') FROM inbound_messages")) + str(await told(home))
        assert said not in kept
        assert arrived.wa_id not in kept
        # The linked id now says who writes, where WhatsApp hides the number.
        home_again = MessageArrived("3A99", Arrived.TEXT, 1_790_000_001.0, "", "17", "Hello?")
        kept_again = await home.tools.inbound.keep(HERE, account, home_again)
        assert kept_again is not None
        assert kept_again.recipient_id == recipient
        strange = replace(arrived, wa_id="3A97", at=1e300, number="+999", text="\x00")
        assert await home.tools.inbound.keep(HERE, account, strange) is not None
        unknown = MessageArrived("3A98", Arrived.TEXT, 1_790_000_001.0, "", "18", "Hello?")
        assert await home.tools.inbound.keep(HERE, account, unknown) is None


async def received(home: House, count: int) -> bool:
    return sum(isinstance(event, MessageReceived) for event in await told(home)) >= count


async def test_who_answers_stop_in_mid_run_gets_nothing_from_then_on(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home, 4, 1)
        accounts = await link(home, 1)
        job = await submit(home, accounts, NUMBERS[:12])
        await until(lambda: sent(home, 1))
        home.world.receive(home.phones[accounts[0]], NUMBERS[11], "Stopp!")
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        events = await told(home)
    assert [event.source for event in events if isinstance(event, RecipientOptedOut)] == [OptOutSource.MESSAGE]
    skipped = [event for event in events if isinstance(event, DeliverySkipped)]
    assert [(event.recipient_id, event.reason) for event in skipped] == [(job.recipients[11], SkipReason.OPTED_OUT)]
    assert sum(isinstance(event, SendConfirmed) for event in events) == len(home.wire()) == 11
    assert NUMBERS[11] not in {entry.chat for entry in home.wire()}


async def test_an_account_of_which_whatsapp_takes_nothing_is_restricted_until_a_person_resumes_it(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        accounts = await link(home, 1)
        home.world.faults.arm("nack")
        job = await submit(home, accounts, NUMBERS[:8])
        await until(lambda: restricted(home))
        assert not home.wire()
        home.world.faults.clear()
        await home.give(ResumeAccount(accounts[0]))
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        events = await told(home)
    assert [event.reason for event in events if isinstance(event, SendRejected)] == [Rejection.REFUSED] * 3
    assert sum(isinstance(event, SendConfirmed) for event in events) == len(home.wire()) == 5


async def restricted(home: House) -> bool:
    return any(isinstance(event, AccountRestricted) for event in await told(home))
