"""One running API for all its tests of this process; each test has a workspace of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infra.embedded import EmbeddedNats, EmbeddedPostgres
from tests.api.house import House, Tenant
from tests.api.house import house as running
from tests.conftest import TEMPLATE


@pytest.fixture(scope="session")
def house(postgres: EmbeddedPostgres) -> Iterator[House]:
    """The API with its workers, on a database and a broker of this session."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE api TEMPLATE {TEMPLATE} STRATEGY file_copy")
    path = Path(tempfile.mkdtemp(prefix="drl-api-"))
    nats = EmbeddedNats(path / "nats")
    nats.start()
    try:
        with running(postgres.url_of("api"), nats.url) as made:
            yield made
    finally:
        nats.stop()
        shutil.rmtree(path)


@pytest.fixture
def tenant(house: House) -> Tenant:
    """A new workspace with a key for each role."""
    return house.tenant()
