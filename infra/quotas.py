"""The quotas of the HTTP interface, and the limits of its connections, as the settings want them."""

from adapters.runtime.pools import allow_waiting
from adapters.runtime.quotas import Bounds, Quota, Quotas
from infra.connections import Limits
from infra.settings import Settings


def quotas_of(settings: Settings) -> Quotas:
    """What each key and workspace may hold; the pools of this process heed theirs from now on."""
    allow_waiting(settings.pool_waiting)
    one = settings
    return Quotas(
        requests=Quota("requests", Bounds(one.requests_per_key, one.requests_per_workspace, one.connections_max)),
        bodies=Quota("bodies", Bounds(one.bodies_per_key, one.bodies_per_workspace, one.bodies_max)),
        uploads=Quota("uploads", Bounds(one.uploads_per_key, one.uploads_per_workspace, one.uploads_max)),
        streams=Quota("streams", Bounds(one.streams_per_key, one.streams_per_workspace, one.streams_max)),
    )


def limits_of(settings: Settings) -> Limits:
    """How many connections there may be."""
    return Limits(connections=settings.connections_max, per_address=settings.connections_per_address)


def segments_of(settings: Settings) -> tuple[int, int]:
    """How many segments a workspace may keep, and how many attributes it may declare."""
    return settings.segments_max, settings.attributes_max
