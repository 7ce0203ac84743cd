"""The catalog: names that never change, and events that hold nothing personal."""

import dataclasses
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest

from domain import catalog
from domain.message import Command, Digest, Event, PrincipalId, Ref, Refused, Role, WaId
from domain.schedule import ZoneName

# What the log and the bus hold under these names can only be read as long as they mean the same: add, never change.
EVENTS = {
    "workspace": "created moderation-policy-set sending-policy-set",
    "account": "registered linked log-out-asked unlinked ready degraded restricted paused resumed removed "
    "allowance-granted allowance-closed allowance-deferred",
    "audience": "imported chosen",
    "recipient": "consent-recorded opted-out erased message-received",
    "template": "created revised archived",
    "campaign": "created revised archived",
    "job": "submitted revised flagged approval-given approval-voided changes-requested approved scheduled rejected "
    "expired start-deferred started paused resumed stopped completed",
    "delivery": "send-intended send-confirmed send-rejected send-unknown send-resolved skipped delivered read",
}
COMMANDS = {
    "workspace": "create set-moderation-policy set-sending-policy",
    "account": "register pause resume log-out remove",
    "audience": "import choose",
    "recipient": "record-consent opt-out erase",
    "template": "create revise archive",
    "campaign": "create revise archive",
    "job": "submit submit-message revise approve withdraw request-changes reject start pause resume stop",
    "delivery": "resolve-unknown",
}


def names(table: Mapping[str, str]) -> list[str]:
    return [f"{aggregate}.{word}" for aggregate, words in table.items() for word in words.split()]


def messages(base: type) -> set[type]:
    """The commands or events that the domain's modules define."""
    domain = [module for name, module in sys.modules.items() if name.startswith("domain.")]
    return {
        kind
        for module in domain
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, base) and kind is not base
    }


def leaves(kind: Any) -> Iterator[Any]:
    """The types a field is made of, down to the plain ones."""
    if get_origin(kind) in (tuple, typing.Union, types.UnionType):
        for inner in get_args(kind):
            if inner is not Ellipsis:
                yield from leaves(inner)
    elif dataclasses.is_dataclass(kind):
        for inner in get_type_hints(kind).values():
            yield from leaves(inner)
    else:
        yield kind


def test_no_permanent_name_was_changed_or_dropped() -> None:
    assert sorted(catalog.EVENTS) == sorted(names(EVENTS))
    assert sorted(catalog.COMMANDS) == sorted(names(COMMANDS))


HOMES = {"send": "delivery", "allowance": "account"} | dict.fromkeys(("submission", "review", "run", "direct"), "job")


def home(kind: type) -> str:
    """The aggregate whose messages a module holds; some have theirs in modules beside the decider's."""
    module = kind.__module__.removeprefix("domain.")
    return HOMES.get(module, module)


def test_every_event_has_one_name_under_its_aggregate() -> None:
    assert set(catalog.EVENTS.values()) == messages(Event)
    assert len(catalog.EVENT_NAMES) == len(catalog.EVENTS)
    for name, kind in catalog.EVENTS.items():
        aggregate, _, fact = name.partition(".")
        assert home(kind) == aggregate
        assert fact.replace("-", "").isalpha()


def test_every_command_is_either_given_from_outside_or_decided_inside() -> None:
    outside = {row.kind for row in catalog.COMMANDS.values()}
    assert outside | set(catalog.DECISIONS) == messages(Command)
    assert not outside & set(catalog.DECISIONS)
    assert len(catalog.COMMAND_NAMES) == len(catalog.COMMANDS)


@pytest.mark.parametrize("kind", [*catalog.COMMAND_NAMES, *catalog.DECISIONS], ids=lambda kind: kind.__name__)
def test_each_command_finds_its_decider_and_its_aggregate(kind: type[Command]) -> None:
    decider = catalog.decider_of(kind.__new__(kind))
    assert home(kind) == decider.aggregate
    fields = set(get_type_hints(kind))
    assert f"{decider.aggregate}_id" in fields or decider.aggregate == "workspace"


@pytest.mark.parametrize("name", catalog.EVENTS)
def test_an_event_is_made_of_ids_enums_numbers_times_digests_and_references(name: str) -> None:
    kind = catalog.EVENTS[name]
    plain = {UUID, int, float, bool, datetime, type(None), Digest, Ref, WaId, PrincipalId, ZoneName}
    for inner in leaves(kind):
        assert inner in plain or issubclass(inner, Enum), f"{inner} can hold personal data"


@pytest.mark.parametrize("kind", [*catalog.EVENTS.values(), *catalog.COMMAND_NAMES], ids=lambda kind: kind.__name__)
def test_messages_are_frozen(kind: Any) -> None:
    assert vars(kind)["__dataclass_params__"].frozen
    assert kind.__doc__


@pytest.mark.parametrize("name", catalog.COMMANDS)
def test_only_the_named_roles_and_the_system_may_give_a_command(name: str) -> None:
    for role in Role:
        if role in catalog.COMMANDS[name].roles:
            catalog.may(frozenset({role, Role.AUDITOR}), name)
        else:
            with pytest.raises(Refused) as refused:
                catalog.may(frozenset({role}), name)
            assert (refused.value.rule, refused.value.field) == ("role_required", "actor")
            assert "system" not in str(refused.value.detail["role"])
    assert Role.SYSTEM in catalog.COMMANDS[name].roles
    assert Role.AUDITOR not in catalog.COMMANDS[name].roles


def test_who_may_review_and_who_may_submit() -> None:
    reviewers = catalog.COMMANDS["job.approve"].roles | catalog.COMMANDS["job.reject"].roles
    assert reviewers == {Role.MODERATOR, Role.SYSTEM}
    assert Role.MODERATOR not in catalog.COMMANDS["job.submit"].roles
    with pytest.raises(Refused):
        catalog.may(frozenset(), "job.approve")
