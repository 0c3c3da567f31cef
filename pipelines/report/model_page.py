"""A model on one HTML page: how good, how surely, where not, and what it is made of. One file, nothing loaded from outside."""

import base64
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from pipelines.report import model_tables as tables
from pipelines.report.model_tables import panel, table

Report = Mapping[str, Any]
AS_JPEG = 120_000  # bytes of a picture from which it is made a JPEG; beyond it are photographs
QUALITY = 85
LOOKED_AT = ("worst_slice", "reliability", "robustness", "corruptions")  # pictures that stand beside their numbers
PICTURES = {
    "confusion": "which class is taken for which",
    "precision_recall": "each class's precision over recall; the dot is the operating point that validation chose",
    "f1": "each class's F1 over the confidence from which boxes count",
    "errors": "what each cause of errors costs",
    "predictions": "some test images",
    "worst_errors": "the worst errors",
    "gradcam": "what speaks for the class that was predicted, and what for the true one",
    "feature_maps": "feature maps of a test image",
    "filters": "filters of the first convolution",
}


def write_page(folder: Path, commit: str) -> None:
    """Write report.html of an evaluation folder, from its report.json and pictures/; `commit`: of the code, empty where unknown."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    body = [
        _head(report),
        panel("Headline numbers", tables.headlines(report)),
        _slices(report, folder),
        panel("Classes", tables.classes(report)),
        _calibration(report, folder),
        _errors(report),
        _robustness(report, folder),
        panel("Cost", tables.cost(report)),
        _pictures(report, folder),
        panel("Where it comes from", tables.provenance(report, commit)),
    ]
    style = "".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("data_page.css", "model_page.css"))
    text = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(report['model'])}: evaluation</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
    )
    (folder / "report.html").write_text(text + "\n".join(filter(None, body)) + "\n</main>\n</body>\n</html>\n", encoding="utf-8")


def _head(report: Report) -> str:
    metrics, limits = report["metrics"], report["intervals"]
    cards = [(tables.number(name, metrics[name]), name, tables.limits(name, limits.get(name))) for name in tables.first(report)]
    cards += [(f"{report['test_images']:,}", "test images", ""), (f"{len(report['classes']):,}", "classes", "")]
    items = "".join(f"<li><b>{escape(text)}</b>{escape(name)}<small>{escape(small)}</small></li>" for text, name, small in cards)
    lines = f"{report['task']} by {report['architecture']}; {report['metrics']['cost/parameters']:,} parameters"
    return f'<h1>{escape(report["model"])}</h1>\n<p class="soft">{escape(lines)}</p>\n<ul class="cards">{items}</ul>'


def _slices(report: Report, folder: Path) -> str:
    worst = report["worst_slice"]
    words = f'<p class="{"bad" if worst["found"] else "soft"}">{escape(worst["words"])}</p>'
    note = "Dark and bright, small and large are the thirds of the training images. Intervals hold with 95 % each, not all together."
    inside = words + picture(folder, "worst_slice", "errors of the worst slice") + tables.slices(report) + f'<p class="soft">{note}</p>'
    return panel("Slices", inside)


def _calibration(report: Report, folder: Path) -> str:
    if "temperature" not in report:
        return ""
    told = report["temperature"]
    rows = [
        (f"{split} {name}", tables.number(name, told["without"][split][name]), tables.number(name, told["with"][split][name]))
        for split in told["with"]
        for name in told["with"][split]
    ]
    words = f"Logits are divided by {told['temperature']:g}, fitted to the validation images, inside the model."
    shown = picture(folder, "reliability", "how often a prediction of a confidence is right")
    return panel("Calibration", f"<p>{escape(words)}</p>{table(('', 'without temperature', 'as served'), rows, 1)}{shown}")


def _errors(report: Report) -> str:
    if "errors" not in report:
        return ""
    rows = [(kind, f"{cause['errors']:,}", tables.number("dap50", cause["dap50"])) for kind, cause in report["errors"]["test"].items()]
    return panel("What the errors cost", table(("cause", "errors", "AP50 that is lost to it"), rows, 1))


def _robustness(report: Report, folder: Path) -> str:
    if not report.get("robustness"):
        return ""
    told = report["robustness"]
    words = (
        f"On {told['images']:,} test images, each shown under a corruption at one of five severities: {told['measure']} is "
        f"{told['clean']:.1%} of them as they are; mean corruption error {told['mean_corruption_error']:.1%}, of which "
        f"{told['relative_corruption_error']:.1%} came with the corruptions."
    )
    shown = picture(folder, "robustness", "the measure by severity") + picture(folder, "corruptions", "one test image under all of them")
    return panel("Robustness", f"<p>{escape(words)}</p>{tables.corruptions(told)}{shown}")


def _pictures(report: Report, folder: Path) -> str:
    names = [Path(name).stem for name in report["pictures"]]
    ordered = [name for name in (*PICTURES, *(name for name in names if name not in PICTURES)) if name in names and name not in LOOKED_AT]
    return panel("Pictures", "".join(picture(folder, name, PICTURES.get(name, name)) for name in ordered))


def picture(folder: Path, name: str, words: str) -> str:
    """pictures/NAME.png with its caption, its bytes in the page; nothing where it was not drawn."""
    file = folder / "pictures" / f"{name}.png"
    if not file.is_file():
        return ""
    kind, data = _encoded(file)
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<figure><img alt="{escape(words)}" src="{source}"><figcaption>{escape(words)}</figcaption></figure>'


def _encoded(file: Path) -> tuple[str, bytes]:
    data = file.read_bytes()
    if len(data) < AS_JPEG:
        return "png", data
    import cv2

    from components.data.decode import read_image

    _, smaller = cv2.imencode(".jpg", read_image(file)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return ("jpeg", smaller.tobytes()) if smaller.size < len(data) else ("png", data)
