"""The training loop and the train stage: refusals, validation rows and records."""

import io
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import torch

from tunesmith import train
from tunesmith.artifacts import Dataset, Example, ModelRef, Row, TrainReport, message
from tunesmith.chat.encode import EncodedSequence
from tunesmith.context import Context
from tunesmith.data.rows import store_dataset
from tunesmith.errors import DataError, IntegrityBroken, Misuse
from tunesmith.recipe import TaskSettings, TrainSettings
from tunesmith.train.consumption import store_consumption
from tunesmith.train.loop import Diverged, TrainingPlan, run_loop, validation_loss
from tunesmith.train.setup import split_validation

CHAT = TaskSettings(type="chat")


def encoded(number: int, length: int = 6) -> EncodedSequence:
    ids = [(7 * number + 3 * place) % 390 + 8 for place in range(length)]
    return EncodedSequence(f"{number:016x}", tuple(ids), ((2, length),))


def settings(**options: Any) -> TrainSettings:
    return TrainSettings(**{"method": "full", "rows_per_step": 4, **options})


def plan(
    folder: Path, rows: list[EncodedSequence], steps: list[list[int]], validation: tuple[EncodedSequence, ...] = ()
) -> TrainingPlan:
    return TrainingPlan(rows, steps, validation, "sha256:key", folder)


def break_token(model: Any, token: int) -> None:
    """Set the embedding of a token to NaN."""
    with torch.no_grad():
        model.model.embed_tokens.weight[token] = float("nan")


def test_divergence_names_the_rows_of_the_failing_micro_batch(tiny: Any, context: Context, tmp_path: Path) -> None:
    rows = [encoded(number) for number in range(6)]
    bad = EncodedSequence("bad0000000000000", (399, 398, 397, 396), ((1, 4),))
    break_token(tiny, 399)
    with pytest.raises(Diverged) as caught:
        run_loop(
            tiny,
            plan(tmp_path, [*rows, bad], [[0, 1, 2, 3, 4, 6]]),
            settings=settings(tokens_per_pass=16),
            context=context,
        )
    assert caught.value.what.startswith("step 1: loss nan")
    assert caught.value.where == "rows 0000000000000004, bad0000000000000"
    assert caught.value.hint == "lower train.learning_rate, or look at these rows"


def test_divergence_changes_no_weight_and_counts_unnamed_rows(tiny: Any, context: Context, tmp_path: Path) -> None:
    with torch.no_grad():
        tiny.lm_head.weight[5] = float("nan")
    before = tiny.model.embed_tokens.weight.detach().clone()
    with pytest.raises(Diverged) as caught:
        run_loop(
            tiny,
            plan(tmp_path, [encoded(n) for n in range(5)], [[0, 1, 2, 3, 4]]),
            settings=settings(),
            context=context,
        )
    names = ", ".join(f"{number:016x}" for number in range(3))
    assert caught.value.where == f"rows {names} and 2 more"
    assert torch.equal(tiny.model.embed_tokens.weight, before)


def test_the_curve_has_one_point_per_step_and_the_loss_falls(tiny: Any, context: Context, tmp_path: Path) -> None:
    rows = [encoded(number) for number in range(4)]
    state = run_loop(
        tiny,
        plan(tmp_path, rows, [[0, 1, 2, 3]] * 8),
        settings=settings(schedule="constant", warmup=0),
        context=context,
    )
    assert [point.step for point in state.curve] == list(range(1, 9))
    assert {point.supervised_tokens for point in state.curve} == {16}
    assert {point.learning_rate for point in state.curve} == {1e-3}
    assert state.curve[-1].loss < state.curve[0].loss


def test_keep_best_restores_the_lowest_validation_loss(tiny: Any, context: Context, tmp_path: Path) -> None:
    rows, validation = [encoded(number) for number in range(4)], tuple(encoded(number, 9) for number in (50, 51))
    wanted = settings(schedule="constant", learning_rate=0.05, validation=0.1, validate_every=1, keep="best")
    state = run_loop(tiny, plan(tmp_path, rows, [[0, 1, 2, 3]] * 6, validation), settings=wanted, context=context)
    lowest = min(state.held_out, key=lambda point: point.loss)
    assert [point.step for point in state.held_out] == [1, 2, 3, 4, 5, 6]
    assert state.best_step == lowest.step
    assert lowest.step < 6
    assert validation_loss(tiny, validation, wanted) == pytest.approx(lowest.loss, rel=1e-6)


def test_validation_changes_no_weight_and_no_number(
    tiny: Any, tiny_folder: Path, context: Context, tmp_path: Path
) -> None:
    from tunesmith.models.loading import load_folder

    other = load_folder(tiny_folder)[0].requires_grad_(True)
    rows, validation = [encoded(number) for number in range(4)], (encoded(50),)
    watched = settings(validation=0.1, validate_every=1)
    one = run_loop(tiny, plan(tmp_path / "a", rows, [[0, 1], [2, 3]], validation), settings=watched, context=context)
    two = run_loop(other, plan(tmp_path / "b", rows, [[0, 1], [2, 3]]), settings=settings(), context=context)
    assert one.curve == two.curve
    assert all(torch.equal(a, b) for a, b in zip(tiny.parameters(), other.parameters(), strict=True))


def test_the_consumption_record_has_the_tokens_of_every_step(context: Context) -> None:
    rows = [
        EncodedSequence("a", tuple(range(9)), ((4, 9),)),
        EncodedSequence("b", tuple(range(8)), ((0, 8),), 0),
        EncodedSequence("b", tuple(range(3)), ((0, 3),), 8),
    ]
    digest = store_consumption([[2, 0], [1], [0]], rows, context.store)
    table = pyarrow.parquet.read_table(io.BytesIO(context.store.objects.get(digest)))
    assert [tuple(line.values()) for line in table.to_pylist()] == [
        (1, "b", 8, 3, 2),
        (1, "a", 0, 9, 5),
        (2, "b", 0, 8, 7),
        (3, "a", 0, 9, 5),
    ]
    assert table.column_names == ["step", "row_id", "first_token", "tokens", "supervised"]
    assert store_consumption([[2, 0], [1], [0]], rows, context.store) == digest


def test_validation_is_split_by_row(context: Context) -> None:
    windows = [
        EncodedSequence(f"r{number}", (1, 2, 3), ((0, 3),), 3 * part) for number in range(20) for part in range(3)
    ]
    training, validation = split_validation(windows, settings(validation=0.2), context)
    assert len({row.row_id for row in validation}) == 4
    assert not {row.row_id for row in training} & {row.row_id for row in validation}
    assert sorted([*training, *validation], key=windows.index) == windows
    assert training == [row for row in windows if row in training]
    assert split_validation(windows, settings(validation=0.2), context) == (training, validation)
    assert split_validation(windows, settings(validation=0.2, seed=8), context)[1] != validation


def test_validation_zero_takes_no_row_and_a_small_share_takes_one(context: Context) -> None:
    rows = [encoded(number) for number in range(5)]
    assert split_validation(rows, settings(), context) == (rows, [])
    assert len(split_validation(rows, settings(validation=0.001), context)[1]) == 1


def test_taking_the_only_row_for_validation_is_refused(context: Context) -> None:
    with pytest.raises(DataError, match="takes all 1 rows") as caught:
        split_validation([encoded(1)], settings(validation=0.1), context)
    assert caught.value.hint == "add rows, or set `train: {validation: 0}`"


@pytest.fixture
def dataset(context: Context) -> Dataset:
    turns = (message("user", "where is my order"), message("assistant", "on Tuesday"))
    rows = [
        Row(row_id=f"{number:016x}", file="made", line=number + 1, example=Example(messages=turns))
        for number in range(4)
    ]
    return store_dataset("made", rows, context.store)


def finished(inputs: train.TrainInputs, wanted: TrainSettings, context: Context) -> str:
    """Store a report like that of a finished run; returns its digest."""
    base = ModelRef(name="made", tree="sha256:base", kind="base", parameters=1)
    provenance = context.provenance(
        "train",
        inputs={"dataset": inputs.dataset.rows_digest, "base": base.tree},
        settings={"train": wanted.model_dump(mode="json"), "task": inputs.task.model_dump(mode="json")},
    ).model_copy(update={"code": "sha256:older"})
    report = TrainReport(
        provenance=provenance, model=base, base=base, method="full", objective="completion", steps=1, epochs=1, rows=4,
        tokens=9, supervised_tokens=5, trainable_parameters=1, curve=(), consumption="sha256:c", threads=1,
    )  # fmt: skip
    return context.store.put(report)


def test_a_report_of_the_same_rows_and_settings_is_reused(dataset: Dataset, context: Context) -> None:
    inputs = train.TrainInputs(dataset, "made", CHAT)
    digest = finished(inputs, settings(), context)
    assert train.reuse_report(digest, inputs, settings=settings(), context=context) == context.store.get(
        TrainReport, digest
    )


@pytest.mark.parametrize(
    ("rows", "task", "changes", "seed", "different"),
    [
        ("sha256:other", CHAT, {}, 1, "inputs"),
        (None, TaskSettings(type="classify"), {}, 1, "settings"),
        (None, CHAT, {"learning_rate": 0.5}, 1, "settings"),
        (None, CHAT, {"max_steps": 3}, 1, "settings"),
        (None, CHAT, {}, 2, "seed"),
        ("sha256:other", CHAT, {"epochs": 9}, 2, "inputs, settings, seed"),
    ],
)
def test_a_report_of_anything_else_is_refused(
    dataset: Dataset,
    context: Context,
    rows: str | None,
    task: TaskSettings,
    changes: dict[str, Any],
    seed: int,
    different: str,
) -> None:
    digest = finished(train.TrainInputs(dataset, "made", CHAT), settings(), context)
    inputs = train.TrainInputs(dataset.model_copy(update={"rows_digest": rows or dataset.rows_digest}), "made", task)
    elsewhere = Context(store=context.store, data_root=context.data_root, home=context.home, seed=seed)
    with pytest.raises(Misuse) as caught:
        train.reuse_report(digest, inputs, settings=settings(**changes), context=elsewhere)
    assert caught.value.what == f"the training report is of another run: {different} differ"
    assert caught.value.where == digest
    assert caught.value.hint == "train again, or use the recipe and data that the report was made with"


def test_a_missing_report_or_another_artifact_is_refused(dataset: Dataset, context: Context) -> None:
    inputs = train.TrainInputs(dataset, "made", CHAT)
    with pytest.raises(IntegrityBroken, match="missing"):
        train.reuse_report(f"sha256:{'0' * 64}", inputs, settings=settings(), context=context)
    with pytest.raises(IntegrityBroken, match="cannot read this TrainReport"):
        train.reuse_report(context.store.put(dataset), inputs, settings=settings(), context=context)
