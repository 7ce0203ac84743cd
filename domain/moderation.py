"""The rules of review: what a reviewer saw, as one hash; who may answer; what asks for a closer look."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.content import Part, TextPart, kind_of
from domain.message import Actor, Digest, PrincipalId, Ref, Refused
from domain.schedule import Schedule
from domain.workspace import Workspace


class Flag(StrEnum):
    """What about a job asks for a closer look."""

    MANY_RECIPIENTS = "many_recipients"
    LINK = "link"


def review_hash(
    *,
    title: Ref,
    parts: Sequence[Part],
    audience: Digest,
    recipients: int,
    accounts: Sequence[UUID],
    start_at: datetime | None,
    pace: tuple[int, int],
    schedule: Schedule | None = None,
) -> Digest:
    """SHA-256 over canonical JSON of everything a reviewer sees: the words, the people, the numbers, when, how fast.

    A job from before there was a `schedule` has the hash it always had.
    """
    seen = {
        "accounts": [str(account) for account in accounts],
        "audience": audience,
        "pace": list(pace),
        "parts": [seen_of(part) for part in parts],
        "recipients": recipients,
        "start_at": start_at.isoformat() if start_at else None,
        "title": title,
    }
    if schedule is not None:
        local = schedule.start_local.isoformat() if schedule.start_local else None
        seen |= {"expires_at": schedule.expires_at.isoformat(), "start_local": local, "zone": schedule.zone}
    text = json.dumps(seen, sort_keys=True, separators=(",", ":"))
    return Digest(hashlib.sha256(text.encode()).hexdigest())


def seen_of(part: Part) -> object:
    """All of a part, for the hash; a text alone is its reference, as it was before there were others."""
    if isinstance(part, TextPart) and part == TextPart(part.text):
        return part.text
    return {**asdict(part), "kind": kind_of(part)}


def check_reviewer(actor: Actor, authors: Collection[PrincipalId], own_approval: bool) -> None:
    """Refuse an answer by who submitted or revised the job, unless the workspace's policy lets it count."""
    if actor.id in authors and not own_approval:
        raise Refused("own_job", field="actor")


def flags(recipients: int, links: int, rules: Workspace) -> tuple[Flag, ...]:
    """What the workspace's policy wants a closer look at."""
    found = list[Flag]()
    if rules.flag_above is not None and recipients > rules.flag_above:
        found.append(Flag.MANY_RECIPIENTS)
    if rules.flag_links and links:
        found.append(Flag.LINK)
    return tuple(found)
