"""A core with an author's client, for the tests of intake, relay and decisions."""

from collections.abc import AsyncIterator

import pytest

from domain.message import Role
from tests.workers.core import Client, Core, core


@pytest.fixture
async def house(database_url: str, nats_url: str) -> AsyncIterator[Core]:
    """A core on servers of this test alone; no loop runs yet."""
    async with core(database_url, nats_url) as made:
        yield made


@pytest.fixture
async def author(house: Core) -> Client:
    """An author who listens at an inbox."""
    return await Client(house, await house.principal(Role.AUTHOR)).listen()
