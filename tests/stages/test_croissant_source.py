"""A recipe that names a Croissant file: rights come from it, the recipe's own word goes first, and what contradicts is told."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunesmith import pipeline
from tunesmith.artifacts import AuditReport
from tunesmith.data.rows import load_rows
from tunesmith.errors import IntegrityBroken
from tunesmith.recipe import Recipe, load_recipe
from tunesmith.release.cards import croissant_bytes, provenance_bytes

TRAIN = "".join(json.dumps({"question": f"what is {n}?", "completion": f"it is {n}"}) + "\n" for n in range(6))
TEST = "".join(json.dumps({"question": f"who has {n}?", "completion": f"Ann has {n}"}) + "\n" for n in range(3))


def file_object(name: str, text: str, **more: Any) -> dict[str, Any]:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"@type": "cr:FileObject", "@id": name, "name": name, "contentUrl": name, "sha256": digest, **more}


def field(part: str, file: str) -> dict[str, Any]:
    extract = {"fileObject": {"@id": file}, "extract": {"column": "question" if part == "prompt" else part}}
    return {"@type": "cr:Field", "@id": f"{file}/{part}", "name": part, "dataType": "sc:Text", "source": extract}


def publish(folder: Path, **changes: Any) -> None:
    """Rows of somebody else, and the Croissant file that describes them."""
    folder.mkdir(exist_ok=True)
    (folder / "train.jsonl").write_text(TRAIN)
    (folder / "test.jsonl").write_text(TEST)
    names = ("train.jsonl", "test.jsonl")
    document = {
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": "questions",
        "description": "Questions and answers.",
        "license": "https://spdx.org/licenses/CC-BY-4.0",
        "creator": {"@type": "Person", "name": "Ann Bee"},
        "inLanguage": "en",
        "rai:dataCollectionTimeframe": ["2026-01-01", "2026-03-31"],
        "distribution": [file_object(*pair) for pair in zip(names, (TRAIN, TEST), strict=True)],
        "recordSet": [{"@id": name, "field": [field("prompt", name), field("completion", name)]} for name in names],
        **changes,
    }
    (folder / "croissant.json").write_text(json.dumps(document))


def write(folder: Path, **own: Any) -> Path:
    publish(folder / "theirs")
    described = {"croissant": "theirs/croissant.json", **own}
    recipe = {
        "name": "answers",
        "base": "tunesmith/pebble",
        "task": "chat",
        "data": {"train": [{**described, "path": "train.jsonl"}], "test": [{**described, "path": "test.jsonl"}]},
        "audit": {"off": ["near-duplicate"], "allowed_licenses": ["CC-BY-4.0", "CC0-1.0", "MIT"]},
        "train": {"method": "full", "rows_per_step": 2, "epochs": 1, "learning_rate": 0.003},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def audited(path: Path) -> tuple[AuditReport, Any, Recipe, tuple[str, ...]]:
    context, recipe = pipeline.open_context(path), load_recipe(path)
    result = pipeline.run(recipe, context, until="audit")
    assert result.audit is not None
    return result.audit, context, recipe, result.reused


def test_rights_and_columns_come_from_the_file(tmp_path: Path) -> None:
    audit, context, _, _ = audited(write(tmp_path, basis="public-domain"))
    assert audit.test is not None and (audit.train.rows, audit.test.rows) == (6, 3)
    rights = {row.rights.model_dump_json() for row in load_rows(audit.train, context.store)}
    assert {key: value for key, value in json.loads(rights.pop()).items() if value is not None} == {
        "license": "CC-BY-4.0",
        "source": "questions",
        "origin": "Questions and answers.",
        "author": "Ann Bee",
        "basis": "public-domain",
        "collected": "2026-03-31",
        "language": "en",
    }
    assert not rights and audit.train.licenses == ("CC-BY-4.0",)
    assert "contradicted-rights" not in audit.found
    (train, test) = audit.sources
    assert (train.path, train.columns, test.path) == ("theirs/train.jsonl", {"prompt": "question"}, "theirs/test.jsonl")


def test_the_recipes_word_goes_first_and_the_contradiction_is_told(tmp_path: Path) -> None:
    audit, _, _, _ = audited(write(tmp_path, license="MIT", author="Ann Bee", basis="contract"))
    assert audit.train.licenses == ("MIT",) and audit.found["contradicted-rights"] == 2
    told = [finding for finding in audit.findings if finding.rule == "contradicted-rights"]
    assert [(one.place.file, one.place.line, one.action) for one in told] == [
        ("theirs/test.jsonl", 0, "warn"),
        ("theirs/train.jsonl", 0, "warn"),
    ]
    assert told[0].reason == "license: the Croissant file says 'CC-BY-4.0', the recipe 'MIT'"


def test_other_terms_are_another_audit(tmp_path: Path) -> None:
    """The Croissant file is part of what a finished audit is known by, and so are the bytes it describes."""
    path = write(tmp_path)
    assert audited(path)[3] == ()
    assert audited(path)[3] == ("audit",)
    publish(tmp_path / "theirs", license="https://spdx.org/licenses/CC0-1.0")
    audit, _, _, reused = audited(path)
    assert reused == () and audit.train.licenses == ("CC0-1.0",)
    (tmp_path / "theirs" / "train.jsonl").write_text(TEST)
    with pytest.raises(IntegrityBroken, match="has another SHA-256 than described"):
        audited(path)


def test_what_is_exported_is_imported_again(tmp_path: Path) -> None:
    """The files of a release's croissant.json, named in another recipe, have the rights and columns that they had."""
    audit, _, recipe, _ = audited(write(tmp_path, basis="contract", purpose="answering", expires="2099-12-31"))
    second = tmp_path / "second"
    second.mkdir()
    (second / "croissant.json").write_bytes(croissant_bytes(recipe, audit))
    again = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    again["data"] = {key: [{"croissant": "croissant.json"}] for key in ("train", "test")}
    (second / "recipe.yaml").write_text(yaml.safe_dump(again))
    (second / "theirs").mkdir()
    for name in ("train.jsonl", "test.jsonl"):
        (second / "theirs" / name).write_bytes((tmp_path / "theirs" / name).read_bytes())
    other, _, other_recipe, _ = audited(second / "recipe.yaml")
    assert other.sources == audit.sources
    assert other.train.rows_digest == audit.train.rows_digest
    assert json.loads(provenance_bytes(other_recipe, other))["use"]["license"] == ["CC-BY-4.0"]
