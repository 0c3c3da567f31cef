"""What an image file's bytes tell without its pixels: where the image ends, whether checksums hold, what a file really is."""

import re
import struct
import zlib
from collections.abc import Callable, Iterator

# Suffixes that name a format; the first is the one to choose.
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
}
# What a file begins with, from a byte on: formats that are decoded, then formats that are not.
_SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (8, b"WEBP", "WEBP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (4, b"ftypavif", "AVIF"),
    (0, b"BM", "BMP"),
    (4, b"ftypheic", "HEIF"),
    (4, b"ftypheix", "HEIF"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmsf1", "HEIF"),
    (4, b"ftypavis", "AVIF sequence"),
    (4, b"ftypcrx ", "Canon raw"),
    (4, b"ftyp", "MP4 or QuickTime video"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xffO\xffQ", "JPEG 2000"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"8BPS", "Photoshop"),
    (0, b"gimp xcf", "GIMP"),
    (0, b"II+\0", "BigTIFF"),
    (0, b"MM\0+", "BigTIFF"),
    (0, b"\0\0\1\0", "ICO"),
    (0, b"DDS ", "DDS"),
    (0, b"v/1\1", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"SIMPLE  =", "FITS"),
    (128, b"DICM", "DICOM"),
    (0, b"%!PS", "PostScript"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
    (0, b"PK\3\4", "ZIP archive"),
    (0, b"\x1f\x8b", "gzip archive"),
)
HEAD = 132  # bytes that `signature` needs
_KNOWN = frozenset(SUFFIXES)
_JPEG_END = re.compile(rb"\xff\xd9")


def signature(head: bytes) -> str | None:
    """The format that a file's first HEAD bytes say, by name; None when they say nothing."""
    return next((name for start, mark, name in _SIGNATURES if head[start : start + len(mark)] == mark), None)


def is_decoded(name: str) -> bool:
    """Whether `components.data.decode` reads the format."""
    return name in _KNOWN


def end(data: bytes, name: str) -> int | None:
    """The offset where the image of a decodable file ends, beyond its last byte where the file ends before.

    None where its format does not say, or its structure cannot be followed.
    """
    try:
        return _ENDS[name](data) if name in _ENDS else None
    except (IndexError, struct.error):
        return None


def png_fault(data: bytes) -> tuple[str, str] | None:
    """Code and words for a PNG file that lacks its last chunk or has one whose checksum does not hold: Pillow reads both."""
    for kind, start, stop in _png_chunks(data):
        if zlib.crc32(data[start + 4 : stop - 4]) != int.from_bytes(data[stop - 4 : stop], "big"):
            return "damaged", f"has a chunk {kind.decode('latin-1')!r} at byte {start} that fails its checksum"
        if kind == b"IEND":
            return None
    return "truncated", "has no last chunk (IEND)"


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and end of each complete chunk, the length before and the checksum behind it included."""
    start = 8
    while (stop := start + 12 + int.from_bytes(data[start : start + 4], "big")) <= len(data):
        yield data[start + 4 : start + 8], start, stop
        start = stop


def _png_end(data: bytes) -> int | None:
    return next((stop for kind, _, stop in _png_chunks(data) if kind == b"IEND"), None)


def _jpeg_end(data: bytes) -> int | None:
    """After the first end marker behind the first scan's header: compressed data cannot contain one."""
    start = 2
    while data[start] == 0xFF and data[start + 1] != 0xDA:
        start += 1 if data[start + 1] == 0xFF else 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    found = _JPEG_END.search(data, start)  # several times as fast as bytes.find
    return None if found is None else found.end()


def _gif_end(data: bytes) -> int | None:
    start = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while data[start] != 0x3B:
        if data[start] == 0x2C:
            start += 11 + (3 << (data[start + 9] & 7) + 1 if data[start + 9] & 0x80 else 0)
        elif data[start] == 0x21:
            start += 2
        else:
            return None
        while data[start]:
            start += 1 + data[start]
        start += 1
    return start + 1


def _webp_end(data: bytes) -> int:
    size = int.from_bytes(data[4:8], "little")
    return 8 + size + size % 2


def _bmp_end(data: bytes) -> int | None:
    """What the header says, where that is not less than its pixels need: many writers leave it wrong."""
    size, _, first, header, width, height, _, bits, compression = struct.unpack("<IIIIiiHHI", data[2:34])
    need = first + (width * bits + 31) // 32 * 4 * abs(height)
    return size if header >= 40 and compression == 0 and size >= need else None


def _tiff_end(data: bytes) -> int | None:
    """Where the first directory begins, if the file ends before: most of a TIFF file's parts may lie anywhere."""
    first = int.from_bytes(data[4:8], "little" if data[:2] == b"II" else "big") + 2
    return first if first > len(data) else None


def _boxes_end(data: bytes) -> int | None:
    """Where the boxes of an ISO base media file end, if the file ends before."""
    start = 0
    while 8 <= (size := int.from_bytes(data[start : start + 4], "big")) and start < len(data):
        start += size
    return start if start > len(data) else None


_ENDS: dict[str, Callable[[bytes], int | None]] = {
    "JPEG": _jpeg_end,
    "PNG": _png_end,
    "GIF": _gif_end,
    "WEBP": _webp_end,
    "BMP": _bmp_end,
    "TIFF": _tiff_end,
    "AVIF": _boxes_end,
}
