"""`visionloop models` and `visionloop summary`: what there is, and what it is made of."""

import json
from typing import Any

from components.errors import UsageError
from pipelines.report.console import screen
from pipelines.stages.command import silent_stderr

SIZES = {"cnn": 32, "efficientnet_lite0": 224, "yolo": 320, "yolo_lite0": 320}  # pixels, as published or as trained here
CLASSES = 10


def list_models(*, as_json: bool) -> int:
    """Print every architecture with its parameters and FLOPs at its usual input size; answers 0."""
    with silent_stderr():
        from components.models import catalog, summary
    rows = []
    for task, names in catalog.ARCHITECTURES.items():
        for name in names:
            network, _ = catalog.build(catalog.Design(task, name, CLASSES, SIZES[name], 0.0), None)
            numbers = {"image_size": SIZES[name], "parameters": network.count_params(), "flops": summary.total_flops(network)}
            rows.append({"architecture": name, "task": task, "what": catalog.DESCRIPTIONS[name], **numbers})
    if as_json:
        print(json.dumps(rows, indent=2))
        return 0
    columns = ("architecture", "task", "pixels", "parameters", "MFLOPs", "what")
    cells = [
        (row["architecture"], row["task"], row["image_size"], f"{row['parameters']:,}", f"{row['flops'] / 1e6:,.0f}", row["what"])
        for row in rows
    ]
    _print_table(columns, cells, f"architectures, at {CLASSES} classes")
    return 0


def show_summary(architecture: str, image_size: int | None, classes: int, *, as_json: bool) -> int:
    """Print the layers of an architecture; answers 0. Raises UsageError for one that nobody knows."""
    with silent_stderr():
        from components.models import catalog, summary
    tasks = [task for task, names in catalog.ARCHITECTURES.items() if architecture in names]
    if not tasks:
        raise UsageError(f"no architecture {architecture!r}; known: {', '.join(SIZES)} (see `visionloop models`)")
    network, _ = catalog.build(catalog.Design(tasks[0], architecture, classes, image_size or SIZES[architecture], 0.0), None)
    rows = summary.rows(network)
    if as_json:
        print(json.dumps([row.__dict__ for row in rows], indent=2))
        return 0
    cells = [(row.name, row.kind, "×".join(map(str, row.output)), f"{row.parameters:,}", f"{row.flops:,}") for row in rows]
    _print_table(("layer", "kind", "output", "parameters", "FLOPs"), cells, f"{architecture}, {classes} classes")
    print(f"{network.count_params():,} parameters, {summary.total_flops(network):,} FLOPs an image")
    return 0


def _print_table(columns: tuple[str, ...], cells: list[tuple[Any, ...]], title: str) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="right" if name in ("parameters", "FLOPs", "MFLOPs", "pixels") else "left")
    for row in cells:
        table.add_row(*map(str, row))
    screen().print(table)
