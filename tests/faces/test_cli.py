"""Commands that need no model: keys, recipes, reports, verification. CLI and library give the same digest."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tunesmith
from tunesmith.artifacts import AuditReport
from tunesmith.trust import load_public_pem, load_signer, sign_release

Call = Callable[..., Any]


def test_init_writes_a_recipe_that_loads(call: Call, tmp_path: Path) -> None:
    outcome = call("init", tmp_path / "new")
    assert (outcome.code, outcome.out) == (0, f"{tmp_path / 'new' / 'recipe.yaml'}\n")
    assert tunesmith.load_recipe(tmp_path / "new" / "recipe.yaml").name == "my-model"


def test_init_keeps_an_existing_recipe(call: Call, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: mine\n", encoding="utf-8")
    refused, quiet = call("init", tmp_path), call("init", tmp_path, "--if-missing")
    assert (refused.code, quiet.code) == (2, 0)
    assert "the recipe already exists" in refused.err
    assert (quiet.out, quiet.err) == ("", "")
    assert (tmp_path / "recipe.yaml").read_text(encoding="utf-8") == "name: mine\n"


def test_init_makes_a_key_pair(call: Call, tmp_path: Path) -> None:
    key, public = tmp_path / "release.pem", tmp_path / "release.pub"
    outcome = call("init", "--key", key)
    assert (outcome.code, outcome.out) == (0, f"{key}\n{public}\n")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert load_public_pem(public) == load_signer(key).public_pem()
    assert not (tmp_path / "recipe.yaml").exists()


def test_init_never_overwrites_a_key(call: Call, tmp_path: Path) -> None:
    key = tmp_path / "release.pem"
    call("init", "--key", key)
    before = key.read_bytes()
    (tmp_path / "release.pub").unlink()
    refused, quiet = call("init", "--key", key), call("init", "--key", key, "--if-missing")
    assert (refused.code, quiet.code, quiet.out, quiet.err) == (2, 0, "", "")
    assert "key file already exists" in refused.err
    assert key.read_bytes() == before
    assert (tmp_path / "release.pub").read_bytes() == load_signer(key).public_pem()


def test_a_public_key_without_its_private_key_is_not_replaced(call: Call, tmp_path: Path) -> None:
    (tmp_path / "release.pub").write_bytes(b"of somebody")
    outcome = call("init", "--key", tmp_path / "release.pem")
    assert (outcome.code, (tmp_path / "release.pub").read_bytes()) == (2, b"of somebody")
    assert not (tmp_path / "release.pem").exists()


def test_audit_by_command_line_and_library_gives_one_report(call: Call, desk: Path) -> None:
    outcome = call("audit", desk / "recipe.yaml", "--json", "--quiet")
    report = AuditReport.from_bytes(outcome.out.encode())
    path = desk / "recipe.yaml"
    result = tunesmith.run(tunesmith.load_recipe(path), tunesmith.open_context(path), until="audit", again=True)
    assert result.audit is not None
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == report.canonical().decode() + "\n"
    assert report.digest() == result.audit.digest()


def test_digest_on_stdout_identifies_the_stored_report(call: Call, desk: Path) -> None:
    digest = call("audit", desk / "recipe.yaml", "--quiet").out.strip()
    shown_report = call("show", digest, "--store", desk / ".tunesmith")
    latest = call("show", desk / "recipe.yaml", "--json")
    report = AuditReport.from_bytes(shown_report.out.encode())
    assert report.digest() == digest
    assert latest.out == shown_report.out


def test_show_lists_audit_findings(call: Call, desk: Path) -> None:
    with (desk / "rows.jsonl").open("a", encoding="utf-8") as file:
        file.write((desk / "rows.jsonl").read_text(encoding="utf-8").splitlines()[0] + "\n")
    call("audit", desk / "recipe.yaml", "--quiet")
    outcome = call("show", desk / "recipe.yaml", "--stage", "audit")
    words = " ".join(outcome.out.split())
    assert "17 rows read, 8 for training, 8 for testing, 1 quarantined" in words
    assert "exact-duplicate" in words and "rows.jsonl:9" in words


def test_a_single_check(call: Call, desk: Path) -> None:
    outcome = call("audit", desk / "recipe.yaml", "--check", "exact-duplicate", "--json", "--quiet")
    checks = json.loads(outcome.out)["checks"]
    assert [name for name, how in checks.items() if how != "off"] == ["exact-duplicate"]


def test_files_without_a_recipe(call: Call, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    outcome = call("audit", "rows.jsonl", "held-out.jsonl", "--json", "--quiet", "--store", desk / "store")
    report = AuditReport.from_bytes(outcome.out.encode())
    assert (report.rows_read, [source.path for source in report.sources]) == (16, ["rows.jsonl", "held-out.jsonl"])


def test_show_lists_schema_checks_and_metrics(call: Call) -> None:
    schema, checks, metrics = call("show", "--schema"), call("show", "--checks"), call("show", "--metrics")
    assert json.loads(schema.out)["title"] == "Recipe"
    assert [line.split(":")[0] for line in checks.out.splitlines()].count("exact-duplicate") == 1
    assert "exact-match: Exact match: the share of outputs whose label is the expected one." in metrics.out.splitlines()


@pytest.mark.parametrize("arguments", [[], ["recipe.yaml", "--schema"], ["--checks", "--metrics"]])
def test_show_requires_exactly_one_target(call: Call, arguments: list[str]) -> None:
    assert call("show", *arguments).code == 2


@pytest.fixture
def signed(tmp_path: Path, call: Call) -> Path:
    """A signed release folder."""
    call("init", "--key", tmp_path / "release.pem")
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "weights.txt").write_text("weights", encoding="utf-8")
    sign_release(
        folder,
        load_signer(tmp_path / "release.pem"),
        name="tiny",
        version=3,
        statements={},
        log_folder=tmp_path / "log",
    )
    return folder


def test_verify_prints_what_was_verified(call: Call, signed: Path, tmp_path: Path) -> None:
    outcome = call("verify", signed, "--key", tmp_path / "release.pub")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("Verified: tiny 3, signed by key ")
    value = json.loads(call("verify", signed, "--key", tmp_path / "release.pub", "--json").out)
    assert (value["name"], value["version"], value["statements"]) == ("tiny", 3, {})


@pytest.mark.parametrize("change", ["changed", "added", "missing"])
def test_verify_names_the_modified_path(call: Call, signed: Path, tmp_path: Path, change: str) -> None:
    name = "extra.txt" if change == "added" else "weights.txt"
    if change == "missing":
        (signed / name).unlink()
    else:
        (signed / name).write_text("other", encoding="utf-8")
    outcome = call("verify", signed, "--key", tmp_path / "release.pub")
    assert (outcome.code, outcome.out) == (4, "")
    assert f"{change} {name}" in outcome.err
    assert "where: " in outcome.err and "hint: " in outcome.err and "Traceback" not in outcome.err


def test_serve_refuses_a_release_that_does_not_verify(call: Call, signed: Path, tmp_path: Path) -> None:
    (signed / "weights.txt").write_text("other", encoding="utf-8")
    outcome = call("serve", signed, "--key", tmp_path / "release.pub", "--port", "0")
    assert outcome.code == 4
    assert "changed weights.txt" in outcome.err and "Traceback" not in outcome.err


def test_version(call: Call) -> None:
    assert call("--version").out == "tunesmith 0.1.0\n"
