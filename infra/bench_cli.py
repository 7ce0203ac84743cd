"""`drumline bench`: what is measured, each on servers of its own."""

from typing import Annotated

import typer

bench_app = typer.Typer(no_args_is_help=True, help="Measurements, on servers of their own.")
Json = Annotated[bool, typer.Option("--json", help="End with a line of JSON.")]


@bench_app.command("pipeline")
def bench_pipeline(
    as_json: Json = False,
    commands: Annotated[int, typer.Option(help="Commands of one run.")] = 60_000,
    seconds: Annotated[float, typer.Option(help="Seconds of the latency run at 500/s.")] = 30.0,
    rounds: Annotated[int, typer.Option(help="Runs; the median counts.")] = 3,
    traces: Annotated[bool, typer.Option("--traces", help="Also what traces cost: runs with them, in turns.")] = False,
) -> None:
    """Measure commands from publish to visible in a projection, beside the raw limits of the same servers."""
    from infra.bench import pipeline

    raise typer.Exit(pipeline(commands=commands, seconds=seconds, rounds=rounds, as_json=as_json, traces=traces))


@bench_app.command("reads")
def bench_reads(
    as_json: Json = False,
    deliveries: Annotated[int, typer.Option(help="Deliveries of the history that is read.")] = 1_000_000,
    rate: Annotated[float, typer.Option(help="Requests a second.")] = 200.0,
    seconds: Annotated[float, typer.Option(help="For how long.")] = 60.0,
    sends: Annotated[float, typer.Option(help="Sends a second of the job beside; each is four events.")] = 50.0,
) -> None:
    """Measure the REST API's answers over a long history, while a job runs."""
    from infra.bench_reads import reads

    raise typer.Exit(reads(deliveries=deliveries, rate=rate, seconds=seconds, sends=sends, as_json=as_json))


@bench_app.command("imports")
def bench_imports(
    as_json: Json = False,
    rows: Annotated[int, typer.Option(help="People in the list.")] = 100_000,
    consents: Annotated[bool, typer.Option("--consents", help="The list states a consent of each.")] = False,
) -> None:
    """Measure the import of a list, from the command until all of it can be asked for, and of the same list again."""
    from infra.bench_imports import imports

    raise typer.Exit(imports(rows=rows, consents=consents, as_json=as_json))


@bench_app.command("fairness")
def bench_fairness(
    as_json: Json = False,
    seconds: Annotated[float, typer.Option(min=1, max=120, help="For how long the other workspace attacks.")] = 60.0,
) -> None:
    """Measure one workspace's commands and reads while another does all the harm that its keys allow."""
    from infra.bench_fairness import fairness

    raise typer.Exit(fairness(seconds=seconds, as_json=as_json))
