"""A real Prometheus, and its promtool; a test asks `missing()` first."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import httpx

from infra.child import wait_until
from infra.ports import free_port

CONFIG = """
scrape_configs:
  - job_name: drumline
    scrape_interval: 1s
    file_sd_configs: [{{files: ["{targets}"], refresh_interval: 1s}}]
rule_files: ["{rules}"]
"""
RULES = Path(__file__).parents[2] / "infra" / "alerts.yml"


def missing() -> str:
    """What to install; nothing when all is there."""
    absent = [name for name in ("prometheus", "promtool") if which(name) is None]
    return f"{' and '.join(absent)} missing: install the package prometheus (Debian, Ubuntu)" if absent else ""


def promtool(*words: str | Path, given: str | None = None) -> None:
    """What promtool says must be nothing bad."""
    line = ["promtool", "check", *map(str, words)]
    run = subprocess.run(line, input=given, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert given is None or run.stdout + run.stderr == "", run.stdout + run.stderr


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Where it answers."""

    url: str

    def ask(self, path: str, **parameters: str) -> Any:
        response = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, trust_env=False, timeout=10)
        return response.raise_for_status().json()["data"]

    def values(self, query: str) -> list[float]:
        """What a query gives now, without the labels."""
        return [float(one["value"][1]) for one in self.ask("query", query=query)["result"]]

    def value(self, query: str) -> float:
        (found,) = self.values(query)
        return found

    def series(self) -> str:
        """All that was scraped, by name and labels."""
        return json.dumps(self.ask("series", **{"match[]": '{job="drumline"}'}))

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False, timeout=1).is_success
        except httpx.TransportError:
            return False


@contextmanager
def prometheus(home: Path, targets: Path) -> Iterator[Prometheus]:
    """One that scrapes what a file lists."""
    home.mkdir(exist_ok=True)
    config = home / "prometheus.yml"
    config.write_text(CONFIG.format(targets=targets, rules=RULES))
    promtool("config", config)
    address = f"127.0.0.1:{free_port()}"
    line = [f"--config.file={config}", f"--storage.tsdb.path={home / 'tsdb'}", f"--web.listen-address={address}"]
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(["prometheus", *line, "--log.level=warn"], stderr=log) as process,
    ):
        try:
            made = Prometheus(f"http://{address}")
            assert wait_until(made.answers, 30, 0.05), (home / "log").read_text()
            yield made
        finally:
            process.terminate()
