"""How far a training is, in numbers that JSON can hold exactly."""

from dataclasses import dataclass, field
from typing import Any

from components.augment.clipping import BoxCounts
from components.train.config import TrainConfig
from components.train.schedule import Patience, Plateau

Numbers = dict[str, float]


@dataclass
class Progress:
    """The next batch's number over all epochs and phases, the seconds used, the epochs told, and what was best.

    `fresh` is whether the present phase has not begun, so that there is no optimizer's state to go on from. From batch
    `closed` on no picture is composed of several (None: not known yet); `box_counts` are of what was trained on.
    """

    patience: Patience
    plateau: Plateau
    phase: int = 0
    fresh: bool = True
    batch: int = 0
    used: float = 0.0
    validating: float = 0.0
    closed: int | None = None
    box_counts: BoxCounts = field(default_factory=BoxCounts)
    rows: list[Numbers] = field(default_factory=list)

    @classmethod
    def start(cls, config: TrainConfig) -> "Progress":
        """The beginning of a training."""
        return cls(Patience(config.patience), _plateau(config))

    def begin_phase(self, config: TrainConfig) -> None:
        """Wait anew for improvement, at the phase's own learning rate."""
        self.patience.waited = 0
        self.plateau = _plateau(config)

    def to_json(self) -> dict[str, Any]:
        """Everything, for `from_json`."""
        plain = {name: value for name, value in vars(self).items() if name not in ("patience", "plateau", "box_counts")}
        return {
            **plain,
            "box_counts": vars(self.box_counts),
            "patience": vars(self.patience),
            "plateau": {"factor": self.plateau.factor, "patience": vars(self.plateau.patience)},
        }

    @classmethod
    def from_json(cls, found: dict[str, Any], config: TrainConfig) -> "Progress":
        """What `to_json` answered."""
        progress = cls.start(config)
        vars(progress).update({name: value for name, value in found.items() if name not in ("patience", "plateau", "box_counts")})
        progress.box_counts = BoxCounts(**found["box_counts"])
        vars(progress.patience).update(found["patience"])
        progress.plateau.factor = found["plateau"]["factor"]
        vars(progress.plateau.patience).update(found["plateau"]["patience"])
        return progress


@dataclass(frozen=True)
class Outcome:
    """How a training ended: epochs run, the best of them (counted from 0), its validation loss, seconds of the clock.

    `box_counts`: what augmentation did to the boxes of all pictures that were shown.
    """

    epochs: int
    best_epoch: int
    best_loss: float
    seconds: float
    stopped_early: bool
    box_counts: BoxCounts = field(default_factory=BoxCounts)


def _plateau(config: TrainConfig) -> Plateau:
    return Plateau(max(config.patience // 2, 1) if config.schedule == "plateau" else 0)
