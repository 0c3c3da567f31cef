"""Findings about a dataset as a whole: copies, classes, splits."""

from components.data.codes.code import NOTE, Code

CODES: dict[str, Code] = {
    "duplicate": Code("each image once", "nothing need be done: it is left out", NOTE),
    "conflicting-labels": Code("one class an image", "keep it in the right class only"),
    "in-two-splits": Code("each image in one split", "remove it from all but one, or set split.on_leak to repair", NOTE),
    "near-copy": Code("each picture once", "nothing need be done: both stay in one split", NOTE),
    "near-copy-other-class": Code("one class a picture", "look at both, and correct the wrong label", NOTE),
    "near-copy-in-two-splits": Code("each picture in one split", "remove one, or set split.on_leak to repair", NOTE),
    "look-alikes": Code(
        "pictures that differ", "name what belongs together by data.{task}.group_pattern, or by data.{task}.group_column of a CSV dataset", NOTE
    ),
    "empty-class": Code("images in every class folder", "add images, or remove the folder", NOTE),
    "class-unused": Code("a label of every class", "label some, or remove the class", NOTE),
    "class-of-one": Code("at least 2 images of every class", "add images: what is trained on cannot be tested on", NOTE),
    "one-class": Code("at least 2 classes to tell apart", "add images of another class", NOTE),
    "imbalance": Code("at most {limit} to 1 between classes", "add images of the smaller classes, or judge by recall of each class", NOTE),
    "class-not-in-split": Code("every class in every split", "add images of it there, or leave the class out", NOTE),
}
