"""Bad and odd image files, each with the codes it must be given: tiny, seeded, built by other encoders or by hand."""

import io
import os
import socket
import stat
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)
PICTURE = cv2.GaussianBlur(RNG.integers(0, 256, (96, 128, 3)).astype(np.uint8), (0, 0), 2)
Codes = set[str]


def encode(image: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, kind, **options)
    return buffer.getvalue()


def tagged(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, body: bytes, bits: int = 8, color: int = 0, *extra: bytes) -> bytes:
    """A PNG file whose header says what it is told to, whatever `body` holds."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + png_chunk(b"IDAT", zlib.compress(body)) + png_chunk(b"IEND", b"")


def altered(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


def jpeg_sized(data: bytes, width: int, height: int) -> bytes:
    return altered(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))


def without_tables(data: bytes) -> bytes:
    place = data.index(b"\xff\xc4")
    return altered(data, place + 1, b"\xe9")  # the Huffman table becomes an application's segment


def frames(kind: str) -> bytes:
    return encode(PICTURE, kind, save_all=True, append_images=[Image.fromarray(PICTURE[::-1].copy())])


def apng_of_one_frame() -> bytes:
    control = png_chunk(b"acTL", struct.pack(">II", 1, 0))
    frame = png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, PICTURE.shape[1], PICTURE.shape[0], 0, 0, 1, 1, 0, 0))
    return PNG[:33] + control + frame + PNG[33:]


def sixteen(channels: int, suffix: str) -> bytes:
    pixels = (PICTURE[:, :, :channels].astype(np.uint16) << 8) + 77
    done, data = cv2.imencode(suffix, pixels)
    assert done
    return data.tobytes()


def photo_with_preview() -> bytes:
    return encode(PICTURE, "MPO", save_all=True, append_images=[Image.fromarray(PICTURE[::2, ::2].copy())])


JPEG = encode(PICTURE, "JPEG", quality=90)
PROGRESSIVE = encode(PICTURE, "JPEG", quality=90, progressive=True)
PNG = encode(PICTURE)
ENCODED = {
    "jpg": JPEG,
    "jpeg": PROGRESSIVE,
    "png": PNG,
    "bmp": encode(PICTURE, "BMP"),
    "webp": encode(PICTURE, "WEBP"),
    "gif": encode(PICTURE, "GIF"),
    "tif": encode(PICTURE, "TIFF", compression="tiff_lzw"),
    "tiff": encode(PICTURE, "TIFF"),
    "ppm": encode(PICTURE, "PPM"),
    "avif": encode(PICTURE, "AVIF"),
}
SCAN = JPEG.index(b"\xff\xda") + 300  # somewhere in the compressed data
PIXELS = PNG.index(b"IDAT") + 500


def _sound() -> dict[str, bytes]:
    """What looks unusual and is sound: nothing must be found."""
    gray, palette = Image.fromarray(PICTURE[:, :, 0]), Image.fromarray(PICTURE).quantize(16)
    return {
        **{f"sound.{suffix}": data for suffix, data in ENCODED.items()},
        "upper.JPG": encode(PICTURE[1:], "JPEG"),
        "windows.jfif": encode(PICTURE[2:], "JPEG"),
        "lossless.webp": encode(PICTURE, "WEBP", lossless=True),
        "interlaced.png": encode(PICTURE, optimize=True),
        "gray.png": encode(gray),
        "gray.jpg": encode(gray, "JPEG"),
        "palette.png": encode(palette),
        "one-bit.png": encode(gray.convert("1")),
        "opaque.png": encode(Image.fromarray(PICTURE).convert("RGBA")),
        "preview.jpg": photo_with_preview(),
        "one-frame.png": apng_of_one_frame(),
        "orientation-0.jpg": encode(PICTURE, "JPEG", quality=81, exif=tagged(0)),
        "orientation-9.jpg": encode(PICTURE, "JPEG", quality=82, exif=tagged(9)),
        "no-exif.jpg": encode(PICTURE, "JPEG", quality=83, exif=b"Exif\0\0II*\0\xff\xff\xff\xff nonsense"),
        "with a space.png": encode(PICTURE[3:]),
        "\N{SMILING CAT FACE WITH HEART-SHAPED EYES}.png": encode(PICTURE[4:]),
        "\N{LATIN SMALL LETTER E WITH ACUTE}t\N{LATIN SMALL LETTER E WITH ACUTE}.png": encode(PICTURE[5:]),
        "rest\N{ZERO WIDTH JOINER}.png": encode(PICTURE[6:]),
        "two.dots.in.it.png": encode(PICTURE[7:]),
    }


def _undecodable() -> dict[str, tuple[bytes, Codes]]:
    cut = {f"cut.{suffix}": (data[: len(data) * 2 // 3], {"truncated"}) for suffix, data in ENCODED.items()}
    bad = {
        "nothing.jpg": (b"", "empty"),
        "nothing.png": (b"", "empty"),
        "no-end-marker.jpg": (JPEG[:-2], "truncated"),
        "half-end-marker.jpg": (JPEG[:-1], "truncated"),
        "header-only.jpg": (JPEG[:200], "truncated"),
        "no-last-chunk.png": (PNG[:-12], "truncated"),
        "no-last-chunk-of-a-palette.png": (encode(Image.fromarray(PICTURE).quantize(16))[:-12], "truncated"),
        "bit-flip.png": (altered(PNG, PIXELS, bytes([PNG[PIXELS] ^ 1])), "damaged"),
        "header-checksum.png": (altered(PNG, 29, b"\0\0\0\0"), "damaged"),
        "checksum-only.png": (altered(PNG, PNG.index(b"IEND") - 8, b"\1\2\3\4"), "damaged"),
        "note-checksum.png": (PNG[:33] + altered(png_chunk(b"tEXt", b"a\0b"), 11, b"\1\2\3\4") + PNG[33:], "damaged"),
        "wrong-stream.png": (png(96, 128, b"too little"), "truncated"),
        "no-pixels.png": (PNG[:33] + png_chunk(b"IEND", b""), "damaged"),
        "random-middle.jpg": (altered(JPEG, SCAN, np.random.default_rng(3).bytes(900).replace(b"\xff", b"\0")), "irregular"),
        "zeroed-middle.jpg": (altered(JPEG, SCAN, bytes(900)), "damaged"),
        "no-tables.jpg": (without_tables(encode(PICTURE, "JPEG", optimize=True)), "damaged"),
        "no-frame.jpg": (altered(JPEG, JPEG.index(b"\xff\xc0") + 1, b"\xe9"), "damaged"),
        "wild-header.webp": (altered(ENCODED["webp"], 20, b"\xff" * 20), "damaged"),
        "bad-code.gif": (altered(ENCODED["gif"], len(ENCODED["gif"]) // 2, b"\0\0\0\0"), "truncated"),
        "bad-strip.tif": (altered(ENCODED["tif"], 40, bytes(3000)), "damaged"),
        "no-directory.tif": (altered(ENCODED["tiff"], 4, b"\xff\xff\xff\x7f"), "truncated"),
        "wild-header.bmp": (altered(ENCODED["bmp"], 14, b"\xff\xff\xff\xff"), "truncated"),
        "depth-7.bmp": (altered(ENCODED["bmp"], 28, b"\7\0"), "damaged"),
        "page.jpg": (b"<!doctype html><title>404 Not Found</title>", "not-an-image"),
        "pointer.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "not-an-image"),
        "noise.jpg": (np.random.default_rng(5).bytes(4000), "not-an-image"),
        "zeros.jpg": (bytes(4096), "not-an-image"),
        "zeros.png": (bytes(50), "not-an-image"),
        "phone.jpg": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), "unsupported-format"),
        "film.jpg": (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(200), "unsupported-format"),
        "wavelets.jpg": (encode(PICTURE, "JPEG2000"), "unsupported-format"),
        "layers.png": (b"8BPS\0\1" + bytes(200), "unsupported-format"),
        "icon.bmp": (encode(PICTURE[:32, :32], "ICO"), "unsupported-format"),
        "vectors.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported-format"),
        "paper.tif": (b"%PDF-1.7\n%\xe2\xe3" + bytes(200), "unsupported-format"),
        "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unsupported-format"),
        "clinic.tif": (bytes(128) + b"DICM" + bytes(200), "unsupported-format"),
        "archive.jpg": (b"PK\3\4" + bytes(200), "unsupported-format"),
        "big.tif": (b"II+\0\x08\0\0\0" + bytes(200), "unsupported-format"),
        "light.png": (b"v/1\1" + bytes(200), "unsupported-format"),
        "two-pages.tif": (frames("TIFF"), "multi-page"),
        "two-frames.gif": (frames("GIF"), "animated"),
        "two-frames.webp": (frames("WEBP"), "animated"),
        "two-frames.png": (frames("PNG"), "animated"),
        "two-frames.avif": (frames("AVIF"), "animated"),
        "float.tif": (encode(PICTURE[:, :, 0].astype(np.float32), "TIFF"), "unsupported-mode"),
        "lab.tif": (encode(Image.fromarray(PICTURE).convert("LAB"), "TIFF"), "unsupported-mode"),
        "long.tif": (encode(PICTURE[:, :, 0].astype(np.int32) * 99_999, "TIFF"), "unsupported-mode"),
        "below-zero.tif": (encode(PICTURE[:, :, 0].astype(np.int32) - 300, "TIFF"), "unsupported-mode"),
    }
    return cut | {name: (data, {code}) for name, (data, code) in bad.items()}


def _too_much() -> dict[str, tuple[bytes, Codes]]:
    giant = struct.pack("<HH", 65535, 65535)
    text = png_chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(80_000_000), 9))
    return {
        "claims-3600-megapixels.png": (png(60_000, 60_000, b""), {"too-many-pixels"}),
        "claims-4290-megapixels.jpg": (jpeg_sized(JPEG, 65_500, 65_500), {"too-many-pixels"}),
        "claims-4294-megapixels.gif": (altered(ENCODED["gif"], 6, giant), {"too-many-pixels"}),
        "claims-400-megapixels.bmp": (altered(ENCODED["bmp"], 18, struct.pack("<ii", 20_000, 20_000)), {"too-many-pixels"}),
        "claims-400-megapixels.ppm": (b"P6 20000 20000 255\n" + bytes(99), {"too-many-pixels"}),
        "really-90-megapixels.png": (png(30_000, 3_000, (b"\0" + bytes(3_750)) * 3_000, bits=1), {"too-many-pixels"}),
        "really-80-megapixels.png": (png(10_000, 8_000, (b"\0" + bytes(10_000)) * 8_000), {"constant-image"}),
        "really-80-megapixels-of-colour.png": (
            png(10_000, 8_000, (b"\0" + bytes(40_000)) * 8_000, 8, 6),
            {"constant-image", "transparent"},
        ),
        "claims-64-megapixels.jpg": (jpeg_sized(JPEG, 8_000, 8_000), {"damaged"}),
        "claims-64-megapixels.png": (png(8_000, 8_000, b"little"), {"truncated"}),
        "long-note.png": (PNG[:33] + text + PNG[33:], {"damaged"}),
        "one.png": (encode(PICTURE[:1, :1]), {"one-pixel", "too-small"}),
        "line.png": (encode(PICTURE[:1]), {"one-pixel", "too-small"}),
        "small.png": (encode(PICTURE[:9, :30]), {"too-small"}),
        "wide.png": (encode(np.hstack([PICTURE[:20]] * 9)), {"extreme-aspect"}),
        "wider-than-allowed.png": (encode(np.hstack([PICTURE[:20]] * 160)), {"extreme-aspect", "too-large"}),
    }


def _odd() -> dict[str, tuple[bytes, Codes]]:
    picture, rgba = Image.fromarray(PICTURE), Image.fromarray(PICTURE).convert("RGBA")
    rgba.putalpha(Image.fromarray(PICTURE[:, :, 1]))
    palette = encode(picture.quantize(16), transparency=3)
    turned = {f"orientation-{n}.jpg": (encode(PICTURE, "JPEG", quality=70 + n, exif=tagged(n)), "exif-rotated") for n in range(2, 9)}
    odd = {
        **turned,
        "turned.png": (encode(PICTURE, exif=tagged(6)), "exif-rotated"),
        "turned.webp": (encode(PICTURE, "WEBP", exif=tagged(6)), "exif-rotated"),
        "turned.tif": (encode(PICTURE, "TIFF", tiffinfo={0x0112: 6}), "exif-rotated"),
        **{f"longer.{suffix}": (ENCODED[suffix] + b"behind it\0" * 9, "trailing-data") for suffix in ("jpg", "png", "gif", "webp", "bmp")},
        "album.jpg": (JPEG + b"PK\3\4" + bytes(300), "trailing-data"),
        "twice.jpg": (JPEG + JPEG, "trailing-data"),
        "gap.jpg": (JPEG[:-2] + b"\0\1\2\3" * 3 + JPEG[-2:], "irregular"),
        "really-png.jpg": (encode(PICTURE[8:]), "extension-wrong"),
        "really-jpeg.png": (encode(PICTURE[8:], "JPEG"), "extension-wrong"),
        "really-gif.jpeg": (encode(PICTURE[8:], "GIF"), "extension-wrong"),
        "really-webp.jpg": (encode(PICTURE[8:], "WEBP"), "extension-wrong"),
        "really-bmp.tif": (encode(PICTURE[8:], "BMP"), "extension-wrong"),
        "print.jpg": (encode(picture.convert("CMYK"), "JPEG"), "cmyk"),
        "print.tif": (encode(picture.convert("CMYK"), "TIFF"), "cmyk"),
        "deep-gray.png": (sixteen(1, ".png"), "sixteen-bit"),
        "deep-colour.png": (sixteen(3, ".png"), "sixteen-bit"),
        "deep-gray.tif": (sixteen(1, ".tiff"), "sixteen-bit"),
        "deep.pgm": (sixteen(1, ".pgm"), "sixteen-bit"),
        "small-numbers.tif": (encode(PICTURE[:, :, 0].astype(np.int32), "TIFF"), "sixteen-bit"),
        "glass.png": (encode(rgba), "transparent"),
        "glass.webp": (encode(rgba, "WEBP"), "transparent"),
        "glass.gif": (encode(picture.quantize(16), "GIF", transparency=3), "transparent"),
        "gray-glass.png": (encode(rgba.convert("LA")), "transparent"),
        "palette-glass.png": (palette, "transparent"),
        "black.png": (encode(np.zeros((40, 40, 3), np.uint8)), "constant-image"),
        "gray-all-over.jpg": (encode(np.full((40, 40, 3), 90, np.uint8), "JPEG"), "constant-image"),
        "red-all-over.bmp": (encode(Image.new("RGB", (40, 40), "red"), "BMP"), "constant-image"),
    }
    return {name: (data, {code}) for name, (data, code) in odd.items()}


def _unnamed() -> dict[str, tuple[bytes, Codes]]:
    return {
        "jpeg": (encode(PICTURE[9:], "JPEG"), {"extension-missing"}),
        "photo.jpg_large": (encode(PICTURE[10:], "JPEG"), {"extension-missing"}),
        "photo.jpg.bak": (encode(PICTURE[11:], "PNG"), {"extension-missing"}),
        "photo.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), {"unsupported-format"}),
        "photo.jp2": (encode(PICTURE, "JPEG2000"), {"unsupported-format"}),
        "what.xyz": (b"something else", {"unknown-file"}),
        ".hidden.png": (encode(PICTURE[12:]), {"hidden-file"}),
        "._photo.jpg": (b"\0\5\x16\7" + bytes(99), {"hidden-file"}),
        ".DS_Store": (bytes(9), {"hidden-file"}),
        "Thumbs.db": (bytes(9), {"system-file"}),
        "desktop.ini": (b"[.ShellClassInfo]", {"system-file"}),
        " leading.png": (encode(PICTURE[13:]), {"name-odd"}),
        "new\nline.png": (encode(PICTURE[14:]), {"name-odd"}),
        "tab\t.png": (encode(PICTURE[15:]), {"name-odd"}),
        "drive:c.png": (encode(PICTURE[16:]), {"name-odd"}),
        "back\\slash.png": (encode(PICTURE[17:]), {"name-odd"}),
        "gnp\N{RIGHT-TO-LEFT OVERRIDE}.png": (encode(PICTURE[18:]), {"name-odd"}),
        "n" * 251 + ".png": (encode(PICTURE[19:]), {"name-too-long"}),
        "Case.png": (encode(PICTURE[20:]), set()),
        "case.png": (encode(PICTURE[21:]), {"name-case"}),
        "cafe\N{COMBINING ACUTE ACCENT}.png": (encode(PICTURE[22:]), set()),
        "caf\N{LATIN SMALL LETTER E WITH ACUTE}.png": (encode(PICTURE[23:]), {"name-twin"}),
        "stra\N{LATIN SMALL LETTER SHARP S}e.png": (encode(PICTURE[24:]), {"name-case"}),
        "STRASSE.png": (encode(PICTURE[25:]), set()),
    }


FILES: dict[str, dict[str, tuple[bytes, Codes]]] = {
    "sound": {name: (data, set()) for name, data in _sound().items()},
    "undecodable": _undecodable(),
    "too-much": _too_much(),
    "odd": _odd(),
    "names": _unnamed(),
}


def _socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # the name of a socket may have 107 bytes at most
    try:
        with socket.socket(socket.AF_UNIX) as own:
            own.bind(path.name)
    finally:
        os.chdir(before)


def _device(path: Path) -> None:
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero, without end


def _link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


# What is no regular file, made in the folder of a class that holds `one.png`, two folders below a folder with `outside.png`.
SPECIAL: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe.jpg": (lambda path: os.mkfifo(path), "special-file"),
    "socket.jpg": (_socket, "special-file"),
    "device.jpg": (_device, "special-file"),
    "link-to-pipe.jpg": (_link_to("pipe.jpg"), "special-file"),
    "outside.png": (_link_to("../../outside.png"), "link-outside"),
    "zero.png": (_link_to("/dev/zero"), "link-outside"),
    "nowhere.png": (_link_to("not-there.png"), "link-broken"),
    "myself.png": (_link_to("myself.png"), "link-loop"),
    "to-and-fro.png": (_link_to("fro-and-to.png"), "link-loop"),
    "fro-and-to.png": (_link_to("to-and-fro.png"), "link-loop"),
    "up": (_link_to(".."), "link-loop"),
    "far": (_link_to("../.."), "link-outside"),
    "other-class": (_link_to("../sound"), "link-folder"),
}


def build(root: Path) -> None:
    """All FILES, in folders of their own kind under `root`."""
    for kind, files in FILES.items():
        folder = root / kind
        folder.mkdir(parents=True, exist_ok=True)
        for name, (data, _) in files.items():
            (folder / name).write_bytes(data)
