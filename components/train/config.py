"""What a training can be told; every field has its unit beside it in params.yaml."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainConfig:
    """One model's training. Epochs count passes over the training images.

    `keep` decides whose weights remain: those of the epoch with the lowest validation loss, or the last epoch's.
    `frozen_epochs` train only the new layers of a pretrained network; the remaining epochs fine-tune it from
    `fine_tune_from` upwards at `fine_tune_learning_rate`. With a `budget` the epochs are as many as fit into it, and
    `frozen_epochs`, `warmup_epochs` and `close_mosaic_epochs` are their shares of `epochs`.
    """

    epochs: int
    batch_size: int | Literal["auto"]
    learning_rate: float
    weight_decay: float
    schedule: Literal["cosine", "one_cycle", "linear", "plateau", "constant"]
    warmup_epochs: float
    patience: int
    keep: Literal["best", "last"]
    ema_decay: float
    mixed_precision: Literal["auto", "float32", "bfloat16", "float16"]
    label_smoothing: float
    dropout: float
    clip_norm: float
    threads: int
    frozen_epochs: int = 0
    fine_tune_from: str | None = None
    fine_tune_learning_rate: float | None = None
    budget: str | None = None
    optimizer: Literal["adamw", "sgd", "muon"] = "adamw"
    momentum: float = 0.9
    accumulate: int = 1
    class_balance: Literal["none", "weights", "sampling"] = "none"
    mixup: float = 0.0
    cutmix: float = 0.0
    mosaic: float = 0.0
    box_mixup: float = 0.0
    close_mosaic_epochs: float = 0.0
    strategy: Literal["auto", "single", "multi_worker"] = "auto"
