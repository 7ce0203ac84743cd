"""Media as the settings want them: where they lie, how large they may be, what is open for browsers."""

from dataclasses import dataclass
from datetime import timedelta

from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr

from adapters.media import Limits, Media
from adapters.media_opened import Opened
from adapters.media_removal import Removal
from adapters.media_s3 import Bucket
from adapters.media_store import Directory, Store
from adapters.media_uploads import Uploads
from adapters.sealing import Sealing
from domain.content import MediaKind
from infra.settings import Settings

OPENED = 2_000_000_000  # bytes of media that lie open for the browsers of a process


@dataclass(frozen=True, slots=True)
class MediaParts:
    """What there is around media."""

    media: Media
    uploads: Uploads
    removal: Removal
    opened: Opened


def media_parts(settings: Settings, pool: AsyncConnectionPool, sealing: Sealing) -> MediaParts:
    """Build them."""
    store, opened = store_of(settings), Opened(settings.data_dir / "opened", most=OPENED)
    media = Media(pool, sealing, store, limits_of(settings), opened)
    uploads = Uploads(pool, sealing, store, media, timedelta(seconds=settings.media_grace), settings.uploads_open)
    return MediaParts(media, uploads, Removal(pool, store, uploads), opened)


def store_of(settings: Settings) -> Store:
    """The bucket, or the directory."""
    if settings.media_bucket is None:
        return Directory(settings.data_dir / "media")
    return Bucket(
        settings.media_bucket,
        region=settings.media_region,
        endpoint=settings.media_endpoint,
        access_key=plain(settings.media_access_key),
        secret_key=plain(settings.media_secret_key),
    )


def plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def limits_of(settings: Settings) -> Limits:
    """The largest files, and the quota."""
    return Limits(
        {
            MediaKind.IMAGE: settings.media_largest_image,
            MediaKind.VIDEO: settings.media_largest_video,
            MediaKind.AUDIO: settings.media_largest_audio,
            MediaKind.VOICE: settings.media_largest_audio,
            MediaKind.DOCUMENT: settings.media_largest_document,
            MediaKind.STICKER: settings.media_largest_sticker,
        },
        settings.media_quota,
    )
