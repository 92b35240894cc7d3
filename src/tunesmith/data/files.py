"""Files: where the data of a source lies. A path, a glob, a folder of a data set, a Hub id or a URL, as files in order."""

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
from tunesmith.data.remote import FetchedFile, fetch_files, is_remote
from tunesmith.errors import DataError

PATH_HINT: Final = "paths are relative to the recipe, or to --data-root"


@dataclass(frozen=True)
class DataFile:
    """A file of a source: where its bytes lie on this machine, what messages and reports call it, where it was fetched from."""

    path: Path
    name: str
    known_digest: str | None = None

    @cached_property
    def digest(self) -> str:
        """`sha256:<64 hex>` of the bytes, computed once. Raises DataError when there is no file to read."""
        refuse_missing(self.path, self.name)
        if self.known_digest is not None:
            return self.known_digest
        with read_errors(self.name), self.path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def find_files(pattern: str, *, roots: Sequence[Path], cache: Path, network: bool = False) -> list[DataFile]:
    """The files of a source's `path`, in name order; the first root is where a glob looks, and the others where a path is tried.

    A folder is one that `datasets` saved, or one of data files of one split. `s3://`, `https://`, `hub://` and so on are fetched
    into `cache` when `network` allows it. Raises DataError when nothing is found, a link leads in a circle, or the folder holds
    several splits; MachineFailure when the other side does not answer.
    """
    if is_remote(pattern):
        return [_from_fetched(one) for one in fetch_files(pattern, cache=cache, network=network)]
    pattern = pattern.removeprefix("file://")
    root = next((root for root in roots if (root / pattern).exists()), roots[0])
    if (root / pattern).is_dir():
        paths = files_in_folder(root / pattern, _display_name(root / pattern, root))
        return _to_data_files(paths, root)
    if not has_magic(pattern) or (root / pattern).exists():
        return [DataFile(root / pattern, _display_name(root / pattern, root))]
    found = sorted(root / path for path in glob(pattern, root_dir=root, recursive=True))
    files = [path for path in found if not path.is_dir()]
    if not files:
        raise DataError("no file matches", where=pattern, hint=PATH_HINT)
    return _to_data_files(files, root)


def _to_data_files(paths: Sequence[Path], root: Path) -> list[DataFile]:
    for path in paths:
        _refuse_link_cycle(path, root)
    return [DataFile(path, _display_name(path, root)) for path in paths]


def _from_fetched(file: FetchedFile) -> DataFile:
    return DataFile(file.path, file.name, file.digest)


def _display_name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _refuse_link_cycle(path: Path, root: Path) -> None:
    """Raise DataError when a linked folder on the way to a file is one of the folders it lies in."""
    for parent in path.parents:
        if parent == root:
            return
        if parent.is_symlink() and parent.parent.resolve().is_relative_to(parent.resolve()):
            raise DataError("a symbolic link leads back to a folder around it", where=_display_name(parent, root))
