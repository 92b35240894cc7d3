"""The local cache of bases, shared by all projects of a user. Folders are named by the digest of their contents.

    trees/<digest>/        the files of a base; the digest is that of their manifest {path: digest}, as in the store
    records/<key>.json     the tree of a source and the digests of its files; `key` identifies source and converter
    locks/<key>.lock       held while a source is downloaded
    work/<key>-.../        a download in progress; leftovers are removed by the next download of the same source

A complete tree is renamed into place and its record is written last, so a killed download leaves no partial entry.
"""

import errno
import fcntl
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open

from tunesmith import process
from tunesmith.artifacts import digest_of
from tunesmith.artifacts.base import Artifact, canonical_bytes
from tunesmith.errors import DataError, IntegrityBroken, MachineFailure
from tunesmith.ports import Progress
from tunesmith.store.objects import file_digest, write_atomic

CACHE_VARIABLE: Final = "TUNESMITH_CACHE"
DISK_FULL_ERRORS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_WRITABLE_ERRORS: Final = (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR)


class BaseRecord(Artifact):
    """A cached base: `files` is {path: `sha256:...`}, `tree` the digest over it, `conversion` describes how weights were
    converted."""

    name: str
    source: str
    tree: str
    files: dict[str, str]
    parameters: int
    conversion: str = ""


@dataclass(frozen=True)
class CachedBase:
    """A base in the cache, with files verified against its record."""

    record: BaseRecord
    folder: Path


def cache_folder() -> Path:
    """`TUNESMITH_CACHE`, or `tunesmith/bases` in the user's cache folder."""
    configured = process.environment(CACHE_VARIABLE)
    if configured:
        return Path(configured).expanduser() / "bases"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tunesmith" / "bases"
    cache_home = process.environment("XDG_CACHE_HOME")
    return (Path(cache_home) if cache_home else Path.home() / ".cache") / "tunesmith" / "bases"


@dataclass(frozen=True)
class BaseCache:
    """The cache of bases in a folder."""

    folder: Path

    def record(self, key: str) -> BaseRecord | None:
        """The record of a source, without verifying its files; None if it was never downloaded."""
        path = self.record_path(key)
        if not path.is_file():
            return None
        try:
            return BaseRecord.from_bytes(path.read_bytes())
        except IntegrityBroken as error:
            hint = "delete it, and download the base again: `tunesmith base get NAME`"
            raise IntegrityBroken("a record of the cache is not readable", where=str(path), hint=hint) from error

    def tree(self, record: BaseRecord) -> Path:
        return self.folder / "trees" / record.tree.removeprefix("sha256:")

    def verified(self, key: str, *, hint: str | None = None) -> CachedBase | None:
        """The base of a source, with every file verified against its digest; None if it was never downloaded.

        Raises IntegrityBroken, with `hint`, if a file is missing, altered or unexpected.
        """
        record = self.record(key)
        if record is None:
            return None
        folder = self.tree(record)
        files = file_digests(folder) if folder.is_dir() else {}
        if files != record.files:
            changed = sorted(name for name in {*files, *record.files} if files.get(name) != record.files.get(name))
            hint = hint or f"download it again: `tunesmith base get {record.name} --again`"
            raise IntegrityBroken(f"{changed[0]} changed since it was cached", where=str(folder), hint=hint)
        return CachedBase(record, folder)

    def publish(self, key: str, folder: Path, record: BaseRecord) -> CachedBase:
        """Move a complete folder into the cache and write its record. The caller holds the lock of the key."""
        target = self.tree(record)
        with translate_disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir() and file_digests(target) != record.files:
                shutil.rmtree(target)
            if not target.is_dir():
                os.replace(folder, target)
            write_atomic(self.record_path(key), record.canonical())
        return CachedBase(record, target)

    @contextmanager
    def download_folder(self, key: str, progress: Progress) -> Iterator[Path]:
        """An empty folder for a download, for one process at a time. It is removed afterwards, and leftovers of killed processes
        are removed first."""
        lock, work = self.folder / "locks" / f"{key}.lock", self.folder / "work"
        with translate_disk_errors(self.folder):
            lock.parent.mkdir(parents=True, exist_ok=True)
            work.mkdir(parents=True, exist_ok=True)
            file = lock.open("a")
        with file:
            _lock_file(file.fileno(), progress)
            for leftover in work.glob(f"{key}-*"):
                shutil.rmtree(leftover)
            with translate_disk_errors(work):
                folder = Path(tempfile.mkdtemp(prefix=f"{key}-", dir=work))
            try:
                with translate_disk_errors(folder):
                    yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def record_path(self, key: str) -> Path:
        """Path of the record of a source."""
        return self.folder / "records" / f"{key}.json"


@contextmanager
def translate_disk_errors(folder: Path) -> Iterator[None]:
    """Turn errors of a full or read-only disk into a MachineFailure that says how to choose another folder."""
    try:
        yield
    except OSError as error:
        if error.errno not in (*DISK_FULL_ERRORS, *NOT_WRITABLE_ERRORS):
            raise
        remedy = "free disk space" if error.errno in DISK_FULL_ERRORS else "make it writable"
        hint = f"{remedy}, or set {CACHE_VARIABLE} to another folder"
        what = f"the cache of bases cannot be written: {error.strerror}"
        raise MachineFailure(what, where=str(folder), hint=hint) from error


def file_digests(folder: Path) -> dict[str, str]:
    """{path: `sha256:...`} of all files below a folder, sorted by path, in the format of a store's tree."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in paths}


def build_record(folder: Path, *, name: str, source: str, conversion: str = "") -> BaseRecord:
    """The record of a complete folder."""
    files = file_digests(folder)
    return BaseRecord(
        name=name,
        source=source,
        tree=digest_of(canonical_bytes(files)),
        files=files,
        parameters=count_all_parameters(folder),
        conversion=conversion,
    )


def count_all_parameters(folder: Path) -> int:
    """Parameter count of all weight files of a folder."""
    return sum(count_parameters(path) for path in sorted(folder.glob("*.safetensors")))


def count_parameters(path: Path) -> int:
    """Parameter count of a safetensors file, read from its header. Raises DataError if it is not one."""
    try:
        with safe_open(path, framework="np") as weights:
            return sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise DataError(f"not a safetensors file: {error}", where=str(path), hint="download it again") from error


def _lock_file(file: int, progress: Progress) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress.say("waiting for another process that is downloading this base")
        fcntl.flock(file, fcntl.LOCK_EX)
