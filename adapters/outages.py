"""Which errors mean that a server is away for the moment: waiting helps, and no message is to blame."""

import nats.errors
import nats.js.errors
import psycopg

from adapters.event_store import LogUnavailable
from adapters.group_commit import POISON

OUTAGES: tuple[type[Exception], ...] = (
    LogUnavailable,
    psycopg.OperationalError,  # also: no connection free, disk full, lock or statement timed out
    psycopg.InterfaceError,  # a connection that was closed under us
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionDrainingError,
    nats.errors.ConnectionReconnectingError,
    nats.errors.OutboundBufferLimitError,
    nats.errors.StaleConnectionError,
    nats.errors.NoRespondersError,
    nats.errors.TimeoutError,
    nats.js.errors.ServiceUnavailableError,
    nats.js.errors.NoStreamResponseError,
    ConnectionError,
    TimeoutError,
)


def to_blame(error: Exception) -> bool:
    """Whether what was asked is at fault, although the error has an outage's class: it was too much for the server, or
    took it too long. What was asked of several together is then to be asked of fewer."""
    if not isinstance(error, psycopg.Error):
        return False
    return (error.sqlstate or "")[:2] in POISON or isinstance(error, psycopg.errors.QueryCanceled)
