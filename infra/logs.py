"""Logs: a line a record, for people or as JSON, in which nobody's number, name or words can stand.

Our own messages are made of names, ids and numbers. A library's are shown only as far as they stand in its source: what
it fills in, and the text of its errors, may quote somebody.
"""

import asyncio
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Literal

import orjson

from adapters import tracing

Format = Literal["console", "json"]

OURS = frozenset({"adapters", "api", "domain", "drumline", "examples", "infra", "projections", "workers"})
CHATTY = ("httpcore", "httpx", "nats", "opentelemetry", "urllib3")
SENDERS_FAULTS = ("python_multipart", "uvicorn")  # their warnings are of what somebody sent, and are counted instead
WITHHELD = "…"
SELDOM = 60.0  # seconds between two lines of the exporter
DEEPEST = 12  # lines told of where an error arose
LONGEST_NUMBER = 7  # digits: a longer one may be somebody's
CONVERSION = re.compile(r"%(?:\([^)]*\))?[-#0 +]*(?:\d+|\*)?(?:\.(?:\d+|\*))?[hlL]?[a-zA-Z%]")
USUAL = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"))
log = logging.getLogger("drumline")


def configure(form: Format, level: str) -> None:
    """Have every logger of this process, and what nobody catches, write to stderr in one form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if form == "json" else Console())
    handler.addFilter(Seldom())
    handler.addFilter(withhold)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))
    for name in SENDERS_FAULTS:
        logging.getLogger(name).setLevel(max(logging.ERROR, logging.root.level))
    logging.captureWarnings(capture=True)
    sys.excepthook = lambda _kind, error, _trace: told("ended", error)
    threading.excepthook = lambda of: told("a thread ended", of.exc_value)


def told(what: str, error: BaseException | None) -> None:
    """Log an error that nobody caught; being told to end is none."""
    if not isinstance(error, KeyboardInterrupt | SystemExit):
        log.critical("%s", what, exc_info=error)


def untended(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What an event loop does with an error that nobody waits for: its own words may quote somebody."""
    log.error("a task or callback failed", exc_info=context.get("exception"))


def is_ours(name: str) -> bool:
    """Whether a logger, or a class's module, is one of ours."""
    return name.partition(".")[0] in OURS


def reason(error: BaseException | None) -> str:
    """An error in words that hold nothing of anybody's: our own text, or a foreign error's kind; and where it arose."""
    if error is None:
        return "without an error"
    where = places(error.__traceback__)
    words = f": {error}" if is_ours(type(error).__module__) else ""
    return f"{type(error).__name__}{words}{f' at {where[-1]}' if where else ''}"


def first(error: BaseException | None) -> BaseException | None:
    """What a group of errors began with."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def places(trace: TracebackType | None) -> list[str]:
    """The last lines that led to an error, without their text."""
    return [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(trace)[-DEEPEST:]]


class Seldom(logging.Filter):
    """Lets one line a minute pass of the exporter of traces: a collector that is away is one event, not hundreds."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("opentelemetry."):
            if record.created < self._next:
                return False
            self._next = record.created + SELDOM
        return True


def withhold(record: logging.LogRecord) -> bool:
    """Take out of a library's record what does not stand in its source."""
    if not is_ours(record.name):
        known = isinstance(record.msg, str) and record.msg in constants(record)
        record.msg, record.args = filled(record.msg, record.args) if known else WITHHELD, ()
    return True


def constants(record: logging.LogRecord) -> tuple[Any, ...]:
    """The constants of the function that logs now."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename == record.pathname and frame.f_code.co_name == record.funcName:
            return frame.f_code.co_consts
        frame = frame.f_back
    return ()


def filled(template: str, arguments: object) -> str:
    """A library's message with what may be told of its arguments."""
    values = iter(arguments if isinstance(arguments, tuple) else ())
    return CONVERSION.sub(lambda at: "%" if at[0] == "%%" else harmless(next(values, WITHHELD)), template)


def harmless(value: object) -> str:
    """A number as it is, an error by its kind; nothing of what else there may be."""
    if isinstance(value, BaseException):
        return type(value).__name__
    number = isinstance(value, int | float) and len(str(value)) <= LONGEST_NUMBER
    return str(value) if number else WITHHELD


def fields(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    """What a record says beside its message."""
    if is_ours(record.name):
        yield from ((name, value) for name, value in vars(record).items() if name not in USUAL)
    else:
        yield "where", f"{record.filename}:{record.lineno}"
    if trace := tracing.trace_id():
        yield "trace_id", trace
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        yield "error", reason(error)
        yield "places", places(error.__traceback__)
        if (cause := error.__cause__ or error.__context__) is not None:
            yield "cause", reason(cause)


class Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **dict(fields(record)),
        }
        return orjson.dumps(line, default=str).decode()


class Console(logging.Formatter):
    """One line a record, for people: what JSON would tell as fields follows as `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone().isoformat(" ", "milliseconds")
        rest = [f"{name}={' '.join(value) if isinstance(value, list) else value}" for name, value in fields(record)]
        line = " ".join([time, record.levelname, record.name, record.getMessage(), *rest])
        return " ".join(line.splitlines())
