"""Invalid input on the command line: one message with what, where and hint, an exit code, no traceback."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TUNESMITH = [sys.executable, "-m", "tunesmith.cli"]
Call = Callable[..., Any]
Change = Callable[..., Path]


def assert_told(outcome: Any, code: int, *, what: str, where: str, hint: str) -> None:
    """The three lines of an error, each containing the given words."""
    lines = dict(line.partition(": ")[::2] for line in outcome.err.splitlines() if ": " in line)
    assert "Traceback" not in outcome.err + outcome.out
    assert (outcome.code, outcome.out) == (code, ""), outcome.err
    assert what in lines["error"]
    assert where in lines["where"]
    assert hint in lines["hint"]


def assert_blocked(outcome: Any, *, what: str, where: str) -> None:
    """The audit reads all rows, prints its report and blocks."""
    assert "Traceback" not in outcome.err
    assert (outcome.code, outcome.out.count("sha256:")) == (3, 1), outcome.err
    assert f"error: audit failed: schema: {what}" in outcome.err
    assert f"where: {where}\n" in outcome.err


def test_a_missing_recipe(call: Call, tmp_path: Path) -> None:
    outcome = call("run", tmp_path / "none.yaml")
    assert_told(outcome, 2, what="no such recipe file", where="none.yaml", hint="tunesmith init")


def test_an_unknown_key(call: Call, change: Change) -> None:
    outcome = call("run", change(evaluate={"metric": ["exact-match"]}))
    assert_told(outcome, 2, what="unknown key 'evaluate.metric'", where="recipe.yaml", hint="did you mean 'metrics'?")


def test_a_missing_key(call: Call, desk: Path) -> None:
    (desk / "recipe.yaml").write_text("name: tiny\n", encoding="utf-8")
    outcome = call("run", desk / "recipe.yaml")
    assert_told(outcome, 2, what="the key 'base' is missing", where="recipe.yaml", hint="tunesmith init")


def test_a_value_out_of_range(call: Call, change: Change) -> None:
    outcome = call("run", change(train={"rows_per_step": 0}))
    assert_told(outcome, 2, what="train.rows_per_step", where="recipe.yaml", hint="--schema")


def test_bad_yaml(call: Call, desk: Path) -> None:
    (desk / "recipe.yaml").write_text("name: tiny\nbase: [unclosed\ntask: chat\n", encoding="utf-8")
    outcome = call("run", desk / "recipe.yaml")
    assert_told(outcome, 2, what="not valid YAML", where="recipe.yaml:3", hint="check indentation")


def test_a_recipe_that_is_not_text(call: Call, desk: Path) -> None:
    (desk / "recipe.yaml").write_bytes(b"name: \xff\xfe")
    outcome = call("run", desk / "recipe.yaml")
    assert_told(outcome, 2, what="not UTF-8", where="recipe.yaml", hint="save it as UTF-8")


def test_a_broken_json_line(call: Call, desk: Path) -> None:
    with (desk / "rows.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "no end, "label": 1\n')
    assert_blocked(call("audit", desk / "recipe.yaml", "--quiet"), what="broken JSON", where="rows.jsonl:9")


def test_a_wrong_column(call: Call, change: Change) -> None:
    data = {"train": [{"path": "rows.jsonl", "columns": {"text": "txt", "label": "label"}}]}
    outcome = call("audit", change(data=data))
    assert_told(outcome, 2, what="there is no column 'txt'", where="rows.jsonl:1", hint="did you mean 'text'?")


def test_an_empty_file(call: Call, desk: Path) -> None:
    (desk / "rows.jsonl").write_bytes(b"")
    outcome = call("audit", desk / "recipe.yaml")
    assert_told(outcome, 2, what="no rows", where="rows.jsonl", hint="add rows")


def test_mixed_formats(call: Call, desk: Path) -> None:
    with (desk / "rows.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"prompt": "a question", "completion": "an answer"}) + "\n")
    assert_blocked(call("audit", desk / "recipe.yaml", "--quiet"), what="mixed formats", where="rows.jsonl:9")


def test_a_missing_data_file(call: Call, change: Change) -> None:
    outcome = call("audit", change(data={"train": [{"path": "rosw.jsonl"}]}))
    assert_told(outcome, 2, what="no such", where="rosw.jsonl", hint="")


def test_a_missing_file_without_a_recipe(call: Call, tmp_path: Path) -> None:
    outcome = call("audit", tmp_path / "none.jsonl", "--store", tmp_path / "store")
    assert_told(outcome, 2, what="no such", where="none.jsonl", hint="")


def test_an_unknown_check(call: Call, desk: Path) -> None:
    outcome = call("audit", desk / "recipe.yaml", "--check", "personal-date")
    assert_told(outcome, 2, what="unknown check 'personal-date'", where="--check", hint="'personal-data'")


def test_an_unknown_check_in_the_recipe(call: Call, change: Change) -> None:
    outcome = call("audit", change(audit={"drop": ["exact-duplicat"]}))
    assert_told(outcome, 2, what="exact-duplicat", where="audit.drop", hint="did you mean 'exact-duplicate'?")


def test_an_unknown_base(call: Call, change: Change) -> None:
    outcome = call("train", change(base="bases/none"))
    assert_told(outcome, 2, what="no base model at 'bases/none'", where="bases/none", hint="tunesmith base list")


def test_a_test_label_without_training_rows_is_refused(call: Call, desk: Path) -> None:
    with (desk / "held-out.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"text": "my tap drips at night", "label": "plumbing"}) + "\n")
    outcome = call("audit", desk / "recipe.yaml", "--quiet")
    assert "Traceback" not in outcome.err
    assert (outcome.code, outcome.out.count("sha256:")) == (3, 1)
    assert "where: held-out.jsonl:9" in outcome.err
    assert "plumbing" in outcome.err and "hint: " in outcome.err


def test_a_row_over_the_context_length(call: Call, desk: Path) -> None:
    with (desk / "rows.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"text": " ".join(str(number) for number in range(400)), "label": "refund"}) + "\n")
    outcome = call("train", desk / "recipe.yaml", "--quiet")
    assert_told(outcome, 2, what="tokens", where="rows.jsonl:9", hint="shorten the row")


def test_a_store_in_use_names_the_run(call: Call, desk: Path) -> None:
    hold = (
        "import pathlib, sys\nfrom tunesmith.store.lock import RunLock\n"
        f"with RunLock(pathlib.Path({str(desk / 'store')!r}), 'abc'):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        outcome = call("audit", desk / "recipe.yaml", "--store", desk / "store", "--quiet")
        holder.stdin.close()
    what = f"the store is in use by run abc (process {holder.pid})"
    assert_told(outcome, 5, what=what, where=str(desk / "store"), hint="its own folder with --store")


def test_a_store_that_cannot_be_made(call: Call, desk: Path) -> None:
    outcome = call("audit", desk / "recipe.yaml", "--store", desk / "rows.jsonl" / "store", "--quiet")
    assert_told(outcome, 5, what="cannot write", where="rows.jsonl", hint="--store")


def test_a_database_that_is_not_there(call: Call, desk: Path) -> None:
    outcome = call("audit", desk / "recipe.yaml", "--database", "sqlite:////nowhere/at/all.db", "--quiet")
    assert_told(outcome, 5, what="the ledger cannot be opened", where="/nowhere/at/all.db", hint="--database")


@pytest.mark.parametrize("url", ["nonsense", "nonsense://host/name"])
def test_a_database_url_that_is_none(call: Call, desk: Path, url: str) -> None:
    outcome = call("audit", desk / "recipe.yaml", "--database", url, "--quiet")
    assert_told(outcome, 2, what="database URL", where="--database", hint="sqlite:///")


FULL_DISK = """
import resource, sys
from tunesmith.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
sys.argv = ["tunesmith", *sys.argv[1:]]
main()
"""


def test_a_full_disk(desk: Path) -> None:
    """A file size limit makes the kernel refuse writes, like a full disk."""
    command = [sys.executable, "-c", FULL_DISK, "audit", "rows.jsonl", "--quiet"]
    run = subprocess.run(command, cwd=desk, capture_output=True, text=True, check=False)
    assert run.returncode == 5, run.stderr
    assert "Traceback" not in run.stderr
    assert run.stderr.startswith("error: ")
    assert "where: " in run.stderr and "hint: " in run.stderr


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run"], ["run", "a.yaml", "--nonsense"], ["run", "a.yaml", "--limit", "0"], ["verify", "folder"]],
)
def test_misuse_of_the_command_line(call: Call, arguments: list[str]) -> None:
    outcome = call(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert "Traceback" not in outcome.err
    assert "Usage: " in outcome.err


def test_a_recipe_beside_files_is_misuse(call: Call, desk: Path) -> None:
    outcome = call("audit", desk / "recipe.yaml", desk / "rows.jsonl")
    assert_told(
        outcome, 2, what="a recipe cannot be combined with other files", where="recipe.yaml", hint="only data files"
    )


def test_verify_without_a_folder_or_a_key(call: Call, tmp_path: Path) -> None:
    missing = call("verify", tmp_path, "--key", tmp_path / "none.pub")
    assert_told(missing, 2, what="key file not found", where="none.pub", hint="tunesmith init --key")


def test_show_without_a_store(call: Call, desk: Path) -> None:
    outcome = call("show", desk / "recipe.yaml")
    assert_told(outcome, 2, what="store not found", where=".tunesmith", hint="run the recipe first")
    assert not (desk / ".tunesmith").exists()


def test_an_interrupt_keeps_what_is_finished(change: Change) -> None:
    """Ctrl-C during a command: exit code 130 and one line; the same command continues the run."""
    recipe = change(train={"method": "full", "rows_per_step": 4, "epochs": 50_000})
    command = [*TUNESMITH, "train", str(recipe)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        seen = ""
        while "train: " not in seen:
            line = run.stderr.readline()
            assert line, f"it ended early: {seen}"
            seen += line
        run.send_signal(2)
        _, rest = run.communicate(timeout=60)
    assert run.returncode == 130, rest
    assert rest.splitlines()[-1] == "Interrupted. Finished stages are kept; run the same command to continue."
    assert "Traceback" not in seen + rest
