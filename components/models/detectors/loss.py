"""What a detector learns by."""

from typing import Any

import keras
from keras import ops

from components.models.detectors.assign import assign
from components.models.detectors.decode import STRIDES, anchor_grid, decode_boxes

BOX_WEIGHT = 2.0  # as in RTMDet (https://arxiv.org/abs/2212.07784)


@keras.saving.register_keras_serializable(package="visionloop")
class DetectionLoss(keras.losses.Loss):  # type: ignore[misc]
    """Complete IoU for the boxes, quality focal loss for the classes, over task-aligned anchors.

    y_true (B, M, 5) float32 rows class, x_min, y_min, x_max, y_max in 0..1 of the letterboxed square, class -1 for
    padding; y_pred the raw rows (B, A, 4 + C) of `build_yolo`. Both terms are divided by the batch's summed quality
    (at least 1), as in TOOD (https://arxiv.org/abs/2108.07755). Finite for every batch, one without boxes included.
    """

    def __init__(self, num_classes: int, image_size: int, name: str = "detection_loss", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.num_classes = num_classes
        self.image_size = image_size

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One loss an image, (B,)."""
        boxes, logits = decode_boxes(y_pred, self.image_size), y_pred[..., 4:]
        classes, truth = self._labels(y_true)
        centres, _ = anchor_grid(self.image_size)
        target = assign(
            ops.stop_gradient(ops.sigmoid(logits)),
            ops.stop_gradient(boxes),
            classes,
            truth,
            ops.convert_to_tensor(centres),
            2.0 * STRIDES[0],
        )
        quality = ops.stop_gradient(target.quality)
        per_image = BOX_WEIGHT * box_loss(target.boxes, boxes, quality)
        per_image += quality_focal_loss(ops.one_hot(target.classes, self.num_classes) * quality[..., None], logits)
        images = ops.cast(ops.shape(y_pred)[0], quality.dtype)
        return per_image * images / ops.maximum(ops.sum(quality), 1.0)

    def _labels(self, y_true: Any) -> tuple[Any, Any]:
        """Classes (B, K + 1) and corners in pixels (B, K + 1, 4) of the K rows that some image of the batch needs.

        The row of padding added makes K = 0 no special case.
        """
        y_true = ops.pad(y_true, [[0, 0], [0, 1], [0, 0]], constant_values=-1.0)
        places = ops.arange(1, ops.shape(y_true)[1] + 1)
        needed = ops.max(ops.where(y_true[..., 0] >= 0, places, 0))
        y_true = y_true[:, : needed + 1]
        return ops.cast(y_true[..., 0], "int32"), ops.clip(y_true[..., 1:], 0.0, 1.0) * self.image_size

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to build it again."""
        return {**super().get_config(), "num_classes": self.num_classes, "image_size": self.image_size}


def box_loss(truth: Any, boxes: Any, quality: Any) -> Any:
    """Sum of quality * (1 - CIoU) over the anchors, (B,), of corners (B, A, 4) in pixels and quality (B, A).

    CIoU: Zheng et al. 2020, https://arxiv.org/abs/1911.08287. Anchors of quality 0 take part with a unit box in place
    of both, so that no overflow of theirs reaches the gradient.
    """
    used = (quality > 0)[..., None]
    unit = ops.convert_to_tensor([0.0, 0.0, 1.0, 1.0], boxes.dtype)
    overlap = keras.utils.bounding_boxes.compute_ciou(ops.where(used, truth, unit), ops.where(used, boxes, unit), "xyxy")
    return ops.sum(quality * (1.0 - overlap), axis=-1)


def quality_focal_loss(target: Any, logits: Any) -> Any:
    """Sum of (target - score)^2 * binary cross-entropy over anchors and classes, (B,), of (B, A, C); targets are soft, 0..1.

    Li et al. 2020, https://arxiv.org/abs/2006.04388, with beta = 2: thousands of anchors that are sure to be background
    would else keep down a class that has few and small boxes.
    """
    entropy = ops.maximum(logits, 0.0) - logits * target + ops.log1p(ops.exp(-ops.abs(logits)))
    return ops.sum(ops.square(target - ops.sigmoid(logits)) * entropy, axis=(1, 2))
