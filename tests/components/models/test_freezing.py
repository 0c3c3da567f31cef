"""What learns in which phase, and that batch norm of a pretrained network stands still."""

import keras
import numpy as np
import pytest
from keras import layers

from components.errors import UsageError
from components.models.freezing import freeze_all, unfreeze_from

PRETRAINED = ["stem", "stem_bn", "block1_expand", "block1_expand_bn", "block2_expand"]


def network() -> keras.Model:
    pixels = x = keras.Input((4, 4, 3))
    for name in PRETRAINED:
        x = layers.BatchNormalization(name=name)(x) if name.endswith("_bn") else layers.Conv2D(3, 1, name=name)(x)
    x = layers.BatchNormalization(name="new_bn")(x)
    return keras.Model(pixels, layers.Dense(2, name="logits")(layers.Flatten()(x)))


def learning(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if layer.trainable_weights]


def test_frozen_only_what_is_new_learns():
    model = network()
    freeze_all(model, PRETRAINED)
    assert learning(model) == ["new_bn", "logits"]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (None, ["stem", "block1_expand", "block2_expand"]),
        ("stem", ["stem", "block1_expand", "block2_expand"]),
        ("block1", ["block1_expand", "block2_expand"]),
        ("block2", ["block2_expand"]),
    ],
)
def test_fine_tuning_starts_at_the_named_layer_without_its_batch_norm(start, expected):
    model = network()
    freeze_all(model, PRETRAINED)
    unfreeze_from(model, PRETRAINED, start)
    assert learning(model) == [*expected, "new_bn", "logits"]


def test_a_start_that_is_no_layer_is_refused_with_the_names():
    with pytest.raises(UsageError, match=r"fine_tune_from is 'block9'.*'stem', 'stem_bn'"):
        unfreeze_from(network(), PRETRAINED, "block9")


def test_a_new_layer_s_name_is_no_start():
    with pytest.raises(UsageError, match="logits"):
        unfreeze_from(network(), PRETRAINED, "logits")


@pytest.mark.parametrize("phase", ["frozen", "fine-tuning"])
def test_statistics_of_pretrained_batch_norm_stand_still_and_new_ones_move(phase):
    model = network()
    freeze_all(model, PRETRAINED)
    if phase == "fine-tuning":
        unfreeze_from(model, PRETRAINED, None)
    before = {weight.path: weight.numpy().copy() for weight in model.weights}
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    model.fit(rng.normal(3, 2, (8, 4, 4, 3)), rng.normal(size=(8, 2)), epochs=2, verbose=0)
    after = {weight.path: weight.numpy() for weight in model.weights}
    changed = {path.split("/")[-2] for path in before if (before[path] != after[path]).any()}
    assert changed == ({"new_bn", "logits"} if phase == "frozen" else {"stem", "block1_expand", "block2_expand", "new_bn", "logits"})
