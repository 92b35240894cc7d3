"""Every example runs on the embedded base, cut short; command line and library come to the same report."""

import json
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
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
    run("init", "--key", desk / "release.pem")
    refused = run("run", desk / PEBBLE, *CUT, code=3)
    assert "the gate says" in refused.stderr
    assert not (desk / "releases").exists()


SPEC = spec_from_file_location("fixtures_encoders", Path(__file__).parents[1] / "fixtures_encoders.py")
fixtures_encoders = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_encoders)


def test_banking77_on_an_encoder(root: Path, shared: Path, tmp_path: Path) -> None:
    """The recipe as it is, but for a tiny encoder in place of the fetched one."""
    fixtures_encoders.make_encoder(tmp_path / "tiny")
    text = (root / "examples" / "banking77" / "recipe.yaml").read_text().replace("all-minilm-l6-v2\ntask", "tiny\ntask")
    (tmp_path / "recipe.yaml").write_text(text.replace("      columns:", "      every: 20\n      columns:"))
    where = ["--data-root", shared / "data", "--max-steps", "4", "--json"]
    report = json.loads(run("evaluate", tmp_path / "recipe.yaml", *where).stdout)
    assert report["test"]["rows"] == 154
    names = [system["system"] for system in report["systems"]]
    assert names == ["tuned", "base-frozen", "majority", "tfidf-words", "tfidf-characters"]


def test_wnut17(root: Path, shared: Path, tmp_path: Path) -> None:
    """The recipe as it is, but for a tiny encoder in place of the fetched one; every test sentence is tagged."""
    fixtures_encoders.make_encoder(tmp_path / "tiny")
    text = (root / "examples" / "wnut17" / "recipe.yaml").read_text().replace("all-minilm-l6-v2\ntask", "tiny\ntask")
    (tmp_path / "recipe.yaml").write_text(text)
    steps = ["--data-root", shared / "data", "--limit", "64", "--max-steps", "4", "--json"]
    report = json.loads(run("evaluate", tmp_path / "recipe.yaml", *steps).stdout)
    assert [system["system"] for system in report["systems"]] == ["tuned", "majority", "frequent-tag"]
    assert report["systems"][0]["estimates"][0]["metric"] == "entity-f1"


def test_e2e(root: Path, shared: Path, tmp_path: Path) -> None:
    """The recipe as it is, on the base that its script makes, which is the same every time."""
    script = [sys.executable, str(root / "examples" / "e2e" / "make_base.py"), str(shared / "data" / "e2e")]
    for folder in ("base", "again"):
        subprocess.run([*script, str(tmp_path / folder)], check=True, capture_output=True)
    files = sorted(path.name for path in (tmp_path / "base").iterdir())
    assert all((tmp_path / "again" / name).read_bytes() == (tmp_path / "base" / name).read_bytes() for name in files)
    shutil.copy(root / "examples" / "e2e" / "recipe.yaml", tmp_path)
    steps = ["--data-root", shared / "data", "--limit", "64", "--max-steps", "4", "--json"]
    report = json.loads(run("evaluate", tmp_path / "recipe.yaml", *steps).stdout)
    assert [system["system"] for system in report["systems"]] == ["tuned", "base-plain", "lead", "copy"]
    assert [one["metric"] for one in report["systems"][0]["estimates"]] == ["chrf", "rouge-l", "exact-match"]


@pytest.mark.parametrize("name", ["recipe-pebble.yaml", "recipe-smollm2.yaml"])
def test_banking77_on_a_decoder(root: Path, shared: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "banking77"
    folder.mkdir()
    text = (root / "examples" / "banking77" / name).read_text()
    text = text.replace("base: smollm2-135m-instruct", "base: tunesmith/pebble")
    # The files are sorted by label: the first 64 rows would hold one label, so every 20th row is read instead.
    (folder / "recipe.yaml").write_text(text.replace("      columns:", "      every: 20\n      columns:"))
    steps = ["--limit", "64", "--max-steps", "4"]
    refused = run("evaluate", folder / "recipe.yaml", "--data-root", shared / "data", *steps, code=3)
    assert "unknown-test-label" in refused.stderr
    said = run("evaluate", folder / "recipe.yaml", "--data-root", shared / "data", "--max-steps", "4", "--json").stdout
    report = json.loads(said)
    assert report["test"]["rows"] == 154
    assert [system["system"] for system in report["systems"]][:3] == ["tuned", "base-plain", "base-prompted"]
