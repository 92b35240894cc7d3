"""`tunesmith train --dry-run` and `--find-rate`: their output, and that they do not affect later training."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import tunesmith
from tunesmith.artifacts import Place, RatePoint, RateSearch, ShownRow, TrainPreview, TrainReport, WeightedText
from tunesmith.cli import dry_run_view, rate_search_view

Call = Callable[..., Any]
Change = Callable[..., Path]
ARROW = "\x1b"


def words(text: str) -> str:
    return " ".join(text.split())


def add_rows(desk: Path, *texts: str) -> None:
    with (desk / "rows.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text, "label": "refund"}) + "\n" for text in texts)


def test_a_dry_run_shows_rows_lengths_and_needs(call: Call, desk: Path) -> None:
    outcome = call("train", desk / "recipe.yaml", "--dry-run")
    printed_text = words(outcome.out)
    assert (outcome.code, outcome.err) == (0, "tiny: audit, then training preview\n")
    assert "8 rows read, 0 rejected, 0 used for validation; 8 training sequences of at most 128 tokens" in printed_text
    assert "<|user|>kettle number 00 came to house 0<|end|><|assistant|>[[refund<|end|>]]" in outcome.out
    assert "Tokens per sequence: min " in printed_text and "####" in outcome.out
    assert "Steps: 2, 1 epoch; tokens per step: min " in printed_text
    assert "shared prefixes: " in printed_text and "times fewer" in printed_text
    assert (
        "memory: weights " in printed_text
        and "optimizer state " in printed_text
        and "activations about " in printed_text
    )
    assert "time: about " in printed_text and "time is estimated: the largest pass forward and backward" in printed_text
    assert ARROW not in outcome.out


def test_json_output_is_canonical_and_reproducible(call: Call, desk: Path) -> None:
    outcome = call("train", desk / "recipe.yaml", "--dry-run", "--json", "--quiet")
    preview = TrainPreview.from_bytes(outcome.out.encode())
    again = TrainPreview.from_bytes(call("train", desk / "recipe.yaml", "--dry-run", "--json", "-q").out.encode())
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == preview.canonical().decode() + "\n"
    assert preview.digest() == again.digest()
    assert (preview.rows, preview.steps, preview.window) == (8, 2, 128)


def test_previews_do_not_affect_later_training(call: Call, desk: Path, tmp_path: Path) -> None:
    """The stores and so the row ids differ; the models are byte-identical."""
    looked, fresh = tmp_path / "looked", tmp_path / "fresh"
    for flag in ("--dry-run", "--find-rate"):
        assert call("train", desk / "recipe.yaml", flag, "--store", looked, "--quiet").code == 0
    assert not (looked / "work").exists()
    assert "audit" in call("show", desk / "recipe.yaml", "--json", "--store", looked).out
    after = call("train", desk / "recipe.yaml", "--store", looked, "--json")
    alone = call("train", desk / "recipe.yaml", "--store", fresh, "--json", "--quiet")
    assert "audit: done already" in after.err and "train: done already" not in after.err
    assert "resumed" not in after.err
    after_report, alone_report = (TrainReport.from_bytes(outcome.out.encode()) for outcome in (after, alone))
    assert after_report.model == alone_report.model
    assert after_report.curve == alone_report.curve


def test_unusable_rows_are_listed_and_refused(call: Call, desk: Path) -> None:
    add_rows(desk, "7" * 200, "a <|end|> inside")
    outcome = call("train", desk / "recipe.yaml", "--dry-run")
    printed_text = words(outcome.out)
    assert outcome.code == 2
    assert "Rejected: 2 rows; training stops at the first" in printed_text
    assert "rows.jsonl:9: row " in printed_text and "the context holds 128; truncation would lose " in printed_text
    assert "rows.jsonl:10: row " in printed_text and "a message spells the control token <|end|>" in printed_text
    assert "too long: 1 rows; truncation would lose " in printed_text
    assert "Steps: " in printed_text
    assert "error: 2 of 10 rows cannot be used for training; first: row " in outcome.err
    assert "where: rows.jsonl:9" in outcome.err and "hint: shorten or fix these rows" in outcome.err
    assert call("train", desk / "recipe.yaml").code == 2


def test_rate_search_prints_a_curve_and_stores_nothing(call: Call, desk: Path) -> None:
    outcome = call("train", desk / "recipe.yaml", "--find-rate", "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    assert "Learning rates for new, full, adamw; nothing was trained" in outcome.out
    assert "rate in the recipe: 1.00e-03" in outcome.out
    assert "rate" in outcome.out and "smoothed" in outcome.out
    assert sum("*" in line for line in outcome.out.splitlines()) >= 3
    first, second = (call("train", desk / "recipe.yaml", "--find-rate", "--json", "-q").out for _ in range(2))
    search = RateSearch.from_bytes(first.encode())
    assert first == second == search.canonical().decode() + "\n"
    assert search.points[0].rate == 1e-7
    assert f"{search.steepest:.2e}" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dry-run", "--find-rate"), "--dry-run and --find-rate cannot be combined"),
        (("--dry-run", "--use", "sha256:1"), "--use cannot be combined with --dry-run or --find-rate"),
        (("--find-rate", "--use", "sha256:1"), "--use cannot be combined with --dry-run or --find-rate"),
    ],
)
def test_options_that_cannot_be_combined(call: Call, desk: Path, arguments: tuple[str, ...], message: str) -> None:
    outcome = call("train", desk / "recipe.yaml", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert not (desk / ".tunesmith").exists()


def test_a_blocking_audit_is_reported_before_the_preview(call: Call, change: Change) -> None:
    outcome = call("train", change(audit={"block": ["missing-provenance"]}), "--dry-run")
    assert outcome.code == 3
    assert "audit failed" in outcome.err
    assert outcome.out.startswith("sha256:")


def shown_row(*pieces: tuple[str, float]) -> ShownRow:
    weighted = tuple(WeightedText(text=text, weight=weight) for text, weight in pieces)
    return ShownRow(place=Place(row_id="r", file="f", line=1), tokens=9, trained=3, pieces=weighted)


def on_terminal(row: ShownRow) -> str:
    stream = io.StringIO()
    Console(file=stream, force_terminal=True, color_system="standard", width=200).print(
        dry_run_view.mark_trained_text(row, styled=True)
    )
    return stream.getvalue()


def test_trained_text_is_underlined_on_a_terminal_and_bracketed_elsewhere() -> None:
    row = shown_row(("<|user|>[bold]hi", 0), ("yes<|end|>", 1), ("\n", 0), ("no", 0.5))
    assert dry_run_view.mark_trained_text(row, styled=False).plain == "<|user|>[bold]hi[[yes<|end|>]]\n0.5x [[no]]"
    assert (
        on_terminal(row) == f"<|user|>[bold]hi{ARROW}[1;4;32myes<|end|>{ARROW}[0m\n0.5x {ARROW}[1;4;32mno{ARROW}[0m\n"
    )


def test_control_characters_in_a_row_are_escaped() -> None:
    row = shown_row((f"a{ARROW}[2Jb\u200bc\u202ed", 0))
    assert dry_run_view.mark_trained_text(row, styled=True).plain == "a\\x1b[2Jb\\u200bc\\u202ed"
    assert ARROW not in on_terminal(row)


def test_the_middle_of_a_long_piece_is_omitted_and_counted() -> None:
    assert (
        dry_run_view.shorten_piece("a" * 500 + "b" * 1000) == "a" * 400 + " ... 700 characters omitted ... " + "b" * 400
    )
    assert dry_run_view.shorten_piece("a" * 800) == "a" * 800


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2.5e6, "2.5 MB"), (7e9, "7.0 GB"), (3e15, "3000.0 TB")],
)
def test_format_bytes(count: float, text: str) -> None:
    assert dry_run_view.format_bytes(count) == text


def test_the_plot_has_a_mark_under_the_steepest_point() -> None:
    points = tuple(
        RatePoint(rate=10.0 ** (at - 7), loss=0.0, smoothed=value) for at, value in enumerate([4.0, 4.0, 3.0, 1.0, 6.0])
    )
    search = RateSearch.model_construct(points=points, steepest=1e-5)
    lines = rate_search_view.rate_plot(search)
    assert lines[0].startswith("    6.000 |") and lines[11].startswith("    1.000 |")
    assert lines[0][11:].rstrip() == " " * 59 + "*"
    assert [line[11:].rstrip() for line in lines if "^" in line] == [" " * 30 + "^"]
    assert "1.0e-07" in lines[-1] and lines[-1].endswith("1.0e-03")


def test_the_library_gives_the_same_preview(call: Call, desk: Path) -> None:
    from dataclasses import replace

    from tunesmith.train import TrainInputs
    from tunesmith.train.preview import dry_run

    path = desk / "recipe.yaml"
    preview = TrainPreview.from_bytes(call("train", path, "--dry-run", "--json", "-q").out.encode())
    recipe, context = tunesmith.load_recipe(path), tunesmith.open_context(path)
    audit = tunesmith.run(recipe, context, until="audit").audit
    assert audit is not None
    inputs = TrainInputs(audit.train, recipe.base, recipe.task)
    assert dry_run(inputs, recipe.train, replace(context, seed=recipe.train.seed)).digest() == preview.digest()
