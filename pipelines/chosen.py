"""A model that a command names: by its alias in the registry, by its name in params.yaml, or as a file."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data.tables import CLASSIFICATION, DETECTION
from components.errors import DataError, UsageError
from pipelines.digest import sha256
from pipelines.evidence import read_report
from pipelines.paths import Paths

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from components.data.tiles import Tiling

log = logging.getLogger(__name__)

ALIASES = ("champion", "challenger", "previous")
SUFFIX = ".keras"


@dataclass(frozen=True)
class Chosen:
    """A model ready to answer: its file, and what its evaluation says of it."""

    path: Path
    report: dict[str, Any]

    def seen(self, photograph: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
        """The square (S, S, 3) of a photograph (H, W, 3) that the model looks at."""
        from components.data.decode import letterbox, resize_crop

        size = self.report["params"]["image_size"]
        return resize_crop(photograph, size) if self.report["task"] == CLASSIFICATION else letterbox(photograph, size)[0]

    def tiles(self, photograph: "NDArray[np.uint8]", name: str) -> "tuple[NDArray[np.uint8], pd.DataFrame]":
        """The squares (N, S, S, 3) of a photograph's tiles that a detector looks at, and the tiles (the images of `Tiles`)."""
        import numpy as np

        windows, tiles = self.windows(photograph, name)
        return np.stack([self.seen(window) for window in windows]), tiles

    @property
    def tiling(self) -> "Tiling":
        """The tiles that the model looks at one by one."""
        from pipelines.stages.examples import tiling_of

        return tiling_of(self.report["params"])

    def windows(self, photograph: "NDArray[np.uint8]", name: str) -> "tuple[list[NDArray[np.uint8]], pd.DataFrame]":
        """A photograph's tiles (H, W, 3) as they are in it, the whole of it where the model has none, and the images of `Tiles`."""
        import pandas as pd

        from components.data.tiles import WINDOW, cut

        height, width = photograph.shape[:2]
        image = pd.DataFrame({"image_id": [name], "width": [width], "height": [height]})
        nothing = pd.DataFrame({"image_id": []})
        tiles = cut(image, nothing, self.tiling).images
        return [photograph[top:bottom, left:right] for left, top, right, bottom in tiles[WINDOW].to_numpy().tolist()], tiles


def choose(paths: Paths, task: str, model: str) -> Chosen:
    """A registered model by its alias, one of outputs/ by its name, or a file. Raises UsageError when there is none."""
    if model.endswith(SUFFIX):
        return _file(paths, task, Path(model))
    if model not in ALIASES:
        return _trained(paths, task, model)
    from pipelines.registry import Registry

    registry = Registry(paths)
    version = registry.at(task, model)  # type: ignore[arg-type]
    if version is None:
        raise UsageError(f"there is no {task} {model} yet: run `visionloop run --task {task}`, or name a model of params.yaml with --model")
    folder = paths.private / "registry" / version.sha256[:16]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Chosen(registry.model_file(version, folder), read_report(registry.evaluation(version, folder)))


def _trained(paths: Paths, task: str, model: str) -> Chosen:
    report = read_report(paths.evaluate(model)) if (paths.evaluate(model) / "report.json").is_file() else {}
    if report.get("task") != task:
        known = f"one of {', '.join(ALIASES)}, a model that `visionloop run` trained, or a {SUFFIX} file"
        raise UsageError(f"{model!r} is no evaluated {task} model: name {known}")
    return Chosen(paths.train(model) / f"model{SUFFIX}", report)


def _file(paths: Paths, task: str, file: Path) -> Chosen:
    """A file with the evaluation of these very weights, which lies beside it or in outputs/; else with what model.json says."""
    if not file.is_file():
        raise UsageError(f"{file} does not exist: name a {SUFFIX} file, or one of {', '.join(ALIASES)}")
    about = file.with_name("model.json")
    try:
        told = json.loads(about.read_bytes())
        report = {"model": told["name"], "task": told["params"]["task"], "classes": list(told["classes"]), "params": told["params"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = f"{about} cannot be read ({error!r})"
        raise DataError(f"{found}: it says which classes {file.name} knows; copy it from where {file.name} is from") from None
    if report["task"] != task:
        raise UsageError(f"{file} is for {report['task']}, not {task}: say --task {report['task']}")
    digest = sha256(file)
    for folder in (file.parent, paths.evaluate(told["name"])):
        if (folder / "report.json").is_file() and (evaluated := read_report(folder)).get("model_sha256") == digest:
            return Chosen(file, evaluated)
    return Chosen(file, {**report, **_unmeasured(file, report)})


def _unmeasured(file: Path, report: dict[str, Any]) -> dict[str, Any]:
    if report["task"] != DETECTION:
        return {}
    from components.evaluate.detection_points import UNMEASURED

    log.warning("no evaluation of %s is at hand: boxes count from confidence %g; its report.json beside it would say", file, UNMEASURED)
    return {"operating_points": dict.fromkeys(report["classes"], UNMEASURED)}
