"""The language of filters: `country = IT and spent >= 100 and not tag = "vip"`.

It is read here, by hand; nothing of it is ever a part of a statement.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from domain.attributes import TAKEN, AttributeKind, Value, day, typed
from domain.filters import (
    EVERYBODY,
    Attribute,
    Consent,
    Consenting,
    Contacted,
    Country,
    Either,
    Every,
    Filter,
    Given,
    Known,
    Listed,
    Not,
    Sign,
    Tagged,
)
from domain.message import Refused

LONGEST_FILTER = 2_000  # characters
MOST_CONDITIONS = 50
DEEPEST = 20
MOST_DAYS = 36_500
TAG = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")

TOKEN = re.compile(
    r"\s*(?:(?P<text>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<date>\d{4}-\d\d-\d\d(?![\w.-]))|(?P<number>[+-]?\d+(?:\.\d+)?(?![\w.]))"
    r"|(?P<word>(?u:[^\W\d]\w*))|(?P<sign>!=|<=|>=|[=<>(),]))",
    re.ASCII,
)
VALUES = {
    AttributeKind.TEXT: 'a text, as "Rome"',
    AttributeKind.NUMBER: "a number",
    AttributeKind.DATE: "a date, as 2026-11-21",
    AttributeKind.YES_NO: "yes or no",
}
KNOWN = {one.value: one for one in Known}
CONSENTS = {one.value: one for one in Consent}

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text, and its place, from 1."""

    kind: str  # text, date, number, word, sign, end
    said: str
    place: int


def parse(text: str, kinds: Mapping[str, AttributeKind], now: datetime) -> Filter:
    """Read a filter; `kinds` are the declared attributes. Refused tells the place, from 1, and what was expected there.

    An empty text is everybody.
    """
    if len(text) > LONGEST_FILTER:
        raise Refused("filter_too_long", field="filter", maximum=LONGEST_FILTER)
    tokens = list(tokens_of(text))
    return EVERYBODY if len(tokens) == 1 else Reader(tokens, kinds, now).whole()


def tokens_of(text: str) -> Sequence[Token]:
    """The pieces of a filter, and its end."""
    found, place = [], 0
    end = len(text.rstrip())
    while place < end:
        match = TOKEN.match(text, place)
        if match is None:
            place += len(text[place:]) - len(text[place:].lstrip())
            raise expected("a name, a value, a sign or a bracket", place + 1)
        assert match.lastgroup is not None
        found.append(Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup) + 1))
        place = match.end()
    return [*found, Token("end", "", end + 1)]


def expected(what: str, place: int) -> Refused:
    """What should be at a place of the filter."""
    return Refused("filter_expected", field="filter", position=place, expected=what)


class Reader:
    """Reads tokens, one after the other: `or` binds less than `and`, `and` less than `not`."""

    def __init__(self, tokens: Sequence[Token], kinds: Mapping[str, AttributeKind], now: datetime) -> None:
        self._tokens = tokens
        self._kinds = kinds
        self._now = now
        self._at = self._depth = self._conditions = 0

    def whole(self) -> Filter:
        """The filter, to its end."""
        found = self._any()
        if self._next.kind != "end":
            raise expected("`and`, `or` or the end", self._next.place)
        return found

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _word(self, *words: str) -> bool:
        """Whether the next piece is one of these words; then it is taken."""
        found = self._next.kind == "word" and self._next.said.lower() in words
        self._at += found
        return found

    def _sign(self, sign: str) -> bool:
        found = self._next.kind == "sign" and self._next.said == sign
        self._at += found
        return found

    def _any(self) -> Filter:
        parts = [self._all()]
        while self._word("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _all(self) -> Filter:
        parts = [self._one()]
        while self._word("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _one(self) -> Filter:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Refused("filter_too_deep", field="filter", position=self._next.place, maximum=DEEPEST)
        if self._word("not"):
            found: Filter = Not(self._one())
        elif self._word("everybody"):
            found = EVERYBODY
        elif self._sign("("):
            found = self._any()
            if not self._sign(")"):
                raise expected("`and`, `or` or `)`", self._next.place)
        else:
            found = self._condition()
        self._depth -= 1
        return found

    def _condition(self) -> Filter:
        self._conditions += 1
        name = self._take()
        if self._conditions > MOST_CONDITIONS:
            raise Refused("filter_too_many", field="filter", position=name.place, maximum=MOST_CONDITIONS)
        said = name.said.lower()
        if name.kind != "word" or (said in TAKEN and said not in KNOWN):
            raise expected("a name, `not` or `(`", name.place)
        if said in KNOWN:
            return self._known(KNOWN[said])
        if said not in self._kinds:
            raise Refused("filter_unknown_name", field="filter", position=name.place)
        if (given := self._given(said)) is not None:
            return given
        kind = self._kinds[said]
        sign, values = self._compared(
            lambda token: value_of(kind, token), ordered=kind in (AttributeKind.NUMBER, AttributeKind.DATE)
        )
        if sign is Sign.IS_NOT:
            return Not(Attribute(said, Sign.IS, values))
        return Attribute(said, sign, values)

    def _given(self, name: str | Known) -> Filter | None:
        """`is known` or `is not known`, if that is what follows."""
        if not self._word("is"):
            return None
        negated = self._word("not")
        if not self._word("known"):
            raise expected("`known`" if negated else "`known` or `not known`", self._next.place)
        return Not(Given(name)) if negated else Given(name)

    def _known(self, name: Known) -> Filter:
        if name in (Known.COUNTRY, Known.LAST_CONTACT) and (given := self._given(name)) is not None:
            return given
        if name is Known.LAST_CONTACT:
            sign, moments = self._compared(self._moment, ordered=True, several=False)
            return Contacted(sign, moments[0])
        found: Filter
        if name is Known.COUNTRY:
            sign, codes = self._compared(country)
            found = Country(codes)
        elif name is Known.CONSENT:
            sign, states = self._compared(consent)
            found = Consenting(states)
        elif name is Known.TAG:
            sign, tags = self._compared(tag)
            found = Tagged(tags)
        else:
            sign, lists = self._compared(audience)
            found = Listed(lists)
        return Not(found) if sign is Sign.IS_NOT else found

    def _compared(
        self, read: Callable[[Token], V], *, ordered: bool = False, several: bool = True
    ) -> tuple[Sign, tuple[V, ...]]:
        """A sign and a value, or `in` and several in brackets."""
        sign = self._take()
        if several and sign.kind == "word" and sign.said.lower() == "in":
            if not self._sign("("):
                raise expected("`(`", self._next.place)
            values = [read(self._take())]
            while self._sign(","):
                values.append(read(self._take()))
            if not self._sign(")"):
                raise expected("`,` or `)`", self._next.place)
            return Sign.IS, tuple(values)
        allowed = [one for one in Sign if ordered or one in (Sign.IS, Sign.IS_NOT)]
        if not several:
            allowed = [one for one in allowed if one not in (Sign.IS, Sign.IS_NOT)]
        if sign.kind != "sign" or sign.said not in allowed:
            words = [f"`{one}`" for one in allowed] + (["`in`"] if several else [])
            raise expected(f"{', '.join(words[:-1])} or {words[-1]}", sign.place)
        return Sign(sign.said), (read(self._take()),)

    def _moment(self, token: Token) -> datetime:
        """A date (its first instant, UTC), or so many days before now."""
        if token.kind == "date" and (found := day(token.said)) is not None:
            return datetime.fromisoformat(found).replace(tzinfo=UTC)
        if token.kind == "number" and token.said.isdigit() and int(token.said) <= MOST_DAYS:
            if not (self._word("day", "days") and self._word("ago")):
                raise expected("`days ago`", self._next.place)
            return self._now - timedelta(days=int(token.said))
        raise expected("a date as 2026-11-21, or `30 days ago`", token.place)


def words(token: Token) -> str | None:
    """What a text or a single word says."""
    if token.kind == "text":
        return re.sub(r"\\(.)", r"\1", token.said[1:-1])
    return token.said if token.kind == "word" else None


def value_of(kind: AttributeKind, token: Token) -> Value:
    """A value of a declared attribute."""
    plain = {AttributeKind.NUMBER: "number", AttributeKind.DATE: "date", AttributeKind.YES_NO: "word"}.get(kind)
    said = words(token) if plain is None else token.said if token.kind == plain else None
    found = None if said is None else typed(kind, said)
    if found is None:
        raise expected(VALUES[kind], token.place)
    return found


def country(token: Token) -> str:
    code = (words(token) or "").upper()
    if not re.fullmatch(r"[A-Z]{2}", code):
        raise expected("a country's two letters, as IT", token.place)
    return code


def consent(token: Token) -> Consent:
    found = CONSENTS.get((words(token) or "").lower())
    if found is None:
        raise expected("given, withdrawn or none", token.place)
    return found


def tag(token: Token) -> str:
    said = (words(token) or "").lower()
    if not TAG.fullmatch(said):
        raise expected('a tag, as "vip"', token.place)
    return said


def audience(token: Token) -> UUID:
    try:
        return UUID(words(token) or "")
    except ValueError:
        raise expected('an audience\'s id, as "7c1f0f0e-3d0b-5c39-8a5e-5f2f3f1f9d10"', token.place) from None
