"""The embedded servers keep what was written, whoever is killed, and say in a sentence why they cannot run."""

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import nats
import nats.errors
import nats.js.api
import psycopg
import pytest
from nats.aio.client import Client

from infra import embedded_nats, unprivileged
from infra.child import Child, birth, wait_until
from infra.embedded import EmbeddedNats, EmbeddedPostgres, EmbeddedServers, NatsUser, ServerError
from infra.embedded_postgres import HELD, binaries, orphans

WAIT = 30.0  # seconds
SUPERVISOR = """
import sys, time
from pathlib import Path
from infra.embedded import EmbeddedServers
servers = EmbeddedServers(Path(sys.argv[1]))
servers.start()
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[EmbeddedServers]:
    """For tests that only look."""
    path = Path(tempfile.mkdtemp(prefix="drl-"))
    path.chmod(0o711)
    with EmbeddedServers(path / "data") as started:
        yield started
    shutil.rmtree(path)


@pytest.fixture
def servers(scratch: Path) -> Iterator[EmbeddedServers]:
    with EmbeddedServers(scratch / "data") as started:
        yield started


def setting(servers: EmbeddedServers, name: str) -> str:
    with psycopg.connect(servers.database_url) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
        assert row
        return str(row[0])


def write_row(servers: EmbeddedServers) -> None:
    with psycopg.connect(servers.database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")


def rows(servers: EmbeddedServers) -> list[tuple[int]]:
    with psycopg.connect(servers.database_url) as connection:
        return connection.execute("SELECT answer FROM kept").fetchall()


async def publish_one(servers: EmbeddedServers) -> None:
    client = await nats.connect(servers.nats_url)
    stream = client.jetstream()
    await stream.add_stream(name="KEPT", subjects=["kept"], storage=nats.js.api.StorageType.FILE)
    await stream.publish("kept", b"one")
    await client.close()


async def messages(servers: EmbeddedServers) -> int:
    client = await nats.connect(servers.nats_url)
    info = await client.jetstream().stream_info("KEPT")
    await client.close()
    return info.state.messages


async def admitted(url: str) -> bool:
    client = Client()
    try:
        await client.connect(url, allow_reconnect=False)
    except nats.errors.Error as refused:
        if "Authorization Violation" not in str(refused):
            raise
        return False
    finally:
        await client.close()
    return True


def test_postgres_is_durable(shared: EmbeddedServers) -> None:
    names = ["fsync", "full_page_writes", "synchronous_commit", "data_checksums"]
    assert {name: setting(shared, name) for name in names} == dict.fromkeys(names, "on")


def test_postgres_listens_on_no_port(shared: EmbeddedServers) -> None:
    assert setting(shared, "listen_addresses") == ""
    assert stat.S_IMODE(shared.postgres.sockets.stat().st_mode) == 0o700


async def test_nats_is_durable_and_bounded(shared: EmbeddedServers) -> None:
    client = await nats.connect(shared.nats.system_url)
    said = json.loads((await client.request("$SYS.REQ.SERVER.PING.VARZ", timeout=2)).data)["data"]
    await client.close()
    assert said["jetstream"]["config"]["sync_always"] is True
    assert said["jetstream"]["config"]["max_storage"] == 10 << 30
    assert said["max_payload"] == 1 << 20


async def test_only_who_knows_the_password_reaches_the_bus(shared: EmbeddedServers) -> None:
    for name in ("password", "store-key", "users.conf", "nats.conf"):
        assert stat.S_IMODE((shared.nats.home / name).stat().st_mode) == 0o600
    assert not await admitted(f"nats://core:guess@127.0.0.1:{shared.nats.port}")
    assert not await admitted(f"nats://127.0.0.1:{shared.nats.port}")
    assert await admitted(shared.nats_url)


async def test_what_streams_hold_lies_enciphered_also_what_they_held_before_there_was_a_cipher(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nats_server = EmbeddedNats(scratch / "nats")

    def plain() -> list[str]:
        return [path.name for path in nats_server.home.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]

    async def with_another() -> int:
        client = await nats.connect(nats_server.url)
        stream = client.jetstream()
        await stream.add_stream(name="KEPT", subjects=["kept"])
        await stream.publish("kept", b"a canary")
        count = (await stream.stream_info("KEPT")).state.messages
        await client.close()
        return count

    with monkeypatch.context() as before:
        before.setattr(embedded_nats, "CONFIG", embedded_nats.CONFIG.replace('cipher: aes, key: "{key}"', ""))
        nats_server.start()
        assert await with_another() == 1
        nats_server.stop()
    assert plain() == ["1.blk"]
    for expected, end in ((2, nats_server.kill), (3, nats_server.stop)):
        nats_server.start()
        assert await with_another() == expected
        end()
        assert plain() == []


async def test_what_was_written_outlives_kill_9_of_both_servers(servers: EmbeddedServers) -> None:
    write_row(servers)
    await publish_one(servers)
    addresses = servers.database_url, servers.nats_url
    servers.postgres.kill()
    servers.nats.kill()
    assert servers.dead() == [servers.postgres, servers.nats]
    for server in servers.dead():
        server.start()
    assert (servers.database_url, servers.nats_url) == addresses
    assert rows(servers) == [(42,)]
    assert await messages(servers) == 1


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_servers_of_a_killed_supervisor_end_and_the_next_one_finds_everything(scratch: Path, stopped: bool) -> None:
    servers = EmbeddedServers(scratch / "data")
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, servers.data_dir], stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout
        assert supervisor.stdout.readline() == "started\n"
        write_row(servers)
        asyncio.run(publish_one(servers))
        if stopped:
            for pid in (servers.postgres.running(), servers.nats.running(), *orphans(servers.postgres.data)):
                assert pid is not None
                os.kill(pid, signal.SIGSTOP)
        supervisor.kill()
    assert stopped or wait_until(lambda: servers.postgres.running() is None and servers.nats.running() is None, 10)
    with servers:
        assert rows(servers) == [(42,)]
        assert asyncio.run(messages(servers)) == 1


def test_a_stopped_child_of_a_leftover_is_killed_and_one_that_left_for_elsewhere_is_not(scratch: Path) -> None:
    child = Child("parent", scratch, scratch / "log")
    program = """
        import subprocess, sys, time
        for place in (".", "/"):
            one = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=place)
            print(one.pid, flush=True)
    """
    child.start([sys.executable, "-c", textwrap.dedent(program)], signal.SIGTERM)
    assert wait_until(lambda: not child.alive(), 20)
    left, elsewhere = (int(pid) for pid in child.said().split())
    try:
        os.kill(left, signal.SIGSTOP)
        child.end_leftover(signal.SIGTERM, 0.1)
        assert wait_until(lambda: birth(left) is None, 10)
        assert birth(elsewhere)
    finally:
        os.kill(elsewhere, signal.SIGKILL)
        child.kill()


def test_a_leftover_that_does_not_listen_is_killed(scratch: Path) -> None:
    former, next_one = (Child("sleeper", scratch, scratch / "log") for _ in range(2))
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    former.start([sys.executable, "-c", deaf], signal.SIGTERM)
    assert wait_until(lambda: bool(former.said()), 20)
    next_one.end_leftover(signal.SIGTERM, 0.1)
    assert next_one.running() is None
    former.stop(signal.SIGTERM, 5)


def test_what_a_killed_supervisor_left_running_is_ended_first(scratch: Path) -> None:
    former, next_one = (Child("sleeper", scratch, scratch / "log") for _ in range(2))
    former.start([sys.executable, "-c", "import time; time.sleep(600)"], signal.SIGTERM)
    assert next_one.running()
    next_one.end_leftover(signal.SIGTERM, 5)
    assert next_one.running() is None
    former.stop(signal.SIGTERM, 5)


def test_a_pid_that_is_another_programs_today_is_left_alone(scratch: Path) -> None:
    child = Child("sleeper", scratch, scratch / "log")
    ours = birth(os.getpid())
    assert ours
    (scratch / "process").write_text(f"{ours}0")  # the same pid, started at another time
    child.end_leftover(signal.SIGTERM, 5)
    assert birth(os.getpid()) == ours


@pytest.mark.parametrize("program", ["import time; time.sleep(600)", ""], ids=["another program's", "a zombie's"])
def test_postgres_starts_though_its_former_pid_is_there_today(servers: EmbeddedServers, program: str) -> None:
    write_row(servers)
    servers.postgres.kill()
    files = [servers.postgres.data / "postmaster.pid", servers.postgres.sockets / ".s.PGSQL.5432.lock"]
    with subprocess.Popen([sys.executable, "-c", program]) as another:
        try:
            assert wait_until(lambda: bool(program) or birth(another.pid) is None, 10)
            for file in files:
                file.write_text("\n".join([str(another.pid), *file.read_text().splitlines()[1:], ""]))
            servers.postgres.start()
            assert Path(f"/proc/{another.pid}").exists()
        finally:
            another.kill()
    assert rows(servers) == [(42,)]


def test_a_server_that_never_began_is_stopped_wherever_its_data_would_lie(scratch: Path) -> None:
    home = scratch / ("long" * 40) / "postgres"  # too long a path for a socket
    EmbeddedPostgres(home).stop()
    assert not home.exists()


def test_what_is_left_of_a_postgres_that_was_killed_is_ended_though_it_is_stopped(servers: EmbeddedServers) -> None:
    write_row(servers)
    with psycopg.connect(servers.database_url) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)  # it still holds the shared memory when the server is gone
        servers.postgres.kill()
        servers.postgres.start()
        assert birth(backend) is None  # it has ended, whether or not anybody has asked how
    assert rows(servers) == [(42,)]


def test_postgres_waits_for_the_memory_of_one_that_was_killed(
    servers: EmbeddedServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_row(servers)
    monkeypatch.setattr("infra.embedded_postgres.orphans", lambda data: ())  # as if nobody could be seen
    with psycopg.connect(servers.database_url) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        servers.postgres.kill()
        starting = threading.Thread(target=servers.postgres.start)
        starting.start()
        assert wait_until(lambda: HELD in (servers.postgres.home / "postgres.log").read_text(), 10)
        os.kill(backend, signal.SIGCONT)
        starting.join(30)
    assert servers.postgres.alive()
    assert rows(servers) == [(42,)]


def test_a_first_start_that_was_killed_leaves_nothing_half_made(scratch: Path) -> None:
    half = scratch / "data/postgres/data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")
    with EmbeddedServers(scratch / "data") as servers:
        write_row(servers)
        assert rows(servers) == [(42,)]


async def test_two_instances_run_side_by_side(scratch: Path) -> None:
    with EmbeddedServers(scratch / "one") as one, EmbeddedServers(scratch / "two") as two:
        assert one.nats.port != two.nats.port
        await publish_one(one)
        await publish_one(two)
        write_row(one)
        with pytest.raises(psycopg.errors.UndefinedTable):
            rows(two)
        assert await messages(one) == 1


def test_a_second_supervisor_on_the_same_data_is_refused(shared: EmbeddedServers) -> None:
    with pytest.raises(ServerError, match=rf"already runs on {shared.data_dir} \(process {os.getpid()}\)"):
        EmbeddedServers(shared.data_dir).start()


def test_a_port_in_use_is_said_in_one_sentence_and_nothing_is_left_running(scratch: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        servers = EmbeddedServers(scratch / "data", nats_port=port)
        with pytest.raises(ServerError, match=rf"^Port {port} is in use by another program: [^.]+\.$"):
            servers.start()
    assert servers.postgres.running() is None
    assert servers.nats.running() is None


def test_a_port_once_chosen_is_kept(scratch: Path) -> None:
    with EmbeddedServers(scratch / "data") as first:
        port = first.nats.port
        assert 20000 <= port < 32768
    with EmbeddedServers(scratch / "data") as second:
        assert second.nats.port == port


def test_stopping_leaves_no_process_and_no_socket(scratch: Path) -> None:
    servers = EmbeddedServers(scratch / "data")
    servers.start()
    servers.stop()
    assert servers.postgres.running() is None
    assert servers.nats.running() is None
    assert list(servers.postgres.sockets.iterdir()) == []
    assert "database system is shut down" in (servers.postgres.home / "postgres.log").read_text()


def test_a_deep_data_directory_has_its_socket_elsewhere(scratch: Path) -> None:
    deep = scratch / ("deep" * 20) / ("deeper" * 10)
    with EmbeddedServers(deep) as servers:
        write_row(servers)
        elsewhere = servers.postgres.sockets
        assert deep not in elsewhere.parents
        assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700
        assert EmbeddedServers(deep).database_url == servers.database_url
    assert not elsewhere.exists()


def test_a_log_grown_large_is_put_aside(scratch: Path) -> None:
    log = scratch / "data/nats/nats.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"x" * (9 << 20))
    with EmbeddedServers(scratch / "data"):
        assert log.stat().st_size < 1 << 20
        assert log.with_suffix(".1.log").stat().st_size == 9 << 20


def member(name: str) -> NatsUser:
    return NatsUser(
        name, bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode(), [f"cmd.{name}.>"], ["_INBOX.>", f"out.{name}"]
    )


async def test_a_user_may_do_what_is_listed_until_taken_off_the_list(nats_server: EmbeddedNats) -> None:
    nats_server.reload_users([member("anna"), member("ben")])
    refused: asyncio.Queue[Exception] = asyncio.Queue()
    gone = asyncio.Event()

    async def on_disconnect() -> None:
        gone.set()

    core = await nats.connect(nats_server.url)
    heard = await core.subscribe("cmd.>")
    await core.flush()
    anna = await nats.connect(
        f"nats://anna:secret@127.0.0.1:{nats_server.port}",
        error_cb=refused.put,
        disconnected_cb=on_disconnect,
        allow_reconnect=False,
    )
    await anna.publish("cmd.ben.job.start")
    await anna.publish("cmd.anna.job.start")
    assert (await heard.next_msg(WAIT)).subject == "cmd.anna.job.start"
    assert 'permissions violation for publish to "cmd.ben.job.start"' in str(
        await asyncio.wait_for(refused.get(), WAIT)
    )

    nats_server.reload_users([member("ben")])
    assert not await admitted(f"nats://anna:secret@127.0.0.1:{nats_server.port}")
    await asyncio.wait_for(gone.wait(), WAIT)
    await anna.close()
    await core.close()


@pytest.mark.parametrize(
    "elsewhere", ["evt.ben.job.approved", "send.account", "dead.x", "cmd.ben.job.start", "ctl.work"]
)
async def test_an_acknowledgement_reaches_nothing_that_its_asker_may_not_publish_to(
    nats_server: EmbeddedNats, elsewhere: str
) -> None:
    nats_server.reload_users([member("anna")])
    core = await nats.connect(nats_server.url)
    heard = await core.subscribe(elsewhere)
    await core.jetstream().add_stream(name="ALL", subjects=["cmd.>", "evt.>", "send.*", "dead.>"])
    anna = await nats.connect(f"nats://anna:secret@127.0.0.1:{nats_server.port}")
    await anna.publish("cmd.anna.job.start", reply=elsewhere)
    assert (await anna.jetstream().publish("cmd.anna.job.start")).seq == 2
    state = (await core.jetstream().stream_info("ALL", subjects_filter=">")).state
    assert state.subjects == {"cmd.anna.job.start": 2}
    await core.flush()
    assert heard.pending_msgs == 0
    await anna.close()
    await core.close()


async def test_users_hear_what_is_told_to_them(nats_server: EmbeddedNats) -> None:
    nats_server.reload_users([member("anna")])
    core = await nats.connect(nats_server.url)
    anna = await nats.connect(f"nats://anna:secret@127.0.0.1:{nats_server.port}")
    inbox, outcomes = await anna.subscribe("_INBOX.anna.x"), await anna.subscribe("out.anna")
    await anna.flush()
    await core.publish("_INBOX.anna.x", b"told")
    await core.publish("out.anna", b"told")
    assert (await inbox.next_msg(WAIT)).data == (await outcomes.next_msg(WAIT)).data == b"told"
    await anna.close()
    await core.close()


async def test_users_outlive_a_restart(nats_server: EmbeddedNats) -> None:
    nats_server.reload_users([member("anna")])
    nats_server.kill()
    nats_server.start()
    assert await admitted(f"nats://anna:secret@127.0.0.1:{nats_server.port}")


async def test_users_may_change_from_another_process(nats_server: EmbeddedNats) -> None:
    EmbeddedNats(nats_server.home).reload_users([member("anna")])
    assert await admitted(f"nats://anna:secret@127.0.0.1:{nats_server.port}")


async def test_a_list_of_users_that_nats_refuses_changes_nothing(nats_server: EmbeddedNats) -> None:
    nats_server.reload_users([member("anna")])
    with pytest.raises(ServerError, match="did not take the new list"):
        nats_server.reload_users([NatsUser("ben", member("ben").bcrypt_hash, ["not a..subject"], [])])
    assert await admitted(f"nats://anna:secret@127.0.0.1:{nats_server.port}")


def sign_in_as(server: EmbeddedNats, name: str) -> None:
    """Fail to sign in; the server logs the name."""
    before = server.home.joinpath("nats.log").read_text().count("authentication error")
    with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as stranger:
        stranger.sendall(f"CONNECT {json.dumps({'user': name, 'pass': 'guess'})}\r\nPING\r\n".encode())
        while stranger.recv(4096):
            pass
    assert wait_until(lambda: server.home.joinpath("nats.log").read_text().count("authentication error") > before, 10)


@pytest.mark.parametrize("line", ["{words}", "x\n[1] 2026/12/01 10:00:00.000000 [ERR] {words}\n"])
def test_a_strangers_name_does_not_make_nats_look_out_of_disk(nats_server: EmbeddedNats, line: str) -> None:
    words = "Filestore [COMMANDS] Critical write error: write 1.blk: no space left on device"
    sign_in_as(nats_server, line.format(words=words))
    assert not nats_server.starved()


@pytest.mark.parametrize(("words", "good"), [("Reloaded server configuration", False), ("Failed to reload", True)])
async def test_a_strangers_name_is_no_answer_to_a_new_list_of_users(
    nats_server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch, words: str, good: bool
) -> None:
    def forged_first(pid: int, sign: int) -> None:
        sign_in_as(nats_server, words)
        threading.Timer(0.2, kill, (pid, sign)).start()  # and the answer takes a moment

    kill = os.kill
    monkeypatch.setattr("infra.embedded_nats.os.kill", forged_first)
    anna = member("anna")
    if good:
        nats_server.reload_users([anna])
        assert await admitted(f"nats://anna:secret@127.0.0.1:{nats_server.port}")
    else:
        with pytest.raises(ServerError, match="did not take the new list"):
            nats_server.reload_users([NatsUser("anna", anna.bcrypt_hash, ["not a..subject"], [])])


def test_a_nats_whose_log_was_put_aside_is_still_looked_at(scratch: Path) -> None:
    log = scratch / "nats" / "nats.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * (9 << 20))
    server = EmbeddedNats(scratch / "nats")
    server.start()
    try:
        with log.open("ab") as file:  # as the server does in tests/faults/test_full_disk.py
            file.write(
                b"[1] 2026/12/01 10:00:00.000000 [ERR] JetStream failed to store a msg: no space left on device\n"
            )
        assert server.starved()
    finally:
        server.stop()


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another uid for PostgreSQL")


@as_root
@pytest.mark.skipif(
    any(not place.stat().st_mode & 0o001 for place in binaries().parents),
    reason="PostgreSQL's programs lie under a directory that other users may not enter",
)
def test_root_without_namespaces_runs_postgres_under_a_spare_uid(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unprivileged, "NAMESPACE", ("false",))
    server = EmbeddedPostgres(scratch / "data/postgres")
    server.start()
    assert (scratch / "data/postgres/data").owner() == "nobody"
    server.kill()
    server.start()
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    server.stop()


@as_root
def test_root_without_namespaces_is_told_which_directory_keeps_others_out(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unprivileged, "NAMESPACE", ("false",))
    closed = scratch / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ServerError, match=f"may not enter {closed}: "):
        unprivileged.disguise([closed])


async def test_users_cannot_read_the_stream_of_events(nats_server: EmbeddedNats) -> None:
    nats_server.reload_users([member("anna")])
    core = await nats.connect(nats_server.url)
    await core.jetstream().add_stream(name="EVENTS", subjects=["evt.>"])
    refused: asyncio.Queue[Exception] = asyncio.Queue()
    anna = await nats.connect(f"nats://anna:secret@127.0.0.1:{nats_server.port}", error_cb=refused.put)
    heard = await anna.subscribe("evt.>")
    await anna.publish("$JS.API.STREAM.MSG.GET.EVENTS", b'{"seq":1}', reply="_INBOX.anna.x")
    await anna.flush()
    await core.jetstream().publish("evt.anna.job.approved", b"{}")
    for action in ("subscription", "publish"):
        assert f"permissions violation for {action}" in str(await asyncio.wait_for(refused.get(), WAIT))
    assert heard.pending_msgs == 0
    await anna.close()
    await core.close()
