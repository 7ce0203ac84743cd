"""Who is told of what as it happens: each role hears the aggregates it works with, and asks for topics among them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain import catalog
from domain.message import Actor, Refused, Role, StreamId

MOST_TOPICS = 100

EVERYTHING = frozenset(catalog.DECIDERS)
WRITING = frozenset({"workspace", "audience", "recipient", "template", "campaign", "job", "delivery"})

HEARS: Mapping[Role, frozenset[str]] = {
    Role.ADMIN: EVERYTHING,
    Role.AUDITOR: EVERYTHING,
    Role.AUTHOR: WRITING,
    Role.SERVICE: WRITING,
    Role.MODERATOR: frozenset({"workspace", "audience", "template", "campaign", "job"}),
    Role.OPERATOR: frozenset({"workspace", "account", "recipient", "job", "delivery"}),
    Role.SYSTEM: EVERYTHING,
}


@dataclass(frozen=True, slots=True)
class Topics:
    """What somebody listens to: all events of these names, and all of these streams."""

    names: frozenset[str]
    streams: frozenset[StreamId] = frozenset()

    def have(self, name: str, stream: StreamId) -> bool:
        return name in self.names or stream in self.streams


def topics(actor: Actor, asked: Sequence[str]) -> Topics:
    """The topics asked for (`job`, `job.approved`, `job-<id>`), or all that the actor's roles hear. May be Refused."""
    audible: frozenset[str] = frozenset().union(*(HEARS[role] for role in actor.roles))
    if not asked:
        return Topics(names_of(audible))
    if len(asked) > MOST_TOPICS:
        raise Refused("too_many", field="topics", maximum=MOST_TOPICS)
    names, streams = set[str](), set[StreamId]()
    for number, topic in enumerate(asked):
        aggregate = topic.partition(".")[0].partition("-")[0]
        if topic in catalog.EVENTS:
            names.add(topic)
        elif topic in catalog.DECIDERS:
            names |= names_of({topic})
        elif is_stream(topic, actor):
            streams.add(StreamId(topic))
        else:
            raise Refused("unknown_topic", field=f"topics.{number}")
        if aggregate not in audible:
            raise Refused("role_required", field=f"topics.{number}", role=" or ".join(who_hears(aggregate)))
    return Topics(frozenset(names), frozenset(streams))


def names_of(aggregates: Iterable[str]) -> frozenset[str]:
    """The names of all events of some aggregates."""
    wanted = set(aggregates)
    return frozenset(name for name in catalog.EVENTS if name.partition(".")[0] in wanted)


def who_hears(aggregate: str) -> list[str]:
    """The roles of keys that hear an aggregate."""
    return sorted(role for role, heard in HEARS.items() if aggregate in heard and role is not Role.SYSTEM)


def is_stream(topic: str, actor: Actor) -> bool:
    """Whether this can be the name of a stream of the actor's workspace."""
    aggregate, _, identity = topic.partition("-")
    if aggregate == "workspace":
        return identity == actor.workspace
    try:
        return aggregate in catalog.DECIDERS and str(UUID(identity)) == identity
    except ValueError:
        return False
