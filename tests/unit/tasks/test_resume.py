"""An encoder's run that stops after a checkpoint and goes on ends in the same bytes, with dropout inside the model too."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tunesmith import train
from tunesmith.artifacts import Example, Row
from tunesmith.context import Context
from tunesmith.data.rows import store_dataset
from tunesmith.recipe import TaskSettings, TrainSettings
from tunesmith.store import open_store

LABELS = ("order", "refund", "card")


def rows() -> list[Row]:
    """Texts of uneven length, three labels."""
    return [
        Row(
            row_id=f"{at:016x}",
            file="made",
            line=at + 1,
            example=Example(text=f"the {LABELS[at % 3]} {'please ' * (at % 5)}{at}", labels=(LABELS[at % 3],)),
        )
        for at in range(40)
    ]


class Stopped(Exception):
    """The run ends here."""


@dataclass(frozen=True)
class StopAt:
    """Progress that raises before a step."""

    step: int | None

    def track(self, items: Any, *, label: str, total: int | None = None) -> Any:
        for at, item in enumerate(items):
            if label == "train" and at == self.step:
                raise Stopped
            yield item

    def note(self, numbers: Any) -> None:
        """Nobody looks."""

    def say(self, line: str) -> None:
        """Nobody listens."""


def tree(store: Path, base: Path, stop: int | None, *, task: str = "classify", **how: Any) -> str:
    """The digest of the trained model's files."""
    context = Context(store=open_store(store), data_root=store, home=base.parent, seed=5, progress=StopAt(stop))
    settings = TrainSettings(
        rows_per_step=8, epochs=3, learning_rate=2e-3, checkpoint_every=3, tokens_per_pass=64, rank=2, threads=1, **how
    )
    inputs = train.TrainInputs(store_dataset("made", rows(), context.store), base.name, TaskSettings(type=task))
    try:
        return train.run(inputs, settings, context).model.tree
    finally:
        context.store.ledger.close()


@pytest.mark.parametrize("how", [{"method": "full", "base_dropout": 0.2}, {"method": "lora", "dropout": 0.1}])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    encoder: Callable[[str], Path], tmp_path: Path, how: dict[str, Any]
) -> None:
    whole = tree(tmp_path / "whole", encoder("bert"), None, **how)
    with pytest.raises(Stopped):
        tree(tmp_path / "stopped", encoder("bert"), 8, **how)
    assert tree(tmp_path / "stopped", encoder("bert"), None, **how) == whole
    assert tree(tmp_path / "other", encoder("bert"), None, **{**how, "seed": 8}) != whole


@pytest.mark.parametrize(
    ("family", "how"),
    [
        ("t5", {"method": "full", "base_dropout": 0.2, "label_smoothing": 0.1}),
        ("bart", {"method": "lora", "dropout": 0.1}),
        ("marian", {"method": "full", "gradient_checkpointing": True}),
    ],
)
def test_an_encoder_decoders_run_goes_on_to_the_same_bytes(
    encoder: Callable[[str], Path], tmp_path: Path, family: str, how: dict[str, Any]
) -> None:
    def made(name: str, stop: int | None) -> str:
        return tree(tmp_path / name, encoder(family), stop, task="seq2seq", **how)

    whole = made("whole", None)
    with pytest.raises(Stopped):
        made("stopped", 8)
    assert made("stopped", None) == whole


def test_positions_that_are_never_saved_do_not_move(encoder: Callable[[str], Path], tmp_path: Path) -> None:
    """transformers 5.23 makes Marian's sinusoidal positions anew at every load, and would let them be trained."""
    from transformers import AutoModelForSeq2SeqLM

    from tunesmith.train.methods import prepare_model

    model = AutoModelForSeq2SeqLM.from_pretrained(encoder("marian"))
    context = Context(store=open_store(tmp_path), data_root=tmp_path, home=tmp_path, seed=5)
    try:
        prepared = prepare_model(model, TrainSettings(method="full", rows_per_step=1), context)
    finally:
        context.store.ledger.close()
    fixed = {name for name, value in prepared.named_parameters() if not value.requires_grad}
    assert fixed == {f"model.{side}.embed_positions.weight" for side in ("encoder", "decoder")}
