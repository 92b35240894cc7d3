"""A checkpoint is complete before the pointer names it, belongs to one run, and is restored bit for bit."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith.artifacts import CurvePoint
from tunesmith.errors import IntegrityBroken, MachineFailure
from tunesmith.recipe import TrainSettings
from tunesmith.train import checkpoint
from tunesmith.train.checkpoint import (
    load_best,
    load_state,
    load_tensors,
    save_best,
    save_checkpoint,
    trainable_tensors,
)
from tunesmith.train.optimizers import Optimizers, build_optimizer
from tunesmith.train.state import TrainState

POINT = CurvePoint(step=1, loss=0.1 + 0.2, learning_rate=1e-3, gradient_norm=1 / 3, supervised_tokens=9)


def state(step: int, key: str = "sha256:k") -> TrainState:
    return TrainState(key=key, step=step, threads=1, curve=(POINT,) * step, best_step=None)


def moved(model: Any, step: int) -> Optimizers:
    """An optimizer after `step` steps on seeded gradients."""
    optimizer = build_optimizer(model, TrainSettings(rows_per_step=1, optimizer="muon"))
    for number in range(step):
        generator = torch.Generator().manual_seed(number)
        for value in trainable_tensors(model).values():
            value.grad = torch.randn(value.shape, generator=generator)
        optimizer.step()
    return optimizer


def values(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in trainable_tensors(model).items()}


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_state(tmp_path, "sha256:k") is None


def test_a_checkpoint_is_restored_bit_for_bit(tmp_path: Path, tiny: Any) -> None:
    optimizer = moved(tiny, 2)
    save_checkpoint(tmp_path, tiny, optimizer, state=state(2))
    weights, moments = values(tiny), optimizer.tensors()
    assert load_state(tmp_path, "sha256:k") == state(2)
    with torch.no_grad():
        for value in trainable_tensors(tiny).values():
            value.zero_()
    fresh = build_optimizer(tiny, TrainSettings(rows_per_step=1, optimizer="muon"))
    load_tensors(tmp_path, tiny, fresh, step=2)
    assert all(torch.equal(value, weights[name]) for name, value in trainable_tensors(tiny).items())
    assert fresh.tensors().keys() == moments.keys()
    assert all(torch.equal(value, moments[name]) for name, value in fresh.tensors().items())


def test_only_the_latest_checkpoint_is_kept(tmp_path: Path, tiny: Any) -> None:
    optimizer = moved(tiny, 1)
    for step in (1, 2, 10):
        save_checkpoint(tmp_path, tiny, optimizer, state=state(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "step-10"]
    assert (tmp_path / "latest").read_text() == "step-10"


def test_a_save_killed_before_the_pointer_moves_leaves_the_old_checkpoint(
    tmp_path: Path, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimizer = moved(tiny, 1)
    save_checkpoint(tmp_path, tiny, optimizer, state=state(1))
    before = values(tiny)
    moved(tiny, 1)
    real = checkpoint.write_atomic

    def die_at_the_pointer(path: Path, data: bytes) -> None:
        if path.name == checkpoint.POINTER_FILE:
            raise KeyboardInterrupt
        real(path, data)

    monkeypatch.setattr(checkpoint, "write_atomic", die_at_the_pointer)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, tiny, optimizer, state=state(2))
    monkeypatch.undo()
    assert load_state(tmp_path, "sha256:k") == state(1)
    load_tensors(tmp_path, tiny, optimizer, step=1)
    assert all(torch.equal(value, before[name]) for name, value in trainable_tensors(tiny).items())
    save_checkpoint(tmp_path, tiny, optimizer, state=state(2))
    assert load_state(tmp_path, "sha256:k") == state(2)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = moved(tiny, 1)
    save_checkpoint(tmp_path, tiny, optimizer, state=state(1))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(MachineFailure, match="the disk is full") as caught:
        save_checkpoint(tmp_path, tiny, optimizer, state=state(2))
    assert caught.value.where == str(tmp_path / "step-2")
    assert load_state(tmp_path, "sha256:k") == state(1)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path, tiny: Any) -> None:
    save_checkpoint(tmp_path, tiny, moved(tiny, 1), state=state(1))
    with pytest.raises(IntegrityBroken, match="is of other data, another recipe or other code") as caught:
        load_state(tmp_path, "sha256:other")
    assert (caught.value.where, caught.value.hint) == (str(tmp_path), "delete the folder to train from the start")


def test_a_missing_or_truncated_checkpoint_is_reported(tmp_path: Path, tiny: Any) -> None:
    optimizer = moved(tiny, 1)
    save_checkpoint(tmp_path, tiny, optimizer, state=state(1))
    weights = tmp_path / "step-1" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(IntegrityBroken, match="the checkpoint cannot be read") as caught:
        load_tensors(tmp_path, tiny, optimizer, step=1)
    assert caught.value.where == str(weights)
    (tmp_path / "step-1" / "state.json").unlink()
    with pytest.raises(IntegrityBroken, match="the checkpoint is missing"):
        load_state(tmp_path, "sha256:k")


def test_the_best_weights_are_restored(tmp_path: Path, tiny: Any) -> None:
    save_best(tmp_path, tiny)
    best = values(tiny)
    moved(tiny, 2)
    assert not all(torch.equal(value, best[name]) for name, value in trainable_tensors(tiny).items())
    load_best(tmp_path, tiny)
    assert all(torch.equal(value, best[name]) for name, value in trainable_tensors(tiny).items())
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]


def test_frozen_tensors_are_not_written(tmp_path: Path, tiny: Any) -> None:
    tiny.model.embed_tokens.weight.requires_grad_(False)
    assert "model.embed_tokens.weight" not in trainable_tensors(tiny)
    save_best(tmp_path, tiny)
    frozen = torch.zeros_like(tiny.model.embed_tokens.weight)
    with torch.no_grad():
        tiny.model.embed_tokens.weight.copy_(frozen)
    load_best(tmp_path, tiny)
    assert torch.equal(tiny.model.embed_tokens.weight, frozen)
