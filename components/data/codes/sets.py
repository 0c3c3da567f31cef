"""Findings about a dataset as a whole: copies, classes, splits."""

from components.data.codes.code import NOTE, Code

CODES: dict[str, Code] = {
    "duplicate": Code("each image once", "nothing need be done: it is left out", NOTE),
    "conflicting-labels": Code("one class an image", "keep it in the right class only"),
    "empty-class": Code("images in every class folder", "add images, or remove the folder", NOTE),
    "class-unused": Code("a label of every class", "label some, or remove the class", NOTE),
}
