"""A small complete project in a folder of its own: the repository's stages, generated images, networks that train in seconds."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipelines.paths import Paths
from tests.images import make_classification, make_detection_voc

ROOT = Path(__file__).resolve().parents[1]
CODE = ("components", "pipelines", "policies", "requirements", "expectations")
COPIED = (*CODE, "dvc.yaml", ".dvcignore", ".dvc/config", "prefect.yaml", "pyproject.toml")
TINY = {"task": "classification", "architecture": "cnn", "weights": None, "image_size": 32, "epochs": 2, "batch_size": 8}
TINY_YOLO = {"task": "detection", "architecture": "yolo", "weights": None, "image_size": 64, "epochs": 1, "batch_size": 4}


def make_project(root: Path, *, detector: bool = False, images: bool = True) -> Paths:
    """The project at `root`, under git; without a `detector` data/detection is absent, without `images` all of data/."""
    root.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        _copy(ROOT / name, root / name)
    models: dict[str, Any] = {"tiny": TINY} | ({"tiny_yolo": TINY_YOLO} if detector else {})
    params = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    params["models"] = models
    params["promote"] = {**params["promote"], "rounds": 50}
    params["data"]["detection"]["group_pattern"] = None
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    (root / ".gitignore").write_text("/data\n/outputs/\n/.visionloop/\n/.prefect/\n/mlflow/\n__pycache__/\n", "utf-8")
    if images:
        make_classification(root / "data" / "classification", classes=2, per_class=12, size=48)
    if images and detector:
        make_detection_voc(root / "data" / "detection", images=12, size=64)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=root, check=True)
    return Paths(root)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    elif source.is_file():
        shutil.copyfile(source, target)


def environment(**changed: str) -> dict[str, str]:
    """This process' environment with the command on its PATH, without what names another project or server."""
    foreign = ("VISIONLOOP_ROOT", "MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_HOME", "PYTEST_CURRENT_TEST")
    own = {name: value for name, value in os.environ.items() if name not in foreign}
    tools = str(Path(sys.executable).parent)
    return {**own, "PATH": f"{tools}{os.pathsep}{own.get('PATH', '')}", "PYTHONPATH": str(ROOT), **changed}


def start(paths: Paths, *arguments: str, **changed: str) -> "subprocess.Popen[str]":
    """`visionloop ARGUMENTS` in the project, its outputs piped apart, leader of a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "pipelines", *arguments],
        cwd=paths.root, env=environment(**changed), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def command(paths: Paths, *arguments: str, timeout: float = 300, **changed: str) -> "subprocess.CompletedProcess[str]":
    """`visionloop ARGUMENTS`, run to its end."""
    process = start(paths, *arguments, **changed)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def processes_in(root: Path) -> Mapping[int, str]:
    """The living processes that work in the project's folder or name it, by id."""
    import psutil

    found = {}
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
            if process.status() != psutil.STATUS_ZOMBIE and (Path(process.cwd()).is_relative_to(root) or str(root) in " ".join(line)):
                found[process.pid] = " ".join(line)
        except (psutil.Error, OSError):
            continue
    return found
