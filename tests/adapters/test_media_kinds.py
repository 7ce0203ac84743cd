"""What a file is, its content says; what is unclear, unsafe, damaged or too large is refused with a rule."""

import io
import zlib
from collections.abc import Iterator

import pytest
from PIL import Image

from adapters import media_images
from adapters.media_images import MOST_PIXELS, read_image
from adapters.media_kinds import TYPES, Found, Inspector, kinds_of
from domain.content import MediaKind
from domain.message import Refused
from tests.adapters.files import FILES, PDF, TEXT, box, image, movie, mp3, office

LIMITS = dict.fromkeys(MediaKind, 1_000_000)


def inspect(data: bytes, step: int = 1_000_000) -> Found:
    inspector = Inspector(LIMITS)
    for start in range(0, len(data), step):
        inspector.feed(data[start : start + step])
    return inspector.finish()


def refusal(data: bytes, step: int = 1_000_000) -> str:
    with pytest.raises(Refused) as refused:
        inspect(data, step)
    assert refused.value.field == "content"
    return refused.value.rule


@pytest.mark.parametrize("step", [7, 64, 1_000_000])
@pytest.mark.parametrize("name", FILES)
def test_a_file_is_what_its_content_says_however_it_is_cut(name: str, step: int) -> None:
    mimetype, data = FILES[name]
    assert inspect(data, step).mimetype == mimetype


def test_every_type_that_can_be_sent_is_tried() -> None:
    assert {mimetype for mimetype, _ in FILES.values()} == set(TYPES)


def test_an_image_tells_its_size() -> None:
    found = inspect(image("PNG", (33, 7)))
    assert (found.width, found.height, found.kind) == (33, 7, MediaKind.IMAGE)


def test_only_opus_may_be_a_voice_note_and_everything_may_be_a_document() -> None:
    assert [name for name in TYPES if MediaKind.VOICE in kinds_of(name)] == ["audio/ogg"]
    assert all(MediaKind.DOCUMENT in kinds_of(name) for name in TYPES)


@pytest.mark.parametrize("name", sorted(set(FILES) - {"text", "amr", "opus", "mp3", "mp3 with a tag", "aac"}))
def test_what_was_cut_short_is_damaged(name: str) -> None:
    data = FILES[name][1]
    assert refusal(data[: len(data) * 3 // 4]) == "damaged"


def test_boxes_without_end_are_damage() -> None:
    assert inspect(movie() + box(b"free") * 100).mimetype == "video/mp4"
    assert refusal(movie() + b"".join(box(number.to_bytes(4, "big")) for number in range(100_001))) == "damaged"


def test_what_is_not_an_image_behind_its_first_bytes_is_damaged() -> None:
    assert refusal(b"\xff\xd8\xff\xe0" + bytes(500)) == "damaged"
    assert refusal(b"\x89PNG\r\n\x1a\n" + bytes(500)) == "damaged"
    assert refusal(b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(500)) == "damaged"


def active() -> Iterator[bytes]:
    yield b"<!DOCTYPE html><html><body>Hello</body></html>"
    yield b"\n\n  <HTML>"
    yield b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
    yield b'<?xml version="1.0"?><svg/>'
    yield b"<!-- a comment -->" + b" " * 5_000 + b"<svg>"
    yield b"Dear reader" * 1_000 + b"<script>alert(1)</script>"
    yield "\ufeff<svg/>".encode()
    yield b"< script>"


@pytest.mark.parametrize("step", [5, 1_000_000])
@pytest.mark.parametrize("data", list(active()))
def test_what_a_browser_would_run_is_refused(data: bytes, step: int) -> None:
    assert refusal(data, step) == "active_content"


def test_macros_are_refused() -> None:
    assert refusal(office("word/document.xml", "word/vbaProject.bin")) == "active_content"


def ambiguous() -> Iterator[bytes]:
    archive = office("word/document.xml")
    yield image("JPEG") + archive
    yield image("PNG") + archive
    yield PDF + archive + b"\n%%EOF"
    yield movie() + box(b"free", archive)
    yield mp3() + archive
    yield b"#!AMR\n" + PDF
    yield b"ID3\x04\x00\x00\x00\x00\x00\x00<html><script>alert(1)</script>" + mp3()
    yield PDF.replace(b"1 0 obj", b"<script>alert(1)</script>")
    yield office("word/document.xml", "xl/workbook.xml")
    yield office("%PDF-1.7", "word/document.xml")


@pytest.mark.parametrize("data", list(ambiguous()))
def test_what_two_programs_would_take_for_two_things_is_refused(data: bytes) -> None:
    assert refusal(data) == "ambiguous_content"


def unknown() -> Iterator[bytes]:
    yield b"MZ" + bytes(200)
    yield b"\x7fELF" + bytes(200)
    yield b"GIF89a" + bytes(200)
    yield box(b"ftyp", b"heic", bytes(4), b"mif1heic") + box(b"meta", bytes(200)) + box(b"mdat", bytes(200))
    yield office("AndroidManifest.xml")
    yield b"Rar!\x1a\x07\x01\x00" + bytes(100)
    yield "Grüße".encode("utf-16")
    yield "Grüße".encode("latin-1")
    yield TEXT + b"\xc3"
    yield b"\xff\xfb\x90\x00" + bytes(500)
    yield b"OggS" + bytes(24) + b"\x01vorbis" + bytes(100)


@pytest.mark.parametrize("data", list(unknown()))
def test_what_is_none_of_the_known_is_refused(data: bytes) -> None:
    assert refusal(data) == "unknown_kind"


def test_an_empty_file_is_refused() -> None:
    assert refusal(b"") == "empty_file"


def test_a_limit_holds_for_its_kind_as_soon_as_it_is_passed() -> None:
    inspector = Inspector({**LIMITS, MediaKind.IMAGE: 5_000})
    inspector.feed(b"\xff\xd8\xff" + bytes(4_997))
    with pytest.raises(Refused) as refused:
        inspector.feed(b"\x00")
    assert (refused.value.rule, refused.value.detail) == ("file_too_large", {"kind": "image", "maximum": 5_000})


def test_an_image_of_too_many_pixels_is_never_opened() -> None:
    side = int(MOST_PIXELS**0.5) + 1
    header = (side).to_bytes(4, "big") * 2
    plain = image("PNG")
    crc = zlib.crc32(b"IHDR" + header + plain[24:29]).to_bytes(4, "big")
    assert refusal(plain[:16] + header + plain[24:29] + crc + plain[33:]) == "too_many_pixels"


def test_a_jpeg_that_goes_through_its_pixels_again_and_again_is_not_opened() -> None:
    progressive = io.BytesIO()
    Image.new("L", (64, 64), 128).save(progressive, "JPEG", progressive=True)
    data = progressive.getvalue()
    scan, end = data[data.rindex(b"\xff\xda") : -2], data[-2:]
    assert read_image(data, "image/jpeg") == read_image(data[:-2] + scan * 50 + end, "image/jpeg")
    with pytest.raises(Refused, match="too_costly"):
        read_image(data[:-2] + scan * 200 + end, "image/jpeg")


def test_an_image_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_images, "PATIENCE", 0.001)
    with pytest.raises(Refused, match="too_costly"):
        read_image(image("PNG"), "image/png")
