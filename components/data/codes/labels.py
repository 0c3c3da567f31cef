"""Findings about labels: which file, which line."""

from components.data.codes.code import NOTE, Code

_EXPORT = "export the labels again"
_ROW = "correct or delete the row, or export the labels again"
_BOX = "correct or delete the box"

FILES: dict[str, Code] = {
    "no-class": Code("images in the folder of their class", "move it into the folder of its class, such as {place}"),
    "folders-nested": Code(
        "class folders that hold their images, or a format that says which folder is the class",
        "set data.classification.format to {other} if the other folder is meant",
        NOTE,
    ),
    "no-label-file": Code("a label file, empty if nothing is to be detected", "add {place}", NOTE),
    "no-image": Code("an image for every label", "add the image, or remove its labels"),
    "no-annotation": Code("an annotation for every image", "annotate it (without objects, if nothing is to be detected), or remove it"),
    "image-ambiguous": Code("a path that means one image", "write the path from the top of the dataset"),
    "image-listed-twice": Code("each image once", "delete the repeated entry", NOTE),
    "image-unlisted": Code("labels for every image", "list them, or remove the images", NOTE),
    "path-outside": Code("a path inside the dataset", "put the file inside the dataset and correct the path"),
    "file-ignored": Code("one file of boxes for each image", "remove it, or name it instances*.json if it is to count", NOTE),
    "label-bom": Code("UTF-8 without a mark", "nothing need be done: it is read", NOTE),
    "label-utf16": Code("UTF-8", "nothing need be done: it is read", NOTE),
    "label-crlf": Code("lines ended by LF", "nothing need be done: it is read", NOTE),
    "label-not-text": Code("UTF-8 text", "save it as UTF-8, or export the labels again"),
    "label-left-out": Code("a label file of the dataset", "put the file itself in its place"),
    "label-too-large": Code("at most {limit:g} MiB", "split it, or export the labels again"),
    "label-too-deep": Code("at most {limit} levels", _EXPORT),
    "label-unreadable": Code("{form}", "correct or delete it, or export the labels again"),
    "xml-doctype": Code("XML without DOCTYPE, in which entities can hide", "delete the DOCTYPE"),
    "size-disagrees": Code("the upright image's size", "correct the size, or export the labels again"),
    "split-unknown": Code("train, val or test", "correct it: the image is taken to be in no split", NOTE),
}

ROWS: dict[str, Code] = {
    "label-tabs": Code("values separated by single blanks", "nothing need be done: they are read", NOTE),
    "label-commas": Code("values separated by single blanks", "nothing need be done: they are read", NOTE),
    "label-decimal-comma": Code("decimals written with a point", "nothing need be done: they are read", NOTE),
    "label-negative": Code("what images show", "nothing need be done: such rows are passed over", NOTE),
    "row-short": Code("{form}", _ROW),
    "row-long": Code("{form}", _ROW),
    "not-a-number": Code("numbers such as 0.5", _ROW),
    "record-unreadable": Code("{form}", _ROW),
    "corner-missing": Code("numbers for all four corners", _BOX),
    "id-duplicate": Code("each id once", "give each image an id of its own, or export the labels again"),
    "id-repeated": Code("each id once", "give each annotation an id of its own: this one is kept", NOTE),
    "id-dangling": Code("ids of entries that the file holds", "correct the id, add the entry it names, or delete the annotation"),
    "class-missing": Code("the name of a class", "name the class, or delete the row"),
    "class-not-whole": Code("a whole number from 0 to {last} ({names})", "correct the class"),
    "class-unknown": Code("0 to {last} ({names})", "correct the class, or add its name to data.yaml"),
    "label-not-allowed": Code("one of {names}", "correct the label, or add it to validate.labels"),
    "names-count": Code("nc, the number of names", "correct nc, or the names", NOTE),
}

BOXES: dict[str, Code] = {
    "box-not-finite": Code("fractions 0..1 of the image", _BOX),
    "box-empty": Code("x_min < x_max and y_min < y_max", _BOX),
    "box-inverted": Code("x_min < x_max and y_min < y_max", "swap the corners if that is what is meant, or delete the box"),
    "box-negative": Code("width and height above 0", _BOX),
    "box-outside": Code("a box inside the image", _BOX),
    "box-overhang": Code("a box inside the image", "nothing need be done: it ends at the border", NOTE),
    "box-in-pixels": Code("fractions 0..1 of the image", "divide by the image's width and height, or export the labels again"),
    "box-in-fractions": Code("pixels", "multiply by the image's width and height, or export the labels again"),
    "box-sub-pixel": Code("a box of a pixel at least", "look whether it is meant", NOTE),
    "box-whole-image": Code("a box around an object", "look whether it is meant", NOTE),
    "box-duplicate": Code("each box once", "delete the repeated box", NOTE),
    "box-two-classes": Code("one class a box", "delete the wrong one, unless both are meant", NOTE),
    "segmentation-disagrees": Code("a bbox around the segmentation", "look which of the two is right: the bbox is taken", NOTE),
}

CODES: dict[str, Code] = {**FILES, **ROWS, **BOXES}
