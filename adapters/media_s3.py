"""The store of media in a bucket, of S3 or of whatever speaks its protocol."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from adapters.media_store import SegmentMissing, StoreUnavailable

if TYPE_CHECKING:  # the library has these for checkers only
    from obstore.store import ClientConfig, RetryConfig, S3Config

PATIENCE = timedelta(seconds=10)  # of one request, tried again and again


class Bucket:
    """Each segment is an object, written by one request: it is there whole, or not at all."""

    def __init__(
        self, bucket: str, *, region: str, endpoint: str | None, access_key: str | None, secret_key: str | None
    ) -> None:
        """Without a key, the one that the machine's role gives. An endpoint of its own has the bucket in the path."""
        config: S3Config = {"region": region, "virtual_hosted_style_request": endpoint is None}
        if endpoint:
            config["endpoint"] = endpoint
        if access_key and secret_key:
            config |= {"access_key_id": access_key, "secret_access_key": secret_key}
        client: ClientConfig = {
            "allow_http": (endpoint or "").startswith("http://"),
            "connect_timeout": "5s",
            "timeout": "60s",
        }
        retry: RetryConfig = {"max_retries": 3, "retry_timeout": PATIENCE}
        self._store = S3Store(bucket, config=config, client_options=client, retry_config=retry)

    async def write(self, name: str, data: bytes) -> None:
        try:
            async with told(name):
                await self._store.put_async(name, data, use_multipart=False)
        except SegmentMissing:
            raise StoreUnavailable("the bucket of media is not there") from None

    async def read(self, name: str) -> bytes:
        async with told(name):
            answer = await self._store.get_async(name)
            return bytes(await answer.bytes_async())

    async def delete(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                async with told(name):
                    await self._store.delete_async(name)
            except SegmentMissing:
                continue

    async def tidy(self) -> None:
        """Nothing: what is not whole was never there."""


@asynccontextmanager
async def told(name: str) -> AsyncIterator[None]:
    """The client's errors in our words: its own name addresses and keys."""
    try:
        yield
    except (NotFoundError, FileNotFoundError):
        raise SegmentMissing(name) from None
    except BaseError as error:
        raise StoreUnavailable(f"the bucket of media: {type(error).__name__}") from None
