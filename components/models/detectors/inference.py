"""The detector as it is served: photographs of any size in, boxes out, everything in one graph."""

from typing import Any

import keras
import tensorflow as tf

from components.models.layers import Letterbox, letterbox_geometry

PADDING_CLASS = -1.0


@keras.saving.register_keras_serializable(package="visionloop")
class Detections(keras.layers.Layer):  # type: ignore[misc]
    """Boxes (B, A, 4), scores (B, A, C) and the photographs (B, H, W, 3) they were found in -> detections (B, K, 6) float32.

    Boxes are corners 0..1 of the square of `size` pixels that the photographs were letterboxed into, scores 0..1.
    Rows are x_min, y_min, x_max, y_max (0..1 of the photograph), confidence (0..1) and class index, by falling
    confidence; unused rows are 0 with class -1. Non-maximum suppression is done for each class by itself.
    """

    def __init__(self, size: int, score_threshold: float, iou_threshold: float, max_detections: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.size = size
        self.score_threshold = score_threshold
        self.iou_threshold = iou_threshold
        self.max_detections = max_detections

    def call(self, inputs: Any) -> Any:
        """inputs: [boxes, scores, photographs]."""
        boxes, scores, photographs = inputs
        found = tf.image.combined_non_max_suppression(
            boxes[:, :, None, :],
            scores,
            max_output_size_per_class=self.max_detections,
            max_total_size=self.max_detections,
            iou_threshold=self.iou_threshold,
            score_threshold=self.score_threshold,
            clip_boxes=False,
        )
        shape = tf.shape(photographs)
        place = letterbox_geometry(shape[1], shape[2], self.size)
        return self.rows(found.nmsed_boxes, found.nmsed_scores, found.nmsed_classes, place)

    def rows(self, boxes: Any, scores: Any, classes: Any, place: tuple[Any, Any, Any, Any]) -> Any:
        """Detections (B, K, 6) of what suppression left: boxes (B, K, 4) in the square, scores (B, K), 0 for unused, classes (B, K).

        `place` is where the photograph lies in the square, as `letterbox_geometry` says it. Boxes are clipped and judged
        here, after the suppression: a hundred instead of thousands.
        """
        height, width, top, left = place
        origin = tf.cast(tf.stack([left, top, left, top]), tf.float32)
        extent = tf.cast(tf.stack([width, height, width, height]), tf.float32)
        corners = tf.clip_by_value((boxes * self.size - origin) / extent, 0.0, 1.0)
        used = tf.logical_and(scores > 0, tf.reduce_all(corners[..., 2:] > corners[..., :2], axis=-1))
        rows = tf.where(used[..., None], tf.concat([corners, scores[..., None]], axis=-1), 0.0)
        rows = tf.concat([rows, tf.where(used, classes, PADDING_CLASS)[..., None]], axis=-1)
        return tf.gather(rows, tf.argsort(rows[..., 4], direction="DESCENDING", stable=True), batch_dims=1)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """Shape and type of the answer, for Keras."""
        return keras.KerasTensor((inputs[0].shape[0], self.max_detections, 6), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to build it again."""
        own = ("size", "score_threshold", "iou_threshold", "max_detections")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def inference_model(
    model: keras.Model, decoding: keras.layers.Layer, score_threshold: float = 0.01, iou_threshold: float = 0.45, max_detections: int = 100
) -> keras.Model:
    """A detector for photographs (B, H, W, 3) uint8 RGB upright of any one size -> `Detections` (B, max_detections, 6).

    `model` answers raw rows for squares, `decoding` makes boxes and scores of them (`Family`). Saves and loads with
    `safe_mode=True`.
    """
    size = model.input_shape[1]
    photographs = keras.Input((None, None, 3), dtype="uint8", name="image")
    boxes, scores = decoding(model(Letterbox(size, name="letterbox")(photographs)))
    detections = Detections(size, score_threshold, iou_threshold, max_detections, name="detections")([boxes, scores, photographs])
    return keras.Model(photographs, detections, name="detector")
