"""What the stages of one model share: which model is meant, and how its facts are written."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import UsageError

if TYPE_CHECKING:
    from pipelines.settings import Model, Settings


def chosen(settings: "Settings", name: str) -> "Model":
    """The model of params.yaml by its name. Raises UsageError with the names there are."""
    if name not in settings.models:
        raise UsageError(f"no model {name!r} in params.yaml; its `models:` are {', '.join(settings.models)}")
    return settings.models[name]


def parameters(model: "Model") -> dict[str, Any]:
    """The model's block, flattened, as runs record it."""
    block = {key: value for key, value in asdict(model).items() if key not in ("train", "name")}
    return {**block, **asdict(model.train)}


def in_a_line(numbers: Mapping[str, float | None]) -> str:
    """Numbers by name as logs show them, without those that are not known."""
    return "  ".join(f"{key} {value:.4g}" for key, value in numbers.items() if value is not None)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON that people can read."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
