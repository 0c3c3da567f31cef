"""When and with what a photograph was taken, as its EXIF data say."""

import re

from PIL import Image

_IFD = 0x8769
_TAKEN, _SUBSECOND = 0x9003, 0x9291
_CAMERA = (0x010F, 0x0110)  # maker, model
_SERIAL = 0xA431
_WHEN = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)")


def capture(image: Image.Image) -> tuple[str | None, str | None]:
    """`taken` (ISO 8601 local time, with its fraction of a second where there is one) and `camera` (maker, model, serial number).

    Each is None where the file does not say it, or says nonsense.
    """
    if "exif" not in image.info:
        return None, None
    try:
        exif = Image.Exif()
        exif.load(image.info["exif"])
        shot = exif.get_ifd(_IFD)
        camera = " ".join(filter(None, (_text(exif.get(tag)) for tag in _CAMERA))) or None
        serial = _text(shot.get(_SERIAL))
        return _time(_text(shot.get(_TAKEN)), _text(shot.get(_SUBSECOND))), f"{camera} {serial}" if camera and serial else camera
    except Exception:  # whatever a parser of foreign bytes may come up with
        return None, None


def _text(value: object) -> str:
    return " ".join(value.replace("\0", " ").split()) if isinstance(value, str) else ""


def _time(taken: str, fraction: str) -> str | None:
    match = _WHEN.fullmatch(taken)
    if match is None or match[1] == "0000":
        return None
    return f"{match[1]}-{match[2]}-{match[3]}T{match[4]}" + (f".{fraction}" if fraction.isdigit() else "")
