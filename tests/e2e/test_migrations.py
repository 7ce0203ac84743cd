"""Migrations are applied once, whole and in order, by however many processes."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from infra import migrate as migrating
from infra.embedded import EmbeddedPostgres
from infra.migrate import FOLDER, MigrationRefused, migrate, migrations
from tests.waiting import until


@pytest.fixture
def empty_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    name = f"empty_{uuid4().hex}"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield postgres.url_of(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_one.sql").write_text("CREATE TABLE one (n int); INSERT INTO one VALUES (1);")
    (tmp_path / "0002_two.sql").write_text("SELECT pg_sleep(0.2); INSERT INTO one VALUES (2);")
    return tmp_path


def numbers(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [n for (n,) in connection.execute("SELECT n FROM one ORDER BY n")]


def test_the_second_run_changes_nothing(empty_database: str, folder: Path) -> None:
    assert migrate(empty_database, folder) == ["0001_one", "0002_two"]
    assert migrate(empty_database, folder) == []
    assert numbers(empty_database) == [1, 2]


def test_two_at_once_apply_each_file_once(empty_database: str, folder: Path) -> None:
    with ThreadPoolExecutor(2) as both:
        done = list(both.map(lambda _: migrate(empty_database, folder), range(2)))
    assert sorted(done) == [[], ["0001_one", "0002_two"]]
    assert numbers(empty_database) == [1, 2]


def test_a_failing_file_leaves_nothing_of_itself(empty_database: str, folder: Path) -> None:
    (folder / "0003_three.sql").write_text("INSERT INTO one VALUES (3); SELECT no_such_thing();")
    with pytest.raises(psycopg.errors.UndefinedFunction):
        migrate(empty_database, folder)
    assert numbers(empty_database) == [1, 2]
    (folder / "0003_three.sql").write_text("INSERT INTO one VALUES (3);")
    assert migrate(empty_database, folder) == ["0003_three"]


def test_a_file_changed_after_it_was_applied_is_refused(empty_database: str, folder: Path) -> None:
    migrate(empty_database, folder)
    (folder / "0001_one.sql").write_text("CREATE TABLE other (n int);")
    with pytest.raises(MigrationRefused, match=r"^0001_one\.sql was changed after it had been applied\.$"):
        migrate(empty_database, folder)


def test_a_database_newer_than_the_program_is_refused(empty_database: str, folder: Path) -> None:
    migrate(empty_database, folder)
    (folder / "0002_two.sql").unlink()
    with pytest.raises(MigrationRefused, match="has 0002_two, which this version of drumline does not know"):
        migrate(empty_database, folder)


def test_a_file_older_than_what_is_applied_is_refused(empty_database: str, folder: Path) -> None:
    (folder / "0001_one.sql").rename(folder / "0003_three.sql")
    (folder / "0002_two.sql").unlink()
    migrate(empty_database, folder)
    (folder / "0002_late.sql").write_text("SELECT 1")
    with pytest.raises(MigrationRefused, match=r"0002_late\.sql is older than 0003_three"):
        migrate(empty_database, folder)


@pytest.mark.parametrize(("name", "said"), [("2_two.sql", "not named like"), ("0001_uno.sql", "have the same number")])
def test_a_file_without_a_place_in_the_order_is_refused(folder: Path, name: str, said: str) -> None:
    (folder / name).write_text("SELECT 1")
    with pytest.raises(MigrationRefused, match=said):
        migrations(folder)


INDEX = "-- outside a transaction\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS one_n ON one (n);"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
COMMAND = """
INSERT INTO commands (key, command_id, workspace, principal, name, digest, state)
VALUES (gen_random_uuid(), gen_random_uuid(), 'w', 'p', 'n', '', 'pending')
"""
LETTER = """
INSERT INTO dead_letters (id, workspace, principal, name, reason, body)
VALUES (gen_random_uuid(), 'w', 'p', 'n', 'r', 'abc')
"""


def until_waiting(connection: psycopg.Connection, *for_what: str) -> None:
    """Until another connection to the same database waits for one of these."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = ANY(%s)"
    asyncio.run(until(lambda: connection.execute(query, [list(for_what)]).fetchone() != (0,)))


def released(folder: Path, below: str) -> Path:
    """The folder, with our files whose names sort before this."""
    for path in FOLDER.glob("*.sql"):
        if path.name < below:
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_the_index_of_waiting_commands_is_made_while_workers_write(empty_database: str, tmp_path: Path) -> None:
    migrate(empty_database, released(tmp_path, "0050"))
    released(tmp_path, "0051")
    with ThreadPoolExecutor(2) as both, psycopg.connect(empty_database) as writer:
        writer.execute(COMMAND)
        made = [both.submit(migrate, empty_database, tmp_path) for _ in range(2)]
        with psycopg.connect(empty_database, autocommit=True) as other:
            until_waiting(other, "relation", "virtualxid")
            other.execute("SET lock_timeout = '1s'")
            other.execute(COMMAND)  # waits for nobody
            assert not any(one.done() for one in made)
            writer.commit()
            assert sorted(one.result(20) for one in made) == [[], ["0050_waiting_in_turn"]]
            assert other.execute(VALID, ["commands_pending_of_giver"]).fetchone() == (True,)


def test_an_index_that_an_interrupted_run_left_is_made_anew(empty_database: str, folder: Path) -> None:
    migrate(empty_database, folder)
    (folder / "0003_index.sql").write_text(INDEX)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("INSERT INTO one VALUES (2)")  # twice there
        with pytest.raises(psycopg.errors.UniqueViolation):
            migrate(empty_database, folder)
        assert connection.execute(VALID, ["one_n"]).fetchone() == (False,)
        connection.execute("DELETE FROM one")
        assert migrate(empty_database, folder) == ["0003_index"]
        assert connection.execute(VALID, ["one_n"]).fetchone() == (True,)


def test_a_file_outside_a_transaction_only_makes_indexes(empty_database: str, folder: Path) -> None:
    (folder / "0003_index.sql").write_text(f"{INDEX}\nDROP TABLE one;")
    with pytest.raises(MigrationRefused, match=r"^0003_index\.sql is outside a transaction, and does more"):
        migrate(empty_database, folder)


def test_a_table_that_is_not_free_is_asked_for_again_and_holds_up_nobody_meanwhile(
    empty_database: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(empty_database, folder)
    (folder / "0003_three.sql").write_text("ALTER TABLE one ADD COLUMN m int;")
    monkeypatch.setattr(migrating, "TURN", 0.1)
    monkeypatch.setattr(migrating, "BETWEEN", 0.1)
    with ThreadPoolExecutor(1) as beside, psycopg.connect(empty_database) as reader:
        reader.execute("SELECT * FROM one")
        made = beside.submit(migrate, empty_database, folder)
        with psycopg.connect(empty_database, autocommit=True) as other:
            until_waiting(other, "relation")
            other.execute("SET lock_timeout = '5s'")
            other.execute("INSERT INTO one VALUES (4)")  # waits behind it for a turn
            assert not made.done()
            reader.commit()
            assert made.result(20) == ["0003_three"]
    (folder / "0004_four.sql").write_text("ALTER TABLE one ADD COLUMN k int;")
    monkeypatch.setattr(migrating, "WAIT", 0.0)
    with psycopg.connect(empty_database) as reader:
        reader.execute("SELECT * FROM one")
        with pytest.raises(MigrationRefused, match=r"^0004_four waits: another transaction"):
            migrate(empty_database, folder)


def test_a_letter_that_comes_while_they_are_counted_is_counted(empty_database: str, tmp_path: Path) -> None:
    migrate(empty_database, released(tmp_path, "0051"))
    counting = tmp_path / "0051_dead_letter_usage.sql"
    sql = (FOLDER / counting.name).read_text()
    counting.write_text(sql.replace("CREATE FUNCTION", "SELECT pg_sleep(0.5); CREATE FUNCTION"))  # as of many
    with ThreadPoolExecutor(1) as beside, psycopg.connect(empty_database, autocommit=True) as other:
        made = beside.submit(migrate, empty_database, tmp_path)
        until_waiting(other, "PgSleep")
        other.execute(LETTER)
        assert made.result(20) == [counting.stem]
        assert other.execute("SELECT letters, bytes FROM dead_letter_usage").fetchall() == [(1, 3)]
