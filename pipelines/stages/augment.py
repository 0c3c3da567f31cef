"""Stage `augment`: the policy each task's training images go through, judged, audited and shown on real pictures."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data import tables
from components.errors import UsageError
from pipelines.folders import replacing
from pipelines.paths import Paths
from pipelines.stages.examples import Dataset, examples, read_dataset
from pipelines.stages.models import write_json

if TYPE_CHECKING:
    from components.augment.audit import Case
    from components.augment.augmenter import Augmenter, Example
    from components.augment.pipeline import Policy
    from components.augment.safety import Judged
    from pipelines.settings import Settings

log = logging.getLogger(__name__)

NO_MODEL = {tables.CLASSIFICATION: (224, 224), tables.DETECTION: (320, 320)}  # pixels, where no model says
AUDITED = 48  # training images
EPOCHS = 2
WORST = 6


@dataclass(frozen=True)
class Plan:
    """One task's policy, what its dataset forbids (rule -> the word that declared it), and the sides of its models in pixels."""

    task: str
    chosen: Any
    policy: "Policy"
    declared: dict[str, str] | None
    models: list[tuple[int, int]]

    @property
    def name(self) -> str:
        """The policy's name as params.yaml has it."""
        return self.chosen if isinstance(self.chosen, str) else f"of {len(self.policy)} transforms"


@dataclass(frozen=True)
class Sample:
    """Some training images, what each is called, and the side they were brought to in pixels."""

    examples: "list[Example]"
    names: list[str]
    size: int
    train_size: int


@dataclass(frozen=True)
class Audit:
    """`result` is what audit.json holds; `cases`: every picture drawn, before and after, the worst first."""

    result: dict[str, Any]
    cases: "list[Case]"
    augmenter: "Augmenter"


def run(paths: Paths, settings: "Settings") -> None:
    """Write outputs/augment/<task>/: policy.json, audit.json and, where there is data, samples.png, preview.png and worst.png.

    Raises UsageError for a policy that Albumentations does not know, that no batch of some model can hold, or that
    could change a label as its dataset declares it.
    """
    for task in tables.TASKS:
        dataset = read_dataset(paths, task)
        plan = planned(paths, settings, task)
        with replacing(paths.augment(task)) as folder:
            write_json(folder / "policy.json", plan.policy)
            can = judged(plan)
            result: dict[str, Any] = {"skipped": f"data/{task} is absent"}
            if not dataset.is_absent:
                shown = sample(paths, settings, dataset, plan)
                audited = audit(plan, can, shown, settings.seed)
                draw_samples(plan, shown, len(dataset.part("train")), folder)
                draw(plan, shown, audited, settings.augment.preview_images, folder)
                result = audited.result
            write_json(folder / "audit.json", result)
        log.info("%s: %s", task, in_words(result))


def planned(paths: Paths, settings: "Settings", task: str) -> Plan:
    """What params.yaml asks of a task. Raises UsageError for a policy or a declaration that nobody knows."""
    from components.augment.effects import declared
    from components.augment.policies import resolve

    chosen, words = getattr(settings.augment, task), getattr(settings.data, task).label_safety
    try:
        policy = resolve(chosen, paths.root)
    except UsageError as error:
        raise UsageError(f"augment.{task}: {error}") from None
    rules = None if words is None else declared(words, f"data.{task}.label_safety")
    models = [(model.image_size, model.train_size or model.image_size) for model in settings.models.values() if model.task == task]
    return Plan(task, chosen, policy, rules, models or [NO_MODEL[task]])


def judged(plan: Plan) -> "list[Judged]":
    """What the policy can do, refused if it may break a batch or change a label."""
    from components.augment.safety import judge, refuse
    from components.augment.shapes import refuse_unbatchable

    key = f"augment.{plan.task}"
    try:
        for sides in sorted(set(plan.models)):
            refuse_unbatchable(plan.policy, *sides)
    except UsageError as error:
        raise UsageError(f"{key}: {error}") from None
    found = judge(plan.policy, plan.models)
    refuse(plan.policy, found, plan.declared or {}, plan.models, (key, f"data.{plan.task}.label_safety"))
    return found


def sample(paths: Paths, settings: "Settings", dataset: Dataset, plan: Plan) -> Sample:
    """AUDITED training images, drawn by the seed, at the size of the task's largest model."""
    import numpy as np

    size, train_size = max(plan.models)
    training = dataset.part("train")
    rows = np.random.default_rng(settings.seed).permutation(len(training))[:AUDITED]
    chosen = Dataset(dataset.task, dataset.classes, training.iloc[rows], dataset.boxes)
    shown = examples(paths, chosen, "train", size)
    part = chosen.part("train")
    names = [Path(path).name for path in part["path"]] if dataset.task == tables.DETECTION else part["label"].tolist()
    return Sample([shown.example(index) for index in range(len(shown))], names, size, train_size)


def audit(plan: Plan, can: "list[Judged]", shown: Sample, seed: int) -> Audit:
    """What each transform can do and does to boxes, and what training is shown of the sample."""
    from components.augment.audit import of_policy, of_transform, told
    from components.augment.augmenter import Augmenter

    augmenter = Augmenter(plan.policy, shown.size, seed, shown.train_size)
    transforms = [
        told(one.entries[0], of_transform(one.entries[0], shown.examples, shown.train_size, EPOCHS)) | {"can": one.effects}
        for one in can
        if len(one.entries) == 1
    ]
    together = {rule: what for one in can if len(one.entries) > 1 for rule, what in one.effects.items()}
    counts, cases = of_policy(shown.examples, augmenter, EPOCHS)
    about = {"policy": plan.chosen, "label_safety": sorted(plan.declared) if plan.declared is not None else None}
    measured = {"size": shown.size, "epochs": EPOCHS, "shown": counts, "transforms": transforms, "together": together}
    return Audit(about | measured, cases, augmenter)


def draw_samples(plan: Plan, shown: Sample, images: int, folder: Path) -> None:
    """Write samples.png: the sample of `images` training images as it is, by name."""
    import cv2

    from components.augment.preview import sample_sheet

    order = sorted(range(len(shown.names)), key=lambda row: shown.names[row])
    examples, names = [shown.examples[row] for row in order], [shown.names[row] for row in order]
    picture = sample_sheet(examples, names, f"{plan.task}: {len(names)} of {images} training images")
    cv2.imwrite(str(folder / "samples.png"), picture[:, :, ::-1])


def draw(plan: Plan, shown: Sample, audited: Audit, rows: int, folder: Path) -> None:
    """Write preview.png and worst.png, the worst draw of each of the worst images."""
    import cv2

    from components.augment.preview import sheet, worst_sheet

    title = f"{plan.task}: augmentation {plan.name}"
    few = sheet(shown.examples[:rows], shown.names[:rows], audited.augmenter, title)
    cv2.imwrite(str(folder / "preview.png"), few[:, :, ::-1])
    by_image = {case.key: case for case in reversed(audited.cases)}
    worst = sorted(by_image.values(), key=lambda case: -case.score)[:WORST]
    heading = f"{title}, the worst of {len(audited.cases)} draws of {len(shown.examples)} images"
    cv2.imwrite(str(folder / "worst.png"), worst_sheet(worst, shown.names, heading)[:, :, ::-1])


def in_words(result: dict[str, Any]) -> str:
    """The audit in one line."""
    if "skipped" in result:
        return str(result["skipped"])
    counts = result["shown"]
    able = {rule: what for one in result["transforms"] for rule, what in one["can"].items()} | result["together"]
    if able.keys() & {"no_rotation_90", "no_rotation_180"}:
        able.pop("no_rotation", None)
    open_question = " (no label_safety is declared: see `visionloop data augmentation`)" if result["label_safety"] is None and able else ""
    boxes = f"; {counts['lost']} of {counts['boxes']} boxes lost, {counts['emptied']} of {counts['pictures']} pictures emptied"
    can = ", ".join(able.values()) or "do nothing that is known to change labels"
    return f"the policy can {can}{open_question}{boxes if counts['boxes'] else ''}"
