"""Migrations are applied once, whole and in order, by however many processes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from infra.embedded import EmbeddedPostgres
from infra.migrate import MigrationRefused, migrate, migrations


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
