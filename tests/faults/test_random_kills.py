"""Random kills and stops of every part of a running drumline: it goes on by itself, soon, and sends nothing twice."""

import logging
import random
from pathlib import Path
from statistics import quantiles

import pytest

from adapters.sandbox.ledger import recount
from tests.faults.random_kills import blows, table, target

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

KILLS, SECONDS = 40, 420.0
SOON = 10.0  # seconds in which nine of ten are got over
log = logging.getLogger(__name__)


async def test_nine_of_ten_random_kills_are_got_over_within_ten_seconds(scratch: Path) -> None:
    seed = random.randrange(1_000_000)
    async with target(scratch, 1_000) as struck:
        found = await blows(struck, KILLS, SECONDS, seed)
        wire = recount(struck.ledger)
    log.warning("seed %s\n%s", seed, "\n".join(table(found)))
    assert wire.duplicates == 0
    assert quantiles([blow.recovery for blow in found], n=10, method="inclusive")[-1] < SOON
