"""Findings about labels: which file, which line."""

from components.data.codes.code import NOTE, Code

CODES: dict[str, Code] = {
    "no-class": Code("images in the folder of their class", "move it into the folder of its class, such as {place}"),
    "no-label-file": Code("a label file, empty if nothing is to be detected", "add {place}", NOTE),
    "label-not-text": Code("UTF-8 text", "export the labels again"),
    "label-unreadable": Code("{form}", "correct or delete it, or export the labels again"),
    "class-unknown": Code("0 to {last} ({names})", "correct the class, or add its name to data.yaml"),
    "label-not-allowed": Code("one of {names}", "correct the label, or add it to validate.labels"),
    "no-image": Code("an image for every annotation", "add the image, or remove the annotation"),
    "no-annotation": Code("an annotation for every image", "annotate it (without objects, if nothing is to be detected), or remove it"),
    "size-disagrees": Code("the upright image's size", "correct the size, or export the labels again"),
    "box-not-finite": Code("fractions 0..1 of the image", "correct or delete the box"),
    "box-empty": Code("x_min < x_max and y_min < y_max", "correct or delete the box"),
    "box-outside": Code("fractions 0..1 of the image", "correct or delete the box"),
    "box-duplicate": Code("each box once", "delete the repeated box", NOTE),
}
