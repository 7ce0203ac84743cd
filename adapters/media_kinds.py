"""What a file is, by its content alone: a table of the kinds that can be sent, and what each must hold to be whole."""

import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from adapters.media_audio import aac, mp3
from adapters.media_boxes import Boxes
from adapters.media_images import FORMATS, Image, read_image
from domain.content import MediaKind
from domain.message import Refused

FIELD = "content"  # what refusals are about
HEAD, TAIL = 4_096, 70_000  # bytes kept of a file's begin and end; a ZIP's directory ends within the latter
OVERLAP = 64  # bytes seen again with the next chunk, so that what is looked for is not cut in two

# Whoever opens it in a browser would run it. In words anywhere; elsewhere where a browser looks for it.
ACTIVE = re.compile(rb"<\s*(?:!doctype|html|head|body|svg|script|iframe|\?xml|\?php)", re.IGNORECASE)
SNIFFED = 1_024  # bytes that a browser looks at
UNPRINTABLE = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Type:
    """A type of file: the kind that it is, and what its name ends in."""

    kind: MediaKind
    suffix: str
    also: frozenset[MediaKind] = frozenset()  # what it may be sent as besides; a document anything may be


TYPES: Mapping[str, Type] = {
    "image/jpeg": Type(MediaKind.IMAGE, ".jpg"),
    "image/png": Type(MediaKind.IMAGE, ".png"),
    "image/webp": Type(MediaKind.STICKER, ".webp"),
    "video/mp4": Type(MediaKind.VIDEO, ".mp4"),
    "video/3gpp": Type(MediaKind.VIDEO, ".3gp"),
    "audio/mp4": Type(MediaKind.AUDIO, ".m4a"),
    "audio/mpeg": Type(MediaKind.AUDIO, ".mp3"),
    "audio/aac": Type(MediaKind.AUDIO, ".aac"),
    "audio/amr": Type(MediaKind.AUDIO, ".amr"),
    "audio/ogg": Type(MediaKind.AUDIO, ".ogg", frozenset({MediaKind.VOICE})),  # of OGG only Opus, as phones record it
    "application/pdf": Type(MediaKind.DOCUMENT, ".pdf"),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": Type(MediaKind.DOCUMENT, ".docx"),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": Type(MediaKind.DOCUMENT, ".xlsx"),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": Type(MediaKind.DOCUMENT, ".pptx"),
    "text/plain": Type(MediaKind.DOCUMENT, ".txt"),
}
OFFICE = {
    b"word/document.xml": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    b"xl/workbook.xml": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    b"ppt/presentation.xml": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
PARTS = re.compile(rb"(?:word/document|xl/workbook|ppt/presentation)\.xml|vbaProject\.bin")
BRANDS_3GP, BRANDS_M4A = (b"3g",), (b"M4A ", b"M4B ")
BRANDS_STILL = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")  # photos, in the boxes of films


def kinds_of(mimetype: str) -> frozenset[MediaKind]:
    """What a file of this type may be sent as."""
    known = TYPES[mimetype]
    return known.also | {known.kind, MediaKind.DOCUMENT}


@dataclass(frozen=True, slots=True)
class Found:
    """What a file turned out to be; width and height of an image."""

    mimetype: str
    kind: MediaKind
    width: int | None = None
    height: int | None = None


def family(head: bytes) -> str:
    """The type that a file's first bytes claim; of several types that begin alike, one for all."""
    for magic, name in (
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"%PDF-", "application/pdf"),
        (b"PK\x03\x04", "zip"),
        (b"ID3", "audio/mpeg"),
        (b"#!AMR", "audio/amr"),
    ):
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return "boxes"
    if head[:4] == b"OggS" and head[28:36] == b"OpusHead":
        return "audio/ogg"
    if mp3(head):
        return "audio/mpeg"
    if aac(head):
        return "audio/aac"
    return "text/plain"


@dataclass(slots=True)
class Inspector:
    """Is fed a file, chunk by chunk, and tells what it is. Raises Refused as soon as it is sure."""

    limits: Mapping[MediaKind, int]  # bytes
    size: int = 0
    _head: bytes = b""
    _tail: bytes = b""
    _family: str = ""
    _parts: set[bytes] = field(default_factory=set)
    _boxes: Boxes = field(default_factory=Boxes)
    _words: codecs.IncrementalDecoder = field(default_factory=codecs.getincrementaldecoder("utf-8"))
    _image: bytearray = field(default_factory=bytearray)

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the file."""
        self.size += len(chunk)
        if self._family:
            self._take(chunk)
            return
        self._head += chunk
        if len(self._head) >= HEAD:
            self._begin()

    @property
    def pictured(self) -> bool:
        """Whether it is an image, and will be opened: a small one can have many pixels, too."""
        return (self._family or family(self._head)) in FORMATS

    def finish(self) -> Found:
        """What the file is, once it is whole. Opens images, which takes a while: not for an event loop."""
        if not self.size:
            raise Refused("empty_file", field=FIELD)
        if not self._family:
            self._begin()
        mimetype = self._settled()
        self._single(mimetype)
        known = TYPES[mimetype]
        self._within(known)
        opened: Image | None = read_image(bytes(self._image), mimetype) if self._image else None
        if opened is None:
            return Found(mimetype, known.kind)
        return Found(mimetype, known.kind, opened.width, opened.height)

    def _begin(self) -> None:
        begin, self._head = self._head, self._head[:HEAD]
        self._family = family(self._head)
        self._take(begin)

    def _take(self, chunk: bytes) -> None:
        self._within(TYPES.get(self._family))
        seen = self._tail[-OVERLAP:] + chunk
        self._tail = (self._tail + chunk)[-TAIL:]
        match self._family:
            case "text/plain":
                self._read_words(chunk, seen)
            case "zip":
                self._parts.update(PARTS.findall(seen))
            case "boxes":
                self._boxes.feed(chunk, seen)
            case name if name in FORMATS:
                self._image += chunk

    def _within(self, known: Type | None) -> None:
        kind = known.kind if known else None
        most = self.limits[kind] if kind else max(self.limits.values())
        if self.size > most:
            raise Refused("file_too_large", field=FIELD, kind=kind or "file", maximum=most)

    def _read_words(self, chunk: bytes, seen: bytes) -> None:
        if ACTIVE.search(seen):
            raise Refused("active_content", field=FIELD)
        try:
            self._words.decode(chunk)
        except UnicodeDecodeError:
            raise Refused("unknown_kind", field=FIELD) from None
        if UNPRINTABLE.search(chunk):
            raise Refused("unknown_kind", field=FIELD)

    def _settled(self) -> str:
        """The type, now that all of it was seen."""
        settle: Mapping[str, Callable[[], str]] = {"zip": self._office, "boxes": self._moving}
        if self._family in settle:
            return settle[self._family]()
        if self._family == "text/plain" and self._words.getstate()[0]:
            raise Refused("unknown_kind", field=FIELD)
        if self._family == "application/pdf" and b"%%EOF" not in self._tail[-SNIFFED:]:
            raise damaged(self._family)
        return self._family

    def _office(self) -> str:
        """A ZIP is taken if it is a document of one of the office suites, and without macros."""
        if not zip_ends(self._tail):
            raise damaged("application/zip")
        if b"vbaProject.bin" in self._parts:
            raise Refused("active_content", field=FIELD)
        types = {OFFICE[part] for part in self._parts if part in OFFICE}
        if not types or b"[Content_Types].xml" not in self._head + self._tail:
            raise Refused("unknown_kind", field=FIELD)
        if len(types) > 1:
            raise Refused("ambiguous_content", field=FIELD)
        return types.pop()

    def _moving(self) -> str:
        brand = self._head[8:12]
        if brand in BRANDS_STILL:
            raise Refused("unknown_kind", field=FIELD)
        if brand.startswith(BRANDS_3GP):
            mimetype = "video/3gpp"
        else:
            mimetype = "audio/mp4" if brand in BRANDS_M4A or not self._boxes.pictures else "video/mp4"
        if not self._boxes.whole(self.size):
            raise damaged(mimetype)
        return mimetype

    def _single(self, mimetype: str) -> None:
        """Refuse what another program would take for another type of file."""
        if mimetype != "application/pdf" and b"%PDF-" in self._head[:SNIFFED]:
            raise Refused("ambiguous_content", field=FIELD)
        if self._family != "zip" and zip_ends(self._tail):
            raise Refused("ambiguous_content", field=FIELD)
        if ACTIVE.search(self._head[:SNIFFED]):
            raise Refused("ambiguous_content", field=FIELD)


def zip_ends(tail: bytes) -> bool:
    """Whether a file ends as a ZIP does: with a directory's last entry, and its end."""
    end = tail.rfind(b"PK\x05\x06")
    return end >= 0 and b"PK\x01\x02" in tail[:end]


def damaged(mimetype: str) -> Refused:
    """The file is not what it begins as."""
    return Refused("damaged", field=FIELD, mimetype=mimetype)
