"""`tunesmith audit`: terminal examples, HTML report, SARIF file, single checks, blocking findings."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Call = Callable[..., Any]
ROWS = [
    {"prompt": "you stupid idiot, where is my lamp", "completion": "in the post"},
    {"prompt": "please tell me how many days I have to send this red hat back to you", "completion": "14"},
    {"prompt": "please tell me how many days I have to send this blue hat back to you", "completion": "14"},
    {"prompt": "I am ann@example.org, hello", "completion": "hello"},
    {"prompt": "are you there", "completion": ""},
]


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


def recipe(desk: Path, **audit: Any) -> Path:
    path = desk / "recipe.yaml"
    value = yaml.safe_load(path.read_text(encoding="utf-8"))
    value["audit"] |= audit
    path.write_text(yaml.safe_dump(value), encoding="utf-8")
    return path


def test_examples_are_shown_with_their_marks(call: Call, rows: Path) -> None:
    outcome = call("audit", "rows.jsonl")
    assert outcome.code == 0, outcome.err
    assert "»you stupid idiot«, where is my lamp" in outcome.err
    assert "near-duplicate  rows.jsonl:3 and rows.jsonl:2" in outcome.err
    assert "this _blue_ hat" in outcome.err and "this _red_ hat" in outcome.err
    assert "ann@" not in outcome.err and "I am [email-1], hello" in outcome.err
    assert "rows/s)" in outcome.err
    assert outcome.out.startswith("sha256:") and outcome.out.count("\n") == 1


def test_the_page_and_the_rows_taken_out(call: Call, rows: Path, tmp_path: Path) -> None:
    outcome = call("audit", "rows.jsonl", "--html", "found.html", "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    page = (tmp_path / "found.html").read_text(encoding="utf-8")
    assert "<h1>rows.jsonl</h1>" in page and "you stupid idiot" in page and "ann@" not in page
    assert '<a href="found.quarantine.jsonl">' in page
    lines = (tmp_path / "found.quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(line)["line"] for line in lines) == [3, 5]


def test_files_for_code_hosts_are_named_from_here(call: Call, rows: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    rows.rename(folder / "rows.jsonl")
    outcome = call("audit", "data/rows.jsonl", "--sarif", "found.sarif")
    assert outcome.code == 0, outcome.err
    assert "SARIF: found.sarif" in outcome.err
    run = json.loads((tmp_path / "found.sarif").read_text(encoding="utf-8"))["runs"][0]
    places = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]}
    assert places == {"data/rows.jsonl"}


def test_a_recipe_in_a_folder_names_its_files_from_here(
    call: Call, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recipe(desk, warn=["missing-provenance"], off=["unlicensed-source", "near-duplicate", "split-leakage"])
    monkeypatch.chdir(desk.parent)
    assert call("audit", path, "--sarif", "found.sarif", "--quiet").code == 0
    run = json.loads((desk.parent / "found.sarif").read_text(encoding="utf-8"))["runs"][0]
    assert {artifact["location"]["uri"] for artifact in run["artifacts"]} == {
        f"{desk.name}/rows.jsonl",
        f"{desk.name}/held-out.jsonl",
    }


def test_a_single_check(call: Call, rows: Path) -> None:
    outcome = call("audit", "--check", "near-duplicate", "rows.jsonl", "--json", "--quiet")
    assert outcome.code == 0
    assert json.loads(outcome.out)["found"] == {"near-duplicate": 1}


def test_a_block_writes_its_files_and_exits_with_3(call: Call, desk: Path) -> None:
    path = recipe(desk, block=["missing-provenance"], off=["near-duplicate"])
    page, sarif = desk / "found.html", desk / "found.sarif"
    outcome = call("audit", path, "--html", page, "--sarif", sarif)
    assert outcome.code == 3
    assert "block the run" in page.read_text(encoding="utf-8")
    assert '"level": "error"' in sarif.read_text(encoding="utf-8")
    assert f"Report: {page}" in outcome.err


def test_a_report_that_is_done_already_is_written_again(call: Call, desk: Path) -> None:
    path, page = recipe(desk), desk / "found.html"
    assert call("audit", path, "--html", page, "--quiet").code == 0
    first = page.read_bytes()
    page.unlink()
    outcome = call("audit", path, "--html", page)
    assert "cached" in outcome.err
    assert page.read_bytes() == first


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--html", "missing/found.html"), "the output folder does not exist"),
        (("--sarif", "."), "the output path is a folder"),
        (("--html", "a", "--sarif", "a"), "--html and --sarif name the same file"),
    ],
)
def test_files_that_cannot_be_written_are_refused_at_once(
    call: Call, rows: Path, arguments: tuple[str, ...], what: str
) -> None:
    outcome = call("audit", "rows.jsonl", *arguments)
    assert outcome.code == 2
    assert what in outcome.err
    assert not Path(".tunesmith").exists()
