"""Where Prometheus finds each process: a list as its `file_sd_configs` reads it."""

import json
import os
from pathlib import Path

from infra.child import ServerError
from infra.ports import PORTS, free_port, in_use, reserved
from infra.settings import Settings

OFFSETS = {"core": 0, "sessions": 1, "imports": 2}  # beyond metrics_port; the API shows its own under its address


def metrics_port(settings: Settings, role: str) -> int:
    """The port of a worker's `/metrics`: as set, else a free one."""
    return free_port() if settings.metrics_port is None else settings.metrics_port + OFFSETS[role]


def announced(settings: Settings) -> Settings:
    """Settings with ports for `/metrics`, which then stand in the list. Raises ServerError when one is taken."""
    first = settings.metrics_port or free_ports()
    settings = settings.model_copy(update={"metrics_port": first})
    addresses = {role: f"{settings.metrics_host}:{metrics_port(settings, role)}" for role in OFFSETS}
    for role in OFFSETS:
        if in_use(metrics_port(settings, role), settings.metrics_host):
            raise ServerError(f"Port {metrics_port(settings, role)} is in use: end it, or set DRUMLINE_METRICS_PORT.")
    addresses["api"] = f"{settings.http_host}:{settings.http_port}"
    lists = [{"targets": [address], "labels": {"instance": role}} for role, address in addresses.items()]
    replace(settings.targets_file, json.dumps(lists, indent=1) + "\n")
    return settings


def api_elsewhere(settings: Settings) -> str:
    """Where the `up` that this data directory knows of serves its API, if these settings look elsewhere; or ""."""
    try:
        lists = json.loads(settings.targets_file.read_text())
        (address,) = (one["targets"][0] for one in lists if one["labels"]["instance"] == "api")
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return "" if address == f"{settings.http_host}:{settings.http_port}" else str(address)


def free_ports() -> int:
    """The first of as many free ports in a row as are needed."""
    while True:
        first = free_port()
        others = range(first + 1, first + len(OFFSETS))
        if others.stop <= PORTS.stop and not any(in_use(port) or not reserved(port) for port in others):
            return first


def replace(path: Path, text: str) -> None:
    """Write a file that everybody may read, at once: who reads it meanwhile gets the old one whole."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.chmod(0o644)
    fresh.replace(path)
