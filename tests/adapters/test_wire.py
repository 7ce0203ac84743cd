"""Bodies on the wire: exactly what the catalog says, texts set apart, nothing of them in a refusal."""

from dataclasses import fields
from datetime import datetime
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import wire
from domain.campaign import CreateCampaign
from domain.catalog import COMMANDS
from domain.content import ContactPart, LocationPart, MediaKind, MediaPart, Part, PollPart, TextPart
from domain.job import RejectJob
from domain.message import Digest, Ref, Refused
from domain.schedule import LocalStart, ZoneName
from domain.submission import Pace, ReviseJob

SOME = UUID(int=7)


def refused(name: str, body: object) -> Refused:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    with pytest.raises(Refused) as caught:
        wire.parse(name, raw)
    return caught.value


def test_a_body_becomes_a_command_once_its_texts_have_references() -> None:
    body = {"campaign_id": str(SOME), "title": "Spring", "parts": [{"text": "Hello {{name}}"}, {"text": "Bye"}]}
    draft = wire.parse("campaign.create", orjson.dumps(body))
    assert draft.texts == ("Spring", "Hello {{name}}", "Bye")
    command = draft.command([Ref("1"), Ref("2"), Ref("3")])
    assert command == CreateCampaign(SOME, Ref("1"), (TextPart(Ref("2")), TextPart(Ref("3"))), None)


IMAGE = {"kind": "image", "media": "a" * 64}
POLL = {"kind": "poll", "question": "When?", "choices": ["Saturday", "Sunday"]}


def parts_of(*parts: object) -> tuple[Part, ...]:
    draft = wire.parse("campaign.create", orjson.dumps({"campaign_id": str(SOME), "title": "x", "parts": parts}))
    command = draft.command([Ref(text) for text in draft.texts])
    assert isinstance(command, CreateCampaign)
    return command.parts


def test_a_part_is_what_its_kind_says_and_a_text_without_one() -> None:
    assert parts_of({"text": "Hi"}, {"kind": "text", "text": "Bye", "delay": 3, "reply_to": 0}) == (
        TextPart(Ref("Hi")),
        TextPart(Ref("Bye"), delay=3, reply_to=0),
    )
    for kind in MediaKind:
        assert parts_of(IMAGE | {"kind": kind, "caption": "See"}) == (MediaPart(kind, Digest("a" * 64), Ref("See")),)
    assert parts_of({"kind": "location", "latitude": 52, "longitude": 13.4, "name": None}) == (LocationPart(52, 13.4),)
    assert parts_of({"kind": "contact", "name": "Desk", "number": "+12025550142"}) == (
        ContactPart(Ref("Desk"), Ref("+12025550142")),
    )
    assert parts_of(POLL) == (PollPart(Ref("When?"), (Ref("Saturday"), Ref("Sunday"))),)


@pytest.mark.parametrize(
    ("part", "rule", "field"),
    [
        ("Hello", "not_an_object", "parts.0"),
        (None, "not_an_object", "parts.0"),
        ({}, "missing", "parts.0.text"),
        ({"kind": "fax", "text": "Hi"}, "enum", "parts.0.kind"),
        ({"kind": None, "text": "Hi"}, "enum", "parts.0.kind"),
        ({"kind": ["text"], "text": "Hi"}, "enum", "parts.0.kind"),
        (IMAGE | {"text": "Hi"}, "unknown_field", "parts.0.text"),
        (IMAGE | {"media": "menu.png"}, "malformed", "parts.0.media"),
        (IMAGE | {"caption": "x" * 1025}, "string_too_long", "parts.0.caption"),
        (IMAGE | {"caption": "{{Name}}"}, "malformed_variable", "parts.0.caption"),
        (POLL | {"choices": ["Saturday", "{{day"]}, "malformed_variable", "parts.0.choices.1"),
        (POLL | {"choices": ["Saturday", ""]}, "string_too_short", "parts.0.choices.1"),
        (POLL | {"selectable": -1}, "greater_than_equal", "parts.0.selectable"),
        ({"kind": "location", "latitude": "52", "longitude": 13}, "float_type", "parts.0.latitude"),
        ({"kind": "location", "latitude": 52, "longitude": 181}, "less_than_equal", "parts.0.longitude"),
        ({"text": "Hi", "=text": 1}, "unknown_field", "parts.0"),
    ],
)
def test_a_part_of_no_known_form_is_refused_by_its_place(part: object, rule: str, field: str) -> None:
    told = refused("campaign.create", {"campaign_id": str(SOME), "title": "x", "parts": [part]})
    assert (told.rule, told.field) == (rule, field)


def test_no_number_is_endless() -> None:
    for wrong in ("NaN", "Infinity", "1e400"):
        place = f'{{"kind": "location", "latitude": {wrong}, "longitude": 0}}'
        body = f'{{"campaign_id": "{SOME}", "title": "x", "parts": [{place}]}}'
        assert refused("campaign.create", body.encode()).field == "parts.0.latitude"


def test_what_lies_in_a_field_becomes_its_class_or_is_left_out() -> None:
    start = {"local": "2026-12-01T09:00", "zone": "Europe/Berlin"}
    body: dict[str, object] = {"job_id": str(SOME), "accounts": [str(SOME)], "pace": {"messages": 2, "seconds": 60}}
    command = wire.parse("job.revise", orjson.dumps(body | {"start": start})).command([])
    nine = LocalStart(datetime.fromisoformat("2026-12-01T09:00"), ZoneName("Europe/Berlin"))
    assert command == ReviseJob(SOME, (SOME,), start=nine, pace=Pace(2, 60))
    without = wire.parse("job.revise", orjson.dumps(body | {"start": None})).command([])
    assert without == ReviseJob(SOME, (SOME,), pace=Pace(2, 60))
    kept = wire.parse("job.revise", orjson.dumps({"job_id": str(SOME), "at_once": True})).command([])
    assert kept == ReviseJob(SOME, at_once=True)
    for wrong, rule, field in (
        ({"local": "2026-12-01T09:00"}, "missing", "start.zone"),
        (start | {"zone": "no zone"}, "malformed", "start.zone"),
        (start | {"fold": 1}, "unknown_field", "start.fold"),
    ):
        refusal = refused("job.revise", body | {"start": wrong})
        assert (refusal.rule, refusal.field) == (rule, field)


def test_a_text_that_may_be_left_out_takes_no_reference() -> None:
    body = {"job_id": str(SOME), "review_hash": "0" * 64}
    draft = wire.parse("job.reject", orjson.dumps(body))
    assert draft.texts == ()
    command = draft.command([])
    assert isinstance(command, RejectJob)
    assert command.note is None


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_model_with_a_description_and_its_own_fields(name: str) -> None:
    schema = wire.model(name).model_json_schema()
    assert schema["additionalProperties"] is False
    assert schema["description"]
    assert set(schema.get("properties", ())) == {field.name for field in fields(COMMANDS[name].kind)}  # type: ignore[arg-type]  # all are dataclasses


def test_a_field_that_the_path_gives_is_left_out_of_the_model() -> None:
    model = wire.model("job.approve", frozenset({"job_id"}))
    assert set(model.model_fields) == {"review_hash"}


def test_the_digest_is_of_what_is_said_not_of_how_it_is_written() -> None:
    one = b'{"a": 1, "b": [1, 2]}'
    assert wire.digest("x.y", one) == wire.digest("x.y", b'{"b":[1,2],"a":1}')
    assert wire.digest("x.y", one) != wire.digest("x.z", one)
    assert wire.digest("x.y", one) != wire.digest("x.y", b'{"a": 1, "b": [2, 1]}')
    assert wire.digest("x.y", b"\xff") != wire.digest("x.y", b"\xfe")


@pytest.mark.parametrize("body", [b"\xff\xfe", b'{"title": "\xe9"}'])
def test_bytes_that_are_not_utf8_are_told_from_text_that_is_not_json(body: bytes) -> None:
    assert refused("campaign.create", body).rule == "not_utf8"
    assert refused("campaign.create", b"{").rule == "not_json"
    assert refused("campaign.create", b'{"title": "\\ud800"}').rule == "not_json"


@pytest.mark.parametrize("key", ["Anna Example", "+12025550143", "anna@example.org", "x" * 200])
def test_a_refusal_does_not_repeat_what_somebody_wrote(key: str) -> None:
    told = refused("job.pause", {"job_id": str(uuid4()), key: 1})
    assert (told.rule, told.field, told.detail) == ("unknown_field", "body", {})
    value = refused("job.pause", {"job_id": key})
    assert key not in f"{value} {value.rule} {value.field} {value.detail}"


def test_a_limit_is_told_with_the_refusal() -> None:
    told = refused("campaign.create", {"campaign_id": str(SOME), "title": "x" * 201, "parts": []})
    assert (told.rule, told.field, told.detail) == ("string_too_long", "title", {"maximum": 200})


def test_json_types_are_taken_as_they_are() -> None:
    assert refused("workspace.set-sending-policy", {"messages": "1", "seconds": 30}).rule == "int_type"
    assert refused("workspace.set-sending-policy", {"messages": 1.5, "seconds": 30}).field == "messages"
    assert refused("workspace.set-sending-policy", b'{"messages": 1e400, "seconds": 30}').field == "messages"
    assert refused("workspace.set-sending-policy", b'{"messages": %d, "seconds": 1}' % 10**30).field == "messages"
    assert refused("workspace.set-moderation-policy", {"approvals": 1, "own_approval": 1}).rule == "bool_type"


def test_an_unknown_command_is_refused_by_its_subject() -> None:
    assert (refused("campaign.launch", {}).rule, refused("campaign.launch", {}).field) == ("unknown_command", "subject")


@given(st.binary(max_size=40) | st.integers(1, 2_000).map(lambda depth: b'{"b":1,"a":' * depth + b"1" + b"}" * depth))
def test_every_body_has_a_digest(raw: bytes) -> None:
    assert len(wire.digest("job.approve", raw)) == 32


def test_a_digest_does_not_heed_the_order_of_keys_nor_white_space() -> None:
    assert (
        wire.digest("a", b'{"b": 1, "a": 2}')
        == wire.digest("a", b'{"a":2,"b":1}')
        != wire.digest("b", b'{"a":2,"b":1}')
    )
