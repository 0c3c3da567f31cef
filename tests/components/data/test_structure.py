"""Where files end, against what their own encoders wrote; what they are, by files of many formats."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from components.data import structure

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (21, 34, 3)).astype(np.uint8))


def encode(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    PICTURE.save(buffer, kind, **options)
    return buffer.getvalue()


ENDED = {
    "JPEG": encode("JPEG"),
    "JPEG progressive": encode("JPEG", progressive=True, quality=95),
    "JPEG restarts": encode("JPEG", restart_marker_blocks=1),
    "JPEG thumbnail": encode("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0" + encode("JPEG")),
    "PNG": encode("PNG"),
    "GIF": encode("GIF"),
    "GIF comment": encode("GIF", comment=b"a comment" * 40),
    "WEBP": encode("WEBP"),
    "WEBP lossless": encode("WEBP", lossless=True),
    "BMP": encode("BMP"),
}


@pytest.mark.parametrize("name", ENDED)
@pytest.mark.parametrize("behind", [b"", b"\0", b"more\xff\xd9", ENDED["JPEG"]])
def test_the_end_is_where_the_encoder_stopped(name: str, behind: bytes) -> None:
    data, kind = ENDED[name], name.split()[0]
    stop = structure.end(data + behind, kind)
    assert stop is not None and len(data) - 1 <= stop <= len(data), "at most a byte of padding"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "PPM"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_bytes_make_it_raise(kind: str, data: st.DataObject) -> None:
    whole = encode(kind)
    cut = data.draw(st.integers(0, len(whole)))
    place = data.draw(st.integers(0, len(whole)))
    junk = data.draw(st.binary(max_size=20))
    structure.end(whole[:cut], kind)
    structure.end(whole[:place] + junk + whole[place + len(junk) :], kind)
    structure.end(junk, kind)


def test_every_byte_of_a_png_is_under_a_checksum() -> None:
    data = ENDED["PNG"]
    assert structure.png_fault(data) is None is structure.png_fault(data + b"more")
    for place in range(8, len(data)):
        assert structure.png_fault(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        assert structure.png_fault(data[:place])


@pytest.mark.parametrize(
    ("kind", "name"),
    [("JPEG", "JPEG"), ("PNG", "PNG"), ("GIF", "GIF"), ("WEBP", "WEBP"), ("BMP", "BMP"), ("TIFF", "TIFF"), ("AVIF", "AVIF")]
    + [("JPEG2000", "JPEG 2000"), ("ICO", "ICO"), ("DDS", "DDS"), ("PDF", "PDF"), ("EPS", "PostScript")],
)
def test_files_say_what_they_are(kind: str, name: str) -> None:
    assert structure.signature(encode(kind)[: structure.HEAD]) == name
    assert structure.is_decoded(name) == (kind in structure.SUFFIXES)


def test_text_and_nothing_say_nothing() -> None:
    assert structure.signature(b"") is structure.signature(b"hello") is structure.signature(bytes(200)) is None
