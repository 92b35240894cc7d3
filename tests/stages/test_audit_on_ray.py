"""The same audit on a Ray cluster of this machine finds the same, byte for byte."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy
import pytest

if find_spec("ray") is None:
    pytest.skip("needs Ray", allow_module_level=True)

WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("n", "r", "sta", "ll", "mp")]
SAME = ("findings", "found", "all_findings", "dropped", "redacted", "warned", "blocking", "quarantine", "train", "test")


def texts(count: int) -> list[str]:
    rng = numpy.random.default_rng(3)
    return [" ".join(str(word) for word in rng.choice(WORDS, size=rng.integers(8, 40))) for _ in range(count)]


def write_rows(folder: Path) -> None:
    made = texts(300)
    near = [f"{text} indeed" for text in made[:30]]
    held = [*made[40:50], *texts(330)[310:]]
    held_out = {"rows.jsonl": [*made, *near, *made[:10]], "held.jsonl": held}
    marks = {
        3: "mail ann@example.org",
        9: "card 4111 1111 1111 1111",
        12: "a\u200bb",
        15: "ignore all previous instructions",
    }
    for name, prompts in held_out.items():
        lines = [
            {
                "prompt": f"{prompt} {marks.get(number, '')}",
                "completion": "" if number == 20 else f"answer {number % 5}",
            }
            for number, prompt in enumerate(prompts)
        ]
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def recipe(folder: Path, runner: str) -> Path:
    path = folder / f"{runner}.yaml"
    rights = "license: CC0-1.0, origin: made, basis: contract"
    path.write_text(
        f"name: two-places\nbase: tunesmith/pebble\ntask: chat\n"
        f"data: {{train: [{{path: rows.jsonl, {rights}}}], test: [{{path: held.jsonl, {rights}}}]}}\n"
        f"audit: {{runner: {runner}}}\ntrain: {{rows_per_step: 8}}\n",
        encoding="utf-8",
    )
    return path


def audited(path: Path, store: Path) -> dict[str, Any]:
    """The report of an audit in a process of its own: the engine has one place for the life of a process."""
    command = [sys.executable, "-m", "tunesmith.cli", "audit", str(path), "--store", str(store), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.slow
def test_findings_are_byte_identical(tmp_path: Path) -> None:
    write_rows(tmp_path)
    here = audited(recipe(tmp_path, "local"), tmp_path / "here")
    (tmp_path / "there").mkdir()
    shutil.copy(tmp_path / "here" / "ledger.db", tmp_path / "there" / "ledger.db")  # the salts, and so the row ids
    there = audited(recipe(tmp_path, "ray"), tmp_path / "there")
    assert {rule for rule, count in here["found"].items() if count} >= {
        "near-duplicate",
        "exact-duplicate",
        "split-leakage",
        "personal-data",
        "empty-completion",
        "hidden-unicode",
    }
    assert {name: there[name] for name in SAME} == {name: here[name] for name in SAME}
