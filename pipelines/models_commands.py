"""`visionloop models` and `visionloop summary`: what there is, and what it is made of."""

import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from components.data.tables import CLASSIFICATION, DETECTION
from components.errors import UsageError
from components.models.sizes import usual_classes, usual_size
from pipelines.cli_shared import print_json
from pipelines.report.console import screen
from pipelines.stages.command import silent_stderr

if TYPE_CHECKING:
    import keras

    from components.models.catalog import Design
    from components.models.summary import LayerRow

NUMBERS = ("parameters", "trainable", "FLOPs", "MFLOPs", "pixels", "classes", "sees")


@dataclass(frozen=True)
class Asked:
    """Which network is asked about; None means as published."""

    architecture: str
    image_size: int | None = None
    classes: int | None = None
    head: Any = None
    frozen: bool = False


def list_models(*, as_json: bool) -> int:
    """Print every architecture with its parameters and FLOPs as published; answers 0."""
    with silent_stderr():
        from components.models import catalog
    rows = [_facts(name, task) for task, names in catalog.ARCHITECTURES.items() for name in names if name in catalog.DESCRIPTIONS]
    others = {task: [name for name in names if name not in catalog.DESCRIPTIONS] for task, names in catalog.ARCHITECTURES.items()}
    if as_json:
        more = [(task, name) for task, names in others.items() for name in names]
        print_json(rows + [{"architecture": name, "task": task, "image_size": usual_size(name)} for task, name in more])
        return 0
    columns = ("architecture", "task", "pixels", "classes", "parameters", "MFLOPs", "what")
    cells = [
        (
            row["architecture"],
            row["task"],
            row["image_size"],
            row["classes"],
            f"{row['parameters']:,}",
            _millions(row["flops"]),
            row["what"],
        )
        for row in rows
    ]
    _print_table(columns, cells, "architectures, as published")
    told = f"{', '.join(others[CLASSIFICATION])}; and vgg16, vgg19 and resnet50, which `weights: imagenet` takes from there"
    boxes = f"Detectors on them: {', '.join(others[DETECTION])}. `visionloop summary NAME` counts them."
    print(textwrap.fill(f"also, as backbones for transfer (keras.applications): {told}. {boxes}", 118))
    return 0


def _millions(flops: int) -> str:
    return f"{flops / 1e6:,.1f}" if flops < 1e7 else f"{flops / 1e6:,.0f}"


def _facts(name: str, task: str) -> dict[str, Any]:
    from components.models import catalog, summary

    network, design = _network(Asked(name))
    numbers = {"parameters": network.count_params(), "flops": summary.total_flops(network)}
    shape = {"image_size": design.image_size, "classes": design.num_classes}
    return {"architecture": name, "task": task, "what": catalog.DESCRIPTIONS[name], **shape, **numbers}


def show_summary(asked: Asked, *, as_json: bool) -> int:
    """Print the layers of an architecture; answers 0. Raises UsageError for one that nobody knows, or a size it cannot take."""
    with silent_stderr():
        from components.models import summary
    network, design = _network(asked)
    rows = summary.rows(network)
    totals = {"parameters": sum(row.parameters for row in rows), "trainable": sum(row.trainable for row in rows)}
    flops = summary.total_flops(network)
    if as_json:
        print_json({**asdict(design), **totals, "flops": flops, "layers": [asdict(row) for row in rows]})
        return 0
    columns = ("layer", "kind", "output", "side", "parameters", "trainable", "FLOPs", "sees")
    title = f"{asked.architecture}, {design.image_size} pixels, {design.num_classes} classes"
    _print_table(columns, [_cells(row) for row in rows], title)
    frozen = totals["parameters"] - totals["trainable"]
    print(f"{totals['parameters']:,} parameters: {totals['trainable']:,} trainable, {frozen:,} not; {flops:,} FLOPs an image")
    return 0


def _cells(row: "LayerRow") -> tuple[Any, ...]:
    sees = "" if row.receptive_field is None else row.receptive_field
    return (
        row.name,
        row.kind,
        "×".join(map(str, row.output)),
        row.size,
        f"{row.parameters:,}",
        f"{row.trainable:,}",
        f"{row.flops:,}",
        sees,
    )


def _network(asked: Asked) -> "tuple[keras.Model, Design]":
    from components.models import catalog, summary
    from components.models.freezing import freeze_all

    name = asked.architecture
    task = DETECTION if name in catalog.ARCHITECTURES[DETECTION] else CLASSIFICATION
    if asked.frozen and task == DETECTION:
        raise UsageError(f"--frozen is for classifiers, and {name} is a detector: leave it out")
    size, classes = asked.image_size or usual_size(name), asked.classes or usual_classes(name)
    design = catalog.Design(task, name, classes, size, 0.0, asked.head)
    network = summary.unallocated(lambda: catalog.build(design, None)[0])
    if asked.frozen:
        freeze_all(network, catalog.below_head(network, design))
    return network, design


def _print_table(columns: tuple[str, ...], cells: list[tuple[Any, ...]], title: str) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="right" if name in NUMBERS else "left")
    for row in cells:
        table.add_row(*map(str, row))
    screen().print(table)
