"""A server that is away, wrong or too old: one sentence that says what to do, and exit code 2, for every command."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import bcrypt
import psycopg
import pytest
import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from adapters import streams
from adapters.bus import Bus
from adapters.keys import Keys
from domain.message import Role
from infra import cli, deploy, doctor
from infra.child import ServerError
from infra.embedded import EmbeddedNats, EmbeddedPostgres
from infra.ports import free_port
from infra.servers import nats as nats_checks
from infra.servers import postgres as postgres_checks
from infra.settings import read
from tests.e2e import servers, terminal
from tests.e2e.terminal import Ran

SECRET = "s3cret-nobody-may-see"
LETTER = "00000000-0000-0000-0000-000000000001"
# What each command needs to get as far as its servers; a command that is not named here gets nothing.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "work": ("core",),
    "keys create": ("--role", "author"),
    "keys revoke": ("abcdefgh",),
    "audience import": ("list.csv", "--key", "none"),
    "dead show": (LETTER,),
    "dead replay": (LETTER,),
    "dead drop": (LETTER,),
    "audit replay": ("workspace-demo",),
    "rebuild": ("all", "--check"),
}
OWN_PROCESS = {"up", "demo", "work"}  # they keep the log for themselves, and may run on
NATS_AWAY = "NATS at 127.0.0.1:{} does not answer (connection refused): start it, or correct DRUMLINE_NATS_URL."
# What comes of those that get something done while NATS is away: the exit code, and what they say. The others say that
# it is away.
WITHOUT_NATS = {
    "audit replay": (2, "drumline: There is no stream workspace-demo."),
    "dead drop": (2, "drumline: There is no such dead letter."),
    "dead list": (0, "letter  workspace  command"),
    "dead show": (2, "drumline: There is no such dead letter."),
    "doctor": (2, f"wrong  NATS        {NATS_AWAY}"),
    "keys create": (0, "NATS does not know the keys yet"),
    "keys list": (0, "There is no workspace demo yet: an admin's key begins it (POST /v1/workspace)."),
    "keys nats-users": (0, '"cmd.demo.'),
    "keys revoke": (2, "drumline: Workspace demo has no live key abcdefgh."),
    "rebuild": (0, "Compared at position 0"),
}


def leaves() -> list[str]:
    """Every command of the command line, by the words that call it."""
    root = typer.main.get_command(cli.app)
    found = []
    for name, one in getattr(root, "commands").items():  # noqa: B009  # of a group, which typer does not export
        below = getattr(one, "commands", {})
        found += [f"{name} {word}" for word in below] or [name]
    return sorted(found)


ALONE = {"settings", *(words for words in leaves() if words.startswith("bench "))}  # no configured server is asked
COMMANDS = [words for words in leaves() if words not in ALONE]


def drumline(data_dir: Path, words: str, **settings: str) -> Ran | subprocess.CompletedProcess[str]:
    """Run a command until it has ended."""
    (data_dir / "list.csv").write_text("number\n+12025550111\n")
    line = [*words.split(), *ARGUMENTS.get(words, ()), "--data-dir", str(data_dir / "data")]
    line = [str(data_dir / word) if word == "list.csv" else word for word in line]
    settings |= {"HTTP_PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
    if words not in OWN_PROCESS:
        return terminal.drumline(*line, settings=settings)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DRUMLINE_")}
    environment |= {f"DRUMLINE_{name}": value for name, value in settings.items()}
    whole = [sys.executable, "-m", "infra.cli", *line]
    return subprocess.run(whole, env=environment, capture_output=True, text=True, timeout=90, check=False)


def said(run: Ran | subprocess.CompletedProcess[str]) -> str:
    """What a command that could not do its work said: one sentence, and nothing secret."""
    assert run.returncode == 2, run.stdout + run.stderr
    assert SECRET not in run.stdout + run.stderr
    *logged, last = run.stderr.splitlines()
    assert last.startswith("drumline: "), run.stderr
    assert last.endswith("."), last
    assert not [line for line in logged if "waiting for a server" not in line], run.stderr
    return last.removeprefix("drumline: ")


def long_if_alone(words: str) -> object:
    return pytest.param(words, marks=pytest.mark.long) if words in OWN_PROCESS else words


@pytest.mark.parametrize("words", [long_if_alone(words) for words in COMMANDS if words != "audience import"])
def test_servers_that_are_away_are_said_in_one_sentence(scratch: Path, words: str) -> None:
    dead = free_port()
    away = {
        "DATABASE_URL": f"postgresql://drumline:{SECRET}@127.0.0.1:{dead}/drumline",
        "NATS_URL": f"nats://core:{SECRET}@127.0.0.1:{dead}",
    }
    run = drumline(scratch, words, **away)
    if words == "doctor":
        assert run.returncode == 2
        assert SECRET not in run.stdout + run.stderr
        assert run.stdout.count("connection refused") == 2, run.stdout
    else:
        assert said(run) == (
            f"PostgreSQL at 127.0.0.1:{dead} does not answer (connection refused): "
            "start it, or correct DRUMLINE_DATABASE_URL."
        )


IN_THIS_PROCESS = tuple(words for words in COMMANDS if words not in OWN_PROCESS and words != "audience import")


@pytest.mark.parametrize(
    "several", [IN_THIS_PROCESS, *(pytest.param((words,), marks=pytest.mark.long) for words in sorted(OWN_PROCESS))]
)
def test_a_bus_that_is_away_stops_only_who_needs_it(scratch: Path, database_url: str, several: tuple[str, ...]) -> None:
    dead = free_port()
    for words in several:  # on one database: to make one costs more than all of them
        run = drumline(scratch, words, DATABASE_URL=database_url, NATS_URL=f"nats://core:{SECRET}@127.0.0.1:{dead}")
        if words in WITHOUT_NATS:
            code, sentence = WITHOUT_NATS[words]
            assert run.returncode == code, (words, run.stdout + run.stderr)
            assert sentence.format(dead) in run.stdout + run.stderr, words
            assert SECRET not in run.stdout + run.stderr
            assert "does not answer" not in run.stderr
        else:
            assert said(run) == NATS_AWAY.format(dead), words


def test_the_table_of_commands_names_only_what_there_is() -> None:
    assert (ARGUMENTS.keys() | ALONE | OWN_PROCESS | WITHOUT_NATS.keys()) - set(leaves()) == set()


@contextmanager
def strangers(postgres: EmbeddedPostgres) -> Iterator[None]:
    """Users whom the server of the tests lets in under conditions, or not at all."""
    rules = postgres.data / "pg_hba.conf"
    before = rules.read_text()
    lines = ["local all drl_password scram-sha-256", "local all drl_outside reject"]
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        for name in ("drl_password", "drl_outside", "drl_poor"):
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'")
        connection.execute("CREATE ROLE drl_many LOGIN CONNECTION LIMIT 0")
        connection.execute("CREATE DATABASE drl_latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        rules.write_text("\n".join([*lines, before]))
        connection.execute("SELECT pg_reload_conf()")
        yield
        rules.write_text(before)
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("DROP DATABASE drl_latin")
        for name in ("drl_password", "drl_outside", "drl_poor", "drl_many"):
            connection.execute(f"DROP ROLE {name}")


async def fault_of(url: str) -> str:
    """The sentence that a database's address comes to."""
    with pytest.raises(ServerError) as caught:
        await postgres_checks.look(url, postgres_checks.named(url))
    assert SECRET not in str(caught.value)
    return str(caught.value).partition(" at ")[2].partition(" ")[2] or str(caught.value)


async def test_each_fault_of_postgresql_has_its_sentence(
    postgres: EmbeddedPostgres, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_checks, "CONNECT_SECONDS", 1)
    correct = ": correct DRUMLINE_DATABASE_URL."

    def by(user: str, url: str = database_url) -> str:
        return url.replace("drumline@", f"{user}@")

    with strangers(postgres):
        assert await fault_of(by("drl_password:wrong")) == f"refuses the user's name or password{correct}"
        assert await fault_of(by("nobody_here")) == f"knows no such user{correct}"
        assert await fault_of(postgres.url_of("nothing")) == f"has no database of this name{correct}"
        outside = await fault_of(by("drl_outside"))
        assert outside.startswith("refuses the connection (pg_hba.conf rejects connection for host"), outside
        assert (await fault_of(by("drl_many"))).startswith("has no connection left: raise its max_connections")
        assert (await fault_of(by("drl_poor"))).startswith("gives the user drl_poor no right to drumline's tables in")
        assert (await fault_of(postgres.url_of("drl_latin"))).startswith("keeps the database drl_latin in LATIN1: make")
    unreadable = await unreadable_of("postgresql://u:%s@127.0.0.1:port/x", "mysql://u:%s@127.0.0.1/x")
    assert unreadable == {"postgresql://user:password@host:5432/database."}
    with servers.greeter(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert await fault_of(f"postgresql://u:{SECRET}@127.0.0.1:{port}/x") == f"is not PostgreSQL{correct}"
    with servers.greeter(b"") as port:
        assert (await fault_of(f"postgresql://u:{SECRET}@127.0.0.1:{port}/x")).startswith("does not answer (not within")
    assert (await fault_of(f"postgresql://u:{SECRET}@nowhere.invalid/x")).startswith("does not answer (its name is not")
    monkeypatch.setattr(postgres_checks, "OLDEST", 99)
    assert (await fault_of(database_url)).endswith("and drumline needs 99 or newer: upgrade it.")


async def unreadable_of(*urls: str) -> set[str]:
    return {(await fault_of(url % SECRET)).rpartition("write ")[2] for url in urls}


def test_tables_that_are_missing_or_older_are_said_with_what_to_run(scratch: Path, postgres: EmbeddedPostgres) -> None:
    name = f"empty_{uuid4().hex}"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        run = drumline(scratch, "keys list", DATABASE_URL=postgres.url_of(name))
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert said(run) == (
        "The database's tables are older than this drumline (it lacks 0001_log): run `drumline migrate`."
    )


ACCOUNTS = """
accounts {{
  APP {{ jetstream: enabled, users: [
    {{user: core, password: "{hash}"}}
    {{user: poor, password: "{hash}", permissions: {{publish: "nothing.here", subscribe: "_INBOX.>"}}}}
  ]}}
  OTHER {{ users: [{{user: other, password: "{hash}"}}] }}
}}
"""


async def broker_fault(url: str) -> str:
    """The sentence that a broker's address comes to."""
    with pytest.raises(ServerError) as caught:
        await nats_checks.look(url, nats_checks.named(url))
    assert SECRET not in str(caught.value)
    return str(caught.value).partition(" at ")[2].partition(" ")[2] or str(caught.value)


async def test_each_fault_of_nats_has_its_sentence(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_checks, "CONNECT_SECONDS", 1)
    monkeypatch.setattr(nats_checks, "API_SECONDS", 0.5)
    correct = ": correct DRUMLINE_NATS_URL."
    accounts = ACCOUNTS.format(hash=bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode())
    stored = f'jetstream {{ store_dir: "{scratch}/js" }}\n'
    with ExitStack() as stack:
        rich = stack.enter_context(servers.nats(scratch / "rich", stored + accounts))
        bare = stack.enter_context(servers.nats(scratch / "bare", ""))
        small = stack.enter_context(servers.nats(scratch / "small", stored.replace("/js", "/s") + "max_payload: 65536"))
        http = stack.enter_context(servers.greeter(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        mute = stack.enter_context(servers.greeter(b""))
        old = json.dumps({"server_id": "X", "version": "2.11.9", "jetstream": True, "max_payload": 1_048_576})
        older = stack.enter_context(servers.greeter(f"INFO {old}\r\n".encode()))

        assert (
            await broker_fault(f"nats://core:wrong@127.0.0.1:{rich}") == f"refuses the user's name or password{correct}"
        )
        assert await broker_fault(f"nats://127.0.0.1:{rich}") == f"refuses the user's name or password{correct}"
        assert (await broker_fault(f"nats://other:{SECRET}@127.0.0.1:{rich}")).startswith(
            "gives this user's account no JetStream: name a user of the account that has it"
        )
        assert (await broker_fault(f"nats://poor:{SECRET}@127.0.0.1:{rich}")).startswith(
            "gives this user no right to JetStream: name a user of every right"
        )
        assert (await broker_fault(f"nats://127.0.0.1:{bare}")).startswith("has JetStream off: add a `jetstream` block")
        assert (await broker_fault(f"nats://127.0.0.1:{small}")).startswith(
            "takes 65536 bytes a message: set max_payload"
        )
        assert await broker_fault(f"nats://127.0.0.1:{http}") == f"is not NATS{correct}"
        assert (await broker_fault(f"nats://127.0.0.1:{mute}")).startswith("does not answer (not within 1 s)")
        assert await broker_fault(f"nats://127.0.0.1:{older}") == (
            "is version 2.11.9, and drumline needs 2.12 or newer: upgrade it."
        )
        assert (await broker_fault(f"tls://core:{SECRET}@127.0.0.1:{rich}")).startswith(
            "does not speak TLS: write nats://"
        )
    for wrong in ("http://127.0.0.1:4222", "nats://127.0.0.1:port", "4222", "nats://"):
        with pytest.raises(ServerError, match="is no address of NATS: write nats://user:password@host:4222"):
            nats_checks.named(wrong)


async def test_a_nats_whose_certificate_nobody_trusts_is_said_in_one_sentence(scratch: Path) -> None:
    certificate(scratch)
    tls = f'tls {{ cert_file: "{scratch}/cert.pem", key_file: "{scratch}/key.pem" }}\njetstream {{ store_dir: "js" }}'
    with servers.nats(scratch / "tls", tls) as port:
        assert await broker_fault(f"nats://127.0.0.1:{port}") == (
            "cannot be reached by TLS (self-signed certificate): let this machine trust its certificate."
        )


def certificate(home: Path) -> None:
    """A key, and a certificate that only itself vouches for."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    (home / "cert.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    kinds = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (home / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *kinds))


# As an earlier release left them: 21 people of acme of whom `other` recorded something first, and one who is well.
PEOPLE = """
WITH person AS (
    INSERT INTO people (recipient_id, workspace, number_hmac, wrapped_key, version)
    SELECT gen_random_uuid(), 'acme', i::text::bytea, '', 1 FROM generate_series(1, 22) i RETURNING *
)
INSERT INTO read_recipients (id, workspace, born, position, changed_at, consented)
SELECT recipient_id, CASE number_hmac WHEN '22' THEN 'acme' ELSE 'other' END, 1, 1, now(), false FROM person
"""


def test_doctor_tries_the_servers_and_tells_each_in_a_line(
    scratch: Path, database_url: str, nats_server: EmbeddedNats
) -> None:
    given = {"DATABASE_URL": database_url, "NATS_URL": nats_server.url, "NATS_SYSTEM_URL": nats_server.system_url}
    before = drumline(scratch, "doctor", **given)
    assert before.returncode == 2, before.stdout
    assert "run `drumline migrate`" in before.stdout
    assert drumline(scratch, "migrate", **given).returncode == 0
    with psycopg.connect(database_url) as connection:
        connection.execute(PEOPLE)
    run = drumline(scratch, "doctor --json", **given)
    document = json.loads(run.stdout)
    assert (run.returncode, document["ok"]) == (0, True), run.stdout
    found = {(one["check"], one["status"]) for one in document["checks"]}
    assert found >= {(name, "ok") for name in ("data", "disk", "browser", "API", "tables", "NATS", "streams", "clock")}
    assert ("bus users", "ok") in found, run.stdout
    told = [one["says"] for one in document["checks"] if one["check"] == "people"]
    assert told[0].startswith("21 people's streams were begun by another workspace")
    assert len(told) == 1 + 20
    assert told[1].endswith("  # acme's, begun by other")
    for secret in (nats_server.password, (scratch / "data" / "secrets" / "pepper.key").read_text()):
        assert secret not in run.stdout


async def test_doctor_says_that_commands_was_left_closed_and_that_there_are_more_keys_than_room(
    scratch: Path, database_url: str, nats_server: EmbeddedNats
) -> None:
    given = {"database_url": database_url, "nats_url": nats_server.url, "data_dir": scratch / "data"}
    settings = read(**given)
    await deploy.prepare(settings)
    bus = await Bus.connect(nats_server.url, "test")
    present = (await bus.js.stream_info(streams.COMMANDS)).config
    fewer = replace(present, max_msgs_per_subject=(present.max_msgs_per_subject or 0) - 1)
    assert "wrong" not in dict(await says(doctor.bus(settings)))
    await streams.without_loss(bus.js, present, fewer)  # by a migrate that was killed then
    assert ("wrong", "COMMANDS was left closed: run `drumline migrate`.") in await says(doctor.bus(settings))
    await deploy.prepare(settings)
    assert "wrong" not in dict(await says(doctor.bus(settings)))
    await bus.close()
    async with deploy.pool_of(settings) as pool:
        for _ in range(2):
            await Keys(pool, settings.pepper()).create("acme", [Role.AUTHOR])
    room = "COMMANDS has room for all that 2 keys may have waiting."
    assert ("ok", room) in await says(doctor.database(settings))
    ((status, why),) = [
        (status, why)
        for status, why in await says(doctor.database(read(**given, commands_bytes=1 << 20)))
        if "2 keys" in why
    ]
    assert status == "note"
    assert "DRUMLINE_COMMANDS_BYTES" in why


async def says(found: AsyncIterator[doctor.Finding]) -> list[tuple[str, str]]:
    return [(one.status, one.says) async for one in found]


async def test_a_connection_that_is_given_up_is_closed() -> None:
    heard, closed = asyncio.Event(), asyncio.Event()

    async def greets_and_says_no_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.12.0","max_payload":1048576}\r\n')
        while await reader.read(4096):
            heard.set()
        closed.set()
        writer.close()

    silent = await asyncio.start_server(greets_and_says_no_more, "127.0.0.1", 0)
    async with silent:
        url = f"nats://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        connecting = asyncio.ensure_future(connect(url))
        await asyncio.wait_for(heard.wait(), 10)
        connecting.cancel()
        await asyncio.wait([connecting])
        await asyncio.wait_for(closed.wait(), 10)


async def connect(url: str) -> None:
    async with nats_checks.connected(url, nats_checks.named(url)):
        pass


async def test_a_nats_that_answers_with_an_error_is_said(nats_server: EmbeddedNats) -> None:
    bus = await Bus.connect(nats_server.url, "test")

    async def pinged(_asked: bytes) -> bytes:
        return b'{"server": {"id": "x"}}'

    async def refused(_asked: bytes) -> bytes:
        return b'{"server": {"id": "x"}, "error": {"code": 500, "description": "not today"}}'

    for subject, answer in (("PING", pinged), ("x.VARZ", refused)):
        await bus.serve(f"$SYS.REQ.SERVER.{subject}", answer)
    await bus.nc.flush()
    with pytest.raises(ServerError, match=r"does not tell how it is set up: not today\.$"):
        await nats_checks.syncs_always(nats_server.url)
    await bus.close()
