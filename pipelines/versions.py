"""Versions of data/ through DVC, in process; the only module of the data commands that imports dvc."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from components.errors import DataError, ResourceError, UsageError
from pipelines.paths import Paths

if TYPE_CHECKING:
    from dvc.repo import Repo

log = logging.getLogger(__name__)

Files = dict[str, str]
_SHOWN = 3


def data_digest(paths: Paths) -> str:
    """The content hash that data.dvc records for data/ (not measured anew). Raises DataError without a data.dvc."""
    pointer = _pointer(paths)
    if not pointer.is_file():
        raise DataError(f"{pointer} does not exist, so the data have no version: run `dvc add data`")
    return digest_in(pointer.read_text(encoding="utf-8"), str(pointer))


def is_recorded(paths: Paths) -> bool:
    """Whether there is a data.dvc."""
    return _pointer(paths).is_file()


def digest_in(text: str, source: str) -> str:
    """The content hash in the text of a data.dvc; `source` names it. Raises DataError when it records none."""
    try:
        return str(yaml.safe_load(text)["outs"][0]["md5"])
    except (yaml.YAMLError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{source} records no content hash: write it again with `dvc add data`") from error


def is_current(paths: Paths) -> bool:
    """Whether data/ is, byte for byte, what data.dvc records, and DVC's cache holds it."""
    if not is_recorded(paths):
        return False
    with _repository(paths) as repo:
        return not repo.status(targets=[str(_pointer(paths))])


def add_data(paths: Paths) -> str:
    """Version data/ as it is: into DVC's cache and data.dvc. Returns its digest.

    What data.dvc recorded before is kept in the private folder, so that `restore_command` can name it. Raises
    ResourceError when the disk is full.
    """
    keep_pointer(paths)
    try:
        with _repository(paths) as repo:
            repo.add([str(paths.data)])
    except OSError as error:
        raise ResourceError(f"data/ could not be versioned ({error}): free some disk space and run `dvc add data`") from error
    return data_digest(paths)


def pull(paths: Paths) -> None:
    """Bring back what data.dvc records, from the remote if one is configured, else from DVC's own cache.

    data/ must be absent or empty, and then is again when DataError is raised: because neither holds it.
    """
    digest = data_digest(paths)
    from dvc.exceptions import DvcException

    targets, remote, reason = [str(_pointer(paths))], None, ""
    try:
        with _repository(paths) as repo:
            remote = repo.config.get("core", {}).get("remote")
            if remote:
                repo.fetch(targets=targets)
            repo.checkout(targets=targets, force=True)
    except (DvcException, OSError) as error:
        reason = " ".join(str(error).split())
    if is_current(paths):
        return
    shutil.rmtree(paths.data, ignore_errors=True)
    told = f"neither DVC's cache nor the remote {remote!r} has it ({reason})" if remote else "DVC's cache lacks it, and it knows no remote"
    raise DataError(
        f"data/ is not here: data.dvc records version {digest}, but {told}. Bring it by `dvc pull` "
        "(`dvc remote add --default NAME URL` first where there is none), or begin anew with `visionloop data sample` or `data import`"
    )


def keep_pointer(paths: Paths) -> Path | None:
    """Keep a copy of data.dvc under its digest, so that this version of data/ can be found again."""
    if not is_recorded(paths):
        return None
    kept = _kept(paths) / f"{data_digest(paths)}.yaml"  # DVC reads every *.dvc it finds
    kept.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(_pointer(paths), kept))


def kept_digests(paths: Paths) -> list[str]:
    """The digests of the versions whose pointers are kept, the newest first."""
    kept = _kept(paths).glob("*.yaml")
    return [path.stem for path in sorted(kept, key=lambda path: -path.stat().st_mtime)]


def cached_digests(paths: Paths, prefix: str) -> list[str]:
    """The digests of folders in DVC's cache that begin with `prefix` (two characters or more): data/, or outputs of stages."""
    with _repository(paths) as repo:
        folder = Path(repo.cache.local.path) / prefix[:2]
    return sorted(prefix[:2] + path.name for path in folder.glob(f"{prefix[2:]}*.dir"))


def restore_command(paths: Paths, kept: Path) -> str:
    """The shell command that puts the version of a kept pointer back."""
    return f"cp {kept.relative_to(paths.root)} data.dvc && dvc checkout data.dvc"


def files_of(paths: Paths, digest: str) -> Files:
    """The files of a version of data/: POSIX path relative to data/ -> MD5 of its bytes.

    The list comes from DVC's cache, or else from its remote. Raises DataError when neither holds it.
    """
    with _repository(paths) as repo:
        return _as_files(_tree(repo, digest))


def workspace_files(paths: Paths) -> tuple[str, Files]:
    """The digest that data/ would be versioned under as it lies now, and its files as `files_of` gives them."""
    from dvc_data.hashfile.build import build

    if not paths.data.is_dir():
        raise DataError(f"{paths.data} does not exist: run `dvc checkout data.dvc`, or `visionloop data sample`")
    with _repository(paths) as repo:
        cache = repo.cache.local
        _, _, tree = build(cache, str(paths.data), cache.fs, "md5", dry_run=True, ignore=repo.dvcignore)
        return str(tree.oid), _as_files(tree)


@contextmanager
def laid_out(paths: Paths, files: Mapping[str, str]) -> Iterator[Path]:
    """A folder that holds these files of a version (path -> MD5) while the block lasts, to be read only.

    What the cache lacks is fetched from the remote. The files are reflinks, else hard links into the cache (whose files
    are write-protected), else copies; data/ is not touched. Raises DataError when some are in neither.
    """
    from dvc_objects.fs.generic import transfer

    paths.private.mkdir(mode=0o700, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="version-", dir=paths.private))
    try:
        with _repository(paths) as repo:
            cache = repo.cache.local
            _fetch(repo, files)
            for parent in {(folder / path).parent for path in files}:
                parent.mkdir(parents=True, exist_ok=True)
            targets = [str(folder / path) for path in files]
            transfer(cache.fs, [cache.oid_to_path(md5) for md5 in files.values()], cache.fs, targets, hardlink=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # tempfile's own clean-up may change the mode of what is linked


def _tree(repo: "Repo", digest: str) -> Any:
    from dvc.exceptions import DvcException
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree
    from dvc_objects.errors import ObjectFormatError

    tried = "DVC's cache does not hold it, and no remote is configured (`dvc remote add -d`)"
    try:
        return Tree.load(repo.cache.local, HashInfo("md5", digest))
    except (OSError, ObjectFormatError):
        if repo.config["core"].get("remote"):
            try:
                return Tree.load(repo.cloud.get_remote_odb(), HashInfo("md5", digest))
            except (DvcException, ObjectFormatError, OSError) as error:
                tried = f"neither DVC's cache nor its remote holds it ({error})"
    raise DataError(f"the version {digest} of data/ cannot be had: {tried}; `dvc push` on the machine that has it shares it")


def _as_files(tree: Any) -> Files:
    files = {"/".join(key): str(value.value) for key, _, value in tree}
    if climbing := [path for path in files if ".." in path.split("/") or path.startswith("/")]:
        raise DataError(f"a version of data/ names {climbing[0]!r}, which would lie outside of it: do not use that remote")
    return files


def _fetch(repo: "Repo", files: Mapping[str, str]) -> None:
    """Bring into the cache, from the remote, what it lacks of these files."""
    from dvc.exceptions import DvcException
    from dvc_data.hashfile.hash_info import HashInfo

    def missing() -> dict[str, str]:
        return {path: md5 for path, md5 in files.items() if not Path(repo.cache.local.oid_to_path(md5)).is_file()}

    reason = "no remote is configured"
    if (wanted := missing()) and repo.config["core"].get("remote"):
        log.info("fetching %d files of an older version of data/", len(wanted))
        reason = "the remote does not hold them"
        try:
            repo.cloud.pull([HashInfo("md5", md5) for md5 in sorted(set(wanted.values()))])
        except (DvcException, OSError) as error:
            reason = f"the remote failed ({error})"
    if absent := missing():
        shown = ", ".join(sorted(absent)[:_SHOWN])
        raise DataError(
            f"{len(absent)} files of that version of data/ are not in DVC's cache, and {reason}: {shown}; "
            "`dvc push` on the machine that has them shares them"
        )


def _kept(paths: Paths) -> Path:
    return paths.private / "versions"


def _pointer(paths: Paths) -> Path:
    return paths.root / "data.dvc"


@contextmanager
def _repository(paths: Paths) -> Iterator["Repo"]:
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    logging.getLogger("dvc.repo.scm_context").setLevel(logging.WARNING)  # which files to give git is in the README
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    config = {} if (paths.root / ".git").exists() else {"core": {"no_scm": True}}
    try:
        repo = Repo(str(paths.root), config=config)
    except NotDvcRepoError as error:
        raise UsageError(f"{paths.root} is no DVC project, expected a .dvc folder: clone again, or run `dvc init`") from error
    try:
        yield repo
    finally:
        repo.close()
