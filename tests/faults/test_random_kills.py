"""Random kills and stops of every part of a running drumline: it goes on by itself, soon, and sends nothing twice."""

import random
from pathlib import Path

import pytest

from adapters.sandbox.ledger import recount
from tests.faults.random_kills import PATIENCE, blows, table, target

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

KILLS, SECONDS = 40, 420.0


async def test_every_random_kill_is_got_over_and_nothing_is_sent_twice(scratch: Path) -> None:
    seed = random.randrange(1_000_000)
    async with target(scratch, 1_000) as struck:
        found = await blows(struck, KILLS, SECONDS, seed)
        wire = recount(struck.ledger)
    print(f"seed {seed}", *table(found), sep="\n")  # noqa: T201  # the figures, for `pytest -s`
    assert wire.duplicates == 0
    assert max(blow.recovery for blow in found) < PATIENCE  # how soon is a figure, told in docs/reliability.md
