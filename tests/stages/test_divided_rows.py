"""A recipe without held-out files: `data.split` holds rows out once, and every stage works with the same ones."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunesmith import pipeline
from tunesmith.artifacts import AuditReport, Dataset, Row
from tunesmith.data.rows import load_rows
from tunesmith.errors import DataError, RecipeError
from tunesmith.recipe import load_recipe
from tunesmith.trust import load_public_pem, make_key, verify_release

CONFIG = Path(__file__).parents[1] / "tiny_config.json"
COLOURS = ("red", "green", "blue")
THINGS = "lamp kettle rug pot mug fork pan box hat sock coat ring bell drum harp flute".split()
PERSONS = 12


def row(number: int) -> dict[str, Any]:
    text = f"the {THINGS[number % 16]} number {number} is {COLOURS[number % 3]}, I looked twice"
    return {"text": text, "label": COLOURS[number % 3], "buyer": f"buyer-{number // 7 % PERSONS}"}


def write(folder: Path, *, split: dict[str, Any], **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(CONFIG.read_text())
    (folder / "rows.jsonl").write_text("".join(json.dumps(row(number)) + "\n" for number in range(84)))
    rights = {"license": "CC0-1.0", "origin": "made for this test", "basis": "contract", "subject": "buyer"}
    recipe = {
        "name": "colours",
        "base": {"config": "config.json", "tokenizer": {"train": 400}, "seed": 1},
        "task": "classify",
        "data": {"train": [{"path": "rows.jsonl", **rights}], "split": split},
        "audit": {"off": ["near-duplicate", "split-leakage"]},
        "train": {"method": "full", "rows_per_step": 8, "epochs": 1, "learning_rate": 0.003},
        "evaluate": {"max_new_tokens": 4, "resamples": 200, "baselines": ["majority"]},
        "gate": [{"metric": "exact-match", "at_least": 0.0}],
        **changes,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    if not (folder / "release.pem").exists():
        make_key(folder / "release.pem")
    return path


def go(path: Path, **options: Any) -> tuple[pipeline.RunResult, Any]:
    context = pipeline.open_context(path)
    return pipeline.run(load_recipe(path), context, **options), context


def buyers(rows: list[Row]) -> set[str]:
    found = {row.rights.subject for row in rows}
    assert None not in found
    return {str(name) for name in found}


BY_BUYER = {"test": 0.25, "by": "subject"}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[pipeline.RunResult, Any]:
    return go(write(tmp_path_factory.mktemp("divided"), split=BY_BUYER))


def test_every_stage_works_with_the_same_rows(done: tuple[pipeline.RunResult, Any]) -> None:
    result, context = done
    audit = result.audit
    assert audit is not None and audit.test is not None and audit.split is not None
    assert (audit.train.rows, audit.test.rows, audit.rows_read) == (63, 21, 84)
    assert result.train is not None and result.train.rows == 63
    assert result.evaluation is not None and result.evaluation.test == audit.test
    train, test = (load_rows(dataset, context.store) for dataset in (audit.train, audit.test))
    assert len({row.row_id for row in [*train, *test]}) == 84
    assert buyers(train) & buyers(test) == set()
    assert (len(buyers(train)), len(buyers(test))) == (9, 3)


def test_rows_keep_their_order_and_their_columns_fit(done: tuple[pipeline.RunResult, Any]) -> None:
    result, context = done
    assert result.audit is not None and result.audit.test is not None
    for dataset in (result.audit.train, result.audit.test):
        lines = [(row.line, row.example.text, row.example.labels) for row in load_rows(dataset, context.store)]
        assert lines == sorted(lines)
        assert lines == [(n, row(n - 1)["text"], (row(n - 1)["label"],)) for n, _, _ in lines]


def test_the_ledger_and_the_release_say_how_the_rows_were_divided(done: tuple[pipeline.RunResult, Any]) -> None:
    result, context = done
    assert result.audit is not None and result.release is not None
    said = {"asked": 0.25, "reached": 0.25, "rows": 84, "held_out": 21, "clusters": 12, "largest": 7, "by": ["subject"]}
    said |= {"label_gap": None, "cut": None, "pulled": 0}
    stored = context.store.get(AuditReport, context.store.ledger.ref("colours/audit"))
    assert stored.split.model_dump(mode="json") == said
    folder = Path(result.release.folder)
    verify_release(folder, load_public_pem(context.home / "release.pem"))
    told = "21 rows of 84 read, before any check; rows alike in subject on one side"
    assert f"| Rows held out of the training files | {told} | measured |" in (folder / "data-card.md").read_text()
    assert json.loads((folder / "croissant.json").read_text())["tunesmith:heldOut"] == said


def same(one: Dataset | None, other: Dataset | None) -> bool:
    assert one is not None and other is not None
    return one.rows_digest == other.rows_digest


def test_neither_another_store_nor_another_seed_of_training_holds_out_other_rows(
    done: tuple[pipeline.RunResult, Any], tmp_path: Path
) -> None:
    first = done[0].audit
    assert first is not None
    train = {"method": "full", "rows_per_step": 8, "epochs": 1, "learning_rate": 0.003, "seed": 5}
    again = go(write(tmp_path / "elsewhere", split=BY_BUYER, train=train), until="audit")[0].audit
    assert again is not None
    assert same(again.train, first.train) and same(again.test, first.test)
    other = go(write(tmp_path / "elsewhere", split={**BY_BUYER, "seed": 1}), until="audit")[0].audit
    assert other is not None and not same(other.test, first.test)


def told_four_times(number: int) -> dict[str, Any]:
    """Row `number` says what three others say, but for one word."""
    told, words = number // 4, [f"{thing}{number // 4}" for thing in THINGS]
    return {"text": f"{' '.join(words)} again{number}", "label": COLOURS[told % 3], "buyer": f"buyer-{told}"}


@pytest.mark.parametrize(("by", "leaks"), [("near-duplicate", False), ([], True)])
def test_the_checks_see_both_sides(tmp_path: Path, by: Any, leaks: bool) -> None:
    """Divided without regard to likeness, rows leak into the held-out side, and the audit takes them out."""
    path = write(tmp_path, split={"test": 0.25, "by": by}, audit={"off": ["near-duplicate"]})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(told_four_times(number)) + "\n" for number in range(84)))
    audit = go(path, until="audit")[0].audit
    assert audit is not None and audit.split is not None
    assert audit.split.clusters == (84 if leaks else 21)
    assert (audit.dropped.get("split-leakage", 0) > 0) == leaks


def test_what_cannot_be_divided_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rows form one cluster by file") as caught:
        go(write(tmp_path, split={"by": "file"}), until="audit")
    assert caught.value.where == "data.split"
    path = write(tmp_path, split=BY_BUYER)
    recipe = yaml.safe_load(path.read_text())
    recipe["data"]["test"] = [{"path": "rows.jsonl"}]
    path.write_text(yaml.safe_dump(recipe))
    with pytest.raises(RecipeError, match="give `test` files or `split`, not both"):
        load_recipe(path)
