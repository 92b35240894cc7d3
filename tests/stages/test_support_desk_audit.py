"""The audit of examples/support-desk finds every planted row by its rule, file and line, and nothing else."""

import json
from pathlib import Path

import pytest

from tunesmith import audit
from tunesmith.artifacts import AuditReport, Finding
from tunesmith.context import Context
from tunesmith.data.rows import load_rows
from tunesmith.recipe import load_recipe
from tunesmith.store import open_store


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    return root / "examples" / "support-desk"


@pytest.fixture(scope="module")
def context(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Context:
    return Context(store=open_store(tmp_path_factory.mktemp("store")), data_root=folder, home=folder)


@pytest.fixture(scope="module")
def report(folder: Path, context: Context) -> AuditReport:
    recipe = load_recipe(folder / "recipe.yaml")
    return audit.run(recipe.data, recipe.audit, context, task=recipe.task)


@pytest.fixture(scope="module")
def plants(folder: Path) -> list[dict]:
    return json.loads((folder / "plants.json").read_text())["plants"]


def place(finding: Finding) -> tuple[str, str, int]:
    return finding.rule, finding.place.file, finding.place.line


def test_every_plant_is_found_and_nothing_else(report: AuditReport, plants: list[dict]) -> None:
    found = {place(finding) for finding in report.findings}
    assert found == {(plant["rule"], "tickets.jsonl", plant["line"]) for plant in plants}


def test_each_kind_that_the_example_promises_is_planted(plants: list[dict]) -> None:
    assert {plant["rule"] for plant in plants} == {
        "personal-data", "secrets", "exact-duplicate", "near-duplicate", "split-leakage", "unlicensed-source", "empty-completion",
    }  # fmt: skip


def test_duplicates_and_leaks_name_the_row_they_repeat(report: AuditReport, plants: list[dict]) -> None:
    others = {
        finding.place.line: (finding.other.file, finding.other.line) for finding in report.findings if finding.other
    }
    expected = {plant["line"]: (plant["other"]["file"], plant["other"]["line"]) for plant in plants if "other" in plant}
    assert others == expected


def test_the_numbers_add_up(report: AuditReport, plants: list[dict]) -> None:
    dropped = [plant for plant in plants if plant["rule"] not in ("personal-data", "secrets")]
    assert report.test is not None
    assert sum(report.dropped.values()) == len(dropped)
    assert report.rows_read == report.train.rows + report.test.rows + len(dropped)


def test_no_planted_secret_or_personal_data_is_left_or_shown(report: AuditReport, context: Context) -> None:
    kept = "\n".join(row.example.prompt_text for row in load_rows(report.train, context.store))
    shown = report.canonical().decode()
    for word in (
        "marlene.hofstetter",
        "4111 1111",
        "DE89 3704",
        "078-05-1120",
        "AKIAIOSFODNN7",
        "ghp_a1B2",
        "sk_live_4eC39",
    ):
        assert word not in kept
        assert word not in shown
    assert "[email-1]" in kept
