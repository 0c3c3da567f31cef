"""What leaves the project: one function from photographs to an answer, preprocessing and suppression inside.

A model is saved with layers that no runtime but TensorFlow has; here it is taken apart into its network, which every
runtime computes alike, and the steps around it, which are put back in the operations that each format knows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from components.models.detectors.inference import Detections
from components.models.export.resize import cropped, letterbox_place, letterboxed
from components.models.layers import Letterbox, ResizeCrop

Answer = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True)
class Parts:
    """A served model taken apart.

    `network` maps the squares that `resize` makes (B, S, S, 3) uint8 to probabilities (B, C), or to boxes (B, A, 4) and
    scores (B, A, C); `suppression` is None for a classifier. A detector answers no box below its class' value in `least`.
    """

    resize: Letterbox | ResizeCrop
    network: keras.Model
    suppression: Detections | None
    least: tuple[float, ...]

    def answer(self, resize: Callable[[Any], Any], suppress: Callable[[list[Any]], Any] | None) -> Answer:
        """Photographs -> probabilities or detections by name, with these two steps around the network."""

        def answered(image: Any) -> dict[str, Any]:
            found = self.network(resize(image), training=False)
            if suppress is None:
                return {"probabilities": found}
            boxes, scores = found
            return {"detections": suppress([boxes, tf.where(scores >= tf.constant(self.least), scores, 0.0), image])}

        return answered


def taken_apart(served: keras.Model, least: Sequence[float] = ()) -> Parts:
    """The parts of a model that `catalog.serving_model` made. `least`: for a detector, the confidence 0..1 of each class
    from which a box is answered.
    """
    (resize,) = (layer for layer in served.layers if isinstance(layer, (Letterbox, ResizeCrop)))
    suppressions = [layer for layer in served.layers if isinstance(layer, Detections)]
    found = suppressions[0].input[:2] if suppressions else served.output
    return Parts(resize, keras.Model(resize.output, found), suppressions[0] if suppressions else None, tuple(map(float, least)))


def as_saved(parts: Parts) -> Answer:
    """Photographs (B, H, W, 3) uint8 -> probabilities (B, C) or detections (B, K, 6), by the layers that the model was saved with."""
    return parts.answer(parts.resize, parts.suppression)


def unsuppressed(parts: Parts) -> Answer:
    """The same for a detector whose boxes all stay, (B, A x C, 6): what suppression chooses from."""
    layer = parts.suppression
    assert layer is not None
    return parts.answer(parts.resize, partial(_every_box, layer))


def without_antialias(parts: Parts) -> Answer:
    """The same for ONNX, which has suppression and lacks the resize."""
    return parts.answer(_resize(parts), parts.suppression)


def of_one_photograph(parts: Parts) -> Answer:
    """The same for LiteRT, which lacks the resize and suppresses in one photograph only: (1, H, W, 3) uint8 -> (1, C) or (1, K, 6)."""
    layer = parts.suppression
    return parts.answer(_resize(parts), None if layer is None else partial(suppressed_in_one, layer))


def _every_box(layer: Detections, inputs: list[Any]) -> Any:
    boxes, scores, photographs = inputs
    count, anchors, labels = tf.shape(scores)[0], scores.shape[1], scores.shape[2]
    classes = tf.tile(tf.range(labels, dtype=tf.float32)[None], [count, anchors])
    place = letterbox_place(photographs, layer.size)
    return layer.rows(tf.repeat(boxes, labels, axis=1), tf.reshape(scores, (count, -1)), classes, place)


def _resize(parts: Parts) -> Callable[[Any], Any]:
    return partial(letterboxed if isinstance(parts.resize, Letterbox) else cropped, size=parts.resize.size)


def suppressed_in_one(layer: Detections, inputs: list[Any]) -> Any:
    """What the layer answers for one photograph, by the plain suppression, which knows no classes: once for each."""
    boxes, scores, photographs = inputs
    kept = [_kept(layer, boxes[0], scores[0, :, label]) for label in range(scores.shape[-1])]
    corners, confidences = (tf.concat(parts, axis=0) for parts in zip(*kept, strict=True))
    best, chosen = tf.math.top_k(confidences, layer.max_detections)
    labels = tf.cast(chosen // layer.max_detections, tf.float32)
    place = letterbox_place(photographs, layer.size)
    return layer.rows(tf.gather(corners, chosen)[None], best[None], labels[None], place)


def _kept(layer: Detections, boxes: Any, scores: Any) -> tuple[Any, Any]:
    """The boxes of one class (max_detections, 4) that no better one overlaps, and their scores, 0 behind the last."""
    chosen, used = tf.raw_ops.NonMaxSuppressionV4(
        boxes=boxes,
        scores=scores,
        max_output_size=layer.max_detections,
        iou_threshold=layer.iou_threshold,
        score_threshold=layer.score_threshold,
        pad_to_max_output_size=True,
    )
    return tf.gather(boxes, chosen), tf.where(tf.range(layer.max_detections) < used, tf.gather(scores, chosen), 0.0)
