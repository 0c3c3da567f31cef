"""Two runs side by side; and data, code and params told apart by a project whose accuracy is a sum of the three."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.errors import UsageError
from pipelines import provenance
from pipelines.compare import chosen, compare_runs
from pipelines.cross_runs import Cell, path_between
from pipelines.paths import Paths
from pipelines.registry import Registry
from pipelines.report.comparison import show
from pipelines.tracking import Tracking
from tests.pipelines.fabricate import classifier, project

ROOT = Path(__file__).resolve().parents[2]

# Accuracy = tenths by the number of images + hundredths by the code + thousandths by epochs.
STAGE = """
import json, os, sys, yaml
from components.worth import WORTH
os.makedirs('outputs/evaluate/cnn', exist_ok=True)
os.makedirs('outputs/train/cnn', exist_ok=True)
name, epochs = sys.argv[1], yaml.safe_load(open('params.yaml'))['models']['cnn']['epochs']
if name == 'train':
    open('ran', 'a').write('x')
    value = len(os.listdir('data')) / 10 + WORTH / 100 + epochs / 1000
    json.dump({'metrics': {'test/accuracy': value}}, open('outputs/train/cnn/model.json', 'w'))
elif name == 'evaluate':
    open('outputs/evaluate/cnn/report.json', 'w').write(open('outputs/train/cnn/model.json').read())
"""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    made = project(tmp_path / "project")
    (made.root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    return made


def publish(paths: Paths, name: str, wrong: int, seed: int, metrics: dict[str, float] | None = None, **about: Any) -> str:
    made = classifier(paths, name, wrong, seed=seed, **metrics or {})
    run = Tracking(paths).publish(made.model_dir, made.evaluate_dir, made_of=lock(paths, name, **about))
    assert run is not None
    return run


def lock(paths: Paths, name: str, data: str = "1" * 32, code: str = "2" * 32, epochs: int = 4) -> list[Path]:
    """The dvc.lock of a model, as far as provenance reads it."""
    params = {f"models.{name}": {"epochs": epochs, "architecture": "cnn"}}
    stages = {stage: {"deps": [{"path": "components/fit.py", "md5": code}]} for stage in ("split", "augment", f"evaluate@{name}")}
    stages["augment"]["params"] = {"params.yaml": {"models": {name: {"epochs": epochs}}}}  # type: ignore[assignment]
    stages["validate"] = {"deps": [{"path": "data", "md5": data}]}
    stages[f"train@{name}"] = {"deps": [{"path": "outputs/split", "md5": "3" * 32}], "params": {"params.yaml": params}}  # type: ignore[dict-item]
    path = paths.root / "dvc.lock"
    path.write_text(yaml.safe_dump({"stages": stages}))
    return [path]


def test_two_runs_differ_in_what_was_made_to_differ(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    first = publish(paths, "cnn", 30, 1)
    second = publish(paths, "resnet", 3, 2, epochs=9)
    found = compare_runs(paths, ("cnn", second[:12]), None, cross=False)
    assert [run["id"] for run in found["runs"]] == [first, second]
    assert found["params"] == []
    accuracy = next(row for row in found["metrics"] if row["name"] == "test/accuracy")
    assert accuracy["values"] == [0.75, 0.975]
    paired = next(row for row in found["significance"]["paired"] if row["metric"] == "test/accuracy")
    assert paired["significant"]
    assert paired["difference"] == pytest.approx(0.225)
    assert found["differs"] == {"params": ["model: cnn -> resnet", "model.epochs: 4 -> 9"]}
    show(found, cross=False)
    said = capsys.readouterr().out
    for words in ("a real difference", "model.epochs: 4 -> 9", "Only the params differ", "+0.225"):
        assert words in said


def test_what_only_one_run_measured_is_shown_beside_a_dash(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    publish(paths, "cnn", 30, 1, metrics={"test/only_first": 0.25})
    publish(paths, "resnet", 3, 2, metrics={"test/only_second": 0.5})
    found = compare_runs(paths, ("cnn", "resnet"), None, cross=False)
    values = {row["name"]: row["values"] for row in found["metrics"]}
    assert values["test/only_first"] == [0.25, None] and values["test/only_second"] == [None, 0.5]
    assert values["test/accuracy"] == [0.75, 0.975] and len(values) == len(found["metrics"])
    show(found, cross=False)
    shown = {row[0]: row[1:] for line in capsys.readouterr().out.splitlines() if (row := line.replace("│", " ").split())}
    assert (shown["test/only_first"], shown["test/only_second"]) == (["0.250", "-"], ["-", "0.500"])


def test_equal_models_differ_by_chance_at_most(paths: Paths) -> None:
    publish(paths, "cnn", 30, 1)
    publish(paths, "twin", 30, 2)
    found = compare_runs(paths, ("cnn", "twin"), "classification", cross=False)
    assert not any(row["significant"] for row in found["significance"]["paired"])


def test_the_same_name_twice_means_its_last_two_runs(paths: Paths) -> None:
    runs = [publish(paths, "cnn", wrong, wrong) for wrong in (30, 20, 10)]
    pair = chosen(Registry(paths), ("cnn", "cnn"), ("classification",))
    assert [run.id for run in pair] == runs[1:]


@pytest.mark.parametrize(
    ("names", "said"), [(("cnn", "nobody"), "'nobody' is no published run"), (("cnn", "cnn"), "only one published run")]
)
def test_names_that_mean_nothing_are_refused(paths: Paths, names: tuple[str, str], said: str) -> None:
    publish(paths, "cnn", 30, 1)
    with pytest.raises(UsageError, match=said):
        compare_runs(paths, names, None, cross=False)


def test_each_factor_is_seen_by_itself(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    seen = []
    for number, about in enumerate([{}, {"data": "9" * 32}, {"code": "8" * 32}, {"epochs": 5}]):
        (tmp_path / str(number)).mkdir()
        lock(paths, "cnn", **about)[0].rename(tmp_path / str(number) / "dvc.lock")
        seen.append(provenance.read(tmp_path / str(number), "cnn"))
    found = [provenance.differences(seen[0], other) for other in seen]
    assert found == [{}, {"data": ["111111111111 -> 999999999999"]}, {"code": ["components/fit.py"]}, {"params": ["model.epochs: 4 -> 5"]}]


@pytest.mark.slow
@pytest.mark.ci
def test_data_code_and_params_are_told_apart(tmp_path: Path) -> None:
    root = toy_project(tmp_path / "toy")
    one = ran(root, tmp_path / "one")
    (root / "data" / "second").write_text("an image")
    (root / "components" / "worth.py").write_text("WORTH = 5\n")
    (root / "params.yaml").write_text(yaml.safe_dump({"models": {"cnn": {"epochs": 7}}}))
    other = ran(root, tmp_path / "other")
    factors = list(provenance.differences(one.made_of, other.made_of))
    assert factors == ["data", "code", "params"]
    before = {
        path: path.read_bytes() for path in root.rglob("*") if path.is_file() and ".dvc" not in path.parts and ".git" not in path.parts
    }
    for _ in range(2):
        steps = [(factor, report["metrics"]["test/accuracy"]) for factor, report in path_between(Paths(root), one, other, factors)]
        # 1 image, code 1, 1 epoch -> 2 images -> code 5.
        assert steps == [("data", pytest.approx(0.211)), ("code", pytest.approx(0.251))]
    assert all(path.read_bytes() == content for path, content in before.items())
    assert (root / "ran").read_text() == "xx"
    assert not list((root / ".visionloop").iterdir())


def test_code_that_was_not_committed_is_named(tmp_path: Path) -> None:
    root = toy_project(tmp_path / "toy", repro=False)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    made_of = provenance.Provenance("cnn", tmp_path, "", {"components/worth.py": "0" * 32}, {})
    with pytest.raises(UsageError, match=r"differs from its commit .* in components/worth.py"):
        list(path_between(Paths(root), Cell(made_of, commit), Cell(made_of, commit), ["data", "code"]))


def toy_project(root: Path, *, repro: bool = True) -> Path:
    """A git and DVC project with the stages' names, that trains nothing."""
    for folder in ("data", "components"):
        (root / folder).mkdir(parents=True)
    (root / "data" / "first").write_text("an image")
    (root / "components" / "__init__.py").touch()
    (root / "components" / "worth.py").write_text("WORTH = 1\n")
    (root / "stage.py").write_text(STAGE)
    (root / "params.yaml").write_text(yaml.safe_dump({"models": {"cnn": {"epochs": 1}}}))
    command = f"{sys.executable} stage.py"
    needs = {"validate": ["data"], "split": ["components/worth.py"], "augment": ["components/worth.py"]}
    stages: dict[str, Any] = {name: {"cmd": f"{command} {name}", "deps": deps} for name, deps in needs.items()}
    model = "outputs/train/cnn/model.json"
    train = {"cmd": f"{command} train", "deps": ["data", "components/worth.py"], "params": ["models.${key}"], "outs": [model]}
    evaluate = {"cmd": f"{command} evaluate", "deps": [model], "outs": ["outputs/evaluate/cnn/report.json"]}
    stages |= {"train": {"foreach": "${models}", "do": train}, "evaluate": {"foreach": "${models}", "do": evaluate}}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (root / ".gitignore").write_text("/ran\n/.visionloop\n/data\n/outputs\n")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    if repro:
        subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    subprocess.run([*git, "commit", "-qm", "first"], cwd=root, check=True)
    return root


def ran(root: Path, kept: Path) -> Cell:
    """Version the data, commit, run the stages, and keep what a run would keep."""
    dvc, git = [sys.executable, "-m", "dvc"], ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run([*dvc, "add", "-q", "data"], cwd=root, check=True)
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    subprocess.run([*git, "commit", "-qm", "next"], cwd=root, check=True)
    subprocess.run([*dvc, "repro", "-q"], cwd=root, check=True, env=None)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    kept.mkdir()
    for path in provenance.files(Paths(root)):
        (kept / path.name).write_bytes(path.read_bytes())
    return Cell(provenance.read(kept, "cnn"), commit)
