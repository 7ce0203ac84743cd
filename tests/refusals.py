"""How often something was refused, as the metrics have it."""

from adapters.metrics import REGISTRY


def over_quota(quota: str) -> float:
    """Refusals of a workspace that has as much as it may."""
    return REGISTRY.get_sample_value("drumline_quota_refusals_total", {"quota": quota, "of": "workspace"}) or 0.0
