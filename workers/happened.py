"""Decisions about what happened already: nobody waits for their outcome, so a refusal is an error that people see."""

import logging
from collections.abc import Mapping
from uuid import UUID

from adapters import metrics
from domain.account import ReportLinked, ReportReady, ReportTrouble
from domain.message import Command
from domain.recipient import EraseRecipient, ReceiveMessage
from domain.send import ConfirmSend, DoubtSend, RejectSend, ReportReceipt
from workers.requests import Outcome

log = logging.getLogger(__name__)

# Another worker holds the account by now, and tells of it.
ELSEWHERE = frozenset({"fence"})
# By the decision that takes it in: what happened, and the rules by which that is refused in the ordinary course.
FACTS: Mapping[type[Command], tuple[str, frozenset[str]]] = {
    ReceiveMessage: ("message", frozenset()),
    ReportReceipt: ("receipt", frozenset()),
    ReportLinked: ("session", ELSEWHERE),
    ReportReady: ("session", ELSEWHERE),
    ReportTrouble: ("session", ELSEWHERE),
    ConfirmSend: ("send", ELSEWHERE),
    RejectSend: ("send", ELSEWHERE),
    DoubtSend: ("send", ELSEWHERE | {"no_open_intent"}),  # its outcome came meanwhile
    # Done again on a restored log, in which there may be nobody of that id, nor the workspace.
    EraseRecipient: ("erasure", frozenset({"unknown_recipient", "unknown_workspace"})),
}


def heed(command: Command, outcome: Outcome) -> None:
    """Tell of a fact that was refused. What is no fact may be refused: it was only wished for."""
    fact, ordinary = FACTS.get(type(command), ("", frozenset()))
    if fact and outcome.state != "applied" and outcome.rule not in ordinary:
        metrics.lost(fact, outcome.rule or outcome.state)
        told = {"fact": fact, "rule": outcome.rule, "stream": outcome.stream, **ids_of(command)}
        log.error("something that happened was refused, and is not recorded", extra=told)


def failed(fact: str, error: Exception, **of: object) -> None:
    """Tell of a fact that can never be stored, and what it is `of`: by ids, never in words or numbers of anybody."""
    metrics.lost(fact, "failed")
    told = {"fact": fact, **{name: str(value) for name, value in of.items()}}
    log.error("something that happened cannot be recorded", exc_info=error, extra=told)


def ids_of(command: Command) -> Mapping[str, str]:
    """Whom and what a command names by ids of ours."""
    named = ((name, getattr(command, name)) for name in getattr(command, "__match_args__", ()))
    return {name: str(value) for name, value in named if isinstance(value, UUID)}
