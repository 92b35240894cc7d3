"""A run killed at any micro-batch and resumed ends in the same bytes as an uninterrupted run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tunesmith.chat.encode import EncodedSequence
from tunesmith.context import Context
from tunesmith.errors import IntegrityBroken
from tunesmith.models.loading import DTYPES
from tunesmith.recipe import TrainSettings
from tunesmith.store import open_store
from tunesmith.train import loop
from tunesmith.train.loop import TrainingPlan, run_loop
from tunesmith.train.methods.master_weights import accumulate_gradients_in_fp32

STEPS, PASSES = 5, 3


class Killed(BaseException):
    """Like SIGKILL: nothing in the loop may catch it."""


def llama(precision: str = "fp32") -> LlamaForCausalLM:
    torch.manual_seed(6)
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1,
    )  # fmt: skip
    model = LlamaForCausalLM(config).to(DTYPES[precision])
    accumulate_gradients_in_fp32(model)
    return model


def plan(folder: Path, key: str = "k" * 64) -> TrainingPlan:
    """Every step has three micro-batches: rows of ten tokens, at most sixteen per micro-batch, no shared prefixes."""
    rows = [EncodedSequence(str(n), tuple((7 * n + 3 * at) % 47 + 3 for at in range(10)), ((4, 10),)) for n in range(6)]
    steps = [[(step + at) % 6 for at in range(PASSES)] for step in range(STEPS)]
    return TrainingPlan(rows, steps, rows[4:], key, folder)


def settings(every: int, optimizer: str = "adamw") -> TrainSettings:
    return TrainSettings(
        method="full", rows_per_step=PASSES, tokens_per_pass=16, learning_rate=1e-2, checkpoint_every=every,
        validation=0.1, validate_every=2, optimizer=optimizer,
    )  # fmt: skip


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(store=open_store(tmp_path / "store"), data_root=tmp_path, home=tmp_path, seed=5)


def weights(model: LlamaForCausalLM) -> list[torch.Tensor]:
    return [value.detach().clone() for value in model.parameters()]


def killed_at(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next loop is killed before its `calls`-th micro-batch."""
    real, seen = loop.micro_batch_loss, [0]

    def dying(*arguments: Any, **options: Any) -> torch.Tensor:
        seen[0] += 1
        if seen[0] == calls:
            raise Killed
        return real(*arguments, **options)

    monkeypatch.setattr(loop, "micro_batch_loss", dying)


@pytest.mark.parametrize(
    ("every", "optimizer", "precision"),
    [
        (1, "adamw", "fp32"),
        (2, "adamw", "fp32"),
        (1, "muon", "fp32"),
        (2, "muon", "fp32"),
        (2, "adamw", "bf16"),
        (2, "muon", "bf16"),
    ],
)
def test_a_run_killed_at_any_micro_batch_resumes_to_the_same_bits(
    every: int, optimizer: str, precision: str, tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_settings = settings(every, optimizer)
    whole = llama(precision)
    uninterrupted = run_loop(whole, plan(tmp_path / "whole"), settings=run_settings, context=context)
    assert uninterrupted.distinct_tokens == STEPS * PASSES * 10
    passes = STEPS * PASSES + 3 * 2  # two held-out rows, looked at after steps 2, 4 and 5
    for call in range(1, passes + 1):
        folder = tmp_path / f"killed-{call}"
        with monkeypatch.context() as patch:
            killed_at(call, patch)
            with pytest.raises(Killed):
                run_loop(llama(precision), plan(folder), settings=run_settings, context=context)
        resumed = llama(precision)
        state = run_loop(resumed, plan(folder), settings=run_settings, context=context)
        assert state == uninterrupted
        assert all(torch.equal(one, two) for one, two in zip(weights(whole), weights(resumed), strict=True)), call


def test_a_checkpoint_with_another_key_is_refused(
    tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        killed_at(8, patch)
        with pytest.raises(Killed):
            run_loop(llama(), plan(tmp_path / "a"), settings=settings(1), context=context)
    with pytest.raises(IntegrityBroken, match="is of other data, another recipe or other code"):
        run_loop(llama(), plan(tmp_path / "a", "j" * 64), settings=settings(1), context=context)


def test_equal_seeds_give_equal_bits_and_another_order_does_not(tmp_path: Path, context: Context) -> None:
    one, two, three = llama(), llama(), llama()
    run_loop(one, plan(tmp_path / "one"), settings=settings(9), context=context)
    run_loop(two, plan(tmp_path / "two"), settings=settings(9), context=context)
    turned = plan(tmp_path / "three")
    run_loop(three, TrainingPlan(turned.rows, turned.steps[::-1], turned.validation, turned.key, turned.folder),
             settings=settings(9), context=context)  # fmt: skip
    assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(two), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(one), weights(three), strict=True))


def test_early_stopping_stops_a_resumed_run_at_the_same_step(tmp_path: Path, context: Context) -> None:
    run_settings = settings(1).model_copy(update={"learning_rate": 1e-9, "patience": 1, "validate_every": 1})
    run_settings = run_settings.model_copy(update={"schedule": "constant", "clip": 1e-12})
    state = run_loop(llama(), plan(tmp_path / "tired"), settings=run_settings, context=context)
    assert state.step < STEPS
    again = run_loop(llama(), plan(tmp_path / "tired"), settings=run_settings, context=context)
    assert again.step == state.step and again.curve == state.curve
