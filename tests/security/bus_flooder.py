"""Floods the bus as one key, from a process of its own: raw connections, as fast as the server takes it.

Arguments: host, port, user, password, seconds, and subjects. Prints what it sent as JSON. Standard library only.
"""

import json
import os
import selectors
import socket
import sys
import time
import uuid

CONNECTIONS = 4
HEAD = b"NATS/1.0\r\n"


def framed(subject: str, body: bytes, **headers: str) -> bytes:
    """One publish with headers."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = HEAD + lines.encode() + b"\r\n"
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (subject.encode(), len(head), len(head) + len(body), head, body)


def garbage(subjects: list[str]) -> bytes:
    """Some messages of every kind that costs somebody something; each id is new."""
    made = []
    for subject in subjects:
        name = ".".join(subject.split(".")[3:])
        usual = {"ce_specversion": "1.0", "ce_type": f"drumline.cmd.{name}"}
        made += [
            framed(subject, b"x" * 60_000),  # nobody can be told of it
            framed(subject, b"[" * 100 + b"]" * 100, **usual, ce_id=str(uuid.uuid4())),
            framed(subject, b'{"a": ' * 100, **usual, ce_id=str(uuid.uuid4())),
            framed(subject, b'{"title": "%b"}' % (b"y" * 50_000), **usual, ce_id=str(uuid.uuid4())),
        ]
        made += [framed(subject, b"{}", **usual, ce_id=str(uuid.uuid4())) for _ in range(20)]
        made += [framed(f"{subject}.more", b"{}"), framed("cmd.other.somebody.job.approve", b"{}")]  # not its own
    return b"".join(made)


def main() -> None:
    """Send until the time is over."""
    host, port, user, password, seconds, *subjects = sys.argv[1:]
    os.nice(10)
    connect = {"user": user, "pass": password, "verbose": False, "headers": True, "lang": "raw", "version": "0"}
    waiting = selectors.DefaultSelector()
    left: dict[socket.socket, memoryview] = {}
    for _ in range(CONNECTIONS):
        one = socket.create_connection((host, int(port)))
        one.sendall(b"CONNECT " + json.dumps(connect).encode() + b"\r\nPING\r\n")
        one.setblocking(False)
        waiting.register(one, selectors.EVENT_READ | selectors.EVENT_WRITE, one)
        left[one] = memoryview(b"")
    end, sent, rounds = time.monotonic() + float(seconds), 0, 0
    while time.monotonic() < end:
        for key, events in waiting.select(0.1):
            one = key.data
            if events & selectors.EVENT_READ and not one.recv(1 << 16):
                sys.exit("the server closed the connection")
            if events & selectors.EVENT_WRITE:
                if not left[one]:
                    left[one] = memoryview(garbage(subjects))
                count = one.send(left[one])
                left[one], sent = left[one][count:], sent + count
                rounds += not left[one]  # counted once all of it is sent
    sys.stdout.write(json.dumps({"bytes": sent, "messages": rounds * len(subjects) * 26}))


if __name__ == "__main__":
    main()
