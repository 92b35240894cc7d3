"""Checkpoints: tensors as safetensors, the rest as JSON, complete before the pointer to them moves."""

import shutil
from pathlib import Path

from tunesmith import process
from tunesmith.errors import IntegrityBroken
from tunesmith.store.objects import disk_errors, write_atomic
from tunesmith.train.optimizers import Optimizers
from tunesmith.train.state import TrainState

process.prepare()

import torch  # noqa: E402
from safetensors import SafetensorError  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

POINTER = "latest"
START_OVER = "delete the folder to start over"


def trainable(model: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors that move, by name, in the model's order."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def save_checkpoint(folder: Path, model: nn.Module, optimizer: Optimizers, *, state: TrainState) -> None:
    """Write `step-<n>/`, then move the pointer, then delete what the pointer no longer names."""
    target = folder / f"step-{state.step}"
    with disk_errors(target):
        if target.exists():
            shutil.rmtree(target)
        target.mkdir(parents=True)
        save_file({name: value.detach() for name, value in trainable(model).items()}, target / "model.safetensors")
        save_file(optimizer.tensors(), target / "optimizer.safetensors")
    write_atomic(target / "state.json", state.canonical())
    write_atomic(folder / POINTER, target.name.encode())
    for old in folder.glob("step-*"):
        if old.name != target.name:
            shutil.rmtree(old)


def load_state(folder: Path, key: str) -> TrainState | None:
    """The state the pointer names, or None when there is none. Raises IntegrityBroken when it belongs to another run."""
    pointer = folder / POINTER
    if not pointer.exists():
        return None
    described = folder / pointer.read_text() / "state.json"
    if not described.is_file():
        raise IntegrityBroken("a checkpoint is missing", where=str(described), hint=START_OVER)
    state = TrainState.from_bytes(described.read_bytes())
    if state.key != key:
        raise IntegrityBroken(
            "the checkpoint belongs to other data, another recipe or other code",
            where=str(folder),
            hint=START_OVER,
        )
    return state


def load_tensors(folder: Path, model: nn.Module, optimizer: Optimizers, *, step: int) -> None:
    """Put the tensors of a checkpoint back in place, bit for bit. Raises IntegrityBroken when a file is gone or cut short."""
    source = folder / f"step-{step}"
    _put_back(model, _tensors(source / "model.safetensors"))
    optimizer.restore(_tensors(source / "optimizer.safetensors"))


def save_best(folder: Path, model: nn.Module) -> None:
    """Keep the weights with the lowest validation loss so far."""
    with disk_errors(folder):
        temporary = folder / "best.tmp.safetensors"
        save_file({name: value.detach() for name, value in trainable(model).items()}, temporary)
        temporary.replace(folder / "best.safetensors")


def load_best(folder: Path, model: nn.Module) -> None:
    """Put the best weights back in place."""
    _put_back(model, _tensors(folder / "best.safetensors"))


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (FileNotFoundError, SafetensorError) as error:
        raise IntegrityBroken(f"a checkpoint cannot be read: {error}", where=str(path), hint=START_OVER) from error


def _put_back(model: nn.Module, saved: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, value in trainable(model).items():
            value.copy_(saved[name])
