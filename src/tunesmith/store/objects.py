"""Content-addressed objects in a folder, as `objects/ab/cdef...`; written under a temporary name, then renamed."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunesmith.artifacts import digest_of
from tunesmith.errors import IntegrityBroken, MachineFailure


def file_digest(path: Path) -> str:
    """`sha256:<64 hex>` of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn the errors of a full or read-only disk into MachineFailure, with the path."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise MachineFailure(
                "the disk is full", where=str(where), hint="free some space and run again; finished stages are kept"
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
            raise MachineFailure(
                f"cannot write: {error.strerror}", where=str(where), hint="give a writable folder with --store"
            ) from error
        raise


def write_atomic(path: Path, data: bytes) -> None:
    """Write bytes under a temporary name beside `path`, flush them to disk, then rename."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _copy_atomic(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".tmp-{os.getpid()}-{path.name}"
    try:
        shutil.copyfile(source, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class FolderObjects:
    """The ObjectStore in a local folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """The path of an object, whether it exists or not. Raises IntegrityBroken for an invalid digest."""
        algorithm, _, value = digest.partition(":")
        if algorithm != "sha256" or len(value) != 64 or not all(c in "0123456789abcdef" for c in value):
            raise IntegrityBroken(f"{digest!r} is not a SHA-256 digest")
        return self.folder / value[:2] / value[2:]

    def put(self, data: bytes) -> str:
        digest = digest_of(data)
        path = self.path(digest)
        if not path.exists():
            write_atomic(path, data)
        return digest

    def put_file(self, source: Path) -> str:
        """Store a file of any size: it is read once for the hash and once for the copy."""
        digest = file_digest(source)
        path = self.path(digest)
        if not path.exists():
            with disk_errors(path):
                _copy_atomic(source, path)
        return digest

    def get(self, digest: str) -> bytes:
        data = self._existing_path(digest).read_bytes()
        self._check_digest(digest, digest_of(data))
        return data

    def verified(self, digest: str) -> Path:
        """The path of an object, after a check of its bytes; for objects too large to read into memory."""
        path = self._existing_path(digest)
        self._check_digest(digest, file_digest(path))
        return path

    def _existing_path(self, digest: str) -> Path:
        path = self.path(digest)
        if not path.is_file():
            raise IntegrityBroken("an object is missing from the store", where=digest, hint="run the stage again")
        return path

    def _check_digest(self, digest: str, actual: str) -> None:
        if actual != digest:
            raise IntegrityBroken(
                "an object was altered in the store",
                where=str(self.path(digest)),
                hint="delete it and run the stage again",
            )

    def has(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def delete(self, digest: str) -> None:
        """Delete an object, e.g. for an erasure. A missing object is not an error."""
        self.path(digest).unlink(missing_ok=True)
