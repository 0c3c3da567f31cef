"""What happens around the epochs of a training: the best weights are kept, a hopeless run ends, people see it live."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from components.errors import UsageError
from components.train.schedule import Patience

Report = Callable[[int, dict[str, float]], None]


class BestWeights(keras.callbacks.Callback):  # type: ignore[misc]
    """Keep the weights of the epoch with the lowest validation loss in a file, and stop when patience runs out.

    The file is written aside and renamed, so that it is whole whenever it exists.
    """

    def __init__(self, patience: Patience, place: Path, first_epoch: int) -> None:
        super().__init__()
        self.patience = patience
        self.place = place
        self.first_epoch = first_epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Compare `val_loss`; called by Keras."""
        if self.patience.improved(self.first_epoch + epoch, float((logs or {})["val_loss"])):
            self.place.parent.mkdir(parents=True, exist_ok=True)
            partial = self.place.with_name(f"partial.{self.place.name}")
            self.model.save_weights(partial)
            partial.replace(self.place)
        elif self.patience.exhausted:
            self.model.stop_training = True
            self.model.optimizer.use_ema = False  # or Keras puts the raw weights in place of the averages it swapped in


class RefuseNaN(keras.callbacks.Callback):  # type: ignore[misc]
    """End a training whose loss is no longer a number, and say what usually helps."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the running loss; called by Keras."""
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            remedy = "lower learning_rate, set clip_norm, or set mixed_precision: float32"
            raise UsageError(f"the training loss became {loss} at batch {batch}: {remedy}")


class TellEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    """Hand every epoch's numbers to a listener, numbered across the phases of a training."""

    def __init__(self, report: Report, first_epoch: int) -> None:
        super().__init__()
        self.report = report
        self.first_epoch = first_epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Report loss, metrics and learning rate; called by Keras."""
        numbers = {name: float(value) for name, value in (logs or {}).items()}
        numbers["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.report(self.first_epoch + epoch, numbers)
