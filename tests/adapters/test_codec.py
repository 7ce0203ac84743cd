"""How events lie in the log for ever: golden files say it, and old ones stay readable."""

import dataclasses
import typing
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.codec import UPCASTERS, Codec, StateCodec, UnknownName, body
from domain import account, catalog, job
from domain.message import Envelope, Event
from tests.builders import AUTHOR, HERE, NOW, RULES_STREAM, an_id

GOLDEN = Path(__file__).parent.parent / "contracts" / "events"
ENVELOPE = Envelope(
    event_id=an_id("event"),
    actor=AUTHOR.id,
    workspace=HERE,
    causation=an_id("command"),
    correlation=an_id("correlation"),
    time=NOW,
    facts={RULES_STREAM: 1},
)
CODEC = Codec()
STATES = {aggregate: StateCodec(decider) for aggregate, decider in catalog.DECIDERS.items()}


@pytest.mark.parametrize("name", catalog.EVENTS)
def test_an_event_lies_in_the_log_as_its_golden_file_says(name: str) -> None:
    golden = (GOLDEN / f"{name}.json").read_bytes()
    event, envelope = CODEC.decode(name, golden)

    assert type(event) is catalog.EVENTS[name]
    assert CODEC.encode(event, envelope) == (name, orjson.dumps(orjson.loads(golden)))


@pytest.mark.parametrize("path", sorted((GOLDEN / "earlier").glob("*.json")), ids=lambda path: path.stem)
def test_an_event_from_before_it_had_more_fields_reads_with_their_defaults(path: Path) -> None:
    stored = orjson.loads(path.read_bytes())
    event, _ = CODEC.decode(path.stem, path.read_bytes())
    assert type(event) is catalog.EVENTS[path.stem]
    assert list(defaulted(event, stored["event"])), "nothing is new since then: the file is no earlier one"
    assert all(is_default for is_default in defaulted(event, stored["event"]))


def defaulted(read: Any, stored: Any) -> Iterator[bool]:
    """Of each field that was not stored, here or further inside, whether it has its default."""
    if isinstance(stored, list):
        for one, said in zip(read, stored, strict=True):
            yield from defaulted(one, said)
    elif dataclasses.is_dataclass(read):
        for field in dataclasses.fields(read):
            if field.name in stored:
                yield from defaulted(getattr(read, field.name), stored[field.name])
            else:
                yield getattr(read, field.name) == field.default


def test_every_golden_file_is_of_an_event_or_has_an_upcaster() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == {*catalog.EVENTS, *UPCASTERS}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Anything that a field of this type may hold."""
    if isinstance(hint, typing.NewType):
        return values(hint.__supertype__)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return st.lists(values(inner[0]), max_size=3).map(tuple)
    if origin is not None:
        return st.one_of(*(values(kind) for kind in inner))
    if hint is datetime:
        return st.datetimes(timezones=st.just(UTC))
    if dataclasses.is_dataclass(hint):
        return builds(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        int: st.integers(-(2**53), 2**53),
        bool: st.booleans(),
        float: st.floats(-180, 180),
        str: st.text(st.characters(codec="utf-8")),
        UUID: st.uuids(),
        type(None): st.none(),
    }
    return simple[hint]


def builds(kind: Any) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{field.name: values(hints[field.name]) for field in dataclasses.fields(kind)})


@given(st.one_of(*(builds(kind) for kind in catalog.EVENTS.values())))
def test_any_event_comes_back_as_it_was(event: Event) -> None:
    name, data = CODEC.encode(event, ENVELOPE)

    assert CODEC.decode(name, data) == (event, ENVELOPE)
    assert orjson.loads(body(event)) == orjson.loads(data)["event"]


def test_a_name_nobody_knows_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(UnknownName, match=r"job\.vanished"):
        CODEC.decode("job.vanished", b"{}")


def test_what_does_not_fit_its_event_is_an_error() -> None:
    _, data = CODEC.encode(job.JobCompleted(3), ENVELOPE)

    with pytest.raises(ValueError, match="recipients"):
        CODEC.decode("job.completed", data.replace(b'"recipients":3', b'"recipients":"many"'))


def test_an_event_of_a_former_shape_is_read_in_todays() -> None:
    def renamed(stored: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "job.completed-2", {"people": stored["recipients"]}

    def counted_in_dozens(stored: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "job.completed-3", {"recipients": stored["people"] * 12}

    _, data = CODEC.encode(job.JobCompleted(3), ENVELOPE)
    later = Codec(
        events={"job.completed-3": job.JobCompleted},
        upcasters={"job.completed": renamed, "job.completed-2": counted_in_dozens},
    )

    assert later.decode("job.completed", data) == (job.JobCompleted(36), ENVELOPE)
    assert later.encode(job.JobCompleted(36), ENVELOPE)[0] == "job.completed-3"


def histories() -> st.SearchStrategy[tuple[str, Sequence[Event]]]:
    """Any events of one kind of aggregate, in any order: a fold never fails."""

    def of(aggregate: str) -> st.SearchStrategy[tuple[str, Sequence[Event]]]:
        kinds = [kind for name, kind in catalog.EVENTS.items() if name.startswith(f"{aggregate}.")]
        return st.tuples(st.just(aggregate), st.lists(st.one_of(*map(builds, kinds)), max_size=6))

    return st.sampled_from(sorted(catalog.DECIDERS)).flatmap(of)


@given(histories())
def test_any_state_comes_back_from_a_snapshot(history: tuple[str, Sequence[Event]]) -> None:
    aggregate, events = history
    state = catalog.DECIDERS[aggregate].fold(events)

    assert STATES[aggregate].decode(STATES[aggregate].encode(state, HERE)) == (state, HERE)


def test_a_snapshots_name_changes_with_its_fields_and_with_its_fold() -> None:
    def another_fold(state: account.Account, event: Event) -> account.Account:
        return state

    @dataclasses.dataclass(frozen=True, slots=True)
    class Wider(account.Account):
        colour: str = "red"

    names = {
        StateCodec(decider).name
        for decider in (
            account.DECIDER,
            dataclasses.replace(account.DECIDER, evolve=another_fold),
            dataclasses.replace(account.DECIDER, initial=Wider()),
        )
    }
    assert len(names) == 3
    assert StateCodec(account.DECIDER).name in names
