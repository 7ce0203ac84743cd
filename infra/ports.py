"""TCP ports of this machine: whether one is taken, and one that is not."""

import random
import socket
import time

LOCAL = "127.0.0.1"
PORTS = range(20_000, 32_768)  # above them the kernel lends ports to whoever connects
KEPT = 60.0  # seconds
RESERVED: dict[int, tuple[socket.socket, float]] = {}


def in_use(port: int, host: str = LOCAL) -> bool:
    """Whether another program listens there, or the address cannot be had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def free_port() -> int:
    """A port that nobody listens on at the moment, and that no other process gets from here within a minute."""
    return next(port for port in random.sample(PORTS, 100) if not in_use(port) and reserved(port))


def reserved(port: int) -> bool:
    """Whether nobody had reserved it. Now we have, until whoever it is for listens there: KEPT seconds.

    A name in the kernel's abstract namespace is one machine-wide lock, and goes with this process.
    """
    now = time.monotonic()
    for old in [one for one, (_, until) in RESERVED.items() if until < now]:
        RESERVED.pop(old)[0].close()
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind(f"\0drumline-port-{port}")
    except OSError:
        lock.close()
        return False
    RESERVED[port] = (lock, now + KEPT)
    return True
