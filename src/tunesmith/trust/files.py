"""Files of a folder and their digests. Symbolic links and special files are rejected: a signature cannot cover them."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tunesmith.errors import IntegrityBroken, TunesmithError

MAX_LISTED_FILES = 10
"""Differing files listed by name in an error message."""


def list_files(folder: Path, *, error: type[TunesmithError]) -> list[str]:
    """Relative POSIX paths of all files below a folder, sorted by path components.

    Raises `error` on a symbolic link, a special file, or a name that is not UTF-8.
    """
    names = _list_folder(folder, "", error)
    return sorted(names, key=lambda name: PurePosixPath(name).parts)


def digest_file(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits, read in chunks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_files(folder: Path, *, skip: frozenset[str], error: type[TunesmithError]) -> dict[str, str]:
    """{path: SHA-256 hex} of all files below a folder except those in `skip`. Raises `error` like `files_of`."""
    return {name: digest_file(folder / name) for name in list_files(folder, error=error) if name not in skip}


def compare_digests(signed: Mapping[str, str], actual: Mapping[str, str], *, where: Path, by: str) -> None:
    """Raise IntegrityBroken, listing the files, unless the digests equal those signed in the file `by`."""
    lines = [f"changed {name}" for name in signed if name in actual and signed[name] != actual[name]]
    lines += [f"missing {name}" for name in signed if name not in actual]
    lines += [f"added {name}" for name in actual if name not in signed]
    if lines:
        rest = f" and {len(lines) - MAX_LISTED_FILES} more" if len(lines) > MAX_LISTED_FILES else ""
        raise IntegrityBroken(
            f"files differ from those signed in {by}: {', '.join(lines[:MAX_LISTED_FILES])}{rest}",
            where=str(where),
            hint="do not use this copy; get the release again from its publisher",
        )


def _list_folder(folder: Path, prefix: str, error: type[TunesmithError]) -> list[str]:
    names: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            _reject_unsignable(entry, name, error)
            if entry.is_dir(follow_symlinks=False):
                names += _list_folder(folder / entry.name, f"{name}/", error)
            else:
                names.append(name)
    return names


def _reject_unsignable(entry: os.DirEntry[str], name: str, error: type[TunesmithError]) -> None:
    hint = "remove it: a signed folder may contain regular files only"
    printable_name = ascii(name)[1:-1]
    if entry.is_symlink():
        raise error("a symbolic link cannot be signed", where=printable_name, hint=hint)
    if not entry.is_dir(follow_symlinks=False) and not entry.is_file(follow_symlinks=False):
        raise error("neither a regular file nor a folder", where=printable_name, hint=hint)
    if any("\ud800" <= character <= "\udfff" for character in entry.name):
        raise error("a file name is not UTF-8", where=printable_name, hint=hint)
