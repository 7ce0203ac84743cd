"""The command `drumline`."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, cast
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from infra.bench_cli import bench_app
from infra.settings import Settings, read

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Many messages, one cadence, nothing unproven.",
)
keys_app = typer.Typer(no_args_is_help=True, help="API keys: each is a principal over HTTP and on the bus.")
audience_app = typer.Typer(no_args_is_help=True, help="Lists of people.")
dead_app = typer.Typer(no_args_is_help=True, help="Messages that nobody could handle, of all workspaces.")
audit_app = typer.Typer(no_args_is_help=True, help="What happened, from the log itself.")
for name, sub in (
    ("keys", keys_app),
    ("audience", audience_app),
    ("dead", dead_app),
    ("audit", audit_app),
    ("bench", bench_app),
):
    app.add_typer(sub, name=name)


def say_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        from importlib.metadata import version

        print(f"drumline {version('drumline')}")
        raise typer.Exit


@app.callback()
def common(
    _version: Annotated[
        bool, typer.Option("--version", callback=say_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """What every command has in common."""


# What the parser raises: typer names only one kind of it.
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where everything lies (default .drumline).")]
Workspace = Annotated[str, typer.Option("--workspace", help="The tenant's short name.")]


@app.command()
def demo(
    data_dir: DataDir = None,
    contacts: Annotated[Path | None, typer.Option(help="A CSV of your own instead of the example.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="Arm a fault of the sandbox, such as F19.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="End what a crash interrupted, with its own list.")] = False,
) -> None:
    """Run a whole campaign on the sandbox, from an empty data directory, and account for every row."""
    from infra.demo import Demo  # each command imports only what it runs: starting is quick
    from infra.logs import configure

    settings = read(data_dir=data_dir)
    configure(settings.log_format, "warning")
    raise typer.Exit(asyncio.run(Demo(settings, contacts, tuple(fault or ()), resume=resume).run()))


@app.command()
def up(data_dir: DataDir = None, workspace: Workspace = "demo") -> None:
    """Run drumline until Ctrl-C: servers, workers, API, sandbox; prints what to do first."""
    from infra.up import run_up

    asyncio.run(run_up(read(data_dir=data_dir), workspace))


@app.command()
def migrate(data_dir: DataDir = None, workspace: Workspace = "demo") -> None:
    """Bring the database and the streams up to date; the first time, make and print an admin's key."""
    from infra.commands import migrate as run

    asyncio.run(run(read(data_dir=data_dir), workspace))


@app.command()
def work(role: Annotated[str, typer.Argument(help="core, sessions, imports or api")], data_dir: DataDir = None) -> None:
    """Run one kind of worker until it is told to end."""
    from infra.work import work as run

    run(role, read(data_dir=data_dir))


@keys_app.command("create")
def create_key(
    role: Annotated[list[str], typer.Option(help="author, moderator, operator, auditor, admin or service; repeatable")],
    data_dir: DataDir = None,
    workspace: Workspace = "demo",
    label: Annotated[str, typer.Option(help="What the key is for: a word of yours for `keys list`.")] = "",
) -> None:
    """Make a key, let its user onto the bus, and print it: this one time."""
    from infra.commands import create_key as run

    asyncio.run(run(read(data_dir=data_dir), workspace, role, label))


@keys_app.command("list")
def list_keys(data_dir: DataDir = None, workspace: Workspace = "demo") -> None:
    """List a workspace's keys: ids and roles, never the keys."""
    from infra.commands import list_keys as run

    asyncio.run(run(read(data_dir=data_dir), workspace))


@keys_app.command("revoke")
def revoke_key(key_id: str, data_dir: DataDir = None, workspace: Workspace = "demo") -> None:
    """End a key, over HTTP and on the bus."""
    from infra.commands import revoke_key as run

    asyncio.run(run(read(data_dir=data_dir), workspace, key_id))


@keys_app.command("nats-users")
def nats_users(data_dir: DataDir = None) -> None:
    """Print the live keys as the file of users that an external NATS includes."""
    from infra.commands import nats_users as run

    asyncio.run(run(read(data_dir=data_dir)))


@audience_app.command("import")
def import_audience(
    file: Path,
    key: Annotated[str, typer.Option(help="An author's or service's API key.", envvar="DRL_KEY")],
    title: Annotated[str, typer.Option(help="The list's title; unset: the file's name.")] = "",
    country: Annotated[str, typer.Option(help="ISO code assumed for numbers without a prefix.")] = "",
    columns: Annotated[list[str] | None, typer.Option("--map", help="COLUMN=MEANING; COLUMN= leaves it out.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read it, tell all, and write nothing.")] = False,
    bad_rows: Annotated[Path | None, typer.Option(help="A CSV for the rows that were left out.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Import a CSV through the running API, and say what became of each bad row."""
    from infra.audience import Options, import_list

    options = Options(title, country, columns or [], dry_run, bad_rows)
    asyncio.run(import_list(read(data_dir=data_dir), file, key, options))


@dead_app.command("list")
def list_dead(
    data_dir: DataDir = None,
    workspace: Annotated[str | None, typer.Option(help="Only this tenant's; empty: nobody's.")] = None,
    state: Annotated[str, typer.Option(help="Only these: dead, replayed, dropped; or all.")] = "dead",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 100,
) -> None:
    """List dead letters, the newest first."""
    from infra.dead import known_state, list_letters

    asyncio.run(list_letters(read(data_dir=data_dir), workspace, known_state(state), limit))


@dead_app.command("show")
def show_dead(letter: UUID, data_dir: DataDir = None) -> None:
    """Print a dead letter's body, opened; that it was is written down."""
    from infra.dead import show

    asyncio.run(show(read(data_dir=data_dir), letter))


@dead_app.command("replay")
def replay_dead(letter: UUID, data_dir: DataDir = None) -> None:
    """Let the command be decided again, under its own id."""
    from infra.dead import replay

    asyncio.run(replay(read(data_dir=data_dir), letter))


@dead_app.command("drop")
def drop_dead(letter: UUID, data_dir: DataDir = None) -> None:
    """Forget the body for good."""
    from infra.dead import drop

    asyncio.run(drop(read(data_dir=data_dir), letter))


@audit_app.command("replay")
def replay(
    stream: Annotated[str, typer.Argument(help="such as job-<id>")],
    version: Annotated[int | None, typer.Option(min=1, help="Up to this version of it.")] = None,
    at: Annotated[int | None, typer.Option(min=1, help="Up to this position of the log.")] = None,
    as_of: Annotated[str, typer.Option("--as-of", help="Up to this time, such as 2026-11-21T09:00:00+01:00.")] = "",
    data_dir: DataDir = None,
) -> None:
    """Print a stream's history, with the state after each event."""
    from infra.replay import run

    asyncio.run(run(read(data_dir=data_dir), stream, version, at, as_of))


@app.command()
def rebuild(
    name: Annotated[str, typer.Argument(help="A read model, such as deliveries, or all.")],
    check: Annotated[bool, typer.Option("--check", help="Only compare the live tables with a replay.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with a line of JSON.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Make read models anew from the log while everything runs on; exit code 1 if their rows differed."""
    from infra.rebuild import run

    raise typer.Exit(asyncio.run(run(read(data_dir=data_dir), name, check=check, as_json=as_json)))


@app.command()
def settings() -> None:
    """List every setting, its default and its meaning."""
    table = Table("setting", "default", "meaning", box=None, pad_edge=False)
    for name, field in Settings.model_fields.items():
        table.add_row(
            f"DRUMLINE_{name.upper()}", "" if field.default is None else str(field.default), field.description
        )
    Console().print(table)


@app.command()
def doctor(
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of lines.")] = False,
) -> None:
    """Try everything that drumline needs here, and say what to do about what is wrong; exit code 2 if it cannot run."""
    from infra.doctor import doctor as run

    raise typer.Exit(asyncio.run(run(read(data_dir=data_dir), as_json=as_json)))


def main() -> None:
    """Run the command line; what a person can mend is one sentence on stderr, and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False))
    except UsageError as error:
        said = error.format_message()
        print(said if "\n" in said else f"drumline: {said}", file=sys.stderr)  # several lines: the help
        sys.exit(2)
    except typer.Abort:
        sys.exit(1)
    except Exception as error:
        from infra.mendable import mendable

        if not (sentence := mendable(error)):
            raise
        print(f"drumline: {sentence}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
