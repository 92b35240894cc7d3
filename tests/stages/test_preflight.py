"""What evaluation, gate, release and serving would refuse is refused before the first step; what was measured is shown."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tunesmith import pipeline
from tunesmith.cli.main import app
from tunesmith.errors import DataError, IntegrityBroken, Misuse, TunesmithError
from tunesmith.models.backends import engine
from tunesmith.recipe import load_recipe
from tunesmith.trust import load_signer, make_key
from tunesmith.trust.keys import key_id

SPEC = spec_from_file_location("fixtures_models", Path(__file__).parents[1] / "fixtures_models.py")
fixtures_models = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_models)

THINGS = ("kettle", "lamp", "scarf", "bicycle", "garden chair", "radio", "blue tent", "clock")
QUEUES = ("refund", "delivery")


def rows(turn: int, answer: Callable[[int], str]) -> list[dict[str, str]]:
    return [
        {"prompt": f"{thing} number {turn}{place} came to house {place * 7 + turn}", "completion": answer(place)}
        for place, thing in enumerate(THINGS)
    ]


def label(place: int) -> str:
    return QUEUES[place % 2]


def write(folder: Path, **changes: Any) -> Path:
    recipe = {
        "name": "tiny",
        "base": "base",
        "task": "chat",
        "data": {"train": [{"path": "rows.jsonl"}], "test": [{"path": "held-out.jsonl"}]},
        "audit": {"off": ["missing-provenance", "unlicensed-source", "near-duplicate", "split-leakage"]},
        "train": {"method": "lora", "rank": 2, "rows_per_step": 4, "max_steps": 2},
        "evaluate": {"metrics": ["exact-match"], "resamples": 200, "max_new_tokens": 4},
        "gate": [{"metric": "exact-match", "at_least": 0.0}],
        **changes,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "recipe.yaml"


def write_rows(path: Path, found: list[dict[str, str]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in found))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixtures_models.make_folder(tmp_path_factory.mktemp("preflight"))


@pytest.fixture
def desk(tmp_path: Path, base: Path) -> Path:
    (tmp_path / "base").symlink_to(base)
    write_rows(tmp_path / "rows.jsonl", rows(0, label))
    write_rows(tmp_path / "held-out.jsonl", rows(3, label))
    make_key(tmp_path / "release.pem")
    write(tmp_path)
    return tmp_path


def too_long(desk: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    long = [{"prompt": " ".join(f"{n} kettles" for n in range(200 + k)), "completion": "refund"} for k in range(4)]
    write_rows(desk / "held-out.jsonl", [*rows(3, label), *long])
    return {}


def no_label(desk: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"evaluate": {"metrics": ["exact-match"], "label": "queue", "resamples": 200}}


def texts(desk: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    write_rows(desk / "rows.jsonl", rows(0, lambda place: f"We are sorry about number {place}."))
    return {"gate": [{"metric": "exact-match", "better_than": "majority"}]}


def wordless(desk: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    signs = "!#$%&*+=?@"
    found = [{"prompt": sign * (place + 1), "completion": label(place)} for place, sign in enumerate(signs)]
    write_rows(desk / "rows.jsonl", found)
    return {"gate": [{"metric": "exact-match", "better_than": "tfidf-words"}]}


def none_left(desk: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    write_rows(desk / "held-out.jsonl", rows(3, lambda place: " "))
    return {"audit": {"off": ["missing-provenance", "unlicensed-source"], "drop": ["empty-completion"]}}


def late(desk: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The cache puts a new token at the wrong position: training is right, evaluation and serving are not."""
    real = engine.next_token_layout
    patch.setattr(engine, "next_token_layout", lambda one: replace(real(one), positions=real(one).positions + 3))
    return {}


def broken_log(desk: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    name = key_id(load_signer(desk / "release.pem").public_pem())[:16]
    entry = desk / "releases" / ".log" / name / "entries" / f"{0:012d}.dsse.json"
    entry.parent.mkdir(parents=True)
    entry.write_text("{}")
    return {}


def few(desk: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    gate = [{"metric": "exact-match", "at_least": 0.0}, {"metric": "chrf", "at_least": 10.0}]
    return {"gate": gate, "evaluate": {"metrics": ["exact-match", "chrf"], "resamples": 200}}


def long_training_rows(desk: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    long = [{"prompt": " ".join(f"{n} kettles" for n in range(200 + k)), "completion": "refund"} for k in range(7)]
    write_rows(desk / "rows.jsonl", [*rows(0, label), *long])
    return {}


BAD: dict[str, tuple[Callable[[Path, pytest.MonkeyPatch], dict[str, Any]], type[TunesmithError], str, str, str]] = {
    "held-out rows too long": (
        too_long, Misuse, "4 of 12 held-out rows cannot be used as prompts: .* tokens; the context holds 256", "data.test",
        "over-long",
    ),
    "held-out rows without a label": (
        no_label, Misuse, "8 of 8 held-out rows cannot be scored by exact-match: .* no label under 'queue'; held-out.jsonl:1",
        "evaluate.metrics", "evaluate.label",
    ),
    "a baseline that cannot learn": (
        texts, Misuse, "majority cannot be measured: 8 of 8 completions are distinct", "gate", "evaluate.label",
    ),
    "a baseline without words": (
        wordless, Misuse, "tfidf-words cannot be measured: the training prompts contain no words", "gate", "another system",
    ),
    "too few held-out rows for an interval": (
        few, Misuse, "the interval of chrf needs at least 20 held-out rows; there are 8", "gate.1", "hold out 12 more",
    ),
    "no held-out rows left": (none_left, Misuse, "the audit left no held-out rows", "data.test", "quarantine"),
    "a cache that is wrong": (
        late, Misuse, "generation logits of the llama model differ from its eager forward by", "base", "attention",
    ),
    "a log that was changed": (broken_log, IntegrityBroken, "entries but no checkpoint", "checkpoint.txt", "restore"),
    "training rows too long": (
        long_training_rows, DataError,
        "7 rows cannot be trained on: rows.jsonl:9, rows.jsonl:10, .* and 2 more; the first: row .* tokens", "rows.jsonl:9",
        "shorten the row",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_it_is_refused_before_the_first_step(case: str, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil, kind, what, where, hint = BAD[case]
    recipe = load_recipe(write(desk, **spoil(desk, monkeypatch)))

    def entered(*_: Any, **__: Any) -> Any:
        raise AssertionError("training was entered")

    monkeypatch.setattr(import_module("tunesmith.train.run"), "run_loop", entered)
    context = pipeline.open_context(desk / "recipe.yaml")
    with pytest.raises(kind, match=what) as caught:
        pipeline.run(recipe, context)
    assert where in caught.value.where and hint in caught.value.hint, str(caught.value)
    if case != "training rows too long":
        with pytest.raises(kind, match=what):
            pipeline.preview(recipe, context, until="release")
        assert pipeline.preview(recipe, context, until="train").steps == 2


def test_what_was_measured_is_shown_and_the_model_is_kept_when_evaluation_fails(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise ValueError("the disk of the moon is full")

    recipe = desk / "recipe.yaml"
    with monkeypatch.context() as patch:
        patch.setattr("tunesmith.evaluate.run", fails)
        failed = CliRunner().invoke(app, ["run", str(recipe)])
    assert failed.exit_code == 1
    told = " ".join(failed.stderr.split())
    assert "The audit read 16 rows" in told and "the disk of the moon is full" in told
    assert "The trained model is kept (sha256:" in told and "After the fix, run the command again" in told
    assert (desk / ".tunesmith" / "reports" / "tiny.html").is_file()
    again = CliRunner().invoke(app, ["run", str(recipe)])
    assert again.exit_code == 0, again.stderr
    assert "train: done already" in again.stderr


def test_both_dry_runs_look_as_far_as_their_verb(desk: Path) -> None:
    write(desk, gate=[])
    refused = CliRunner().invoke(app, ["run", str(desk / "recipe.yaml"), "--dry-run"])
    assert refused.exit_code == 2 and "the gate is empty" in refused.stderr
    assert not (desk / ".tunesmith").exists()
    shown = CliRunner().invoke(app, ["train", str(desk / "recipe.yaml"), "--dry-run"])
    assert shown.exit_code == 0, shown.stderr
    write(desk)
    whole = CliRunner().invoke(app, ["run", str(desk / "recipe.yaml"), "--dry-run"])
    assert whole.exit_code == 0 and "nothing was trained" in whole.stdout, whole.stderr
    assert "prefix sharing is on (tried on this model: logits differ by" in whole.stdout
    assert "running the self-check of the base for evaluation and serving" in whole.stderr
