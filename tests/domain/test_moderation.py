"""What a reviewer saw is one hash: another word, person, account, time or pace has another."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from domain.content import ContactPart, LocationPart, MediaKind, MediaPart, Part, PollPart
from domain.message import Refused
from domain.moderation import check_reviewer, review_hash
from domain.schedule import Schedule, ZoneName
from tests.builders import AUTHOR, BYE, DAY, EDITOR, HELLO, NORTH, NOW, ROOT, SOUTH, TITLE, a_digest, a_ref

SEEN: dict[str, Any] = {
    "title": TITLE,
    "parts": (HELLO, BYE),
    "audience": ROOT,
    "recipients": 3,
    "accounts": (NORTH, SOUTH),
    "start_at": NOW,
    "pace": (1, 30),
}


@pytest.mark.parametrize(
    "change",
    [
        {"title": a_ref("another title")},
        {"parts": (HELLO,)},
        {"parts": (BYE, HELLO)},
        {"audience": a_digest("other people")},
        {"recipients": 4},
        {"accounts": (NORTH,)},
        {"accounts": (SOUTH, NORTH)},
        {"start_at": None},
        {"start_at": NOW + DAY},
        {"pace": (30, 1)},
        {"pace": (1, 31)},
    ],
)
def test_whatever_changes_changes_the_hash(change: dict[str, Any]) -> None:
    assert review_hash(**SEEN) == review_hash(**SEEN)
    assert review_hash(**{**SEEN, **change}) != review_hash(**SEEN)


IMAGE = MediaPart(MediaKind.IMAGE, a_digest("image"), a_ref("caption"))
MENU = MediaPart(MediaKind.DOCUMENT, a_digest("menu"), a_ref("caption"), a_ref("menu.pdf"))
PLACE, CARD = LocationPart(52.5, 13.4, a_ref("place")), ContactPart(a_ref("name"), a_ref("number"))
POLL = PollPart(a_ref("when"), (a_ref("saturday"), a_ref("sunday")))


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (HELLO, replace(HELLO, delay=1)),
        (HELLO, replace(HELLO, reply_to=0)),
        (HELLO, ContactPart(HELLO.text, HELLO.text)),
        (IMAGE, replace(IMAGE, kind=MediaKind.STICKER)),
        (IMAGE, replace(IMAGE, media=a_digest("another image"))),
        (IMAGE, replace(IMAGE, caption=a_ref("another caption"))),
        (IMAGE, replace(IMAGE, delay=1)),
        (MENU, replace(MENU, filename=None)),
        (PLACE, replace(PLACE, latitude=52.4)),
        (PLACE, replace(PLACE, name=None, address=PLACE.name)),
        (CARD, replace(CARD, number=a_ref("another number"))),
        (POLL, replace(POLL, choices=POLL.choices[::-1])),
        (POLL, replace(POLL, selectable=2)),
    ],
)
def test_so_does_whatever_changes_in_a_part(one: Part, another: Part) -> None:
    assert len({review_hash(**SEEN | {"parts": (BYE, part)}) for part in (one, another, replace(one))}) == 2


def test_the_hash_of_a_given_view_never_changes() -> None:
    assert review_hash(**SEEN) == "3c7fe2b805ff40af924fca936130e0afd5322fffe4a9ce4265553793b78e627c"


LOCAL = datetime(2026, 11, 21, 13)  # noqa: DTZ001  # a local time
WHEN = Schedule(NOW, LOCAL, ZoneName("Europe/Berlin"), NOW + DAY)


@pytest.mark.parametrize(
    "change",
    [{"start_local": None, "zone": None}, {"zone": ZoneName("Europe/Paris")}, {"expires_at": NOW + 2 * DAY}],
)
def test_so_does_another_schedule(change: dict[str, Any]) -> None:
    scheduled = review_hash(**SEEN, schedule=WHEN)
    assert scheduled == "36bcc8ff6d4a76c049bf572f1148c51047d12328bfe93fd4a9f91dbe54f47129"
    assert review_hash(**SEEN, schedule=replace(WHEN, **change)) != scheduled


def test_only_the_policy_lets_who_wrote_a_job_answer() -> None:
    check_reviewer(EDITOR, {AUTHOR.id}, own_approval=False)
    check_reviewer(EDITOR, {EDITOR.id}, own_approval=True)
    with pytest.raises(Refused) as refused:
        check_reviewer(EDITOR, {AUTHOR.id, EDITOR.id}, own_approval=False)
    assert (refused.value.rule, refused.value.field) == ("own_job", "actor")
