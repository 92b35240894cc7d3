"""The local cache of bases: folders named after the digest of what is in them, shared by all projects of a user.

    trees/<digest>/        the files of a base; the digest is that of their manifest {path: digest}, as in the store
    records/<key>.json     which tree a source gave, and the digests of its files; `key` stands for source and converter
    locks/<key>.lock       held while a source is fetched
    work/<key>-.../        what is being fetched; removed by whoever fetches the same source next

A tree is renamed into place when it is whole and its record is written last, so a killed download leaves nothing half-written.
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
    """What a source gave: `files` is {path: `sha256:...`}, `tree` the digest over it, `conversion` what was done to it."""

    name: str
    source: str
    tree: str
    files: dict[str, str]
    parameters: int
    conversion: str = ""


@dataclass(frozen=True)
class CachedBase:
    """A base in the cache, its files as its record says."""

    record: BaseRecord
    folder: Path


def cache_folder() -> Path:
    """`TUNESMITH_CACHE`, or `tunesmith/bases` in the user's cache folder."""
    named = process.environment(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser() / "bases"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tunesmith" / "bases"
    general = process.environment("XDG_CACHE_HOME")
    return (Path(general) if general else Path.home() / ".cache") / "tunesmith" / "bases"


@dataclass(frozen=True)
class BaseCache:
    """A folder of bases."""

    folder: Path

    def record(self, key: str) -> BaseRecord | None:
        """What is known of a source, without looking at its files."""
        path = self.record_path(key)
        if not path.is_file():
            return None
        try:
            return BaseRecord.from_bytes(path.read_bytes())
        except IntegrityBroken as error:
            hint = "delete it, and fetch the base again"
            raise IntegrityBroken("a record of the cache cannot be read", where=str(path), hint=hint) from error

    def tree(self, record: BaseRecord) -> Path:
        return self.folder / "trees" / record.tree.removeprefix("sha256:")

    def verified(self, key: str, *, mend: str | None = None) -> CachedBase | None:
        """The base of a source, every file read and compared with its digest; None when it was never fetched.

        Raises IntegrityBroken when a file is missing, was altered or was added; `mend` says what to do in place of fetching it.
        """
        record = self.record(key)
        if record is None:
            return None
        folder = self.tree(record)
        found = file_digests(folder) if folder.is_dir() else {}
        if found != record.files:
            odd = sorted(name for name in {*found, *record.files} if found.get(name) != record.files.get(name))
            hint = mend or f"`tunesmith base get {record.name} --again` fetches it anew"
            raise IntegrityBroken(f"{odd[0]} is not what was put into the cache", where=str(folder), hint=hint)
        return CachedBase(record, folder)

    def publish(self, key: str, made: Path, record: BaseRecord) -> CachedBase:
        """Give a finished folder its name and write its record; the caller holds the key's lock."""
        target = self.tree(record)
        with translate_disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir() and file_digests(target) != record.files:
                shutil.rmtree(target)
            if not target.is_dir():
                os.replace(made, target)
            write_atomic(self.record_path(key), record.canonical())
        return CachedBase(record, target)

    @contextmanager
    def fetching(self, key: str, progress: Progress) -> Iterator[Path]:
        """An empty folder to fetch into, by one process at a time; it is removed afterwards, and so is what a killed one left."""
        lock, work = self.folder / "locks" / f"{key}.lock", self.folder / "work"
        with translate_disk_errors(self.folder):
            lock.parent.mkdir(parents=True, exist_ok=True)
            work.mkdir(parents=True, exist_ok=True)
            file = lock.open("a")
        with file:
            _lock_file(file.fileno(), progress)
            for left in work.glob(f"{key}-*"):
                shutil.rmtree(left)
            with translate_disk_errors(work):
                folder = Path(tempfile.mkdtemp(prefix=f"{key}-", dir=work))
            try:
                with translate_disk_errors(folder):
                    yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def record_path(self, key: str) -> Path:
        """Where the record of a source lies."""
        return self.folder / "records" / f"{key}.json"


@contextmanager
def translate_disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full or read-only disk into a MachineFailure that says how another folder is named."""
    try:
        yield
    except OSError as error:
        if error.errno not in (*DISK_FULL_ERRORS, *NOT_WRITABLE_ERRORS):
            raise
        remedy = "free some space" if error.errno in DISK_FULL_ERRORS else "make it writable"
        hint = f"{remedy}, or name another folder with {CACHE_VARIABLE}"
        what = f"the cache of bases cannot be written: {error.strerror}"
        raise MachineFailure(what, where=str(folder), hint=hint) from error


def file_digests(folder: Path) -> dict[str, str]:
    """{path: `sha256:...`} of the files below a folder, sorted by path, as a store's tree has it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in paths}


def build_record(folder: Path, *, name: str, source: str, conversion: str = "") -> BaseRecord:
    """The record of a finished folder."""
    found = file_digests(folder)
    return BaseRecord(
        name=name,
        source=source,
        tree=digest_of(canonical_bytes(found)),
        files=found,
        parameters=count_all_parameters(folder),
        conversion=conversion,
    )


def count_all_parameters(folder: Path) -> int:
    """Parameters of all weight files of a folder."""
    return sum(count_parameters(path) for path in sorted(folder.glob("*.safetensors")))


def count_parameters(path: Path) -> int:
    """Parameters of a safetensors file, read from its header. Raises DataError when it is none."""
    try:
        with safe_open(path, framework="np") as weights:
            return sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise DataError(f"not a safetensors file: {error}", where=str(path), hint="download it again") from error


def _lock_file(file: int, progress: Progress) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress.say("another process is fetching this base; waiting for it")
        fcntl.flock(file, fcntl.LOCK_EX)
