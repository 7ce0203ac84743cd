"""Small files of every kind that can be sent, made here."""

import io
import struct
import zipfile
from collections.abc import Mapping

from PIL import Image as Pillow


def image(form: str, size: tuple[int, int] = (64, 48)) -> bytes:
    """A picture in one of Pillow's formats."""
    kept = io.BytesIO()
    Pillow.linear_gradient("L").resize(size).convert("RGB").save(kept, form)
    return kept.getvalue()


def box(name: bytes, *content: bytes) -> bytes:
    inside = b"".join(content)
    return struct.pack(">I", 8 + len(inside)) + name + inside


def movie(brand: bytes = b"isom", *, pictures: bool = True, data: int = 2_000) -> bytes:
    """An MP4 with one track, whose samples are noise."""
    handler = box(b"hdlr", bytes(8), b"vide" if pictures else b"soun", bytes(12))
    moov = box(b"moov", box(b"mvhd", bytes(100)), box(b"trak", box(b"mdia", handler)))
    return box(b"ftyp", brand, bytes(4), b"isommp42") + moov + box(b"mdat", bytes(range(256)) * (data // 256 + 1))


def mp3(*, tagged: bool = False) -> bytes:
    """Frames of 128 kbit/s at 44.1 kHz."""
    frames = (b"\xff\xfb\x90\x00" + bytes(413)) * 4
    return b"ID3\x04\x00\x00\x00\x00\x00\x00" + frames if tagged else frames


def aac() -> bytes:
    """ADTS frames of 64 bytes."""
    return (bytes([0xFF, 0xF1, 0x50, 0x80, 64 >> 3, 64 << 5 & 0xFF | 0x1F, 0xFC]) + bytes(57)) * 4


def opus() -> bytes:
    """The first page of an OGG with Opus in it, as a phone's voice note begins."""
    return b"OggS" + bytes(23) + b"\x13" + b"OpusHead" + bytes(200)


def office(part: str, *more: str) -> bytes:
    """A ZIP as an office suite makes it."""
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("[Content_Types].xml", part, *more):
            file.writestr(name, "<?xml version='1.0'?>")
    return kept.getvalue()


PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
TEXT = "Öffnungszeiten\t8-18 Uhr\r\nname,number\n".encode()

FILES: Mapping[str, tuple[str, bytes]] = {  # what it is called here: its type, its content
    "jpeg": ("image/jpeg", image("JPEG")),
    "png": ("image/png", image("PNG")),
    "webp": ("image/webp", image("WEBP")),
    "mp4": ("video/mp4", movie()),
    "mov with sound only": ("audio/mp4", movie(pictures=False)),
    "m4a": ("audio/mp4", movie(b"M4A ", pictures=False)),
    "3gp": ("video/3gpp", movie(b"3gp5")),
    "mp3": ("audio/mpeg", mp3()),
    "mp3 with a tag": ("audio/mpeg", mp3(tagged=True)),
    "aac": ("audio/aac", aac()),
    "amr": ("audio/amr", b"#!AMR\n" + bytes(100)),
    "opus": ("audio/ogg", opus()),
    "pdf": ("application/pdf", PDF),
    "docx": (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        office("word/document.xml"),
    ),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", office("xl/workbook.xml")),
    "pptx": (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        office("ppt/presentation.xml"),
    ),
    "text": ("text/plain", TEXT),
}
