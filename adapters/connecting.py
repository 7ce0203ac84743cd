"""How every connection to PostgreSQL is made: one whose other end fell silent is noticed within half a minute."""

from typing import Final, TypedDict


class Alive(TypedDict):
    """Parameters of libpq: seconds, but for the last, which is in milliseconds."""

    connect_timeout: int
    keepalives_idle: int
    keepalives_interval: int
    keepalives_count: int
    tcp_user_timeout: int


ALIVE: Final[Alive] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 5,
    "tcp_user_timeout": 20_000,
}

RECONNECT = 5.0  # seconds after which a pool gives a connection up; whoever asks next has it tried anew, at once
