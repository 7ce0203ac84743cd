"""Metrics keep the conventions, are told in the reference, and cannot grow by what somebody sends."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from uuid import uuid4

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from adapters import metrics
from api.rules import SENTENCES
from domain import catalog
from domain.ports import SessionState
from domain.send import Doubt, SendUnknown, wa_id
from infra.looks import HOUSE, PROCESS

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "reference.md").read_text().splitlines()
KINDS = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
UNITS = ("seconds", "bytes", "info", "total", "events", "items", "commands")


def shown() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Name, kind, labels and help of every metric."""
    for value in vars(metrics).values():
        if isinstance(value, MetricWrapperBase):
            (family,) = value.describe()
            name = f"{family.name}_total" if isinstance(value, Counter) else family.name
            yield name, KINDS[type(value)], tuple(value._labelnames), family.documentation
    for asked in (*PROCESS, *HOUSE):
        kind = "counter" if asked.name.endswith("_total") else "gauge"
        yield f"drumline_{asked.name}", kind, asked.labels, asked.text


ALL = list(shown())


def series() -> set[str]:
    """The names and labels that are shown now, without their values."""
    lines = metrics.exposition().decode().splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric[0])
def test_a_metric_is_named_by_the_conventions_and_told_in_the_reference(
    metric: tuple[str, str, tuple[str, ...], str],
) -> None:
    name, kind, labels, text = metric
    assert re.fullmatch(r"drumline_[a-z]+(_[a-z]+)*", name)
    assert name.endswith("_total") == (kind == "counter")
    assert kind != "histogram" or name.endswith(UNITS)
    assert text.endswith(".")
    (row,) = [line for line in REFERENCE if line.startswith(f"| `{name}` |")]
    _, told_kind, told_labels, meaning = (cell.strip() for cell in row.strip("|").split("|"))
    assert (told_kind, tuple(re.findall(r"`([a-z]+)`", told_labels)), meaning) == (kind, labels, text)


def test_the_reference_and_the_alerts_name_no_metric_that_does_not_exist() -> None:
    names = {name for name, *_ in ALL}
    told = {line.split("`")[1] for line in REFERENCE if line.startswith("| `drumline_")}
    watched = set(re.findall(r"drumline_[a-z_]+", (ROOT / "infra" / "alerts.yml").read_text()))
    assert told == names
    assert watched
    assert watched <= names


def test_no_metric_has_two_meanings() -> None:
    families = [name.removesuffix("_total") for name, *_ in ALL]
    assert len(families) == len(set(families))


def test_names_and_rules_that_nobody_knows_share_one_series() -> None:
    metrics.know_rules(SENTENCES)
    metrics.answered([(f"job.{word}", "refused", word) for word in ("+12025550143", "Ada", "x" * 300)])
    metrics.answered([("job.approve", "refused", "own_job")] * 2)
    metrics.buried("because Ada said so")
    metrics.requested("BREW", None, 404, 0.1)
    told = "\n".join(series())
    assert 'drumline_commands_total{command="other",rule="other",state="refused"}' in told
    assert 'drumline_commands_total{command="job.approve",rule="own_job",state="refused"}' in told
    assert 'drumline_buried_messages_total{reason="other"}' in told
    assert 'method="other",route="unmatched",status="4xx"' in told
    for word in ("+1202", "Ada", "xxx", "BREW"):
        assert word not in told


def test_all_commands_states_and_rules_at_once_stay_bounded() -> None:
    metrics.know_rules(SENTENCES)
    states = ("applied", "refused", "crashed", "repeated")
    for _ in range(2):
        metrics.answered(product((*catalog.COMMANDS, "made.up"), states, (*SENTENCES, "", "made_up")))
    found = [one for one in series() if one.startswith("drumline_commands_total")]
    metrics.COMMANDS.clear()  # other tests of this process read them, too
    assert len(found) <= (len(catalog.COMMANDS) + 1) * len(states) * (len(SENTENCES) + 2)


def test_an_account_that_is_held_here_no_more_has_no_series() -> None:
    account = uuid4()
    metrics.browser(account)
    metrics.session(account, SessionState.READY)
    assert f'drumline_session_ready{{account="{account}"}}' in series()
    metrics.session(account, None)
    assert str(account) not in "\n".join(series())


def test_an_outcome_of_a_send_is_counted_by_its_reason() -> None:
    delivery = uuid4()
    event = SendUnknown(uuid4(), 0, 1, wa_id(delivery, 0), Doubt.DEADLINE)
    metrics.outcomes([event])
    assert 'drumline_sends_total{reason="deadline",result="unknown"}' in series()
