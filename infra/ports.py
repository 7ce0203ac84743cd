"""TCP ports of this machine: whether one is taken, and one that is not."""

import random
import socket

LOCAL = "127.0.0.1"
PORTS = range(20_000, 32_768)  # above them the kernel lends ports to whoever connects


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
    """A port that nobody listens on at the moment."""
    return next(port for port in random.sample(PORTS, 100) if not in_use(port))
