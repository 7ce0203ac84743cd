"""A server that speaks S3, for tests; each asks for a bucket of its own."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx

from adapters.media_s3 import Bucket

KEY = "test"
REGION = "eu-central-1"


@contextmanager
def s3() -> Iterator[str]:
    """The address of a running server."""
    from moto.server import ThreadedMotoServer  # it takes a second, and most workers of a run need none

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def bucket(endpoint: str) -> Bucket:
    """A new bucket."""
    name = f"media-{uuid4().hex}"
    made = httpx.put(
        f"{endpoint}/{name}",
        content=f"<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>",
        headers={"Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/20261121/{REGION}/s3/aws4_request"},
        trust_env=False,
    )
    assert made.status_code == 200, made.text
    return Bucket(name, region=REGION, endpoint=endpoint, access_key=KEY, secret_key=KEY)
