"""A part for one person: its words filled in, within the limits of its kind, or the reason why not."""

from dataclasses import replace

import pytest

from domain.content import ContactPart, LocationPart, MediaKind, MediaPart, Part, PollPart, TextPart
from domain.message import Digest, Ref
from domain.rendering import Unsendable, mentions, said
from domain.send import Rejection

TEXT = TextPart(Ref("text"))
IMAGE = MediaPart(MediaKind.IMAGE, Digest("a" * 64), Ref("caption"))
MENU = MediaPart(MediaKind.DOCUMENT, Digest("b" * 64), None, Ref("filename"))
PLACE = LocationPart(52.5, 13.4, Ref("name"), None)
CARD = ContactPart(Ref("name"), Ref("number"))
POLL = PollPart(Ref("question"), (Ref("one"), Ref("two")))
WORDS = {
    Ref("text"): "Hello {{name|friend}}",
    Ref("caption"): "For {{name:upper}}",
    Ref("filename"): "Menu for {{name}}.pdf",
    Ref("name"): "{{shop}}",
    Ref("number"): "{{phone}}",
    Ref("question"): "When, {{name}}?",
    Ref("one"): "{{day}}",
    Ref("two"): "Sunday",
}
ANA = {"name": "Ana", "shop": "High Street", "phone": "+1 (202) 555-0142", "day": "Saturday"}


@pytest.mark.parametrize(
    ("part", "words", "choices"),
    [
        (TEXT, {"text": "Hello Ana"}, ()),
        (IMAGE, {"caption": "For ANA", "filename": ""}, ()),
        (replace(IMAGE, caption=None), {"caption": "", "filename": ""}, ()),
        (MENU, {"caption": "", "filename": "Menu for Ana.pdf"}, ()),
        (PLACE, {"name": "High Street", "address": ""}, ()),
        (CARD, {"name": "High Street", "number": "+12025550142"}, ()),
        (POLL, {"question": "When, Ana?"}, ("Saturday", "Sunday")),
    ],
)
def test_each_kind_is_filled_in(part: Part, words: dict[str, str], choices: tuple[str, ...]) -> None:
    told = said(part, WORDS, ANA)
    assert (told.part, told.words, told.choices) == (part, words, choices)


def test_words_that_are_gone_are_not_sent() -> None:
    with pytest.raises(Unsendable) as unsendable:
        said(POLL, {ref: text for ref, text in WORDS.items() if ref != "two"}, ANA)
    assert (unsendable.value.reason, unsendable.value.field) == (Rejection.UNRENDERABLE, "choices")


@pytest.mark.parametrize(
    ("part", "values", "reason", "field"),
    [
        (IMAGE, {}, Rejection.UNRENDERABLE, "caption"),
        (IMAGE, {"name": "x" * 1_024}, Rejection.TOO_LONG, "caption"),
        (TEXT, {"name": "x" * 4_096}, Rejection.TOO_LONG, "text"),
        (MENU, {"name": "x" * 255}, Rejection.TOO_LONG, "filename"),
        (CARD, ANA | {"shop": " "}, Rejection.UNRENDERABLE, "name"),
        (CARD, ANA | {"phone": "202 555 0142"}, Rejection.UNRENDERABLE, "number"),
        (POLL, ANA | {"day": "Sunday"}, Rejection.UNRENDERABLE, "choices"),
        (POLL, ANA | {"day": " "}, Rejection.UNRENDERABLE, "choices"),
        (POLL, ANA | {"name": "x" * 255}, Rejection.TOO_LONG, "question"),
    ],
)
def test_what_nobody_could_be_sent_is_told_by_its_field(
    part: Part, values: dict[str, str], reason: Rejection, field: str
) -> None:
    with pytest.raises(Unsendable) as unsendable:
        said(part, WORDS, values)
    assert (unsendable.value.reason, unsendable.value.field) == (reason, field)
    assert not any(value.strip() and value in str(unsendable.value) for value in values.values())


def test_a_text_of_blanks_is_no_message() -> None:
    with pytest.raises(Unsendable):
        said(TEXT, {Ref("text"): "{{name}}\n"}, {"name": " "})


def test_a_file_is_named_without_a_path() -> None:
    assert said(MENU, WORDS, {"name": "../a\\b"}).words["filename"] == "Menu for .._a_b.pdf"


def test_who_is_called_by_number_is_mentioned() -> None:
    assert mentions("Ask @+12025550142 or @+12025550143, @+12025550142") == (
        "Ask @12025550142 or @12025550143, @12025550142",
        ("+12025550142", "+12025550143"),
    )
    for text in ("mail me@example.test", "@12025550142", "@+0123456789", "@+1", "@+1234567890123456"):
        assert mentions(text) == (text, ())
