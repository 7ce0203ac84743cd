"""Why a process ended, as far as its log of one run tells."""

import re
from collections.abc import Iterator

import orjson

# Levels by how much they explain: a PANIC makes other FATALs follow, and errors may have been got over.
WEIGHT = {"PANIC": 4, "FATAL": 3, "FTL": 3, "CRITICAL": 3, "ERROR": 2, "ERR": 2}
FORMS = (
    re.compile(r"\S+ \S+ UTC \[\d+\] (?P<level>[A-Z]+): +(?P<words>.*)"),  # PostgreSQL
    re.compile(r"\[\d+\] \S+ \S+ \[(?P<level>[A-Z]+)\] (?P<words>.*)"),  # NATS
    re.compile(r"\d\S+ \d\S+ (?P<level>[A-Z]+) (?P<logger>\S+) (?P<words>.*)"),  # ours, for people
)
NOT_YET = "the database system is "  # starting up, in recovery: what PostgreSQL tells who comes too early
SENTENCE = "drumline: "  # how the command line begins what it ends with
PLACES = " places="  # our own log's way of telling where an error arose
TRACE, WITHIN = "Traceback (most recent call last):", " "


def last_words(said: str) -> str | None:
    """The gravest thing said, of equals the last; of a PANIC the first. A sentence outweighs a traceback.

    None when nothing of it is a reason: that a process said something once is none.
    """
    best: tuple[int, str] | None = None
    for weight, words in complaints(said):
        if best is None or weight > best[0] or (weight == best[0] and weight < WEIGHT["PANIC"]):
            best = weight, words
    return best[1] if best else None


def complaints(said: str) -> Iterator[tuple[int, str]]:
    """What may be a reason, in its order: how much it explains, and its words."""
    in_trace = False
    for line in said.splitlines():
        level, words = parsed(line)
        if line.startswith(TRACE):
            in_trace = True
        elif level is not None:
            in_trace = False
            if level in WEIGHT and not words.startswith(NOT_YET):
                yield WEIGHT[level], words
        elif line.startswith(SENTENCE):
            in_trace = False
            yield WEIGHT["CRITICAL"], line.removeprefix(SENTENCE)
        elif in_trace and not line.startswith(WITHIN):
            in_trace = False
            yield 1, line
        elif not in_trace and line.strip():
            yield 1, line.strip()


def parsed(line: str) -> tuple[str | None, str]:
    """A line's level and words; no level when it is not a line of a log."""
    if line.startswith("{"):
        try:
            record = orjson.loads(line)
            words = [record["message"], record["error"]] if "error" in record else [record["message"]]
            return str(record["level"]).upper(), ": ".join(words)
        except (ValueError, KeyError, TypeError):
            return None, line
    for form in FORMS:
        if found := form.match(line):
            return found["level"], found["words"].partition(PLACES)[0]
    return None, line
