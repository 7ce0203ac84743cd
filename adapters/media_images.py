"""Images, opened as a phone would, each in a process of its own: only what can be shown is taken."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from domain.message import Refused

MOST_PIXELS = 50_000_000  # 200 MB while it is looked at
PATIENCE = 120.0  # seconds; those of the processor are bounded by the program itself
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
PROGRAM = str(Path(__file__).with_name("image_check.py"))


@dataclass(frozen=True, slots=True)
class Image:
    """Pixels across and down."""

    width: int
    height: int


def read_image(data: bytes, mimetype: str) -> Image:
    """Open a whole image. Raises Refused when it is too large, cannot be shown, or takes too much to be opened."""
    command = [sys.executable, "-I", PROGRAM, FORMATS[mimetype], str(MOST_PIXELS)]
    costly = Refused("too_costly", field="content", mimetype=mimetype)
    try:
        said = subprocess.run(command, input=data, capture_output=True, timeout=PATIENCE, env={}, check=True).stdout
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        raise costly from None
    match said.split():
        case [b"costly"]:
            raise costly
        case [b"pixels"]:
            raise Refused("too_many_pixels", field="content", maximum=MOST_PIXELS)
        case [width, height]:
            return Image(int(width), int(height))
    raise Refused("damaged", field="content", mimetype=mimetype)
