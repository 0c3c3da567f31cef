"""`batch_size: auto`: the number that stands in its place, and stays while a training goes on."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.paths import Paths

if TYPE_CHECKING:
    from components.models.catalog import Design
    from pipelines.settings import Model

log = logging.getLogger(__name__)


def affordable(model: "Model", design: "Design", images: int) -> int:
    """As many images an update as the free memory bears, of so many training `images`."""
    from components.models import catalog
    from components.train.batch_size import free_memory, largest, step_memory

    config = model.train
    sized, _ = catalog.build(replace(design, image_size=model.train_size or model.image_size), None)
    need, free = step_memory(sized, config), free_memory()
    size = largest(need, free, images, config.accumulate)
    step = (need.fixed + need.image * size / config.accumulate) / 1e9
    log.info("%s: batch_size %d, a step needs about %.2f of %.2f GB that are free", model.name, size, step, free / 1e9)
    return size


def remember(paths: Paths, name: str, key: str) -> None:
    """A training that goes on keeps its batch size, which its `key` ends with, however much memory is free by then."""
    place = _memory(paths, name)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.write_text(key, encoding="utf-8")


def remembered(paths: Paths, name: str, key: str) -> int | None:
    """The batch size of the training of this key, without its end, that was begun before; None without one."""
    place = _memory(paths, name)
    found, _, size = place.read_text(encoding="utf-8").partition("/") if place.is_file() else ("", "", "")
    return int(size) if found == key and size.isdigit() else None


def forget(paths: Paths, name: str) -> None:
    """The training has ended, and the next one of this model chooses anew."""
    _memory(paths, name).unlink(missing_ok=True)


def _memory(paths: Paths, name: str) -> Path:
    return paths.checkpoints(name).with_name(f"{name}.training")
