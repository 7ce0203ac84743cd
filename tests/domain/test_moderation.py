"""What a reviewer saw is one hash: another word, person, account, time or pace has another."""

from typing import Any

import pytest

from domain.message import Refused
from domain.moderation import check_reviewer, review_hash
from tests.builders import BYE, DAY, EDITOR, HELLO, NORTH, NOW, ROOT, SOUTH, TITLE, a_digest, a_ref

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


def test_the_hash_of_a_given_view_never_changes() -> None:
    assert review_hash(**SEEN) == "3c7fe2b805ff40af924fca936130e0afd5322fffe4a9ce4265553793b78e627c"


def test_only_the_policy_lets_a_submitter_answer() -> None:
    check_reviewer(EDITOR, "author", own_approval=False)
    check_reviewer(EDITOR, EDITOR.id, own_approval=True)
    with pytest.raises(Refused) as refused:
        check_reviewer(EDITOR, EDITOR.id, own_approval=False)
    assert (refused.value.rule, refused.value.field) == ("own_job", "actor")
