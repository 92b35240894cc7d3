"""Every example runs on the embedded base, cut short; command line and library come to the same report."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tunesmith
from tunesmith.artifacts import EvaluationReport

PEBBLE = "recipe-pebble.yaml"
"""The support desk on the base that comes with the package."""

CUT = ["--limit", "64", "--max-steps", "4"]


def run(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith.cli", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def desk(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples") / "support-desk"
    folder.mkdir()
    for name in (PEBBLE, "tickets.jsonl", "held-out.jsonl"):
        shutil.copy(root / "examples" / "support-desk" / name, folder)
    return folder


def test_support_desk_by_command_line_and_by_library(desk: Path) -> None:
    said = run("evaluate", desk / PEBBLE, *CUT, "--json").stdout
    report = EvaluationReport.from_bytes(said.encode())
    assert report.test.rows == 64
    assert {system.system for system in report.systems} >= {
        "tuned",
        "base-plain",
        "base-prompted",
        "majority",
        "tfidf-words",
    }
    recipe = tunesmith.limited(tunesmith.load_recipe(desk / PEBBLE), tunesmith.Limits(rows=64, steps=4))
    again = tunesmith.run(recipe, tunesmith.open_context(desk / PEBBLE), until="evaluate", again=True)
    assert again.evaluation is not None and again.reused == ()
    assert again.evaluation.digest() == report.digest()
    page = desk / ".tunesmith" / "reports" / "support-desk-pebble.html"
    assert f"{report.test.rows}" in page.read_text()


def test_both_recipes_of_the_support_desk_differ_in_model_and_prompt_alone(root: Path) -> None:
    folder = root / "examples" / "support-desk"
    real, small = (tunesmith.load_recipe(folder / name) for name in ("recipe.yaml", PEBBLE))
    assert (real.data, real.audit, real.evaluate) == (small.data, small.audit, small.evaluate)
    assert real.task.instruction is not None and small.task.instruction is None


def test_a_few_steps_do_not_pass_the_gate(desk: Path) -> None:
    refused = run("run", desk / PEBBLE, *CUT, code=3)
    assert "the gate says" in refused.stderr
    assert not (desk / "releases").exists()


def test_banking77(root: Path, shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "banking77"
    folder.mkdir()
    text = (root / "examples" / "banking77" / "recipe.yaml").read_text()
    # The files are sorted by label: the first 64 rows would hold one label, so every 20th row is read instead.
    (folder / "recipe.yaml").write_text(text.replace("      columns:", "      every: 20\n      columns:"))
    steps = ["--limit", "64", "--max-steps", "4"]
    refused = run("evaluate", folder / "recipe.yaml", "--data-root", shared / "data", *steps, code=3)
    assert "unknown-test-label" in refused.stderr
    said = run("evaluate", folder / "recipe.yaml", "--data-root", shared / "data", "--max-steps", "4", "--json").stdout
    report = json.loads(said)
    assert report["test"]["rows"] == 154
    assert [system["system"] for system in report["systems"]][:3] == ["tuned", "base-plain", "base-prompted"]
