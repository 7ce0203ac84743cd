"""Print each event of a workspace once, in order, whatever becomes of the connection: URL KEY [TOPICS [PLACE]]."""

import http.client
import json
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen


def follow(url: str, key: str, topics: str = "", place: str = "latest") -> Iterator[dict[str, Any]]:
    while True:
        query = urlencode({"after": place} | ({"topics": topics} if topics else {}))
        request = Request(f"{url}/v1/events?{query}", headers={"Authorization": f"Bearer {key}"})  # noqa: S310  # its own server
        try:
            with urlopen(request, timeout=40) as answer:  # noqa: S310  # as above
                block: dict[str, str] = {}
                for line in answer:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    block[name] = value
                    if line == b"\n":  # a block counts when it is complete, and so does its place
                        if "data" in block:
                            yield json.loads(block["data"])
                        place, block = block.get("id", place), {}
        except HTTPError as refused:
            if refused.code < 500:
                sys.exit(refused.read().decode())
            print(f"HTTP {refused.code}: comes again", file=sys.stderr)  # noqa: T201  # who waits is told why
        except (OSError, http.client.HTTPException) as error:  # cut off: come again, from the last place
            print(f"{type(error).__name__}: comes again", file=sys.stderr)  # noqa: T201  # as above
        time.sleep(1)


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 5:
        sys.exit("usage: follow_events.py URL KEY [TOPICS [PLACE]]")
    for event in follow(*sys.argv[1:]):
        print(json.dumps(event), flush=True)  # noqa: T201  # what it is for
