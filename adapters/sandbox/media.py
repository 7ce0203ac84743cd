"""The files that were sent in the sandbox, each under the SHA-256 of its bytes."""

import hashlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi.responses import FileResponse

from adapters.sandbox.nouns import Refused

LARGEST = 2_000_000_000
# What a browser may show in place; everything else is only for keeping, so that no file acts in our page's name.
SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp", "audio/", "video/")


class Media:
    """One directory of files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def has(self, digest: str) -> bool:
        return (self._directory / digest).is_file()

    async def put(self, digest: str, chunks: AsyncIterator[bytes]) -> int:
        """Keep a file under its digest; returns its size. Raises Refused."""
        draft = self._directory / f".{secrets.token_hex(8)}"
        taken, size = hashlib.sha256(), 0
        try:
            with draft.open("wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > LARGEST:
                        raise Refused("file_too_large")
                    taken.update(chunk)
                    file.write(chunk)
            if taken.hexdigest() != digest:
                raise Refused("file_altered")
            draft.replace(self._directory / digest)
        finally:
            draft.unlink(missing_ok=True)
        return size

    def response(self, digest: str, mimetype: str, filename: str = "") -> FileResponse:
        """A file over HTTP: shown in place if it is harmless, else to be saved. Raises Refused."""
        if not self.has(digest):
            raise Refused("unknown_file")
        shown = mimetype.lower().startswith(SHOWN)
        headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
        return FileResponse(
            self._directory / digest,
            media_type=mimetype if shown else "application/octet-stream",
            filename=None if shown else filename or "file",
            headers=headers,
        )
