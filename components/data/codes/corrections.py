"""Findings about corrections.csv, the overlay of label corrections."""

from components.data.codes.code import NOTE, Code

CODES: dict[str, Code] = {
    "corrections-applied": Code("corrections that fit", "nothing need be done", NOTE),
    "correction-unreadable": Code("{form}", "correct the row, or delete it"),
    "correction-unknown-image": Code("the path of an image of the dataset{near}", "correct the path, or delete the row"),
    "correction-unknown-box": Code(
        "a box that overlaps it by IoU {least} or more", "look at the image again; correct the row, or delete it"
    ),
    "correction-unknown-class": Code("one of {names}", "correct the label; a new class needs an image of its own in the dataset first"),
    "correction-outdated": Code("{stood!r}, as when the row was written", "look at the image again; correct the row, or delete it"),
    "correction-conflict": Code("one row an image or box", "keep the row that is right"),
    "correction-idle": Code("something to correct", "delete the row", NOTE),
}
