"""The how-to for servers of one's own, run as it stands: PostgreSQL 15 of Debian and 18 of the wheel, keys, back-up."""

import asyncio
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest

from infra.child import wait_until
from infra.embedded_postgres import binaries
from infra.ports import free_port
from tests.e2e.doc_shell import BLOCK, ROOT
from tests.e2e.servers import answers, debian_postgres
from tests.e2e.test_up import up
from tests.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

LONGEST = 120.0  # seconds for a section
SUDO = 'sudo() { shift 2; "$@"; }\n'  # the test is the server's administrator


def section(title: str) -> list[str]:
    """The shell blocks of a section of the how-to."""
    page = (ROOT / "docs" / "how-to.md").read_text()
    found = re.search(rf"^## {title}$(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    return BLOCK.findall(found[1])


@dataclass
class Operator:
    """Somebody who has the how-to open, in a directory of their own, with servers at ports that are free here."""

    home: Path
    version: str  # of PostgreSQL
    programs: Path  # PostgreSQL's
    ports: dict[str, str]  # as the how-to has them -> as they are here
    exported: dict[str, str] = field(default_factory=dict)

    def run(self, *blocks: str, succeeds: bool = True) -> str:
        """What blocks print, one after the other in one shell that ends at the first failure."""
        script = SUDO + "\n".join(blocks)
        for written, here in self.ports.items():
            script = re.sub(rf"\b{written}\b", here, script)
        for name, value in re.findall(r"^export (\w+)=(.*)$", script, re.MULTILINE):
            self.exported[name] = value.replace("$PWD", str(self.home))
        out = self.home / f"said-{time.monotonic_ns()}"
        with out.open("wb") as said:  # no pipe: the server that a block starts would hold it open
            code = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", script],
                cwd=self.home,
                env=self.environment,
                stdout=said,
                stderr=said,
                timeout=LONGEST,
                check=False,
            ).returncode
        printed = out.read_text()
        assert (code == 0) == succeeds, printed
        return printed

    @property
    def environment(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith("DRUMLINE_")}
        path = os.pathsep.join([str(self.programs), str(Path(sys.executable).parent), os.environ["PATH"]])
        server = {
            "PGHOST": str(self.home / "pg"),
            "PGPORT": self.ports["5432"],
            "PGUSER": "admin",
            "PGDATABASE": "postgres",
        }
        return {**others, **server, "PATH": path, "no_proxy": "127.0.0.1", **self.exported}


@contextmanager
def cluster(home: Path, programs: Path, port: int) -> Iterator[None]:
    """A PostgreSQL of our own under `home`."""
    home.mkdir()
    user = pwd.getpwnam("nobody")
    us: list[str | Path] = (
        ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"] if os.geteuid() == 0 else []
    )
    if us:
        os.chown(home, user.pw_uid, user.pw_gid)
    made: list[str | Path] = [
        programs / "initdb",
        "-D",
        home / "data",
        "-U",
        "admin",
        "--auth-local=trust",
        "--auth-host=scram-sha-256",
    ]
    subprocess.run([*us, *made, "--no-sync", "-E", "UTF8", "--locale=C"], cwd=home, check=True, capture_output=True)
    line = [*us, programs / "postgres", "-D", home / "data", "-k", home, "-p", str(port), "-h", "127.0.0.1"]
    with (home / "log").open("wb") as out, subprocess.Popen(line, cwd=home, stdout=out, stderr=out) as server:
        try:
            assert wait_until(lambda: ready(home, port) or server.poll() is not None, 30, 0.1)
            assert server.poll() is None, (home / "log").read_text()
            yield
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)


def ready(home: Path, port: int) -> bool:
    """Whether the server takes connections."""
    try:
        psycopg.connect(host=str(home), port=port, user="admin", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def operator(scratch: Path, request: pytest.FixtureRequest) -> Iterator[Operator]:
    """Somebody whose PostgreSQL has this version: Debian's 15, or the wheel's 18."""
    version: str = request.param
    programs = binaries() if version == "18" else debian_postgres()
    if programs is None:
        pytest.skip("Debian's PostgreSQL 15 is not installed: apt-get install postgresql-15")
    ports = {"5432": str(free_port()), "4222": str(free_port())}
    with cluster(scratch / "pg", programs, int(ports["5432"])):
        try:
            yield Operator(scratch, version, programs, ports)
        finally:
            with suppress(OSError, ValueError):
                pid = int((scratch / "nats.pid").read_text())
                os.kill(pid, signal.SIGTERM)
                assert wait_until(lambda: not answers(int(ports["4222"])), 20)


@pytest.mark.parametrize("operator", ["15", "18"], indirect=True)
async def test_the_how_to_of_own_servers_goes_as_it_says(operator: Operator) -> None:
    database, nats, drumline, keys = section("Use your own PostgreSQL and NATS")
    printed = operator.run(database, nats, drumline)
    first = re.search(r"drl_live_\w+", printed)
    assert first is not None, printed
    assert "wrong " not in printed
    assert re.search(rf"PostgreSQL at 127\.0\.0\.1:\d+ answers, version {operator.version}\.", printed), printed
    assert "nats-users.conf is the list of live keys" in printed
    given = {name.removeprefix("DRUMLINE_").lower(): value for name, value in operator.exported.items()}

    running = up(operator.home / ".drumline", "acme", **given)
    url, _ = await asyncio.to_thread(running.__enter__)
    try:
        team = json.loads((operator.home / ".drumline" / "keys.json").read_text())["keys"]
        made = operator.run(keys)
        assert "is revoked" in made
        assert "reload" not in made  # it was done
        example = f"python {ROOT}/examples/create_campaign.py nats://127.0.0.1:4222"
        assert '"state":"applied"' in operator.run(f"{example} {team['author']} acme Spring")
        revoked = operator.run(
            "KEY=$(drumline keys create --workspace acme --role author)\n"
            "drumline keys revoke --workspace acme ${KEY:9:8}\n"
            f"{example} $KEY acme Summer",
            succeeds=False,
        )
        assert "is the address right, the key live" in revoked
        save, restore = section("Back up and restore")[2:]
        operator.run(save)
        assert '"state":"applied"' in operator.run(f"{example} {team['author']} acme Later")
        await until(lambda: titles(url, team["author"]) == {"Spring", "Later"}, 30)
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)

    assert "wrong " not in operator.run(restore)
    running = up(operator.home / ".drumline", "acme", **given)
    url, _ = await asyncio.to_thread(running.__enter__)
    try:
        await until(lambda: titles(url, team["author"]) == {"Spring"}, 30)
        assert '"state":"applied"' in operator.run(f"{example} {team['author']} acme Afterwards")
        await until(lambda: titles(url, team["author"]) == {"Spring", "Afterwards"}, 30)
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


def titles(url: str, key: str) -> set[str]:
    """The campaigns that the API shows."""
    answer = httpx.get(f"{url}/v1/campaigns", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    return {item["title"] for item in answer.json()["items"]} if answer.is_success else set()


@pytest.mark.parametrize("operator", ["18"], indirect=True)
async def test_without_the_system_account_whoever_changes_keys_is_told_what_to_do(operator: Operator) -> None:
    database, nats, drumline, keys = section("Use your own PostgreSQL and NATS")
    operator.run(database, nats, re.sub(r"^export DRUMLINE_NATS_SYSTEM_URL.*\n", "", drumline, flags=re.MULTILINE))
    told = operator.run(keys)
    assert "NATS does not know the keys yet: let its configuration include" in told
    assert "is written anew: NATS acts on it once you reload it" in told
    operator.run("kill -HUP $(cat nats.pid)\nKEY=$(drumline keys list --workspace acme)\ndrumline doctor")
