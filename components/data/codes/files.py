"""Findings about single files, whatever the layout of the dataset."""

from components.data.codes.code import NOTE, Code

_COPY = "copy it again from its source"

CODES: dict[str, Code] = {
    "empty": Code("an image", _COPY),
    "truncated": Code("a complete image", _COPY),
    "not-an-image": Code("JPEG, PNG, WebP, BMP, TIFF or GIF", "convert it, or remove it"),
    "animated": Code("one picture", "export the frame you want as PNG or JPEG"),
    "too-many-pixels": Code("at most {limit:,} pixels", "shrink it, or cut it into tiles"),
    "too-many-bytes": Code("at most {limit} MiB", "shrink it, or cut it into tiles"),
    "unsupported-mode": Code("8 or 16 bits a channel", "convert it to PNG"),
    "decoder-crashed": Code("an image that can be decoded", "remove it, or convert it to PNG"),
    "unreadable": Code("a file that may be read", "check that it exists and its permissions"),
    "too-small": Code("at least {limit} pixels a side", "replace it, or lower validate.min_side"),
    "too-large": Code("at most {limit} pixels a side", "shrink it, cut it into tiles, or raise validate.max_side"),
    "unknown-file": Code("images", "remove it", NOTE),
    "link-outside": Code("a file of the dataset", "put the file itself in its place"),
}
