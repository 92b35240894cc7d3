"""Folders: which files of a folder are the rows of a data set, and in which order."""

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tunesmith.data.containers import refuse_missing
from tunesmith.data.containers.read_records import COLUMNAR_READERS, TEXT_READERS, data_suffix
from tunesmith.errors import DataError

DATA_SUFFIXES: Final = tuple(suffix for suffix in (*TEXT_READERS, *COLUMNAR_READERS) if suffix not in (".txt", ".md"))
"""What counts as data in a folder; a README.md is no row."""
METADATA_FILES: Final = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json")
SPLIT_WORDS: Final = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
}
"""Words in a file's path that say which split it holds, as on the Hugging Face Hub."""


def files_in_folder(folder: Path, name: str) -> list[Path]:
    """The files of a folder that `datasets` saved in the order it wrote them, else its data files in name order.

    Raises DataError when there are none, and when there are several splits or kinds: a row of the test split would be trained on.
    """
    if (folder / "dataset_dict.json").is_file():
        splits = _listed_files(folder / "dataset_dict.json", "splits", name)
        if len(splits) != 1:
            raise _several_splits(name, [f"{name}/{split}" for split in splits])
        folder = folder / splits[0]
    if (folder / "state.json").is_file():
        return [folder / part for part in _listed_files(folder / "state.json", "_data_files", name)]
    found = select_data_files(
        [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()], name
    )
    if not found:
        refuse_missing(folder, name)
    return [folder / path for path in found]


def select_data_files(paths: Sequence[str], name: str) -> list[str]:
    """Those of a folder's files (paths in it) that hold rows, in name order; hidden files and descriptions are left out.

    Raises DataError when they are of several splits or kinds.
    """
    found = sorted(path for path in paths if _is_data(PurePosixPath(path)))
    splits = sorted({_split_of_path(path) for path in found} - {""})
    if len(splits) > 1:
        raise _several_splits(name, [f"{name}/**/*{split}*" for split in splits])
    kinds = sorted({data_suffix(path) for path in found})
    if len(kinds) > 1:
        hint = f"name one of them: {', '.join(f'{name}/**/*{kind}' for kind in kinds)}"
        raise DataError(f"the folder holds {' and '.join(kinds)} files", where=name, hint=hint)
    return found


def _is_data(path: PurePosixPath) -> bool:
    return (
        data_suffix(path.name) in DATA_SUFFIXES
        and path.name not in METADATA_FILES
        and not any(part.startswith(".") for part in path.parts)
    )


def _split_of_path(path: str) -> str:
    """The split that the words of a path name; the last word counts, as in `train/test.jsonl`."""
    words = "".join(letter if letter.isalnum() else " " for letter in path.lower()).split()
    return next((SPLIT_WORDS[word] for word in reversed(words) if word in SPLIT_WORDS), "")


def _several_splits(name: str, choices: Sequence[str]) -> DataError:
    hint = f"name one of them: {', '.join(choices)}" if choices else "save the data set again"
    return DataError(f"the folder holds {len(choices)} splits", where=name, hint=hint)


def _listed_files(path: Path, key: str, name: str) -> list[str]:
    """The names under a key of a file of `datasets`: texts, or objects with `filename`; each is a plain name in the folder."""
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))[key]
        names = [one["filename"] if isinstance(one, dict) else one for one in value]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DataError(f"{path.name} is broken: {error}", where=name, hint="save the data set again") from error
    bad = [one for one in names if not isinstance(one, str) or one in ("", "..") or Path(one).name != one]
    if bad:
        raise DataError(f"{path.name} names {bad[0]!r}, which is no file of the folder", where=name)
    return names
