"""The optimizers that a training may choose from."""

import keras

from components.train.config import TrainConfig


def build_optimizer(config: TrainConfig) -> keras.optimizers.Optimizer:
    """AdamW (https://arxiv.org/abs/1711.05101), or SGD with Nesterov momentum and the same decoupled weight decay.

    Biases and the parameters of normalisations do not decay (https://arxiv.org/abs/1812.01187). In float16 the loss is
    scaled by as much as the gradients bear.
    """
    common = {"weight_decay": config.weight_decay, "global_clipnorm": config.clip_norm or None}
    if config.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(config.learning_rate, momentum=config.momentum, nesterov=config.momentum > 0, **common)
    else:
        optimizer = keras.optimizers.AdamW(config.learning_rate, **common)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return keras.optimizers.LossScaleOptimizer(optimizer) if keras.config.dtype_policy().name == "mixed_float16" else optimizer
