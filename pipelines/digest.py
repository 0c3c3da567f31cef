"""SHA-256 of files: how artifacts, evaluations and decisions are told apart."""

import hashlib
from pathlib import Path


def sha256(path: Path) -> str:
    """The file's SHA-256, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
