"""What a worker process lets be seen of itself: logs, traces, and `/metrics`."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version

from adapters import metrics, tracing
from adapters.census import Census
from adapters.progress import Progress
from api.rules import SENTENCES
from infra import logs
from infra.bootstrap import Parts, Run, clock
from infra.child import ServerError
from infra.looks import OfHouse, OfProcess, Page, collect
from infra.serving import Server, configured
from infra.settings import Settings
from infra.targets import OFFSETS, metrics_port


@contextmanager
def traced(settings: Settings, role: str) -> Iterator[None]:
    """Record traces meanwhile, if an endpoint takes them."""
    if settings.otlp_endpoint is not None:
        tracing.start(settings.otlp_endpoint, role, version("drumline"))
    try:
        yield
    finally:
        tracing.stop()


def observed(parts: Parts, role: str) -> tuple[dict[str, Run], str]:
    """Begin to show this process; the loop that serves `/metrics`, where it serves nothing else, and the address.

    Raises ServerError.
    """
    asyncio.get_running_loop().set_exception_handler(logs.untended)
    metrics.know_rules(SENTENCES)
    collect(OfProcess(parts.pool))
    if role not in OFFSETS:
        return {}, f"{parts.settings.http_host}:{parts.settings.http_port}"
    if role != "core":
        return serving(Page(), parts.settings, role)
    readers = {"projections": parts.models.position, "reactors": Progress(parts.pool).position}
    house = OfHouse(parts.store, parts.bus, Census(parts.pool, parts.bus), readers, clock)
    metrics.REGISTRY.register(house)
    return serving(Page(house.look), parts.settings, role)


def serving(page: Page, settings: Settings, role: str) -> tuple[dict[str, Run], str]:
    """A loop that serves the page, and where."""
    host, port = settings.metrics_host, metrics_port(settings, role)
    try:
        listening = socket.create_server((host, port))
    except OSError:
        raise ServerError(f"Port {port} cannot be had on {host}: set DRUMLINE_METRICS_PORT.") from None
    config = configured(page, timeout_graceful_shutdown=1)
    return {"metrics": partial(Server(config).run_until_cancelled, "metrics", [listening])}, f"{host}:{port}"
