"""Which layers of a pretrained network learn.

Batch normalisation of a pretrained network keeps its statistics in every phase (`trainable = False` makes Keras run
it in inference mode): a fine-tuning set is too small to estimate them anew.
"""

import keras

from components.errors import UsageError


def freeze_all(model: keras.Model, pretrained: list[str]) -> None:
    """Let only the layers learn that are not named in `pretrained`."""
    for layer in model.layers:
        layer.trainable = layer.name not in pretrained


def unfreeze_from(model: keras.Model, pretrained: list[str], start: str | None) -> None:
    """Let the pretrained layers learn from the first whose name begins with `start` (None: all), batch-norm excepted.

    Raises UsageError when no pretrained layer's name begins so.
    """
    names = [layer.name for layer in model.layers if layer.name in pretrained]
    first = next((index for index, name in enumerate(names) if start is None or name.startswith(start)), None)
    if first is None:
        raise UsageError(f"fine_tune_from is {start!r}, but no pretrained layer's name begins so; they are {names}")
    learning = set(names[first:])
    for layer in model.layers:
        if layer.name in pretrained:
            layer.trainable = layer.name in learning
            for part in layer._flatten_layers():  # a block of Keras' ConvNeXt is a model of its own
                if isinstance(part, keras.layers.BatchNormalization):
                    part.trainable = False
