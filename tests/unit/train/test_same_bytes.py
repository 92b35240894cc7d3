"""Two runs of a recipe, in separate stores and under different load, give the same weights and consumption record."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith import evaluate, train
from tunesmith.artifacts import Dataset, Example, Row, TrainReport, message
from tunesmith.context import Context
from tunesmith.data.rows import store_dataset
from tunesmith.recipe import EvaluateSettings, TaskSettings, TrainSettings
from tunesmith.store import open_store
from tunesmith.train import threads

CHAT = TaskSettings(type="chat")
BURNERS = 2 * (os.cpu_count() or 1)


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No thread count in the environment; torch's count is restored."""
    before = torch.get_num_threads()
    for name in threads.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    yield
    torch.set_num_threads(before)


@contextmanager
def load() -> Iterator[None]:
    """Keep the machine busy: twice as many counting processes as cores."""
    burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BURNERS)]
    try:
        yield
    finally:
        for one in burning:
            one.kill()
            one.wait()


def rows(context: Context) -> Dataset:
    turns = (message("user", "Where is my order? " * 4), message("assistant", "It should be here on Tuesday. " * 3))
    examples = [Row(row_id=f"{n:016x}", file="made", line=n + 1, example=Example(messages=turns)) for n in range(6)]
    return store_dataset("made", examples, context.store)


def trained(base: Path, folder: Path, **options: Any) -> tuple[TrainReport, Context, Dataset]:
    context = Context(store=open_store(folder / "store"), data_root=folder, home=base.parent, seed=1)
    settings = TrainSettings(method="full", rows_per_step=3, max_steps=2, seed=1, **options)
    dataset = rows(context)
    return train.run(train.TrainInputs(dataset, base.name, CHAT), settings, context), context, dataset


def test_machine_load_changes_neither_threads_nor_weights(tiny_folder: Path, tmp_path: Path) -> None:
    quiet, first, _ = trained(tiny_folder, tmp_path / "quiet")
    torch.set_num_threads(7)  # what another stage of the same process left behind
    with load():
        busy, second, _ = trained(tiny_folder, tmp_path / "busy")
    assert quiet.threads == busy.threads == threads.choose_threads(None).count
    assert quiet.model.tree == busy.model.tree
    assert quiet.digest() == busy.digest()
    for context in (first, second):
        context.store.ledger.close()


def test_the_recipes_thread_count_is_used_stored_and_part_of_the_key(tiny_folder: Path, tmp_path: Path) -> None:
    report, context, dataset = trained(tiny_folder, tmp_path / "one", threads=3)
    other, second, _ = trained(tiny_folder, tmp_path / "two", threads=1)
    assert (report.threads, other.threads) == (3, 1)
    assert report.provenance.settings != other.provenance.settings
    for one in (context, second):
        one.store.ledger.close()
    assert dataset.rows == 6


def test_evaluation_uses_the_threads_of_the_training(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, context, dataset = trained(tiny_folder, tmp_path, threads=3)
    torch.set_num_threads(1)
    seen: list[int] = []
    stage = sys.modules["tunesmith.evaluate.run"]
    whole = stage._model_systems

    def watched(*given: Any, **options: Any) -> Any:
        seen.append(torch.get_num_threads())
        return whole(*given, **options)

    monkeypatch.setattr(stage, "_model_systems", watched)
    inputs = evaluate.EvaluateInputs(report, dataset, dataset, CHAT)
    evaluate.run(inputs, EvaluateSettings(metrics=("exact-match",), baselines=(), max_new_tokens=4, shots=0), context)
    assert seen == [3]
    context.store.ledger.close()
