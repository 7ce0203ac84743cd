"""Words with variables: `{{name}}`, `{{name:title}}`, `{{name|friend}}`. A template holds names, never code."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

# What a phone makes a link of: an address with its scheme, or a name that ends in a domain in wide use. (No part of a
# name is longer than 63; without that bound, a long text of hyphens would be looked through from each of them.)
LINK = re.compile(
    r"(?:https?://|www\.)\S|\b[a-z0-9-]{1,63}\.(?:[a-z]{2}|com|org|net|info|biz|shop|app|dev|link|site|online|xyz)\b(?!\.\w)",
    re.IGNORECASE | re.ASCII,
)
LETTERS = re.compile(r"[^\W\d_]+")


def when(form: str) -> Callable[[str], str]:
    """A format of dates and times: it reads ISO 8601 (2026-11-21, 2026-11-21T14:30) and nothing else."""
    return lambda value: datetime.fromisoformat(value.strip()).strftime(form)


# How a value may be written. They are part of the templates that lie in the log: add, never change.
FORMATS: Mapping[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "title": lambda value: LETTERS.sub(lambda word: word[0].capitalize(), value),
    "first": lambda value: (value.split() or [""])[0],
    "date": when("%d.%m.%Y"),
    "dmy": when("%d/%m/%Y"),
    "mdy": when("%m/%d/%Y"),
    "time": when("%H:%M"),
}
VARIABLE = re.compile(r"\{\{\s*([a-z][a-z0-9_]{0,39})\s*(?::\s*(" + "|".join(FORMATS) + r")\s*)?(?:\|([^{}|]*))?\}\}")


def variables(template: str) -> frozenset[str]:
    """All names between double braces: `Hello {{name}}` -> {"name"}."""
    return frozenset(found[1] for found in VARIABLE.finditer(template))


def required(template: str) -> frozenset[str]:
    """Those that stand somewhere without a default."""
    return frozenset(found[1] for found in VARIABLE.finditer(template) if found[3] is None)


def lacking(template: str, values: Mapping[str, str]) -> frozenset[str]:
    """Those that cannot be written for one recipient: missing or unreadable, without a default."""

    def cannot(name: str, form: str | None, default: str | None) -> bool:
        try:
            written(name, form, default, values)
        except (KeyError, ValueError):
            return True
        return False

    return frozenset(found[1] for found in VARIABLE.finditer(template) if cannot(*found.groups()))


def malformed(template: str) -> bool:
    """Whether braces are left that are no variable, so that nobody receives them raw."""
    rest = VARIABLE.sub("", template)
    return "{{" in rest or "}}" in rest


def links(template: str) -> bool:
    """Whether a text holds a link (what a variable brings is not looked at)."""
    return LINK.search(template) is not None


def render(template: str, values: Mapping[str, str]) -> str:
    """The text for one recipient.

    A default stands in for a value that is missing, or that its format cannot read. Without one it is a KeyError, or
    a ValueError, that names the variable.
    """
    return VARIABLE.sub(lambda found: written(found[1], found[2], found[3], values), template)


def written(name: str, form: str | None, default: str | None, values: Mapping[str, str]) -> str:
    """What one variable becomes."""
    if name in values:
        try:
            return FORMATS[form](values[name]) if form else values[name]
        except ValueError:
            if default is None:
                raise ValueError(name) from None  # which would quote the value
    if default is None:
        raise KeyError(name)
    return default.strip()
