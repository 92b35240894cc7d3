"""A source with a Croissant file: the files it expands to, the precedence of settings, the contradictions."""

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tunesmith.data.croissant import expand_source
from tunesmith.errors import DataError, IntegrityBroken
from tunesmith.recipe import SourceSettings

ROWS = b'{"prompt": "Where is my kettle?", "completion": "On its way."}\n'


def write(folder: Path, *names: str, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(ROWS + name.encode())
    files = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "contentUrl": name,
            "sha256": hashlib.sha256(ROWS + name.encode()).hexdigest(),
        }
        for name in names
    ]
    whole = {"conformsTo": "http://mlcommons.org/croissant/1.1", "name": "kettles", "distribution": files}
    path = folder / "croissant.json"
    path.write_text(json.dumps(whole | changes))
    return path


def of(folder: Path, *roots: Path, **own: Any) -> tuple[tuple[SourceSettings, dict[str, str]], ...]:
    spec = SourceSettings(croissant="croissant.json", **own)
    return expand_source(spec, split="train", roots=roots or (folder,))


def test_a_source_without_a_croissant_file_is_unchanged() -> None:
    spec = SourceSettings(path="a/*.jsonl", license="MIT")
    assert expand_source(spec, split="train", roots=()) == ((spec, {}),)


def test_every_file_is_a_source_and_path_selects_one(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl", "b.jsonl", license="https://spdx.org/licenses/MIT")
    both = [SourceSettings(path=name, license="MIT", source="kettles", limit=3) for name in ("a.jsonl", "b.jsonl")]
    assert of(tmp_path, limit=3) == ((both[0], {}), (both[1], {}))
    assert [source.path for source, _ in of(tmp_path, path="b.jsonl")] == ["b.jsonl"]


def test_the_recipe_overrides_the_file_and_contradictions_are_reported(tmp_path: Path) -> None:
    """Equivalent licences and equal dates are no contradiction, nor are unreadable values."""
    write(
        tmp_path,
        "a.jsonl",
        license="https://creativecommons.org/licenses/by/4.0/",
        creator={"name": "Ann"},
        inLanguage="en",
        expires="2026-01-01",
    )
    own = {"license": "MIT", "author": "Ann", "language": "de", "expires": date(2026, 1, 1), "basis": "contract"}
    ((found, contradicted),) = of(tmp_path, **own)
    assert found == SourceSettings(path="a.jsonl", source="kettles", **own)
    assert contradicted == {"license": "CC-BY-4.0", "language": "en"}
    assert of(tmp_path, license="(CC-BY-4.0)")[0][1] == {}
    write(tmp_path, "a.jsonl", license="ask us", description="theirs")
    asked = of(tmp_path, license="LicenseRef-Asked", origin="ours")[0]
    assert (asked[0].license, asked[0].origin, asked[1]) == ("LicenseRef-Asked", "ours", {"origin": "theirs"})


def test_the_verified_file_is_the_file_that_is_read(tmp_path: Path) -> None:
    """A file of the same name below an earlier root is not used."""
    data, home = tmp_path / "data", tmp_path / "home"
    data.mkdir()
    (data / "a.jsonl").write_bytes(b"{}\n")
    write(home, "a.jsonl")
    assert of(home, data, home)[0][0].path == (home / "a.jsonl").resolve().as_posix()
    (data / "a.jsonl").unlink()
    assert of(home, data, home)[0][0].path == "a.jsonl"


def test_changed_and_missing_files_are_errors(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl")
    (tmp_path / "a.jsonl").write_bytes(b"another\n")
    with pytest.raises(IntegrityBroken, match=r"a\.jsonl has another SHA-256 than described"):
        of(tmp_path)
    with pytest.raises(DataError, match="no such file") as caught:
        of(tmp_path / "nowhere")
    assert caught.value.where == str(tmp_path / "nowhere" / "croissant.json")
