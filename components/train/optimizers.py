"""The optimizers that a training may choose from."""

from typing import Any

import keras

from components.train.config import TrainConfig
from components.train.muon import Muon

MUON_STEPS = 3  # as few as https://github.com/KellerJordan/cifar10-airbench takes


def build_optimizer(config: TrainConfig) -> keras.optimizers.Optimizer:
    """AdamW (https://arxiv.org/abs/1711.05101), Muon, or SGD with Nesterov momentum; all with decoupled weight decay.

    Biases and the parameters of normalisations do not decay (https://arxiv.org/abs/1812.01187). In float16 the loss is
    scaled by as much as the gradients bear.
    """
    optimizer = _chosen(config, {"weight_decay": config.weight_decay, "global_clipnorm": config.clip_norm or None})
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return keras.optimizers.LossScaleOptimizer(optimizer) if keras.config.dtype_policy().name == "mixed_float16" else optimizer


def _chosen(config: TrainConfig, common: dict[str, Any]) -> keras.optimizers.Optimizer:
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(config.learning_rate, momentum=config.momentum, nesterov=config.momentum > 0, **common)
    if config.optimizer == "muon":
        decay = {"adam_weight_decay": config.weight_decay}
        return Muon(config.learning_rate, momentum=config.momentum, ns_steps=MUON_STEPS, **decay, **common)
    return keras.optimizers.AdamW(config.learning_rate, **common)
