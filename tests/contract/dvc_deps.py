"""Which code each stage of dvc.yaml depends on; `make deps` writes it there."""

from pathlib import Path
from typing import Any

import yaml

from tests.imports import ROOT, own_files

DVC_YAML = ROOT / "dvc.yaml"
STAGES = yaml.safe_load(DVC_YAML.read_text("utf-8"))["stages"]


def definition(name: str) -> dict[str, Any]:
    return dict(STAGES[name].get("do", STAGES[name]))


def closure(name: str) -> set[Path]:
    """What a stage's module imports, near and far, of the components and of the stages' own helpers."""
    seen: set[Path] = set()
    waiting = {Path("pipelines/stages") / f"{name}.py"}
    while waiting:
        module = waiting.pop()
        seen.add(module)
        waiting |= {file for file in own_files(module) if counts(file)} - seen
    return seen


def counts(file: Path) -> bool:
    return file.parts[0] == "components" or (file.parts[:2] == ("pipelines", "stages") and file.name not in ("__init__.py", "command.py"))


def with_code(text: str) -> str:
    """dvc.yaml's text, the code among each stage's dependencies brought up to date; everything else stays as it is."""
    lines, name, stage_deps = [], "", False
    for line in text.splitlines():
        indent, word = len(line) - len(line.lstrip()), line.strip()
        if indent == 2 and word.endswith(":"):
            name = word[:-1]
        if word == "deps:":
            stage_deps = True
        elif stage_deps and not word.startswith("- "):
            lines += [f"{' ' * (indent + 2)}- {file}" for file in sorted(map(str, closure(name)))]
            stage_deps = False
        if not (stage_deps and word.endswith(".py")):
            lines.append(line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DVC_YAML.write_text(with_code(DVC_YAML.read_text("utf-8")), "utf-8")
