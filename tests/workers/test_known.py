"""A session answers whom its account knows: sealed, live, and an error when it cannot."""

from pathlib import Path
from typing import Any
from uuid import UUID

from adapters.sends import KNOWN, live
from domain.account import RegisterAccount
from tests.workers.sending_house import HERE, House, core, house, running, sessions, until
from tests.workers.sending_steps import link, open_workspace

MEI, BO = "+12025550177", "+12025550178"


async def asked(home: House, account: UUID, **question: Any) -> dict[str, Any]:
    inbound = home.tools.inbound
    answer = await home.bus.ask(live(account, KNOWN), inbound.sealed(HERE, account, question), 10.0)
    if answer is None:
        return {}
    assert b"Mei" not in answer
    found: dict[str, Any] = inbound.opened(HERE, account, answer)
    return found


async def test_contacts_groups_members_and_numbers_are_told_by_the_account_that_knows_them(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        (account,) = await link(home, 1)
        home.world.name({MEI: "Mei Tanaka", BO: "Bo Page"})
        group = home.world.new_group("Rowing", (home.phones[account], MEI))
        home.world.faults.arm("not_on_whatsapp", BO)
        page = {"offset": 0, "limit": 1}
        contacts = (await asked(home, account, what="contacts", of="mei", **page))["told"]
        assert (contacts["total"], [person["number"] for person in contacts["items"]]) == (1, [MEI])
        groups = (await asked(home, account, what="groups", of="", **page))["told"]
        assert groups == {"total": 1, "items": [{"id": f"{group.id}@g.us", "name": "Rowing", "members": 2}]}
        members = (await asked(home, account, what="members", of=f"{group.id}@g.us", offset=1, limit=1))["told"]
        assert [person["name"] for person in members["items"]] == ["Mei Tanaka"]
        assert [(await asked(home, account, what="exists", of=number))["told"] for number in (MEI, BO)] == [True, False]


async def test_a_session_that_waits_for_a_phone_says_that_it_cannot_tell(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        account = UUID(int=7)
        label = (await home.contents.put_many(HERE, ["Front desk"]))[0]
        await home.give(RegisterAccount(account, label))

        async def refused() -> bool:
            return (await asked(home, account, what="exists", of=MEI)).get("refused") == "not_ready"

        await until(refused)
