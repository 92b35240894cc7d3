"""Select the data files of a folder, in order."""

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tunesmith.data.containers import refuse_missing
from tunesmith.data.containers.read_records import COLUMNAR_READERS, TEXT_READERS, data_suffix
from tunesmith.errors import DataError

DATA_SUFFIXES: Final = tuple(suffix for suffix in (*TEXT_READERS, *COLUMNAR_READERS) if suffix not in (".txt", ".md"))
"""Suffixes of data files in a folder; text is excluded, so that a README.md is not read as a row."""
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
"""Words in a file's path that name its split, as on the Hugging Face Hub."""


def files_in_folder(folder: Path, name: str) -> list[Path]:
    """The files of a folder saved by `datasets`, in its order, else the data files of the folder by name.

    Raises DataError when there is none, and when the folder holds several splits, since test rows would be used for training, or
    several kinds of files.
    """
    if (folder / "dataset_dict.json").is_file():
        splits = _listed_files(folder / "dataset_dict.json", "splits", name)
        if len(splits) != 1:
            raise _several_splits(name, [f"{name}/{split}" for split in splits])
        folder = folder / splits[0]
    if (folder / "state.json").is_file():
        return [folder / part for part in _listed_files(folder / "state.json", "_data_files", name)]
    paths = select_data_files(
        [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()], name
    )
    if not paths:
        refuse_missing(folder, name)
    return [folder / data_path for data_path in paths]


def select_data_files(paths: Sequence[str], name: str) -> list[str]:
    """The paths of data files among the `paths` of a folder, by name; hidden files and metadata files are excluded.

    Raises DataError when they belong to several splits or are of several kinds.
    """
    selected = sorted(path for path in paths if _is_data(PurePosixPath(path)))
    splits = sorted({_split_of_path(path) for path in selected} - {""})
    if len(splits) > 1:
        raise _several_splits(name, [f"{name}/**/*{split}*" for split in splits])
    kinds = sorted({data_suffix(path) for path in selected})
    if len(kinds) > 1:
        hint = f"give one of them: {', '.join(f'{name}/**/*{kind}' for kind in kinds)}"
        raise DataError(f"the folder holds {' and '.join(kinds)} files", where=name, hint=hint)
    return selected


def _is_data(path: PurePosixPath) -> bool:
    return (
        data_suffix(path.name) in DATA_SUFFIXES
        and path.name not in METADATA_FILES
        and not any(part.startswith(".") for part in path.parts)
    )


def _split_of_path(path: str) -> str:
    """The split that the words of a path name: the last one, as in `train/test.jsonl`."""
    words = "".join(letter if letter.isalnum() else " " for letter in path.lower()).split()
    return next((SPLIT_WORDS[word] for word in reversed(words) if word in SPLIT_WORDS), "")


def _several_splits(name: str, choices: Sequence[str]) -> DataError:
    hint = f"give one of them: {', '.join(choices)}" if choices else "save the data set again"
    return DataError(f"the folder holds {len(choices)} splits", where=name, hint=hint)


def _listed_files(path: Path, key: str, name: str) -> list[str]:
    """The file names under a key of a `datasets` file: strings, or objects with `filename`. Each must be a plain name."""
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))[key]
        names = [item["filename"] if isinstance(item, dict) else item for item in value]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DataError(f"{path.name} is broken: {error}", where=name, hint="save the data set again") from error
    bad = [item for item in names if not isinstance(item, str) or item in ("", "..") or Path(item).name != item]
    if bad:
        raise DataError(f"{path.name} names {bad[0]!r}, which is not a file name", where=name)
    return names
