"""params.yaml changed, comments kept: for the length of one run by `--set key=value`, and put back whatever happens, or for good."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from components.errors import UsageError
from pipelines import settings
from pipelines.paths import Paths

log = logging.getLogger(__name__)

WITH_SET = "params.yaml with --set"


@contextmanager
def overridden(paths: Paths, assignments: list[str], derived: Callable[[settings.Settings], list[str]] = lambda _: []) -> Iterator[None]:
    """DVC reads params.yaml itself, so the file holds the overrides while the block runs.

    `derived` adds assignments to those of the user, of the settings that they lead to.

    What it held before lies in the private folder meanwhile; a run that was killed is put right by the next one. What
    was edited by hand meanwhile stays.
    Raises UsageError for an assignment that params.yaml cannot take; the file is untouched then.
    """
    kept, ours = paths.private / "params.before-set.yaml", paths.private / "params.with-set.yaml"
    _put_back(paths.params, kept, ours)
    assignments = [*assignments, *derived(_assigned(paths.params, assignments))]
    if not assignments:
        yield
        return
    text = _with(paths.params, assignments, WITH_SET)
    _write(ours, text)
    _write(kept, paths.params.read_bytes())
    _write(paths.params, text)
    try:
        yield
    finally:
        _put_back(paths.params, kept, ours)


def rewrite(paths: Paths, assignments: list[str]) -> None:
    """Change params.yaml for good; everything else in it stays, comments too.

    Raises UsageError for an assignment that it cannot take, or while a run may hold it changed; the file is untouched then.
    """
    from filelock import FileLock, Timeout

    paths.private.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with FileLock(paths.private / "run.lock", timeout=0):
            _put_back(paths.params, paths.private / "params.before-set.yaml", paths.private / "params.with-set.yaml")
            _write(paths.params, _with(paths.params, assignments, "params.yaml"))
    except Timeout:
        raise UsageError(f"`visionloop run` works in {paths.root}: wait for it to end, then change params.yaml") from None


def _assigned(params: Path, assignments: list[str]) -> settings.Settings:
    if not assignments:
        return settings.load(params)
    from yaml import safe_load

    return settings.parse(safe_load(_with(params, assignments, WITH_SET)), WITH_SET)


def _with(params: Path, assignments: list[str], source: str) -> bytes:
    import io

    from ruamel.yaml import YAML
    from yaml import safe_load

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.representer.add_representer(type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null"))
    document = yaml.load(params.read_text(encoding="utf-8"))
    settings.override(document, assignments)
    buffer = io.BytesIO()
    yaml.dump(document, buffer)
    settings.parse(safe_load(buffer.getvalue()), source)
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _put_back(params: Path, kept: Path, ours: Path) -> None:
    if not kept.is_file():
        return
    if params.is_file() and params.read_bytes() not in (ours.read_bytes(), kept.read_bytes()):
        edited = kept.replace(kept.with_name("params.before-edit.yaml"))
        log.warning("params.yaml was edited while --set held: it stays as it is now; as it was before: %s", edited)
        return
    kept.replace(params)
    log.info("params.yaml is as it was before --set")
