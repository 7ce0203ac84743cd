"""The servers every test may ask for: a fresh database, a fresh NATS; real ones, made in milliseconds."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from infra.embedded import EmbeddedNats, EmbeddedPostgres
from infra.migrate import migrate

if TYPE_CHECKING:
    from tests.api.house import House, Tenant
    from tests.together import Together

settings.register_profile("drumline", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine
settings.load_profile("drumline")
TEMPLATE = "drumline"  # the database the server makes for itself; ours are copies of it, migrated
MEMORY, ROOM = Path("/dev/shm"), 2 << 30  # bytes free there


def pytest_configure() -> None:
    """Let the files of tests, and of what they start, lie in memory where there is room.

    A database is 350 files: a disk takes half a second of processor time to make and to delete them, memory 30 ms.
    """
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        tempfile.tempdir = os.environ["TMPDIR"] = str(MEMORY)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "Together | None":
    """Let tests that share what takes long to start run on one worker.

    CI's long tests have an order of their own, and so hand out one at a time.
    """
    from tests.together import Together  # without xdist there is none

    return Together(config, log) if config.option.dist == "load" and config.option.maxschedchunk is None else None


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory with a short path, gone after the test (pytest's own stay, and servers' data is large)."""
    path = Path(tempfile.mkdtemp(prefix="drl-"))
    path.chmod(0o711)  # for root without user namespaces, whose PostgreSQL is somebody else's
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One PostgreSQL for all tests of this process, its first database migrated."""
    path = Path(tempfile.mkdtemp(prefix="drl-pg-"))
    server = EmbeddedPostgres(path / "postgres")
    server.start()
    with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
        # No test cuts the power: what a kill leaves is whole without these.
        for change in ("fsync = off", "full_page_writes = off", "max_wal_size = '64MB'"):
            connection.execute(f"ALTER SYSTEM SET {change}")
        connection.execute("SELECT pg_reload_conf()")
    migrate(server.url_of(TEMPLATE))
    yield server
    server.stop()
    shutil.rmtree(path)


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A migrated database of this test alone."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
        yield postgres.url_of(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def nats_server(scratch: Path) -> Iterator[EmbeddedNats]:
    """A NATS server of this test alone, which may kill it, start it again, or change its users."""
    server = EmbeddedNats(scratch / "nats")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def nats_url(nats_server: EmbeddedNats) -> str:
    """The address of `nats_server`, with the credentials of `core`, who may do everything."""
    return nats_server.url


@pytest.fixture(scope="session")
def house(postgres: EmbeddedPostgres) -> "Iterator[House]":
    """The API with its workers, on a database and a broker of this session; each test has a workspace of its own."""
    from tests.api.house import house as running  # the others have no use for it, and it takes its time

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
def tenant(house: "House") -> "Tenant":
    """A new workspace with a key for each role."""
    return house.tenant()
