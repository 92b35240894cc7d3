"""The files of a source's path: paths, globs, folders saved by `datasets`, folders of data files, links."""

import hashlib
import json
from pathlib import Path

import pytest

from tunesmith.data.examples import read_examples
from tunesmith.data.files import DataFile, find_files
from tunesmith.errors import DataError

ROW = b'{"text": "a"}\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(ROW)


def found(pattern: str, *roots: Path) -> list[DataFile]:
    return find_files(pattern, roots=roots, cache=roots[0].parent / "cache")


def names(pattern: str, *roots: Path) -> list[str]:
    return [file.name for file in found(pattern, *roots)]


def refused(pattern: str, *roots: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        [file.digest for file in found(pattern, *roots)]
    return caught.value


def test_a_path_is_looked_up_below_each_root(root: Path, tmp_path: Path) -> None:
    put(tmp_path, "home/b.jsonl", "root/a.jsonl", "home/a.jsonl")
    roots = (root, tmp_path / "home")
    assert [(file.path, file.name) for file in found("a.jsonl", *roots)] == [(root / "a.jsonl", "a.jsonl")]
    assert [(file.path, file.name) for file in found("b.jsonl", *roots)] == [(tmp_path / "home/b.jsonl", "b.jsonl")]
    assert names(str(root / "a.jsonl"), *roots) == ["a.jsonl"]
    assert names(f"file://{root}/a.jsonl", *roots) == ["a.jsonl"]
    assert refused("c.jsonl", *roots).what == "no such file"
    assert refused("c.jsonl", *roots).where == "c.jsonl"


def test_the_digest_is_that_of_the_bytes(root: Path) -> None:
    put(root, "a.jsonl")
    assert found("a.jsonl", root)[0].digest == f"sha256:{hashlib.sha256(ROW).hexdigest()}"


def test_a_glob_is_sorted_and_recursive_with_two_stars(root: Path) -> None:
    put(root, "b.jsonl", "a.jsonl", "c/d.jsonl", "e[1].jsonl")
    (root / "f.jsonl").mkdir()
    assert names("*.jsonl", root) == ["a.jsonl", "b.jsonl", "e[1].jsonl"]
    assert names("**/*.jsonl", root) == ["a.jsonl", "b.jsonl", "c/d.jsonl", "e[1].jsonl"]
    assert names("e[1].jsonl", root) == ["e[1].jsonl"]
    assert refused("x*.jsonl", root).what == "no file matches"


def test_a_folder_saved_by_datasets(root: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"text": [f"row {n}" for n in range(10)]})
    rows.save_to_disk(root / "one", num_shards=3)
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(root / "two")
    datasets.DatasetDict({"train": rows}).save_to_disk(root / "three")
    parts = [f"data-0000{n}-of-00003.arrow" for n in range(3)]
    assert names("one", root) == [f"one/{part}" for part in parts]
    read = [one for file in found("one", root) for one in read_examples(file.path, file.name)]
    assert [one[1].text for one in read if isinstance(one, tuple)] == [f"row {n}" for n in range(10)]
    assert names("two/test", root) == ["two/test/data-00000-of-00001.arrow"]
    assert names("three", root) == ["three/train/data-00000-of-00001.arrow"]
    error = refused("two", root)
    assert (error.what, error.hint) == ("the folder holds 2 splits", "give one of them: two/train, two/test")


@pytest.mark.parametrize("listed", ["../a.arrow", "/etc/passwd", "", ".."])
def test_a_saved_folder_cannot_name_a_file_outside(listed: str, root: Path) -> None:
    put(root, "one/x")
    (root / "one/state.json").write_text(json.dumps({"_data_files": [{"filename": listed}]}))
    assert "which is not a file name" in refused("one", root).what
    (root / "one/state.json").write_text("{")
    assert refused("one", root).what.startswith("state.json is broken: ")


def test_a_folder_of_data_files(root: Path) -> None:
    put(root, "hub/README.md", "hub/dataset_infos.json", "hub/.cache/x.parquet", "hub/notes.txt")
    put(root, "hub/data/train-00001-of-00002.parquet", "hub/data/train-00000-of-00002.parquet")
    assert names("hub", root) == [f"hub/data/train-0000{n}-of-00002.parquet" for n in range(2)]
    put(root, "hub/data/test-00000-of-00001.parquet")
    error = refused("hub", root)
    assert (error.what, error.where) == ("the folder holds 2 splits", "hub")
    assert error.hint == "give one of them: hub/**/*test*, hub/**/*train*"


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (("a.jsonl", "b.csv"), "the folder holds .csv and .jsonl files"),
        (("dev.jsonl", "training.jsonl"), "the folder holds 2 splits"),
        (("train/a.jsonl", "test/a.jsonl"), "the folder holds 2 splits"),
        (("README.md",), "this is a folder"),
    ],
)
def test_a_folder_with_several_splits_or_kinds_is_an_error(files: tuple[str, ...], what: str, root: Path) -> None:
    put(root, *(f"x/{file}" for file in files))
    assert (refused("x", root).what, refused("x", root).where) == (what, "x")


def test_two_words_for_one_split_are_one_split(root: Path) -> None:
    put(root, "x/contest-train.jsonl", "x/training/b.jsonl", "x/trainer.jsonl")
    assert names("x", root) == ["x/contest-train.jsonl", "x/trainer.jsonl", "x/training/b.jsonl"]


def test_links(root: Path, tmp_path: Path) -> None:
    put(tmp_path, "outside/a.jsonl")
    put(root, "in/b.jsonl")
    (root / "link.jsonl").symlink_to(tmp_path / "outside/a.jsonl")
    (root / "folder").symlink_to(tmp_path / "outside")
    assert names("link.jsonl", root) == ["link.jsonl"]
    assert names("folder/*.jsonl", root) == ["folder/a.jsonl"]
    (root / "in/round").symlink_to(root / "in")
    assert names("in/*.jsonl", root) == ["in/b.jsonl"]
    assert str(refused("in/**/*.jsonl", root)) == "in/round: a symbolic link leads to a folder that contains it"
    (root / "self.jsonl").symlink_to(root / "self.jsonl")
    assert refused("self.jsonl", root).what == "the file cannot be read: too many levels of symbolic links"
    assert refused("self*.jsonl", root).what == "the file cannot be read: too many levels of symbolic links"
