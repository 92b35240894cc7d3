"""Resolve the `path` of a source to files in order: a path, a glob, a folder of a data set, a Hub id or a URL."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import glob, has_magic
from pathlib import Path
from typing import Final

from tunesmith.data.containers import refuse_missing
from tunesmith.data.containers.stream import read_errors
from tunesmith.data.folders import files_in_folder
from tunesmith.data.remote import fetch_files, is_remote
from tunesmith.errors import DataError

PATH_HINT: Final = "paths are relative to the recipe, or to --data-root"


@dataclass(frozen=True)
class DataFile:
    """A file of a source: its local path, its name in messages and reports, and its digest where it was fetched."""

    path: Path
    name: str
    known_digest: str | None = None

    @cached_property
    def digest(self) -> str:
        """`sha256:<64 hex>` of the bytes, computed once. Raises DataError when the file is missing or unreadable."""
        refuse_missing(self.path, self.name)
        if self.known_digest is not None:
            return self.known_digest
        with read_errors(self.name), self.path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def find_files(pattern: str, *, roots: Sequence[Path], cache: Path, network: bool = False) -> list[DataFile]:
    """The files of a source's `path`, in name order. A path is tried below each of the `roots`, a glob below the first.

    A folder holds a data set saved by `datasets`, or data files of one split. URLs (`s3://`, `https://`, `hub://`, ...) are
    fetched into `cache` when `network` is set. Raises DataError when no file matches, a symbolic link forms a cycle, or a folder
    holds several splits; MachineFailure when the server does not answer.
    """
    if is_remote(pattern):
        return [
            DataFile(file.path, file.name, file.digest) for file in fetch_files(pattern, cache=cache, network=network)
        ]
    pattern = pattern.removeprefix("file://")
    root = next((root for root in roots if (root / pattern).exists()), roots[0])
    if (root / pattern).is_dir():
        paths = files_in_folder(root / pattern, _display_name(root / pattern, root))
        return _to_data_files(paths, root)
    if not has_magic(pattern) or (root / pattern).exists():
        return [DataFile(root / pattern, _display_name(root / pattern, root))]
    matches = sorted(root / path for path in glob(pattern, root_dir=root, recursive=True))
    files = [path for path in matches if not path.is_dir()]
    if not files:
        raise DataError("no file matches", where=pattern, hint=PATH_HINT)
    return _to_data_files(files, root)


def _to_data_files(paths: Sequence[Path], root: Path) -> list[DataFile]:
    for path in paths:
        _refuse_link_cycle(path, root)
    return [DataFile(path, _display_name(path, root)) for path in paths]


def _display_name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _refuse_link_cycle(path: Path, root: Path) -> None:
    """Raises DataError when a symbolic link between `root` and the file leads back to a folder that contains it."""
    for parent in path.parents:
        if parent == root:
            return
        if parent.is_symlink() and parent.parent.resolve().is_relative_to(parent.resolve()):
            raise DataError(
                "a symbolic link leads to a folder that contains it",
                where=_display_name(parent, root),
            )
