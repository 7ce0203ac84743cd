"""A filter as a condition on `people p`: put together from constants here, its values are parameters."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from domain.attributes import Value
from domain.filters import (
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

HAS = "p.attributes <> '{{}}' AND p.attributes @> {}"  # in words of the index
CONSENTED = "EXISTS (SELECT FROM read_recipients r WHERE r.id = p.recipient_id AND r.consented)"
WITHDRAWN = (
    "EXISTS (SELECT FROM read_recipients r WHERE r.id = p.recipient_id AND NOT r.consented "
    "AND r.opted_out_at IS NOT NULL)"
)
STATES = {
    Consent.GIVEN: CONSENTED,
    Consent.WITHDRAWN: WITHDRAWN,
    Consent.NONE: f"NOT {CONSENTED} AND NOT {WITHDRAWN}",
}
SENT = "EXISTS (SELECT FROM read_deliveries d WHERE d.recipient_id = p.recipient_id AND d.sent_at {})"
# The last contact lies at or after a time when there is any such, and before it when there is one, but none such.
SINCE = {Sign.AT_LEAST: (">= {at}", True), Sign.ABOVE: ("> {at}", True)}
BEFORE = {Sign.BELOW: (">= {at}", False), Sign.AT_MOST: ("> {at}", False)}
LISTED = "EXISTS (SELECT FROM audience_members m JOIN audience_imports i USING (audience_id) "
LISTED += "WHERE m.recipient_id = p.recipient_id AND i.workspace = p.workspace AND m.audience_id = ANY({}))"


class Condition:
    """A condition in the making, with its parameters."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def of(self, one: Filter) -> sql.Composable:
        """The condition that a filter is."""
        match one:
            case Every(parts):
                return self._joined(" AND ", parts) if parts else sql.SQL("true")
            case Either(parts):
                return self._joined(" OR ", parts)
            case Not(part):
                return sql.SQL("NOT coalesce({}, false)").format(self.of(part))
            case Attribute(name, Sign.IS, values):
                return joined(" OR ", [self._said(HAS, Jsonb({name: value})) for value in values])
            case Attribute(name, sign, (value,)):
                return self._compared(name, sign, value)
            case Given(Known.COUNTRY):
                return sql.SQL("(p.country IS NOT NULL)")
            case Given(Known.LAST_CONTACT):
                return sql.SQL(f"({SENT.format('IS NOT NULL')})")
            case Given(name):
                return self._said("p.attributes <> '{{}}' AND p.attributes ? {}::text", str(name))
            case Country(codes):
                return self._said("p.country = ANY({}::text[])", list(codes))
            case Consenting(states):
                return joined(" OR ", [sql.SQL(f"({STATES[state]})") for state in states])
            case Contacted(sign, at):
                return self._contacted(sign, at)
            case Tagged(tags):
                return self._said("p.tags <> '{{}}' AND p.tags && {}::text[]", list(tags))
            case Listed(lists):
                return self._said(LISTED, list(lists))
        raise TypeError(type(one))

    def _joined(self, word: str, parts: Sequence[Filter]) -> sql.Composed:
        return joined(word, [self.of(part) for part in parts])

    def _compared(self, name: str, sign: Sign, value: Value) -> sql.Composed:
        """JSON's own order compares values of one type; a value of another type is none."""
        wanted, key = self._value(Jsonb(value)), self._value(name)
        text = (
            "(jsonb_typeof(p.attributes -> {key}) = jsonb_typeof({wanted}) AND p.attributes -> {key} {sign} {wanted})"
        )
        return sql.SQL(text).format(key=key, wanted=wanted, sign=sql.SQL(sign.value))

    def _contacted(self, sign: Sign, at: datetime) -> sql.Composed:
        compare, since = (SINCE | BEFORE)[sign]
        found = sql.SQL(SENT.format(compare)).format(at=self._value(at))
        if since:
            return sql.SQL("({})").format(found)
        return sql.SQL(f"({SENT.format('IS NOT NULL')} AND NOT {{}})").format(found)

    def _said(self, text: str, value: Any) -> sql.Composed:
        return sql.SQL(f"({text})").format(self._value(value))

    def _value(self, value: Any) -> sql.Placeholder:
        name = f"f{len(self.values)}"
        self.values[name] = value
        return sql.Placeholder(name)


def joined(word: str, parts: Sequence[sql.Composable]) -> sql.Composed:
    """The parts, in brackets."""
    return sql.SQL("({})").format(sql.SQL(word).join(parts))
