"""The rules of review: what a reviewer saw, as one hash, and who may answer."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.content import TextPart
from domain.message import Actor, Digest, Ref, Refused


def review_hash(
    *,
    title: Ref,
    parts: Sequence[TextPart],
    audience: Digest,
    recipients: int,
    accounts: Sequence[UUID],
    start_at: datetime | None,
    pace: tuple[int, int],
) -> Digest:
    """SHA-256 over canonical JSON of everything a reviewer sees: the words, the people, the numbers, when, how fast."""
    seen = {
        "accounts": [str(account) for account in accounts],
        "audience": audience,
        "pace": list(pace),
        "parts": [part.text for part in parts],
        "recipients": recipients,
        "start_at": start_at.isoformat() if start_at else None,
        "title": title,
    }
    text = json.dumps(seen, sort_keys=True, separators=(",", ":"))
    return Digest(hashlib.sha256(text.encode()).hexdigest())


def check_reviewer(actor: Actor, submitted_by: str, own_approval: bool) -> None:
    """Refuse an answer by the submitter himself, unless the workspace's policy lets it count."""
    if actor.id == submitted_by and not own_approval:
        raise Refused("own_job", field="actor")
