"""Databases with a projected log, each test's own."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest

from infra.embedded import EmbeddedPostgres
from tests.conftest import TEMPLATE
from tests.rebuild.ground import EVENTS, Ground, ground, laid


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """A database with a projected log, for each test to copy."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE rebuilding TEMPLATE {TEMPLATE} STRATEGY file_copy")
    asyncio.run(laid(postgres.url_of("rebuilding"), EVENTS))
    return "rebuilding"


@pytest.fixture
async def here(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Ground]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        async with ground(postgres.url_of(name)) as made:
            yield made
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
