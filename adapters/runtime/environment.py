"""What a child process gets to see of our environment: what is listed here for its kind, and never the rest of it.

Whoever runs as the same user reads a process's environment; a browser shows pages of strangers.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

PLAIN = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR"),
    *("LD_LIBRARY_PATH", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"),
)
PYTHON = (*PLAIN, "PYTHON*")
OUTSIDE = (  # for what connects to the world
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)
BROWSER = (*PLAIN, *OUTSIDE, "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "FONTCONFIG_FILE", "FONTCONFIG_PATH")
DRIVER = (*PLAIN, "PLAYWRIGHT_*")
WORKER = (*PYTHON, *OUTSIDE, "AWS_*", "OTEL_*")  # the last two: how a bucket's and a collector's libraries are set


def allowed(names: tuple[str, ...]) -> dict[str, str]:
    """Our environment as far as these names, or their beginnings, list it."""
    exact = {name for name in names if not name.endswith("*")}
    begun = tuple(name[:-1] for name in names if name.endswith("*"))
    return {name: value for name, value in os.environ.items() if name in exact or name.startswith(begun)}


@contextmanager
def narrowed(names: tuple[str, ...]) -> Iterator[None]:
    """Our own environment without the rest, for a library that hands on the whole of it. For a moment at the start."""
    before: Mapping[str, str] = dict(os.environ)
    kept = allowed(names)
    for name in before.keys() - kept.keys():
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)
