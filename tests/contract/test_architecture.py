"""The design's import table, read from the text of every module."""

import ast
from pathlib import Path

import pytest

from tests.imports import ROOT, modules, own_files, packages

MAX_LINES = 300
MAX_FUNCTION_LINES = 60
COMPONENTS, PIPELINES = modules("components"), modules("pipelines")

# Each library and the only modules that may import it.
HOMES = {
    "prefect": {
        "pipelines/flows.py",
        "pipelines/flow_approval.py",  # the flow's pause
        "pipelines/events.py",  # an event, where a server is named
        "pipelines/run.py",  # loads it while the server starts, and uses nothing of it
    },
    "mlflow": {
        "pipelines/registry.py",
        "pipelines/registered.py",  # the type of its versions
        "pipelines/shared_log.py",  # first come, first served, by MLflow's own rule
        "pipelines/events.py",  # delivers MLflow's webhooks for a database without a server
        *(
            f"pipelines/tracking/{name}.py"
            for name in ("__init__", "describe", "images", "live", "model_files", "publish", "read", "search", "store")
        ),
    },
    "dvc": {"pipelines/cross_runs.py", "pipelines/dvc_stages.py", "pipelines/versions.py"},
    "dvc_data": {"pipelines/versions.py"},
    "dvc_objects": {"pipelines/versions.py"},
    "optuna": {"components/train/search.py"},
    "cleanlab": {"components/data/suspects/classification.py", "components/data/suspects/detection.py"},
    "great_expectations": {f"components/validate/{name}.py" for name in ("checks", "docs", "judge")},
    "albumentations": {f"components/augment/{name}.py" for name in ("augmenter", "corruptions", "pipeline")},
}

# Which other component a component may import; everything may import SHARED.
SHARED = {"components/errors.py", "components/data/tables.py", "components/data/decode.py"}
SIDEWAYS = {
    "train": {"models", "augment"},
    "evaluate": {"predict"},
    "promote": {"gate", "guards"},  # what is asked for, and the tests of it
    "predict": {"models"},  # a prediction needs the detector's decoding and the layers a .keras file names
}


def component(module: Path) -> str:
    return module.parts[1].removesuffix(".py")


@pytest.mark.parametrize("library", sorted(HOMES))
def test_each_library_is_imported_in_its_own_place_only(library: str) -> None:
    users = {str(module) for module in COMPONENTS + PIPELINES if library in packages(module)}
    assert users, f"nothing imports {library}: the table is out of date"
    assert users <= HOMES[library]


@pytest.mark.parametrize("module", COMPONENTS, ids=str)
def test_components_know_nothing_of_what_runs_them(module: Path) -> None:
    assert not packages(module) & {"prefect", "mlflow", "dvc", "pipelines"}


@pytest.mark.parametrize("module", COMPONENTS, ids=str)
def test_components_import_one_another_by_the_table_only(module: Path) -> None:
    allowed = {component(module)} | SIDEWAYS.get(component(module), set())
    foreign = {file for file in own_files(module) if str(file) not in SHARED and component(file) not in allowed}
    assert not foreign


def test_the_components_form_no_circle() -> None:
    edges = {(component(module), component(file)) for module in COMPONENTS for file in own_files(module) if len(file.parts) > 1}
    names = {component(module) for module in COMPONENTS}
    graph = {name: {target for source, target in edges if source == name and target != name} for name in names}
    # tables, decode and errors are leaves: `data` may be used by all, and uses no other component.
    assert graph["data"] <= {"errors"}
    done: set[str] = {"errors"}
    while ready := {name for name, targets in graph.items() if name not in done and targets <= done}:
        done |= ready
    assert set(graph) <= done


def test_stages_are_run_by_flows_and_import_none_of_what_runs_them() -> None:
    for module in modules("pipelines/stages"):
        assert not packages(module) & {"prefect", "mlflow", "dvc"}, module


def test_heavy_libraries_are_not_imported_at_the_top_of_the_commands_modules() -> None:
    heavy = {"prefect", "mlflow", "dvc", "tensorflow", "keras", "great_expectations", "albumentations", "matplotlib", "sklearn", "cleanlab"}
    for module in PIPELINES:
        if module.parts[1] in ("flows.py", "flow_approval.py", "tracking"):  # loaded when a flow or a run of MLflow begins
            continue
        body = ast.parse((ROOT / module).read_text("utf-8")).body
        names = {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in body if isinstance(node, ast.ImportFrom) and node.module}
        assert not {name.partition(".")[0] for name in names} & heavy, module


@pytest.mark.parametrize("folder", ["mlflow", "docker"])
def test_a_folder_named_like_a_package_holds_no_python(folder: str) -> None:
    assert (ROOT / folder).is_dir()
    ours = [path for path in (ROOT / folder).rglob("*.py") if "store" not in path.relative_to(ROOT).parts]
    assert not ours, "it would hide the real package"


@pytest.mark.parametrize("module", COMPONENTS + PIPELINES, ids=str)
def test_files_and_functions_stay_small(module: Path) -> None:
    text = (ROOT / module).read_text("utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None and node.end_lineno - node.lineno < MAX_FUNCTION_LINES, node.name


@pytest.mark.parametrize("module", COMPONENTS, ids=str)
def test_importing_a_component_does_nothing(module: Path) -> None:
    """At the top of a module stand imports, definitions and constants: no loop, no call for its effect."""
    for node in ast.parse((ROOT / module).read_text("utf-8")).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        calls = isinstance(node, ast.Expr) and not is_docstring
        assert not calls and not isinstance(node, ast.For | ast.While | ast.With), ast.unparse(node)


@pytest.mark.parametrize("module", COMPONENTS + PIPELINES, ids=str)
def test_files_are_decoded_in_one_place(module: Path) -> None:
    """TensorFlow's own decoder aborts the process on an animated WebP file, and none of the others turns by EXIF as `decode` does."""
    names = {node.attr for node in ast.walk(ast.parse((ROOT / module).read_text("utf-8"))) if isinstance(node, ast.Attribute)}
    decoders = {"decode_image", "decode_jpeg", "decode_png", "decode_gif", "decode_bmp", "decode_and_crop_jpeg", "load_img", "imread"}
    decoders |= {"image_dataset_from_directory", "imdecode"}
    assert not names & decoders or str(module) == "components/data/decode.py"
