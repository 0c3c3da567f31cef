"""Write a model so that equal weights give an equal file, and a reader never sees half of one."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import keras

EPOCH = (1980, 1, 1, 0, 0, 0)


def save_model(model: keras.Model, path: Path) -> None:
    """Save as `.keras`, its dates fixed and its object numbers counted from 1, written aside, fsynced and renamed."""
    partial = path.with_name(f"partial.{path.name}")
    model.save(partial)
    with zipfile.ZipFile(partial) as archive:
        entries = {name: archive.read(name) for name in sorted(archive.namelist())}
    entries["metadata.json"] = _undated(entries["metadata.json"])
    entries["config.json"] = _renumbered(entries["config.json"])
    with partial.open("wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, data in entries.items():
                archive.writestr(zipfile.ZipInfo(name, EPOCH), data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _undated(metadata: bytes) -> bytes:
    return json.dumps({**json.loads(metadata), "date_saved": "1980-01-01@00:00:00"}, sort_keys=True).encode()


def _renumbered(config: bytes) -> bytes:
    """Object numbers are memory addresses when Keras writes them; only which are equal matters."""
    numbers: dict[int, int] = {}

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: number(value) if key == "shared_object_id" else walk(value) for key, value in node.items()}
        return [walk(item) for item in node] if isinstance(node, list) else node

    def number(value: int) -> int:
        return numbers.setdefault(value, len(numbers) + 1)

    return json.dumps(walk(json.loads(config))).encode()
