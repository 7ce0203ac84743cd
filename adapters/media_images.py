"""Images, opened as a phone would: only what can be shown is taken."""

import io
import struct
import threading
import zlib
from dataclasses import dataclass

from PIL import Image as Pillow

from domain.message import Refused

MOST_PIXELS = 50_000_000  # 150 MB while it is looked at
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
Pillow.MAX_IMAGE_PIXELS = None  # ours is asked before anything is opened
one_at_a_time = threading.Lock()  # for the memory it takes


@dataclass(frozen=True, slots=True)
class Image:
    """Pixels across and down."""

    width: int
    height: int


def read_image(data: bytes, mimetype: str) -> Image:
    """Open a whole image. Raises Refused when it is too large or cannot be shown."""
    try:
        with one_at_a_time, Pillow.open(io.BytesIO(data), formats=[FORMATS[mimetype]]) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise Refused("too_many_pixels", field="content", maximum=MOST_PIXELS)
            image.draft(image.mode, (width // 8 or 1, height // 8 or 1))  # a JPEG is read whole, and kept small
            image.load()
    except BROKEN:
        raise Refused("damaged", field="content", mimetype=mimetype) from None
    return Image(width, height)
