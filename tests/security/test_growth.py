"""What a client, a file or a phone can choose costs time in proportion to its length, never to its square."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import orjson
import pytest
from pydantic import BaseModel, ValidationError, create_model
from python_multipart.multipart import parse_options_header

from adapters import wire
from adapters.audience_columns import columns_of
from adapters.audience_csv import Reading
from adapters.audience_rows import RowRefused, read_number, read_row
from adapters.audience_text import read_rows
from adapters.cloudevents import traceparent
from adapters.media_kinds import Inspector
from adapters.vault import words_of
from api.accept import WAIT
from api.import_forms import check_form, columns_in
from api.lists import FORMS
from api.people import Wanted
from domain.content import MediaKind
from domain.filter_language import parse
from domain.hearing import topics
from domain.message import Actor, PrincipalId, Refused, Role, WorkspaceId
from domain.opting_out import opts_out
from domain.wording import FORMATS, lacking, links, malformed, variables
from tests.builders import NOW as AT

FACTOR, BOUND = 4, 10.0  # what is linear takes four times as long, what is quadratic sixteen times
SHORT = 0.02  # seconds: below, nothing is told from chance
ACTOR = Actor(PrincipalId("Zk3Pq81x"), WorkspaceId("w"), frozenset({Role.ADMIN}))
LIMITS = dict.fromkeys(MediaKind, 1 << 30)
MARKS = "\u0300\u0316"  # two accents in the order in which nobody may leave them


def inspected(data: bytes) -> None:
    inspector = Inspector(LIMITS)
    inspector.feed(data)
    inspector.finish()


def rows(text: str) -> None:
    for _ in read_rows([text.encode()]):
        pass


def people(text: str) -> None:
    for _ in Reading([text.encode()], "US", AT):
        pass


def source_of_consent(text: str) -> None:
    read_row(["number", "consent", "consent_source"], ["+12025550101", "yes", text], None, AT)


def words_searched(name: str) -> None:
    words_of(Wanted(name=name).name)


def campaign(parts: str) -> None:
    wire.parse("campaign.create", f'{{"title":"x","parts":[{parts}]}}'.encode())


def asked(name: str) -> Callable[[str], object]:
    """A model as a list's query parameters have."""
    kinds: dict[str, Any] = {str(getattr(kind, "__name__", kind)): form for kind, form in FORMS.items()}
    model: type[BaseModel] = create_model("Asked", value=(kinds[name], ...))
    return lambda text: model.model_validate({"value": text})


CASES: dict[str, tuple[Callable[[Any], object], Callable[[int], object], int]] = {
    "names of columns": (lambda text: columns_of([text, "number"]), lambda n: "a" + MARKS * n, 5_000),
    "names of columns by the owner": (columns_in, lambda n: orjson.dumps({"a" + MARKS * n: "b"}).decode(), 2_000),
    "a source of consent": (source_of_consent, lambda n: "a" + MARKS * n, 5_000),
    "words of a name": (words_searched, lambda n: "a" + MARKS * n, 5_000),
    "a message that may be a STOP": (opts_out, lambda n: "a" + MARKS * n, 5_000),
    "rows": (rows, lambda n: "number\n" + "+12025550101\n" * n, 20_000),
    "rows in one cell": (rows, lambda n: 'number\n"' + "\n" * n + '"\n', 20_000),
    "rows of nothing": (rows, lambda n: "number\n" + "," * n, 50_000),
    "quotation marks": (rows, lambda n: '""' * n + '"\n', 20_000),
    "a separator that never ends": (rows, lambda n: "sep=," + " " * n + "x\n", 50_000),
    "people": (people, lambda n: "number;name\n" + "+1 202 555 0101;=\n" * n, 500),
    "a number": (lambda text: read_number(text, "US"), lambda n: "(" * n + "1", 5_000),
    "a number with an extension": (lambda text: read_number(text, "US"), lambda n: "+1" + " 2" * n, 5_000),
    "parts": (campaign, lambda n: ",".join(["{}"] * n), 5_000),
    "parts of other kinds": (campaign, lambda n: ",".join(['{"kind":"x"}'] * n), 5_000),
    "fields that nobody knows": (
        lambda raw: wire.parse("campaign.create", raw),
        lambda n: orjson.dumps({f"f{m}": 0 for m in range(n)}),
        5_000,
    ),
    "a filter": (lambda text: parse(text, {}, AT), lambda n: 'country = "' + "\\" * n, 5_000),
    "a filter of brackets": (lambda text: parse(text, {}, AT), lambda n: "(" * n, 5_000),
    "topics": (lambda text: topics(ACTOR, text.split(",")), lambda n: "job," * n, 5_000),
    "a preference": (WAIT.search, lambda n: ";" + " " * n + "wait" + " " * n, 5_000),
    "a trace": (lambda text: traceparent({"traceparent": text}), lambda n: "0" * n, 20_000),
    "the type of a form": (check_form, lambda n: "multipart/form-data" + ';a="' * n, 4_000),
    "what a part is called": (parse_options_header, lambda n: "form-data; filename*=utf-8''" + "%" * n, 4_000),
    "many parameters": (parse_options_header, lambda n: "form-data" + "; a=b" * n, 4_000),
    "a time": (asked("datetime"), lambda n: "2026-11-21T00:00:00." + "0" * n, 5_000),
    "a number in an address": (asked("int"), lambda n: "1" * n, 5_000),
    "an id's beginning": (asked("Prefix"), lambda n: "-0" * n, 5_000),
    "an address to be fetched": (httpx.URL, lambda n: "http://" + "é." * min(n, 1_000), 250),
    "markup": (inspected, lambda n: b"<" + b" " * n, 100_000),
    "tags that begin": (inspected, lambda n: b"< " * n, 50_000),
    "archives in archives": (inspected, lambda n: b"PK\3\4" + b"PK\5\6" * n, 100_000),
    "boxes": (inspected, lambda n: b"\0\0\0\x18ftypmp42" + b"\0" * 12 + b"\0\0\0\x08free" * n, 10_000),
    "letters of two bytes": (inspected, lambda n: b"\xc3\xa9" * n, 200_000),
    "pages": (inspected, lambda n: b"%PDF-" + b"%%EOF" * n, 100_000),
}
for text, beginning in (
    ("variables", "{{a"),
    ("braces", "{{"),
    ("formats", "{{a:"),
    ("defaults", "{{a|"),
    ("blanks", "{{ "),
):
    for name, check in (("read", variables), ("checked", malformed), ("filled", lambda one: lacking(one, {}))):
        CASES[f"{text} {name}"] = (check, lambda n, beginning=beginning: (beginning + "  ") * n, 3_000)  # type: ignore[misc]  # a default binds it
CASES["links"] = (links, lambda n: "a-" * n, 5_000)
for form, write in FORMATS.items():
    CASES[f"a value as {form}"] = (write, lambda n: " a\u0301" * n, 3_000)


def taken(work: Callable[[Any], object], given: object) -> float:
    """Processor time of this thread."""
    began = time.thread_time()
    with suppress(Refused, RowRefused, ValidationError, httpx.InvalidURL, ValueError, KeyError):
        work(given)  # to be refused is a good end
    return time.thread_time() - began


@pytest.mark.parametrize("case", CASES)
def test_what_anybody_can_choose_costs_time_in_proportion(case: str) -> None:
    work, make, length = CASES[case]
    few, many = make(length), make(length * FACTOR)
    short = min(taken(work, few) for _ in range(2))
    long = taken(work, many)
    if long >= max(short * BOUND, SHORT):  # by chance?
        long = taken(work, many)
    assert long < max(short * BOUND, SHORT), f"{short * 1e3:.1f} ms, and {long * 1e3:.1f} ms for four times as much"
