"""A client of `drumline bench reads`, in a process of its own: asks over HTTP at a rate, and says how long each took.

Reads one JSON line (Order), writes one (Report). A request's time begins when it was due, not when it was sent: who has
to wait for a free connection waits too.
"""

import asyncio
import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import orjson
import uvloop

TIMEOUT = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Order:
    """What to ask: requests by the name of their route, so many a second, for so long, over so many connections."""

    host: str
    port: int
    key: str
    routes: dict[str, list[dict[str, Any]]]  # each request: path, and the body of a POST
    rate: float
    seconds: float
    connections: int = 32
    seed: int = 20261121


@dataclass(slots=True)
class Report:
    """Seconds that each request took, by route; answers other than 200, by route and status; the client's own load."""

    took: dict[str, list[float]] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    cpu_s: float = 0.0


class Line:
    """One connection that is kept."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, body: Any = None) -> tuple[int, int]:
        """One request; its status, and the length of its body."""
        order = self._order
        if self._streams is None:
            self._streams = await asyncio.open_connection(order.host, order.port)
        reader, writer = self._streams
        sent = b"" if body is None else orjson.dumps(body)
        head = f"{'POST' if sent else 'GET'} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {order.key}\r\n"
        if sent:
            head += f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n"
        writer.write(head.encode() + b"\r\n" + sent)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        return int(answer.split(b" ", 2)[1]), length

    def drop(self) -> None:
        """Begin anew with the next request."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def carry_out(order: Order) -> Report:
    """Ask all that is ordered: a route at random, one of its requests at random."""
    choose = random.Random(order.seed)  # noqa: S311  # the same requests every time
    report, free = Report(), asyncio.Queue[Line]()
    took: dict[str, list[float]] = defaultdict(list)
    for _ in range(order.connections):
        free.put_nowait(Line(order))
    names, began = sorted(order.routes), time.monotonic()

    async def one(name: str, request: dict[str, Any], due: float) -> None:
        line, status, length = await free.get(), "200", 0
        try:
            async with asyncio.timeout(TIMEOUT):
                answered, length = await line.ask(**request)
            status = str(answered)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            line.drop()
            status = type(error).__name__
        free.put_nowait(line)
        took[name].append(time.monotonic() - due)
        report.bytes += length
        if status != "200":
            report.others[f"{name} {status}"] = report.others.get(f"{name} {status}", 0) + 1

    async with asyncio.TaskGroup() as group:
        for number in range(int(order.rate * order.seconds)):
            due = began + number / order.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            name = choose.choice(names)
            group.create_task(one(name, choose.choice(order.routes[name]), due))
    report.took, report.cpu_s = dict(took), time.process_time()
    return report


def main() -> None:
    """One order, one report."""
    order = Order(**orjson.loads(sys.stdin.readline()))
    sys.stdout.buffer.write(orjson.dumps(uvloop.run(carry_out(order))) + b"\n")


if __name__ == "__main__":
    main()
