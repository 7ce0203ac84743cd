"""Whatever a page says, or a phone behind it: that one thing is dropped, and the session goes on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.async_api import Page

from adapters import metrics
from adapters.whatsapp_web.asking import Asking
from adapters.whatsapp_web.driver import WhatsAppWeb
from adapters.whatsapp_web.notices import one_notice, told_of
from adapters.whatsapp_web.session import WhatsAppWebSession, outcome_of
from domain.ports import Ack, AckChanged, Arrived, MessageArrived, Notice, SendRejected, SendUncertain, Unanswered

WORDS = st.sampled_from(
    [
        "",
        "\0",
        "\ud800",
        "A\udfff",
        "😀",
        "3EB0AB",
        "x" * 300,
        "1e999",
        "15550143",
        "+1",
        "MAIN",
        "QR",
        "ack",
        "message",
        "logout",
    ]
)
SCALARS = (
    WORDS
    | st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 7, 2**70, -(2**70), 10**400, 1.5, float("nan"), float("inf"), -1e308])
)
ANY = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=5
)
GOOD = {
    "kind": "message",
    "id": "AAA",
    "type": "chat",
    "at": 1.0,
    "number": "12025550143",
    "lid": "",
    "text": "STOP",
    "answers": None,
    "seq": 1,
}
ACK = {"kind": "ack", "ids": ["3EB0AB"], "ack": 2, "seq": 1}
PAGE = {
    "mode": "MAIN",
    "idle": False,
    "authenticated": True,
    "registered": True,
    "online": True,
    "needsUpdate": False,
    "mainReady": True,
}
FIELDS = st.sampled_from([GOOD, ACK, {"kind": "logout", "seq": 1}])


@pytest.fixture(autouse=True)
def none_lost() -> Iterator[None]:
    yield
    metrics.LOST.clear()


@st.composite
def spoiled(draw: st.DrawFn, of: dict[str, Any]) -> object:
    """Something good with one or two of its values replaced, or another thing altogether."""
    changed = {**of, **draw(st.dictionaries(st.sampled_from([*of]), ANY, max_size=2))}
    for name in draw(st.lists(st.sampled_from([*changed]), max_size=1)):
        del changed[name]
    return draw(st.just(changed) | ANY)


def hearing(tmp: Path) -> tuple[WhatsAppWebSession, list[Notice]]:
    """A session that has no browser yet, and what it tells."""
    told: list[Notice] = []
    session = WhatsAppWebSession(WhatsAppWeb(), tmp, None)
    session._notify = told.append
    return session, told


def keepable(notice: Notice) -> None:
    """Whatever is told can be looked up, stored and written as JSON."""
    match notice:
        case MessageArrived(wa_id, kind, at, number, lid, text, answers):
            assert isinstance(kind, Arrived)
            assert abs(at) < float("inf")
            words = [wa_id, number, lid, text, answers or ""]
        case AckChanged(ids, ack):
            assert isinstance(ack, Ack)
            words = list(ids)
        case _:
            words = []
    for word in words:
        assert "\0" not in word
        orjson.dumps(word)
        hash(word)


@given(st.lists(FIELDS.flatmap(spoiled), max_size=4))
@settings(max_examples=150)
def test_of_any_notices_those_that_can_be_read_are_told(notices: list[Any]) -> None:
    session, told = hearing(Path("/nowhere"))
    good = {**GOOD, "seq": 2.0**80}
    session._take({"bridge": "b", "session": PAGE, "code": None, "notices": [*notices, good]})
    for notice in told:
        keepable(notice)
    assert any(isinstance(one, MessageArrived) and one.text == "STOP" for one in told)


def test_a_notice_that_cannot_be_read_is_counted_once_and_is_no_part_of_a_log(caplog: pytest.LogCaptureFixture) -> None:
    session, told = hearing(Path("/nowhere"))
    bad = {**GOOD, "text": ["call +12025550143"]}
    for _ in range(3):
        session._take({"bridge": "b", "session": PAGE, "code": None, "notices": [bad]})
    assert (
        metrics.REGISTRY.get_sample_value("drumline_facts_lost_total", {"fact": "notice", "reason": "unreadable"}) == 1
    )
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "2025550143" not in str([record.__dict__ for record in caplog.records])
    assert not any(isinstance(one, MessageArrived) for one in told)


@given(ANY)
@settings(max_examples=100)
def test_any_answer_to_a_send_is_an_outcome(answer: object) -> None:
    try:
        assert isinstance(outcome_of(answer), Ack)
    except (SendRejected, SendUncertain) as told:
        orjson.dumps(told.reason)


class Answering(Asking):
    """A page that answers one thing to all that it is asked."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def _ready_page(self) -> Page | None:
        return None

    async def _ask(self, question: str, *values: object, within: float = 0.0) -> Any:
        return self._answer


PERSON = {"number": "12025550143", "lid": "1@lid", "name": "Ada"}
LISTED = {"total": 1, "items": [{**PERSON, "id": "1@g.us", "members": 3}]}


@given(spoiled(PERSON) | spoiled(LISTED) | spoiled({"1@lid": "12025550143", "3EB0AB": 2}))
@settings(max_examples=100)
def test_any_answer_to_a_question_is_read_or_none(answer: object) -> None:
    async def ask() -> None:
        page = Answering(answer)
        for asked in (
            page.own(), page.contacts(), page.groups(), page.members("x"), page.numbers({"1@lid"}),
            page.found([("+12025550143", "3EB0AB")]), page.exists("+12025550143"), page.forget("+12025550143"),
        ):  # fmt: skip
            try:
                orjson.dumps(await asked)
            except Unanswered:
                continue

    asyncio.run(ask())


LOOK = {"bridge": "b", "session": PAGE | {"mode": "QR"}, "code": "2@x", "notices": []}


def test_a_code_on_show_is_taken() -> None:
    session, _ = hearing(Path("/nowhere"))
    session._take(LOOK)
    assert session._code == "2@x"


@given(spoiled(LOOK))
@settings(max_examples=100)
def test_a_code_on_show_can_be_handed_on_whatever_it_is(look: Any) -> None:
    session, _ = hearing(Path("/nowhere"))
    try:
        session._take(look)
    except Exception:  # noqa: BLE001  # the watcher goes on, degraded
        return
    orjson.dumps(session._code)


def test_what_is_told_stays_as_it_was() -> None:
    with one_notice():
        assert told_of(GOOD) == MessageArrived("AAA", Arrived.TEXT, 1.0, "+12025550143", "", "STOP", None)
        assert told_of(ACK) == AckChanged(("3EB0AB",), Ack.DELIVERED)
