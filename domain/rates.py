"""How often somebody may do something: a token bucket for each key, and a bounded number of them."""

from dataclasses import dataclass

REMEMBERED = 10_000
CLOCK_SET_BACK = 5.0  # seconds: by more than this it was set, and time counts from there


@dataclass(slots=True)
class Bucket:
    """What is left to take, as of a time."""

    tokens: float
    at: float


class Rates:
    """A key may take `rate` a second, and in a burst as much as in one second.

    Times are given, in seconds of whatever clock; one that goes back takes nothing away and gives nothing. Of more keys
    than `remembered` the one that was longest away is forgotten: it begins anew with a full bucket.
    """

    def __init__(self, rate: float, *, remembered: int = REMEMBERED) -> None:
        self.rate = rate
        self._most = max(rate, 1.0)
        self._remembered = remembered
        self._buckets: dict[str, Bucket] = {}  # the longest away first

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float) -> bool:
        """Whether this one is within the rate; if so it is taken."""
        return self.take_all(key, 1, now)

    def take_all(self, key: str, count: int, now: float) -> bool:
        """Whether so many at once are within the rate; if not, none is taken."""
        bucket = self._refilled(key, now)
        if bucket.tokens < count:
            return False
        bucket.tokens -= count
        return True

    def seconds_until(self, key: str, now: float) -> float:
        """After how long the key may take again."""
        return max(0.0, (1.0 - self._refilled(key, now).tokens) / self.rate)

    def _refilled(self, key: str, now: float) -> Bucket:
        bucket = self._buckets.pop(key, None)
        if bucket is None:
            if len(self._buckets) >= self._remembered:
                del self._buckets[next(iter(self._buckets))]
            bucket = Bucket(self._most, now)
        elif now > bucket.at:
            bucket.tokens = min(self._most, bucket.tokens + (now - bucket.at) * self.rate)
            bucket.at = now
        elif now < bucket.at - CLOCK_SET_BACK:
            bucket.at = now
        self._buckets[key] = bucket
        return bucket
