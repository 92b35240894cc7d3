"""A table of bad recipes: each is refused from the recipe and the disk alone, all its faults at once, quickly and lightly."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tunesmith.errors import RecipeError
from tunesmith.preflight import check_recipe, recipe_faults
from tunesmith.recipe import parse_recipe
from tunesmith.trust import make_key

GOOD: dict[str, Any] = {
    "name": "desk",
    "base": "tunesmith/pebble",
    "task": "chat",
    "data": {"train": [{"path": "rows.jsonl"}], "test": [{"path": "held-out.jsonl"}]},
    "train": {"rows_per_step": 4},
    "evaluate": {"metrics": ["exact-match", "chrf"], "label": "queue", "baselines": ["majority"]},
    "gate": [
        {"metric": "exact-match", "better_than": "base"},
        {"metric": "exact-match", "no_worse_than": "majority", "margin": 0.1},
        {"metric": "chrf", "at_least": 20},
    ],
}
BAD: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "no such file": (
        {"data": {"train": [{"path": "rosw.jsonl"}], "test": [{"path": "held-out.jsonl"}]}},
        "no such file", "data.train.0: rosw.jsonl", "did you mean 'rows.jsonl'? paths are relative to the recipe",
    ),
    "no such held-out file": (
        {"data": {"train": [{"path": "rows.jsonl"}], "test": [{"path": "none/*.jsonl"}]}},
        "no such file", "data.test.0: none/*.jsonl", "--data-root",
    ),
    "no config": (
        {"base": {"config": "config.json", "tokenizer": {"train": 300}, "seed": 1}},
        "no such file", "base.config: config.json", "relative to the recipe",
    ),
    "no held-out rows": (
        {"data": {"train": [{"path": "rows.jsonl"}]}},
        "there are no test rows", "data.test", "split: {test: 0.2}",
    ),
    "unknown metric": (
        {"evaluate": {"metrics": ["exact-mtach", "chrf"]}, "gate": [{"metric": "chrf", "at_least": 0.5}]},
        "unknown metric 'exact-mtach'", "evaluate.metrics.0", "did you mean 'exact-match'?",
    ),
    "a likelihood of answers": (
        {"evaluate": {"metrics": ["exact-match", "bits-per-byte"]}, "gate": GOOD["gate"][:1]},
        "bits-per-byte does not fit task: chat", "evaluate.metrics.1", "exact-match",
    ),
    "an answer of texts": (
        {"task": "text", "evaluate": {"metrics": ["chrf"]}, "gate": [{"metric": "chrf", "at_least": 1}]},
        "chrf does not fit task: text", "evaluate.metrics.0", "choose from: bits-per-byte",
    ),
    "no fields to read": (
        {"evaluate": {"metrics": ["field-accuracy"], "fields": []}, "gate": [{"metric": "field-accuracy", "at_least": 0.5}]},
        "field-accuracy needs evaluate.fields, which is empty", "evaluate.metrics.0", "remove it",
    ),
    "examples for a task that shows none": (
        {
            "task": "text",
            "evaluate": {"metrics": ["bits-per-byte"], "shots": 3},
            "gate": [{"metric": "bits-per-byte", "at_most": 3}],
        },
        "task: text does not evaluate the base with examples", "evaluate.shots", "remove it",
    ),
    "entities of a conversation": (
        {"evaluate": {**GOOD["evaluate"], "entities": "strict"}},
        "task: chat has no entities", "evaluate.entities", "remove it",
    ),
    "unknown metric in the gate": (
        {"gate": [{"metric": "accuracy", "at_least": 0.5}]},
        "unknown metric 'accuracy'", "gate.0", "did you mean 'field-accuracy'?",
    ),
    "metric that is not measured": (
        {"gate": [*GOOD["gate"], {"metric": "macro-f1", "at_least": 0.5}]},
        "macro-f1 is not measured", "gate.3", "add it to evaluate.metrics",
    ),
    "baseline that is not measured": (
        {"gate": [{"metric": "exact-match", "better_than": "tfidf-words"}]},
        "tfidf-words is not among evaluate.baselines", "gate.0", "evaluate: {baselines: [majority, tfidf-words]}",
    ),
    "baseline on texts": (
        {"gate": [{"metric": "chrf", "better_than": "majority"}]},
        "majority predicts single labels, so chrf is not measured for it", "gate.0", "exact-match or macro-f1",
    ),
    "a share above one": (
        {"gate": [{"metric": "exact-match", "at_least": 80}]},
        "can never be at least 80", "gate.0", "at_least: 0.8",
    ),
    "empty gate": ({"gate": []}, "the gate is empty", "gate", "tunesmith evaluate"),
    "no key": ({"release": {"key": "other.pem"}}, "signing key not found", "release.key", "tunesmith init --key"),
    "a key that is none": (
        {"release": {"key": "rows.jsonl"}}, "not an unencrypted private key", "release.key", "to create a key",
    ),
    "a release folder that is a file": (
        {"release": {"folder": "rows.jsonl"}}, "is a file, not a folder", "release.folder", "set a folder",
    ),
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("rows.jsonl", "held-out.jsonl"):
        (tmp_path / name).write_text("{}\n")
    make_key(tmp_path / "release.pem")
    return tmp_path


def test_a_good_recipe_has_no_fault(home: Path) -> None:
    assert recipe_faults(parse_recipe(GOOD), until="release", home=home, data_root=home) == []


@pytest.mark.parametrize("case", BAD)
def test_each_fault_has_a_place_and_a_fix(case: str, home: Path) -> None:
    changes, what, where, hint = BAD[case]
    found = recipe_faults(parse_recipe({**GOOD, **changes}), until="release", home=home, data_root=home)
    assert len(found) == 1, found
    assert what in found[0].what and where in found[0].where and hint in found[0].hint, found


def test_all_faults_are_reported_together(home: Path) -> None:
    bad = {
        **GOOD,
        "data": {"train": [{"path": "rosw.jsonl"}]},
        "evaluate": {"metrics": ["exact-mtach"]},
        "gate": [{"metric": "accuracy", "at_least": 0.5}],
        "release": {"key": "other.pem"},
    }
    with pytest.raises(RecipeError, match="5 problems prevent this run; nothing was started") as caught:
        check_recipe(parse_recipe(bad), until="release", home=home, data_root=home)
    for number, word in enumerate(("rosw.jsonl", "data.test", "exact-mtach", "accuracy", "other.pem"), 1):
        assert f"{number}. " in caught.value.what and word in caught.value.what
    assert caught.value.what.count("hint: ") == 5


def test_a_stage_checks_only_what_it_needs(home: Path) -> None:
    bad = {**GOOD, "data": {"train": [{"path": "rows.jsonl"}]}, "gate": [], "release": {"key": "none.pem"}}
    recipe = parse_recipe(bad)
    counts = {
        until: len(recipe_faults(recipe, until=until, home=home, data_root=home))
        for until in ("audit", "train", "evaluate", "gate", "release")
    }
    assert counts == {"audit": 0, "train": 0, "evaluate": 1, "gate": 1, "release": 3}


def test_remote_files_are_not_checked_and_data_roots_are_searched(home: Path, tmp_path: Path) -> None:
    root = tmp_path / "elsewhere"
    root.mkdir()
    (root / "far.jsonl").write_text("{}\n")
    data = {"train": [{"path": "s3://bucket/rows.jsonl", "network": True}, {"path": "far.jsonl"}, {"path": "f*.jsonl"}],
            "test": [{"path": "held-out.jsonl"}]}  # fmt: skip
    assert recipe_faults(parse_recipe({**GOOD, "data": data}), until="release", home=home, data_root=root) == []


def test_no_heavy_library_is_loaded() -> None:
    code = (
        "import sys; from pathlib import Path; from tunesmith.preflight import recipe_faults; "
        f"from tunesmith.recipe import parse_recipe; recipe = parse_recipe({GOOD!r}); "
        "recipe_faults(recipe, until='release', home=Path(), data_root=Path()); "
        "print([name for name in ('torch', 'transformers', 'daft', 'sklearn', 'sqlalchemy', 'pyarrow') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
