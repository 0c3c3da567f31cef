"""How models are measured and shown."""

from dataclasses import dataclass

from components.errors import UsageError


@dataclass(frozen=True)
class Evaluate:
    """The block `evaluate:` of params.yaml.

    `rounds` of the bootstrap that gives the intervals; `slices`: columns of the images table by which to slice too;
    `slice_images`: of a slice that the search for the worst considers, at least; `robustness_images`: of the test set that
    are shown corrupted, at most.
    """

    top_k: int
    calibration_bins: int
    worst: int
    latency_images: int
    rounds: int
    slices: list[str]
    slice_images: int
    robustness_images: int


def refuse_impossible(knobs: Evaluate, source: str) -> None:
    """Raise UsageError for numbers that measure nothing; `source` says whose they are."""
    least = {"top_k": 1, "calibration_bins": 1, "worst": 0, "latency_images": 1, "rounds": 100, "slice_images": 2, "robustness_images": 0}
    for name, limit in least.items():
        if getattr(knobs, name) < limit:
            raise UsageError(f"{source}.{name} is {getattr(knobs, name)}, expected {limit} or more")
