"""`drumline audience import`: uploads a list, and follows what becomes of it."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal
from uuid import uuid4

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from domain.audience import LARGEST_LIST
from infra.client import Problem, read, until
from infra.settings import Settings, SettingsError
from infra.targets import api_elsewhere

PATIENCE = 30.0  # seconds without a word from the API
AGAIN = 0.5  # seconds after which a stream that was cut is followed again
AWAY_WITHIN = 300.0  # seconds without a word about the import
SHOWN = 20  # bad rows
VISIBLE_WITHIN = 60.0  # seconds for the finished list to be found
ENDED = {"done", "checked", "refused", "crashed"}


class List:
    """A list on its way: one key's view of the API, and what is shown of it on stderr."""

    def __init__(self, settings: Settings, key: str, progress: Progress) -> None:
        self._url = settings.api_url
        headers = {"Authorization": f"Bearer {key}"}
        # Proxies of the environment are for the outside, never for this machine.
        self.http = httpx.AsyncClient(base_url=self._url, headers=headers, timeout=PATIENCE, trust_env=False)
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    async def upload(self, file: Path, form: dict[str, str]) -> str:
        """Send the file as it is read; the path of the import."""
        size = file.stat().st_size  # noqa: ASYNC240  # nothing else runs in this process
        bar = self._progress.add_task("sending", total=size)
        try:
            with self._progress.open(file, "rb", task_id=bar) as content:
                files = {"file": (file.name, content, "text/csv")}
                answer = await self.http.post(
                    "/v1/audiences/import", files=files, data=form, headers={"Idempotency-Key": uuid4().hex}
                )
        except OSError as error:
            raise not_possible(file, "read", error) from None
        self._progress.update(bar, completed=size)
        read(answer)
        return answer.headers["location"]

    async def follow(self, path: str) -> dict[str, Any]:
        """Show how far it is until it has ended; what became of it. Raises SettingsError when nobody says so."""
        heard = time.monotonic()
        while time.monotonic() - heard < AWAY_WITHIN:
            try:
                async for told in self._states(path):
                    heard = time.monotonic()
                    self._show(told)
                    if told["state"] in ENDED:
                        return told
            except httpx.TransportError:
                pass  # the API is away; the import goes on
            await asyncio.sleep(AGAIN)
        raise SettingsError(
            f"{self._url} has not answered for {AWAY_WITHIN:.0f} s. The import goes on: GET {path} says how far it is."
        )

    async def _states(self, path: str) -> AsyncIterator[dict[str, Any]]:
        async with self.http.stream("GET", f"{path}/events") as stream:
            if stream.is_error:
                await stream.aread()
                if stream.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    read(stream)
                return
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def _show(self, told: dict[str, Any]) -> None:
        self._bar("reading", told["read"], told["size"])
        if told["state"] != "reading":
            self._bar("writing", told["written"], told["recipients"])

    def _bar(self, name: str, done: int, total: int) -> None:
        if total and name not in self._bars:
            self._bars[name] = self._progress.add_task(name, total=total)
        if name in self._bars:
            self._progress.update(self._bars[name], completed=done, total=total)

    async def visible(self, path: str) -> bool:
        """Whether an address answers."""
        return (await self.http.get(path)).is_success


@dataclass(frozen=True, slots=True)
class Options:
    """How a list is to be imported: its title, the country to assume, what columns hold; where bad rows go."""

    title: str
    country: str
    columns: Sequence[str]
    dry_run: bool
    bad_rows: Path | None


async def import_list(settings: Settings, file: Path, key: str, options: Options) -> None:
    """Import a list, and tell what became of its rows; the last line on stdout is JSON."""
    if not file.is_file():  # noqa: ASYNC240  # nothing else runs in this process
        raise SettingsError(f"{file} is not a file.")
    if file.stat().st_size > LARGEST_LIST:  # noqa: ASYNC240  # nothing else runs in this process
        raise SettingsError(f"file: The file is larger than {LARGEST_LIST:,} bytes; split it.")
    if not key.isascii() or not key.isprintable():
        raise SettingsError("--key: an API key is drl_live_ and then letters, digits, - and _.")
    if options.bad_rows:
        opened(options.bad_rows, "ab").close()  # before anything is imported
    form = {"title": options.title or file.stem, "country": options.country}
    form |= {"columns": json.dumps(mapping(options.columns)), "dry_run": str(options.dry_run).lower()}
    shown = Console(stderr=True)
    try:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=shown,
            disable=not shown.is_terminal,
        ) as progress:
            one = List(settings, key, progress)
            async with one.http:
                path = await one.upload(file, form)
                print(f"Taken as {path}: it goes on, whatever becomes of this terminal.", file=sys.stderr)
                told = await one.follow(path)
                await tell(one, path, told, options.bad_rows)
    except httpx.ConnectError:
        raise not_there(settings) from None
    except httpx.TransportError:
        raise SettingsError(f"{settings.api_url} broke off; nothing is imported of what was not taken.") from None
    except json.JSONDecodeError:
        raise SettingsError(f"What answers at {settings.api_url} is no drumline API.") from None
    except Problem as problem:
        if not problem.rule:
            raise SettingsError(f"What answers at {settings.api_url} is no drumline API.") from None
        raise SettingsError(f"{problem.field}: {problem.document.get('detail', problem.rule)}") from None


def not_there(settings: Settings) -> SettingsError:
    """What to do when nobody listens where the API should be."""
    if address := api_elsewhere(settings):
        host, _, port = address.rpartition(":")
        given = f"DRUMLINE_HTTP_PORT={port}" if host == settings.http_host else f"DRUMLINE_HTTP_HOST={host}"
        return SettingsError(
            f"{settings.api_url} does not answer; the `drumline up` of {settings.data_dir} serves {address}: "
            f"set {given}."
        )
    return SettingsError(
        f"{settings.api_url} does not answer: start `drumline up`, or set DRUMLINE_HTTP_HOST and DRUMLINE_HTTP_PORT to "
        "where it serves."
    )


async def tell(one: List, path: str, told: dict[str, Any], bad_rows: Path | None) -> None:
    """Print what became of a list; wait until it can be found."""
    if told["state"] in ("refused", "crashed"):
        raise SettingsError(f"{told['field'] or 'import'}: {told['detail'] or told['state']}")
    if told["state"] == "done":
        try:
            async with asyncio.timeout(VISIBLE_WITHIN):
                await until(partial(one.visible, f"/v1/audiences/{told['audience_id']}"))
        except TimeoutError:
            sentence = f"audience {told['audience_id']} is imported, and cannot be found yet: does `core` run?"
            raise SettingsError(sentence) from None
    columns = told.pop("columns")
    if told["dry_run"]:
        for column in columns:
            header = printable(column["header"])
            print(f"column {column['place']}, {header}: {column['holds'] or 'left out'} ({column['by']})")
    if not any(column["holds"] == "consent" for column in columns):
        print("No column was taken for consent: this list alone lets nobody be written to.", file=sys.stderr)
    if bad_rows:
        await keep(one, path, bad_rows)
        print(f"Left out: {told['bad']:,}; the lines and reasons are in {bad_rows}.", file=sys.stderr)
    elif told["bad"]:
        await show(one, path, told["bad"])
    print(json.dumps({name: value for name, value in told.items() if value is not None and value != {}}))


async def keep(one: List, path: str, file: Path) -> None:
    """The bad rows into a file."""
    async with one.http.stream("GET", f"{path}/bad-rows") as answer:
        with opened(file, "wb") as kept:
            async for piece in answer.aiter_bytes():
                kept.write(piece)


def printable(text: str) -> str:
    """A text from a file as a terminal may show it: what would move its cursor or colour it is a question mark."""
    return "".join(one if one.isprintable() else "?" for one in text)


def opened(file: Path, mode: Literal["ab", "wb"]) -> BinaryIO:
    """A file to write bad rows to. Raises SettingsError."""
    try:
        return file.open(mode)
    except OSError as error:
        raise not_possible(file, "written", error) from None


def not_possible(file: Path, what: str, error: OSError) -> SettingsError:
    """Why a file cannot be used."""
    return SettingsError(f"{file} cannot be {what}: {(error.strerror or 'unknown reason').lower()}.")


async def show(one: List, path: str, bad: int) -> None:
    """The first bad rows on stdout."""
    async with one.http.stream("GET", f"{path}/bad-rows") as answer:
        shown = -1  # the first line names the columns
        async for row in answer.aiter_lines():
            if 0 <= shown < SHOWN:
                line, reason, column, _ = row.split(",", 3)
                print(f"line {line}: {reason} ({column})" if column else f"line {line}: {reason}")
            shown += 1
            if shown == SHOWN:
                break
    if bad > SHOWN:
        print(f"… and {bad - SHOWN:,} more: --bad-rows FILE keeps them all")


def mapping(columns: Sequence[str]) -> dict[str, str]:
    """What the owner says of columns: `Handy=number`, or `Notes=` for one that is left out. Raises SettingsError."""
    found = {}
    for said in columns:
        name, equals, holds = said.rpartition("=")
        if not equals:
            raise SettingsError(f"--map: {said!r} is not a column's name, =, and what it holds.")
        found[name] = holds
    return found
