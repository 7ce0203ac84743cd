"""A program of its own that opens one image from its standard input: what it takes, and what it breaks, ends with it.

It is run as a file, so that it loads the image library and nothing of ours: `image_check.py FORMAT MOST_PIXELS`. It
says `WIDTH HEIGHT`, `pixels` (too many), `costly`, or `damaged`.
"""

import io
import os
import resource
import struct
import sys
import zlib

from PIL import Image

MEMORY = 1 << 30  # bytes of address space: 50 million pixels of four bytes, twice, and the library
SECONDS = 10  # of processor time; an image of 50 million pixels takes one or two
MOST_SCANS = 100  # of a JPEG: each goes through all pixels again; cameras and programs make a dozen
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)


def check(data: bytes, form: str, most_pixels: int) -> str:
    """What is to be said of an image."""
    if form == "JPEG" and data.count(b"\xff\xda") > MOST_SCANS:
        return "costly"
    Image.MAX_IMAGE_PIXELS = None  # ours is asked before anything is opened
    try:
        with Image.open(io.BytesIO(data), formats=[form]) as image:
            width, height = image.size
            if width * height > most_pixels:
                return "pixels"
            image.draft(image.mode, (width // 8 or 1, height // 8 or 1))  # a JPEG is read whole, and kept small
            image.load()
    except BROKEN:
        return "damaged"
    return f"{width} {height}"


if __name__ == "__main__":
    os.nice(15)  # whoever is answered meanwhile comes first
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.write(check(sys.stdin.buffer.read(), sys.argv[1], int(sys.argv[2])))
