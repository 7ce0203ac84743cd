"""The order of commands is promised only behind an outcome: who must have one first waits for it."""

from uuid import uuid4

import pytest

from adapters import wire
from tests.workers.core import Client, Core, campaign


async def test_what_was_given_after_an_outcome_is_decided_after_it(house: Core, author: Client) -> None:
    async with house.running(house.intake().run):
        for _ in range(10):
            body = campaign()
            assert (await author.ask("campaign.create", body))["state"] == "applied"
            revised = await author.ask("campaign.revise", {**body, "title": "Summer"})
            assert (revised["state"], revised["version"]) == ("applied", 2)


async def test_what_was_given_without_waiting_may_be_decided_first(
    house: Core, author: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one fails twice, say by a bug that heals, and comes again behind the second."""
    left = [1, 1]
    parse = wire.parse

    def faulty(name: str, raw: bytes) -> wire.Draft:
        if name == "campaign.create" and left:
            left.pop()
            raise ZeroDivisionError
        return parse(name, raw)

    monkeypatch.setattr(wire, "parse", faulty)
    body = campaign()
    create = await author.give("campaign.create", body, uuid4())
    revise = await author.give("campaign.revise", body, uuid4())
    async with house.running(house.intake().run):
        outcomes = {outcome["command_id"]: outcome for outcome in [await author.outcome(), await author.outcome()]}
    assert outcomes[str(create)]["state"] == "applied"
    assert (outcomes[str(revise)]["state"], outcomes[str(revise)]["rule"]) == ("refused", "unknown_campaign")
