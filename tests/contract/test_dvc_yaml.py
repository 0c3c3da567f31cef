"""dvc.yaml against the code: each stage depends on exactly what it imports, and the flow runs the same graph."""

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines import settings
from tests.contract.dvc_deps import STAGES, closure, definition
from tests.imports import ROOT
from tests.project import make_project

BLOCKS = {"seed", "data", "validate", "split", "augment", "models", "evaluate"}
# evaluate reads no more of its model's block than the task, which its dependencies name.
IMPLIED = {"evaluate": {"models"}}


@pytest.mark.parametrize("name", sorted(STAGES))
def test_a_stage_depends_on_exactly_the_code_it_imports(name: str) -> None:
    code = [dep for dep in definition(name)["deps"] if dep.endswith(".py")]
    assert sorted(code) == sorted(map(str, closure(name)))


@pytest.mark.parametrize("name", sorted(STAGES))
def test_a_stage_declares_every_block_of_params_that_it_reads(name: str) -> None:
    read = set()
    for module in closure(name):
        if module.parts[0] == "pipelines":
            for node in ast.walk(ast.parse((ROOT / module).read_text("utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("settings", "knobs"):
                    read.add(node.attr)
    declared = {param.partition(".")[0] for param in definition(name)["params"]} | IMPLIED.get(name, set())
    assert read & BLOCKS <= declared
    assert "models" not in read or name not in ("train",) or "train" in declared  # a model's block is filled up from train


@pytest.mark.parametrize("name", sorted(STAGES))
def test_a_stage_is_run_by_the_command_of_its_name(name: str) -> None:
    extra = " --model ${key}" if "foreach" in STAGES[name] else ""
    assert definition(name)["cmd"] == f"visionloop stage {name}{extra}"


def test_every_dependency_is_a_file_or_folder_and_never_a_folder_of_code() -> None:
    for name in STAGES:
        for dep in definition(name)["deps"]:
            if not dep.startswith(("outputs/", "data")) and dep not in ("expectations", "policies"):
                assert (ROOT / dep).is_file(), f"{name}: {dep}"


def test_validation_follows_the_suites_whichever_are_added_and_nothing_else_of_their_folder() -> None:
    assert "expectations" in definition("validate")["deps"]
    assert {path.suffix for path in (ROOT / "expectations").iterdir()} == {".json", ".md"}
    assert "/expectations/README.md" in (ROOT / ".dvcignore").read_text("utf-8").splitlines()


def test_the_flow_submits_the_graph_of_dvc_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvc.repo import Repo

    from pipelines import flows

    paths = make_project(tmp_path / "project", detector=True, images=False)
    graph: dict[str, set[str]] = {}

    def noted(_plan: object, name: str, upstream: list[str]) -> str:
        graph[name] = set(upstream)
        return name

    published = SimpleNamespace(with_options=lambda **_: SimpleNamespace(submit=lambda _root, model, evaluated: evaluated))
    monkeypatch.setattr(flows._Plan, "_stage", noted)
    monkeypatch.setattr(flows, "publish", published)
    knobs = settings.load(paths.params)
    flows._Plan(paths, knobs, set()).submit(flows.select(knobs, None, None))
    monkeypatch.chdir(paths.root)
    with Repo(str(paths.root)) as repo:
        edges = {stage.addressing: {up.addressing for up in repo.index.graph.successors(stage)} for stage in repo.index.stages}
    assert graph == edges
    assert list(graph).index("validate") < list(graph).index("split") < list(graph).index("train@tiny") < list(graph).index("evaluate@tiny")
