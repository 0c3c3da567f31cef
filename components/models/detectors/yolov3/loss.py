"""What a YOLOv3 learns by: where the box is, whether there is one, and of which class."""

from typing import Any

import keras
from keras import ops

from components.models.detectors.assign import pairwise_iou
from components.models.detectors.yolov3.anchors import Anchors
from components.models.detectors.yolov3.decode import BOX, CLASSES, decode_boxes
from components.models.detectors.yolov3.match import Match, match

IGNORE = 0.5  # IoU above which a row that learns no box need not say that there is none


@keras.saving.register_keras_serializable(package="visionloop")
class AnchorLoss(keras.losses.Loss):  # type: ignore[misc]
    """The loss of YOLOv3 (https://arxiv.org/abs/1804.02767, sections 2.1 to 2.3), one an image.

    y_true (B, M, 5) float32 rows class, x_min, y_min, x_max, y_max in 0..1 of the letterboxed square, class -1 for
    padding; y_pred the raw rows (B, A, 5 + C). Divided by the batch's number of boxes (at least 1), so that crowded
    batches weigh no more. Finite for every batch, one without boxes included.
    """

    def __init__(self, num_classes: int, image_size: int, anchors: Anchors, name: str = "anchor_loss", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.num_classes = num_classes
        self.image_size = image_size
        self.anchors = anchors

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One loss an image, (B,)."""
        labels = _without_padding(ops.convert_to_tensor(y_true))
        classes, truth = ops.cast(labels[..., 0], "int32"), ops.clip(labels[..., 1:], 0.0, 1.0)
        target = match(truth, classes >= 0, self.anchors, self.image_size)
        said = ops.take_along_axis(y_pred, target.rows[..., None], axis=1)
        each = box_loss(target, truth, said[..., :BOX])
        each += class_loss(ops.one_hot(ops.maximum(classes, 0), self.num_classes), said[..., CLASSES:])
        found = ops.stop_gradient(decode_boxes(y_pred, self.anchors, self.image_size))
        learns_none = pairwise_iou(truth * self.image_size, found * self.image_size)
        learns_none = ops.where((classes >= 0)[..., None], learns_none, 0.0)
        per_image = ops.sum(ops.where(target.learns, each, 0.0), axis=1)
        per_image += objectness_loss(target, ops.max(learns_none, axis=1), y_pred[..., BOX])
        boxes = ops.cast(ops.sum(ops.cast(target.learns, "int32")), per_image.dtype)
        return per_image * ops.cast(ops.shape(y_pred)[0], per_image.dtype) / ops.maximum(boxes, 1.0)

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to build it again."""
        return {**super().get_config(), "num_classes": self.num_classes, "image_size": self.image_size, "anchors": self.anchors}


def _without_padding(y_true: Any) -> Any:
    """The columns of labels (B, M, 5) up to the last box of any image, one at least."""
    y_true = ops.pad(y_true, [[0, 0], [0, 1], [0, 0]], constant_values=-1.0)
    numbers = ops.arange(1, ops.shape(y_true)[1] + 1)
    last = ops.max(ops.where(y_true[..., 0] >= 0, numbers, 1))
    return y_true[:, :last]


def box_loss(target: Match, truth: Any, said: Any) -> Any:
    """What each box's row (B, M, 4) says of the place and size, (B, M).

    Cross-entropy for the offsets, half the squared error for the growth: the gradient of both is the answer less the truth,
    as the paper has it. Weighed by 2 - width * height, as in Darknet: a small box needs the more exact answer.
    """
    place = ops.sum(ops.binary_crossentropy(target.offset, said[..., :2], from_logits=True), axis=-1)
    growth = ops.sum(ops.square(said[..., 2:] - target.growth), axis=-1) / 2
    area = ops.prod(truth[..., 2:] - truth[..., :2], axis=-1)
    return (2.0 - area) * (place + growth)


def class_loss(target: Any, logits: Any) -> Any:
    """Sum of the binary cross-entropies of the classes, (B, M) of (B, M, C): one box may belong to several."""
    return ops.sum(ops.binary_crossentropy(target, logits, from_logits=True), axis=-1)


def objectness_loss(target: Match, overlap: Any, logits: Any) -> Any:
    """Sum of the rows' binary cross-entropies, (B,), of logits (B, A): 1 for rows that learn a box, 0 for the others.

    Left out are those others whose present box overlaps a true one by more than IGNORE: `overlap` (B, A) is their best IoU.
    """
    has_object = _marked(target, ops.shape(logits))
    counts = ops.logical_or(has_object, overlap <= IGNORE)
    entropy = ops.binary_crossentropy(ops.cast(has_object, logits.dtype), logits, from_logits=True)
    return ops.sum(ops.where(counts, entropy, 0.0), axis=1)


def _marked(target: Match, shape: Any) -> Any:
    """Which rows learn a box: bool (B, A)."""
    images = ops.broadcast_to(ops.arange(shape[0], dtype="int32")[:, None], ops.shape(target.rows))
    places = ops.stack([ops.reshape(images, (-1,)), ops.reshape(target.rows, (-1,))], axis=1)
    return ops.scatter(places, ops.reshape(ops.cast(target.learns, "int32"), (-1,)), shape) > 0
