"""Findings about single files, whatever the layout of the dataset."""

from components.data.codes.code import NOTE, Code

_COPY = "copy it again from its source"
_CONVERT = "convert it to PNG, or remove it"
_LINK = "put the file itself in its place"
_NAME = "rename it"

CODES: dict[str, Code] = {
    # what cannot be decoded
    "empty": Code("an image", _COPY),
    "truncated": Code("a complete image", _COPY),
    "damaged": Code("an image without errors", _COPY),
    "not-an-image": Code("JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF or PPM", "convert it, or remove it"),
    "unsupported-format": Code("JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF or PPM", "convert it to PNG or JPEG, or remove it"),
    "animated": Code("one picture", "export the frame you want as PNG or JPEG"),
    "multi-page": Code("one page", "export the page you want as PNG or JPEG"),
    "unsupported-mode": Code("gray, RGB or CMYK of 8 or 16 bits a channel", "convert it to PNG, its values scaled to 0..255"),
    # what takes too much
    "too-many-pixels": Code("at most {limit:,} pixels", "shrink it, or cut it into tiles"),
    "too-many-bytes": Code("at most {limit} MiB", "shrink it, or cut it into tiles"),
    "too-small": Code("at least {limit} pixels a side", "replace it, or lower validate.min_side"),
    "too-large": Code("at most {limit} pixels a side", "shrink it, cut it into tiles, or raise validate.max_side"),
    "too-slow": Code("an image that is decoded within seconds", _CONVERT),
    "out-of-memory": Code("an image that is decoded in bounded memory", _CONVERT),
    "decoder-crashed": Code("an image that can be decoded", _CONVERT),
    # what is decoded, and odd
    "trailing-data": Code("nothing after the image", "nothing need be done; save it again to be rid of it", NOTE),
    "irregular": Code("a file that keeps to its format", "nothing need be done; save it again to be rid of it", NOTE),
    "extension-wrong": Code("a name that says the format", "rename it to end in {suffix}: other tools go by the name", NOTE),
    "exif-rotated": Code("pixels stored upright", "nothing need be done: it is turned; boxes must be those of the upright image", NOTE),
    "cmyk": Code("RGB", "convert it with its colour profile if its colours matter: here they are approximated", NOTE),
    "sixteen-bit": Code("8 bits a channel", "nothing need be done if the lower bits do not matter: they are dropped", NOTE),
    "transparent": Code("opaque pixels", "nothing need be done if white behind them is right", NOTE),
    "one-pixel": Code("more than a line", "remove it", NOTE),
    "extreme-aspect": Code("sides of at most {limit} to 1", "cut it: scaled to a square, little of it remains", NOTE),
    "constant-image": Code("something to see", "remove it, unless an empty image is meant", NOTE),
    # what is left out before it is opened
    "unreadable": Code("a file that may be read", "check that it exists and its permissions"),
    "folder-unreadable": Code("a folder that may be listed", "check its permissions"),
    "changes": Code("a file that nobody writes to", "wait until it is complete, and scan again"),
    "special-file": Code("a regular file", "remove it"),
    "extension-missing": Code("a name that ends like an image's", "rename it to end in {suffix}, and it is read"),
    "unknown-file": Code("images", "remove it", NOTE),
    "hidden-file": Code("visible names", "nothing need be done: it is left out; rename it if it belongs to the data", NOTE),
    "system-file": Code("files of the dataset", "nothing need be done: it is left out", NOTE),
    "link-outside": Code("a file of the dataset", _LINK),
    "link-broken": Code("a link to a file of the dataset", _LINK),
    "link-loop": Code("a link that ends somewhere", "remove it"),
    "link-folder": Code("a folder", "nothing need be done: what it leads to is read where it lies", NOTE),
    # names
    "name-not-utf8": Code("a name in UTF-8", f"{_NAME}, for instance with convmv"),
    "name-odd": Code("a name that every system and tool can hold", _NAME, NOTE),
    "name-too-long": Code("at most {limit} bytes", f"{_NAME}: files named after it need room for more", NOTE),
    "name-case": Code("names that differ in more than case", f"{_NAME}: on macOS and Windows one takes the other's place", NOTE),
    "name-twin": Code("names that differ in more than their Unicode form", f"{_NAME}: on macOS one takes the other's place", NOTE),
}
