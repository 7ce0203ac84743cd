"""Which of this host's disks are watched: those under the data directory, wherever its parts are mounted."""

from adapters.runtime.disk import Disk
from infra.settings import Settings

PARTS = (".", "postgres/data", "nats", "media")


def disk_of(settings: Settings) -> Disk:
    """The disks of these settings. What an external server has left is not to be seen from here."""
    return Disk([settings.data_dir / part for part in PARTS], settings.disk_reserve * 1_000_000)
