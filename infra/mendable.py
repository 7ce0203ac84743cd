"""Which errors a person at the terminal can mend, and the sentence that says how."""

import psycopg

from adapters.bus import BusLost
from adapters.outages import OUTAGES
from adapters.streams import NotDeclared
from infra.child import ServerError
from infra.migrate import MigrationRefused
from infra.settings import SettingsError

OURS = (SettingsError, ServerError, MigrationRefused, NotDeclared, BusLost)  # their messages are sentences
NO_ROOM = "has no disk left: give it room, then run this again."


def mendable(error: BaseException) -> str:
    """One sentence for an error that ended a command, or "" when it is a fault of drumline's."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case psycopg.errors.DiskFull():
            return f"PostgreSQL {NO_ROOM}"
        case psycopg.errors.InsufficientPrivilege():
            return "PostgreSQL gives this user no right to drumline's tables: make it their owner."
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedColumn():
            return "The database's tables are older than this drumline: run `drumline migrate`."
    if isinstance(error, OURS):
        return str(error)
    if isinstance(error, OUTAGES):
        server = "PostgreSQL" if isinstance(error, psycopg.Error) else "A server"
        return f"{server} was lost on the way ({type(error).__name__}): `drumline doctor` says what is wrong."
    return ""
