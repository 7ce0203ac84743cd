"""The shell blocks of a page of the documentation, run as they stand against a running `up`."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.ports import free_port
from tests.e2e.test_up import up

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LONGEST = 240.0  # seconds for a page


def blocks(page: str) -> list[str]:
    """The shell blocks of `docs/<page>.md`."""
    return BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text())


@dataclass(frozen=True)
class Checkout:
    """A directory that looks like a checkout in which `make up` runs."""

    path: Path
    api: int
    sandbox: int

    @property
    def phones(self) -> str:
        """The address of the sandbox."""
        return f"http://127.0.0.1:{self.sandbox}"

    def run(self, page: str) -> str:
        """What a page's blocks print, one after the other in one shell that ends at the first failure."""
        script = "\n".join(blocks(page)).replace("127.0.0.1:8180", f"127.0.0.1:{self.api}")
        script = script.replace("127.0.0.1:8181", f"127.0.0.1:{self.sandbox}").replace("/tmp/", f"{self.path}/")
        settings = {"DRUMLINE_HTTP_PORT": str(self.api), "DRUMLINE_SANDBOX_PORT": str(self.sandbox)}
        given = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "no_proxy": "127.0.0.1"}
        ran = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self.path,
            env={**os.environ, **settings, **given},
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
        return ran.stdout


@contextmanager
def checkout(path: Path) -> Iterator[Checkout]:
    """One with a running `up`, as at the first start."""
    (path / "examples").symlink_to(ROOT / "examples")
    api, sandbox = free_port(), free_port()
    with up(path / ".drumline", http_port=str(api), sandbox_port=str(sandbox)):
        yield Checkout(path, api, sandbox)
