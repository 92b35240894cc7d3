"""Reference files: lookup, digests and texts."""

import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.audit.references import find_references, read_items, read_works, references_digest
from tunesmith.context import Context
from tunesmith.errors import DataError


@pytest.fixture
def home(context: Context, tmp_path: Path) -> Context:
    return replace(context, home=tmp_path / "home", data_root=tmp_path / "data")


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode()
    path.write_bytes(data)
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_paths_are_looked_up_in_the_data_root_then_next_to_the_recipe(home: Context) -> None:
    digest = write(home.data_root / "a.txt", "one")
    write(home.home / "a.txt", "two")
    other = write(home.home / "b.txt", "three")
    found = find_references(["a.txt", "b.txt", "a.txt"], home)
    assert [(one.name, one.sha256) for one in found] == [("a.txt", digest), ("b.txt", other)]


def test_folders_and_globs(home: Context) -> None:
    for name in ("w/b.md", "w/in/a.jsonl.gz", "w/c.bin"):
        write(home.home / name, '{"t": "x"}')
    assert [one.name for one in find_references(["w"], home)] == ["w/b.md", "w/in/a.jsonl.gz"]
    assert [one.name for one in find_references(["w/*.md"], home)] == ["w/b.md"]


@pytest.mark.parametrize("pattern", ["none.txt", "none/*.txt", "empty"])
def test_missing_files_are_rejected(home: Context, pattern: str) -> None:
    (home.home / "empty").mkdir(parents=True)
    with pytest.raises(DataError) as caught:
        find_references([pattern], home)
    assert pattern in str(caught.value)


def test_items_of_records_have_every_text_and_its_line(home: Context) -> None:
    rows = [{"q": "Why?", "options": ["a", {"text": "b"}], "n": 3}, {"q": "How?"}]
    write(home.home / "b.jsonl.gz", "\n".join(json.dumps(row) for row in rows))
    (file,) = find_references(["b.jsonl.gz"], home)
    assert [(one.number, one.line, one.text) for one in read_items(file)] == [
        (1, 1, "Why?"),
        (1, 1, "a"),
        (1, 1, "b"),
        (2, 2, "How?"),
    ]


def test_items_of_a_plain_file_are_lines_and_its_work_is_the_whole_text(home: Context) -> None:
    text = "First line.\n\nThird.\n"
    write(home.home / "p.txt", text)
    (file,) = find_references(["p.txt"], home)
    assert [(one.line, one.start, one.text) for one in read_items(file)] == [
        (1, 0, "First line.\n"),
        (3, 13, "Third.\n"),
    ]
    assert [one.text for one in read_works(file)] == [text]


def test_broken_files_are_rejected(home: Context) -> None:
    write(home.home / "e.txt", "  \n")
    (home.home / "l.txt").write_bytes(b"caf\xe9")
    (home.home / "z.txt.gz").write_bytes(b"\x1f\x8b broken")
    for name, what in (("e.txt", "no text"), ("l.txt", "not UTF-8"), ("z.txt.gz", "gzip")):
        (file,) = find_references([name], home)
        with pytest.raises(DataError, match=what):
            list(read_works(file))


def test_the_digest_depends_on_contents_and_order_not_names(home: Context) -> None:
    for name, text in (("a.txt", "one"), ("b.txt", "two"), ("c.txt", "one")):
        write(home.home / name, text)
    assert references_digest(find_references(["a.txt", "b.txt"], home)) == references_digest(
        find_references(["c.txt", "b.txt"], home)
    )
    assert references_digest(find_references(["a.txt", "b.txt"], home)) != references_digest(
        find_references(["b.txt", "a.txt"], home)
    )
